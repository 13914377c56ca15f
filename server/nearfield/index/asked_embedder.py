"""An embedder that somebody else is: a provider, which only the server can reach.

The texts go out by a function that is given, and come back as rows of numbers. The index's vectors
are unit vectors, so they are made so here, whatever the provider sends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nearfield.errors import NearfieldError

MOST_CHARS = 2_000
"""Of one text: a whole chunk without the signatures of a class's members. Small embedders read 512
tokens, and some servers refuse more than they read."""


class NotEmbedded(NearfieldError):
    """Nobody made vectors of the texts."""


class AskedEmbedder:
    """Texts to unit vectors, by asking. `name` tells its vectors from others'."""

    def __init__(
        self, name: str, ask: Callable[[Sequence[str]], Sequence[Sequence[float]]]
    ) -> None:
        """`ask` gives a row for each text, or raises `NotEmbedded`."""
        self.name = name
        self._ask = ask
        self._dimensions = 0

    @property
    def dimensions(self) -> int:
        """Numbers in a row; asks once, if nothing was embedded yet. Raises `NotEmbedded`."""
        if not self._dimensions:
            self.embed(["dimensions"])
        return self._dimensions

    def embed(self, texts: Sequence[str]) -> Any:
        """One row of float32 numbers a text. Raises `NotEmbedded`."""
        clean = [text[:MOST_CHARS].encode("utf-8", "replace").decode() for text in texts]
        rows = self._ask(clean)
        lengths = {len(row) for row in rows}
        if len(rows) != len(texts) or len(lengths) != 1 or not min(lengths):
            raise NotEmbedded("The embedder did not send one vector for each text.")
        if self._dimensions and lengths != {self._dimensions}:
            raise NotEmbedded("The embedder sends vectors of another length than before.")
        (self._dimensions,) = lengths
        matrix = np.asarray(rows, np.float32)
        if not np.isfinite(matrix).all():
            raise NotEmbedded("The embedder sent numbers that are none.")
        return matrix / np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-9)
