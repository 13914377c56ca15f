"""A static embedder in model2vec's format: a table with a row for each token; a text's vector is
the mean of its tokens' rows. No network runs, so it is a thousand times faster than a transformer,
and knows nothing of how words stand together.

A folder holds `model.safetensors` ("embeddings", and where the table was shrunk "weights" and
"mapping", one for each token), `tokenizer.json` and `config.json`. One thing is our own: with
`"counts": "log"` in the last a token that stands in a text n times counts 1 + log n times, not n.
`models/train_static.py` makes the one that is shipped.
"""

from __future__ import annotations

import json
import mmap
import struct
from collections.abc import Sequence
from functools import cached_property
from importlib import resources
from importlib.resources.abc import Traversable
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from nearfield.catalog.models import TABLE, TOKENIZER
from nearfield.errors import NearfieldError

if TYPE_CHECKING:
    import tokenizers

CONFIG = "config.json"
SHIPPED = "static-1"
"""Names the shipped table: another one makes other vectors."""
SHIPPED_DIMENSIONS = 256
MOST_CHARS = 4_000
"""Of one text; a chunk with its class's signatures."""
TEXTS_AT_ONCE = 64
"""Some megabytes of rows."""
_TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I8": "i1", "I64": "<i8", "I32": "<i4"}


class NotStatic(NearfieldError):
    """A folder that holds no static embedder."""


class StaticEmbedder:
    """Texts to unit vectors. Safe to call from several threads."""

    def __init__(
        self, folder: Traversable, name: str = "", dimensions: int = 0, *, mapped: bool = True
    ) -> None:
        """Cheap; the files are read with the first text. `name` is the folder's if not given, and
        `dimensions` are looked up. The table is `mapped`, not read, where nobody writes into its
        file: what is cut off while it is mapped would end the process."""
        self.name = name or folder.name
        self._folder = folder
        self._dimensions = dimensions
        self._mapped = mapped

    @classmethod
    def shipped(cls) -> Self:
        """The one that is in the package."""
        folder = resources.files("nearfield.index") / "data" / "static"
        return cls(folder, SHIPPED, SHIPPED_DIMENSIONS)

    @property
    def dimensions(self) -> int:
        """Numbers in a row. Raises `NotStatic`."""
        return self._dimensions or int(self._table[0].shape[1])

    def unload(self) -> None:
        """Let go of the files' content until the next text."""
        for name in ("_table", "_tokenizer", "_unknown", "_by_logarithm"):
            self.__dict__.pop(name, None)

    def embed(self, texts: Sequence[str]) -> Any:
        """One row of float32 numbers a text, zeros for one of which no token is known. Raises
        `NotStatic`."""
        rows, weights, places = self._table
        clean = [text[:MOST_CHARS].encode("utf-8", "replace").decode() for text in texts]
        found = self._tokenizer.encode_batch_fast(clean, add_special_tokens=False)
        size = len(rows if places is None else places)
        vectors = np.zeros((len(texts), rows.shape[1]), np.float32)
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            end = start + TEXTS_AT_ONCE
            which, ids, counts = self._counted([row.ids for row in found[start:end]], size)
            if not len(which):
                continue
            if weights is not None:
                counts *= weights[ids]
            taken = rows[ids if places is None else places[ids]] * counts[:, None]
            first = np.flatnonzero(np.diff(which, prepend=-1))
            vectors[start + which[first]] = np.add.reduceat(taken, first, axis=0)
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)

    def _counted(self, texts: Sequence[Sequence[int]], size: int) -> tuple[Any, Any, Any]:
        """Which text, which token of `size`, and how much it counts there: in order, each pair
        once, tokens that are not known left out."""
        lengths = [len(tokens) for tokens in texts]
        places = np.repeat(np.arange(len(texts)), lengths) * size
        tokens = np.fromiter(chain.from_iterable(texts), np.int64, sum(lengths))
        pairs, counts = np.unique((places + tokens)[tokens != self._unknown], return_counts=True)
        counts = counts.astype(np.float32)
        if self._by_logarithm:
            counts = 1 + np.log(counts)
        return pairs // size, pairs % size, counts

    @cached_property
    def _table(self) -> tuple[Any, Any, Any]:
        """The rows, and for each token its weight and its row, None for 1 and its own."""
        file = self._folder / TABLE
        try:
            arrays = tensors(_bytes_of(file, mapped=self._mapped))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
            raise _not_static(file, str(error)) from error
        rows, weights, places = (arrays.get(name) for name in ("embeddings", "weights", "mapping"))
        # Not how many: a vocabulary may leave out some numbers.
        tokens = 1 + max(self._tokenizer.get_vocab().values(), default=-1)
        if not tokens or any(one is not None and one.ndim != 1 for one in (weights, places)):
            raise _not_static(file, "it is not made for the vocabulary beside it")
        if rows is None or rows.ndim != 2 or len(rows if places is None else places) < tokens:
            raise _not_static(file, "it has fewer rows than there are tokens")
        if weights is not None and len(weights) < tokens:
            raise _not_static(file, "it has fewer weights than there are tokens")
        if places is not None and (
            places.dtype.kind != "i" or not 0 <= places.min() <= places.max() < len(rows)
        ):
            raise _not_static(file, "some tokens have rows that are not there")
        if rows.shape[1] != (self._dimensions or rows.shape[1] or 1):
            raise _not_static(file, f"its rows have {rows.shape[1]} numbers")
        return rows, None if weights is None else weights.astype(np.float32), places

    @cached_property
    def _tokenizer(self) -> tokenizers.Tokenizer:
        # Imported with the first text: a server that only looks names up never needs it.
        import tokenizers

        file = self._folder / TOKENIZER
        try:
            tokenizer = tokenizers.Tokenizer.from_str(file.read_text("utf-8"))
        except Exception as error:  # the class that tokenizers raises for a file that is none
            raise _not_static(file, str(error)) from error
        tokenizer.no_padding()  # which would count as words
        return tokenizer

    @cached_property
    def _unknown(self) -> int:
        """The token that stands for what is no token, -1 when there is none."""
        name = getattr(self._tokenizer.model, "unk_token", None)
        token = self._tokenizer.token_to_id(name) if name else None
        return -1 if token is None else token

    @cached_property
    def _by_logarithm(self) -> bool:
        file = self._folder / CONFIG
        try:
            return file.is_file() and json.loads(file.read_text("utf-8")).get("counts") == "log"
        except (OSError, ValueError, AttributeError) as error:
            raise _not_static(file, str(error)) from error


def _not_static(file: Traversable, why: str) -> NotStatic:
    return NotStatic(
        f"{file} holds no static embedder: {why}.",
        "A folder in model2vec's format has model.safetensors and tokenizer.json.",
    )


def _bytes_of(file: Traversable, *, mapped: bool) -> memoryview:
    """The bytes of a file, without holding them where it is one of its own."""
    if not mapped or not isinstance(file, Path):
        return memoryview(file.read_bytes())
    with file.open("rb") as opened:
        return memoryview(mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ))


def tensors(raw: memoryview) -> dict[str, Any]:
    """The arrays of a safetensors file; those of types that a table never has are left out. A file
    that is none raises what reading it as one runs into."""
    size: int = struct.unpack("<Q", raw[:8])[0]
    header: dict[str, Any] = json.loads(bytes(raw[8 : 8 + size]))
    arrays: dict[str, Any] = {}
    for name, entry in header.items():
        kind = _TYPES.get(entry.get("dtype", "")) if name != "__metadata__" else None
        if kind is not None:
            start, end = (8 + size + at for at in entry["data_offsets"])
            arrays[name] = np.frombuffer(raw[start:end], kind).reshape(entry["shape"])
    return arrays
