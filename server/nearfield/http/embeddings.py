"""Vectors of texts, by the index's own embedder: they never leave this machine.

It reads the first `MAX_TOKENS` tokens of a text, and works in this process, a few texts at a time,
so that completions come between.
"""

from __future__ import annotations

import asyncio
import base64
import importlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from nearfield.http.asking import Asking, unknown_model
from nearfield.http.exchange import HttpExchange
from nearfield.http.wire import MODEL, BadRequest

MAX_TEXTS = 2048
"""OpenAI's own limit."""

EMBED_MODEL = f"{MODEL}/embed"
"""The name that lists of models have for the embedder."""

PIECE = 4
"""Texts that are embedded before a completion may come between: some 20 to 40 ms."""


class EmbeddingsBody(msgspec.Struct, frozen=True):
    """`POST /v1/embeddings`."""

    input: str | Annotated[list[str], Meta(min_length=1, max_length=MAX_TEXTS)]
    model: str = MODEL
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = None

    def texts(self) -> list[str]:
        """Return the texts. Raises `BadRequest` for an empty one."""
        return checked_texts(self.input)

    def written(self, row: list[float]) -> list[float] | str:
        """Return a vector in the format that was asked for: numbers, or the bytes of 32-bit ones,
        little end first, in base64."""
        if self.encoding_format == "float":
            return row
        return base64.b64encode(struct.pack(f"<{len(row)}f", *row)).decode()


@dataclass(frozen=True, slots=True)
class TextVectors:
    """A vector for each text, and the model that made them."""

    rows: list[list[float]]
    model: str


def checked_texts(given: str | list[str]) -> list[str]:
    """Return the texts of a request. Raises `BadRequest` for an empty one."""
    texts = [given] if isinstance(given, str) else given
    if not all(texts):
        raise BadRequest("A text is empty.", "input")
    return texts


async def vectors(
    asking: Asking,
    exchange: HttpExchange,
    texts: Sequence[str],
    model: str,
    dimensions: int | None = None,
) -> TextVectors:
    """Return a vector for each of `texts`. Raises `BadRequest` for a model or a number of
    dimensions that there is not, and `NotEmbedded` without ONNX Runtime."""
    if model not in (MODEL, EMBED_MODEL):
        raise unknown_model(model)
    embedder = await asyncio.to_thread(_embedder)
    if dimensions not in (None, embedder.dimensions):
        raise BadRequest(f"Vectors have {embedder.dimensions} dimensions.", "dimensions")
    rows: list[list[float]] = []
    async with asking.place(exchange, "embed"):
        for start in range(0, len(texts), PIECE):
            await asking.calm()
            piece = await asyncio.to_thread(embedder.embed, texts[start : start + PIECE])
            rows += piece.tolist()
    return TextVectors(rows, embedder.name)


async def embedder_name() -> str:
    """Return the name of the embedder's model, "" where it is not installed."""
    installed = await asyncio.to_thread(lambda: _module().is_installed())
    return _embedder().name if installed else ""


@cache
def _embedder() -> Any:
    return _module().Embedder()


@cache
def _module() -> Any:
    """Return the embedder's module; its imports are slow, and only a request for vectors needs
    them."""
    return importlib.import_module("nearfield.index.embedder")
