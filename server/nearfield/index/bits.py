"""The first look at vectors: one bit a dimension, all of them in memory.

48 bytes a vector for 384 dimensions, so 5 MB for 100,000 and 48 MB for a million. numpy counts the
bits that differ; SQLite's own tables take ten times as long, because each row is decoded.
"""

from __future__ import annotations

from typing import Any

import numpy as np

GROWTH = 1.25
"""When the array is full the next one is so much larger."""


class Bits:
    """Sign bits of vectors by id. One thread at a time."""

    def __init__(self, dimensions: int) -> None:
        self._words = (dimensions + 63) // 64
        # One row for each word of the vectors: numpy goes through rows four times as fast.
        self._matrix: Any = np.zeros((self._words, 0), np.uint64)
        self._ids: Any = np.zeros(0, np.int64)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def last(self) -> int:
        """The highest id, 0 when there is none."""
        return int(self._ids[self._count - 1]) if self._count else 0

    def extend(self, ids: Any, vectors: Any) -> None:
        """Take in vectors, one row for each id; the ids are higher than all before."""
        end = self._count + len(ids)
        if end > len(self._ids):
            room = max(int(len(self._ids) * GROWTH), end)
            self._matrix = _grown(self._matrix, room)
            self._ids = _grown(self._ids, room)
        self._matrix[:, self._count : end] = self._packed(vectors).T
        self._ids[self._count : end] = ids
        self._count = end

    def nearest(self, query: Any, count: int) -> list[int]:
        """The ids of the vectors with most signs in common with `query`, in no order; more than
        `count` where several are equally far."""
        if not self._count:
            return []
        signs = self._packed(query[None, :])[0]
        distances = np.zeros(self._count, np.uint16)
        for row, word in zip(self._matrix, signs, strict=True):
            distances += np.bitwise_count(row[: self._count] ^ word)
        within = np.cumsum(np.bincount(distances))
        furthest = int(np.searchsorted(within, min(count, self._count)))
        return [int(one) for one in self._ids[: self._count][distances <= furthest]]

    def _packed(self, vectors: Any) -> Any:
        rows = np.packbits(vectors > 0, axis=1)
        padded = np.zeros((len(rows), self._words * 8), np.uint8)
        padded[:, : rows.shape[1]] = rows
        return padded.view(np.uint64)


def _grown(array: Any, length: int) -> Any:
    """The same with room for `length` in the last dimension."""
    larger = np.zeros((*array.shape[:-1], length), array.dtype)
    larger[..., : array.shape[-1]] = array
    return larger
