"""Check that a GGUF file is a whole model, from its header alone.

The format is https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. The weights are not read. A
file may come from anywhere, so every count and length is compared with the file's size.
"""

from __future__ import annotations

import math
import os
import stat
import struct
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

from nearfield.catalog.disk import GGUF_MAGIC
from nearfield.errors import HashMismatch
from nearfield.files.read import SAFE_FLAGS

_BLOCKS = {
    **dict.fromkeys((0, 26), (1, 4)), **dict.fromkeys((1, 25, 30), (1, 2)),
    **dict.fromkeys((27, 28), (1, 8)), 24: (1, 1),
    2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 36), 20: (32, 18),
    39: (32, 17), 10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210),
    15: (256, 292), 16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50), 21: (256, 110),
    22: (256, 82), 23: (256, 136), 29: (256, 56), 34: (256, 54), 35: (256, 66),
}  # fmt: skip
"""Weights and bytes of one block, by the type's number in ggml.h."""
_NEWER_TYPES = range(40, 64)
"""Types that a newer engine may know; their sizes are unknown here."""

_VERSIONS = (2, 3)
_UINT32, _STRING, _ARRAY = 4, 8, 9
_DEFAULT_ALIGNMENT = 32
# Bytes of each scalar type of a metadata value.
_SCALARS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_MAX_DIMENSIONS = 4
_MAX_DEPTH = 4  # arrays in arrays
_MAX_KEYS = 65_536
_MAX_TENSORS = 65_536
_MAX_ITEMS = 10_000_000  # of an array that is skipped item by item; vocabularies have 300,000
_MAX_KEY_BYTES = 65_535
_MAX_NAME_BYTES = 63  # ggml keeps a name in 64
_ALIGNMENT, _ARCHITECTURE = "general.alignment", "general.architecture"
_KINDS = ("general.type", "adapter.type")
_NEEDED = ("{}.block_count", "{}.context_length", "{}.embedding_length", "tokenizer.ggml.model")


@dataclass(frozen=True, slots=True)
class _TensorInfo:
    """A tensor: its name, its shape (the row's length first), the number of its type, and the
    offset of its data in bytes."""

    name: str
    shape: tuple[int, ...]
    type: int
    offset: int


def check(path: Path) -> None:
    """Raise `HashMismatch`, which says what is wrong, unless the file is a whole language model.

    Takes some tenths of a second, as the vocabulary has to be skipped item by item. Raises
    `OSError`."""
    with _opened(path) as stream:
        _Header(stream, path).check()


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """The texts of a file's metadata that say what it is, by key, its tensors' shapes, and the
    numbers of their types in ggml.h."""

    texts: dict[str, str]
    shapes: dict[str, tuple[int, ...]]
    types: frozenset[int] = frozenset()


def header(path: Path) -> GgufHeader:
    """Return what a file says it is. Raises `HashMismatch` where it is none, and `OSError`."""
    with _opened(path) as stream:
        return _Header(stream, path).about()


def _opened(path: Path) -> BinaryIO:
    """Open a file without waiting, as a pipe would make one. Raises `OSError`, and `HashMismatch`
    for what is no file."""
    stream = os.fdopen(os.open(path, SAFE_FLAGS), "rb")
    if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        stream.close()
        raise HashMismatch(f"{path.name} is not a file.")
    return stream


def require_whole(path: Path) -> None:
    """Do as `check`, once for each state of the file. Raises `HashMismatch`, also where it cannot
    be read."""
    try:
        status = path.stat()
        _checked(path, status.st_size, status.st_mtime_ns)
    except OSError as error:
        raise HashMismatch(f"{path} cannot be read: {error.strerror}.") from error


@lru_cache(maxsize=64)
def _checked(path: Path, _size: int, _time: int) -> None:
    check(path)


class _Header:
    """Reads one header."""

    def __init__(self, stream: BinaryIO, path: Path) -> None:
        self._stream = stream
        self._path = path
        self._left = self._size = path.stat().st_size
        self._keys: dict[str, Any] = {}

    def check(self) -> None:
        """Raise `HashMismatch` unless the file is a whole model."""
        tensors = self._read()
        architecture = self._keys.get(_ARCHITECTURE)
        if not isinstance(architecture, str) or not architecture:
            raise self._wrong("it does not say what kind of model it is")
        for key in _NEEDED:
            if key.format(architecture) not in self._keys:
                raise self._wrong(f"it has no {key.format(architecture)[:100]}")
        if not tensors:
            raise self._wrong("it has no weights")
        if len({tensor.name for tensor in tensors}) < len(tensors):
            raise self._wrong("two tensors have one name")
        step = self._keys.get(_ALIGNMENT, _DEFAULT_ALIGNMENT)
        if not isinstance(step, int) or step <= 0 or step & (step - 1):
            raise self._wrong("its alignment is no power of two")
        begin = -(-self._stream.tell() // step) * step
        expected = 0
        for tensor in tensors:
            if tensor.type in _NEWER_TYPES:
                return
            if tensor.type not in _BLOCKS:
                raise self._wrong(f"a tensor is of the unknown type {tensor.type}")
            block, block_bytes = _BLOCKS[tensor.type]
            if (tensor.shape[0] if tensor.shape else 1) % block:
                raise self._wrong("a tensor's rows are no whole blocks")
            size = math.prod(tensor.shape) // block * block_bytes
            if tensor.offset != expected:
                raise self._wrong("a tensor does not begin where the one before it ends")
            if begin + expected + size > self._size:
                raise self._wrong("it ends before its last tensor: the file is cut")
            expected += -(-size // step) * step

    def about(self) -> GgufHeader:
        """Return what the file says it is."""
        tensors = self._read()
        texts = {key: value for key, value in self._keys.items() if isinstance(value, str)}
        types = frozenset(tensor.type for tensor in tensors)
        return GgufHeader(texts, {tensor.name: tensor.shape for tensor in tensors}, types)

    def _read(self) -> list[_TensorInfo]:
        """Read the whole header: fill `_keys` and return the tensors."""
        if self._take(4) != GGUF_MAGIC:
            raise self._wrong("it does not begin with 'GGUF'")
        if self._u32() not in _VERSIONS:
            raise self._wrong("it is of a version that is not known here")
        count, pairs = self._count(_MAX_TENSORS), self._count(_MAX_KEYS)
        for _ in range(pairs):
            key = self._text(_MAX_KEY_BYTES)
            if key in self._keys:
                raise self._wrong("it says something twice")
            self._keys[key] = self._pair(key)
        return [self._tensor() for _ in range(count)]

    def _tensor(self) -> _TensorInfo:
        name = self._text(_MAX_NAME_BYTES)
        dimensions = self._u32()
        if dimensions > _MAX_DIMENSIONS:
            raise self._wrong(f"a tensor has {dimensions} dimensions")
        shape = tuple(self._u64() for _ in range(dimensions))
        return _TensorInfo(name, shape, self._u32(), self._u64())

    def _pair(self, key: str) -> Any:
        """Return the value of a pair that `check` needs; skip any other."""
        kind = self._u32()
        if key in (_ARCHITECTURE, *_KINDS) and kind == _STRING:
            return self._text(_MAX_NAME_BYTES)
        if key == _ALIGNMENT and kind == _UINT32:
            return self._u32()
        return self._value(kind)

    def _value(self, kind: int, depth: int = 0) -> None:
        """Skip one metadata value."""
        if kind == _STRING:
            self._skip(self._u64())
        elif kind == _ARRAY and depth < _MAX_DEPTH:
            inner = self._u32()
            if inner in _SCALARS:
                self._skip(self._count() * _SCALARS[inner])
            else:
                count = self._count(_MAX_ITEMS)
                for _ in range(count):
                    self._value(inner, depth + 1)
        elif kind in _SCALARS:
            self._skip(_SCALARS[kind])
        else:
            raise self._wrong(f"a metadata value is of the unknown type {kind}")

    def _text(self, limit: int) -> str:
        size = self._u64()
        if limit < size <= self._left:
            raise self._wrong(f"a name has {size} bytes")
        return self._take(size).decode("utf-8", "replace")

    def _count(self, limit: int | None = None) -> int:
        """Read a count of items of at least one byte each, at most `limit`."""
        count = self._u64()
        if count > self._left or (limit is not None and count > limit):
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
