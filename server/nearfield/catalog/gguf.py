"""What tensors a GGUF file holds, and in which types, read from its header alone.

The format is https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. Nothing of the weights is
read. A file may come from anywhere, so every count and length is held against the file's size, and
`check` says what is wrong with a file before an engine is given it.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

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
_BLOCKS = {
    **dict.fromkeys((0, 26), (1, 4)), **dict.fromkeys((1, 25, 30), (1, 2)),
    **dict.fromkeys((27, 28), (1, 8)), 24: (1, 1),
    2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 36), 20: (32, 18),
    39: (32, 17), 10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210),
    15: (256, 292), 16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50), 21: (256, 110),
    22: (256, 82), 23: (256, 136), 29: (256, 56), 34: (256, 54), 35: (256, 66),
}  # fmt: skip
"""Of each type how many weights a block has, and how many bytes it takes."""
_TO_COME = range(40, 64)
"""Types that a newer engine may know; how large they are is not known here."""
NUMBERS = {name: number for number, name in TYPES.items()}

_VERSIONS = (2, 3)
_UINT32, _STRING, _ARRAY = 4, 8, 9
_DEFAULT_ALIGNMENT = 32
# Bytes of each scalar type of a metadata value.
_SCALARS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_MOST_DIMENSIONS = 4
_DEEPEST = 4  # arrays in arrays
_MOST_KEYS = 65_536
_MOST_TENSORS = 65_536
_MOST_ITEMS = 10_000_000  # of an array that is walked over; vocabularies have 300,000
_KEY_BYTES = 65_535
_NAME_BYTES = 63  # ggml keeps a name in 64
_ALIGNMENT, _ARCHITECTURE = "general.alignment", "general.architecture"
_NEEDED = ("{}.block_count", "{}.context_length", "{}.embedding_length", "tokenizer.ggml.model")


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
        return tuple(one.tensor for one in _Header(stream, path).read())


def check(path: Path) -> None:
    """Raises `HashMismatch` for a file that is no whole model for a text, with what is wrong; also
    `OSError`. It takes as long as `tensors`."""
    with path.open("rb") as stream:
        _Header(stream, path).check()


@dataclass(frozen=True, slots=True)
class _Place:
    """A tensor, the number of its type, and where its data begins."""

    tensor: Tensor
    kind: int
    offset: int


class _Header:
    def __init__(self, stream: BinaryIO, path: Path) -> None:
        self._stream = stream
        self._path = path
        self._left = self._size = path.stat().st_size

        self._keys: dict[str, Any] = {}

    def read(self) -> tuple[_Place, ...]:
        """All of the header."""
        if self._take(4) != GGUF_MAGIC:
            raise self._wrong("it does not begin with 'GGUF'")
        if self._u32() not in _VERSIONS:
            raise self._wrong("it is of a version that is not known here")
        count, pairs = self._count(_MOST_TENSORS), self._count(_MOST_KEYS)
        for _ in range(pairs):
            key = self._text(_KEY_BYTES)
            if key in self._keys:
                raise self._wrong("it says something twice")
            self._keys[key] = self._pair(key)
        return tuple(self._place() for _ in range(count))

    def check(self) -> None:
        """See the function of that name."""
        places = self.read()
        architecture = self._keys.get(_ARCHITECTURE)
        if not isinstance(architecture, str) or not architecture:
            raise self._wrong("it does not say what kind of model it is")
        for key in _NEEDED:
            if key.format(architecture) not in self._keys:
                raise self._wrong(f"it has no {key.format(architecture)[:100]}")
        if not places:
            raise self._wrong("it has no weights")
        if len({one.tensor.name for one in places}) < len(places):
            raise self._wrong("two tensors have one name")
        self._check_data(places)

    def _check_data(self, places: tuple[_Place, ...]) -> None:
        """Return whether every tensor's data is where the file says, and in the file."""
        step = self._keys.get(_ALIGNMENT, _DEFAULT_ALIGNMENT)
        if not isinstance(step, int) or step <= 0 or step & (step - 1):
            raise self._wrong("its alignment is no power of two")
        begin = -(-self._stream.tell() // step) * step
        expected = 0
        for one in places:
            if one.kind in _TO_COME:
                return
            size = self._bytes(one)
            if one.offset != expected:
                raise self._wrong("a tensor does not begin where the one before it ends")
            if begin + expected + size > self._size:
                raise self._wrong("it ends before its last tensor: the file is cut")
            expected += -(-size // step) * step

    def _bytes(self, place: _Place) -> int:
        """How many bytes a tensor's data takes."""
        if place.kind not in _BLOCKS:
            raise self._wrong(f"a tensor is of the unknown type {place.kind}")
        block, size = _BLOCKS[place.kind]
        row = place.tensor.shape[0] if place.tensor.shape else 1
        if row % block:
            raise self._wrong("a tensor's rows are no whole blocks")
        return place.tensor.weights // block * size

    def _place(self) -> _Place:
        name = self._text(_NAME_BYTES)
        dimensions = self._u32()
        if dimensions > _MOST_DIMENSIONS:
            raise self._wrong(f"a tensor has {dimensions} dimensions")
        shape = tuple(self._u64() for _ in range(dimensions))
        kind = self._u32()
        return _Place(Tensor(name, shape, TYPES.get(kind, str(kind))), kind, self._u64())

    def _pair(self, key: str) -> Any:
        """The value of the pair, where it is one that is looked at; else it is walked over."""
        kind = self._u32()
        if key == _ARCHITECTURE and kind == _STRING:
            return self._text(_NAME_BYTES)
        if key == _ALIGNMENT and kind == _UINT32:
            return self._u32()
        return self._value(kind)

    def _value(self, kind: int, depth: int = 0) -> None:
        """Walk over one metadata value."""
        if kind == _STRING:
            self._skip(self._u64())
        elif kind == _ARRAY and depth < _DEEPEST:
            inner = self._u32()
            if inner in _SCALARS:
                self._skip(self._count() * _SCALARS[inner])
            else:
                count = self._count(_MOST_ITEMS)
                for _ in range(count):
                    self._value(inner, depth + 1)
        elif kind in _SCALARS:
            self._skip(_SCALARS[kind])
        else:
            raise self._wrong(f"a metadata value is of the unknown type {kind}")

    def _text(self, most: int) -> str:
        size = self._u64()
        if most < size <= self._left:
            raise self._wrong(f"a name has {size} bytes")
        return self._take(size).decode("utf-8", "replace")

    def _count(self, most: int | None = None) -> int:
        """How many of something follow, each of which takes a byte at least; at most `most`."""
        count = self._u64()
        if count > self._left or (most is not None and count > most):
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
