"""Tokens by the bytes that they begin with.

Token healing gives the last token of the typed text back to the model: its bytes are "owed", and
while bytes are owed only tokens may come whose bytes begin with the owed ones, or are a beginning
of them. Sorting the vocabulary once makes the first kind a slice and the second a few look-ups.
"""

from __future__ import annotations

from bisect import bisect_left

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int64]


class ByteIndex:
    """The vocabulary in the order of its tokens' bytes; tokens without bytes are left out."""

    def __init__(self, pieces: list[bytes]) -> None:
        order = sorted((t for t, piece in enumerate(pieces) if piece), key=pieces.__getitem__)
        self._ids = np.asarray(order, dtype=np.int64)
        self._pieces = [pieces[t] for t in order]

    def allowed(self, owed: bytes) -> Ids:
        """The tokens that may come while `owed` (not empty) is still to be written."""
        longer = self._range(owed)
        shorter = [self._exact(owed[:n]) for n in range(1, len(owed))]
        return np.concatenate([self._ids[longer[0] : longer[1]], *shorter])

    def _range(self, prefix: bytes) -> tuple[int, int]:
        start = bisect_left(self._pieces, prefix)
        return start, bisect_left(self._pieces, prefix + b"\xff" * 64, lo=start)

    def _exact(self, piece: bytes) -> Ids:
        start = bisect_left(self._pieces, piece)
        end = start
        while end < len(self._pieces) and self._pieces[end] == piece:
            end += 1
        return self._ids[start:end]
