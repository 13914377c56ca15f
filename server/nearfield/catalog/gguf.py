"""What tensors a GGUF file holds, and in which types, read from its header alone.

The format is https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. Nothing of the weights is
read. A file may come from anywhere, so every count and length is held against the file's size.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from nearfield.catalog.disk import GGUF_MAGIC
from nearfield.errors import HashMismatch

# The types by their numbers in ggml.h; those that no model for this engine is published in are
# left out and get a name of their number.
TYPES = {
    0: "F32",
    1: "F16",
    2: "Q4_0",
    3: "Q4_1",
    6: "Q5_0",
    7: "Q5_1",
    8: "Q8_0",
    10: "Q2_K",
    11: "Q3_K",
    12: "Q4_K",
    13: "Q5_K",
    14: "Q6_K",
    20: "IQ4_NL",
    23: "IQ4_XS",
    30: "BF16",
    39: "MXFP4",
}
NUMBERS = {name: number for number, name in TYPES.items()}

_VERSIONS = (2, 3)
_STRING, _ARRAY = 8, 9
# Bytes of each scalar type of a metadata value.
_SCALARS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_MOST_DIMENSIONS = 4
_DEEPEST = 4  # arrays in arrays


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor: its name, its shape (the row's length first) and its type's name."""

    name: str
    shape: tuple[int, ...]
    type: str

    @property
    def weights(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)


def tensors(path: Path) -> tuple[Tensor, ...]:
    """The tensors of a GGUF file in its order. Some tenths of a second, as the vocabulary has to be
    walked over. Raises `HashMismatch` when the header is not one, `OSError`."""
    with path.open("rb") as stream:
        return _Header(stream, path).tensors()


class _Header:
    def __init__(self, stream: BinaryIO, path: Path) -> None:
        self._stream = stream
        self._path = path
        self._left = path.stat().st_size

    def tensors(self) -> tuple[Tensor, ...]:
        if self._take(4) != GGUF_MAGIC:
            raise self._wrong("it does not begin with 'GGUF'")
        if self._u32() not in _VERSIONS:
            raise self._wrong("it is of a version that is not known here")
        count, pairs = self._count(), self._count()
        for _ in range(pairs):
            self._text()
            self._value(self._u32())
        return tuple(self._tensor() for _ in range(count))

    def _tensor(self) -> Tensor:
        name = self._text()
        dimensions = self._u32()
        if dimensions > _MOST_DIMENSIONS:
            raise self._wrong(f"a tensor has {dimensions} dimensions")
        shape = tuple(self._u64() for _ in range(dimensions))
        kind = self._u32()
        self._u64()  # Where its data begins.
        return Tensor(name, shape, TYPES.get(kind, str(kind)))

    def _value(self, kind: int, depth: int = 0) -> None:
        """Walk over one metadata value."""
        if kind == _STRING:
            self._skip(self._u64())
        elif kind == _ARRAY and depth < _DEEPEST:
            inner, count = self._u32(), self._count()
            if inner in _SCALARS:
                self._skip(count * _SCALARS[inner])
            else:
                for _ in range(count):
                    self._value(inner, depth + 1)
        elif kind in _SCALARS:
            self._skip(_SCALARS[kind])
        else:
            raise self._wrong(f"a metadata value is of the unknown type {kind}")

    def _text(self) -> str:
        return self._take(self._u64()).decode("utf-8", "replace")

    def _count(self) -> int:
        """How many of something follow, each of which takes a byte at least."""
        count = self._u64()
        if count > self._left:
            raise self._wrong("it says that more follows than the file has")
        return count

    def _u32(self) -> int:
        return int(struct.unpack("<I", self._take(4))[0])

    def _u64(self) -> int:
        return int(struct.unpack("<Q", self._take(8))[0])

    def _take(self, size: int) -> bytes:
        self._spend(size)
        read = self._stream.read(size)
        if len(read) < size:
            raise self._wrong("it ends too early")
        return read

    def _skip(self, size: int) -> None:
        self._spend(size)
        self._stream.seek(size, 1)

    def _spend(self, size: int) -> None:
        if size > self._left:
            raise self._wrong("it ends too early")
        self._left -= size

    def _wrong(self, what: str) -> HashMismatch:
        return HashMismatch(f"{self._path.name} is not a sound GGUF file: {what}.")
