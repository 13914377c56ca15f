"""What is read from a GGUF file's header, and what is made of a header that lies."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from nearfield.catalog.gguf import Tensor, tensors
from nearfield.errors import HashMismatch


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def pair(key: str, kind: int, value: bytes) -> bytes:
    return text(key) + struct.pack("<I", kind) + value


def tensor(name: str, shape: tuple[int, ...], kind: int) -> bytes:
    dimensions = struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
    return text(name) + dimensions + struct.pack("<IQ", kind, 0)


PAIRS = (
    pair("general.name", 8, text("Tiny")),
    pair("tiny.layers", 4, struct.pack("<I", 1)),
    pair("tiny.flag", 7, b"\x01"),
    pair("tokens", 9, struct.pack("<IQ", 8, 2) + text("a") + text("bc")),
    pair("scores", 9, struct.pack("<IQ", 6, 3) + bytes(12)),
    pair("nested", 9, struct.pack("<IQ", 9, 1) + struct.pack("<IQ", 0, 2) + b"xy"),
)
TENSORS = (tensor("blk.0.ffn_up.weight", (64, 32), 6), tensor("norm.weight", (64,), 0))


def header(
    *parts: bytes, version: int = 3, tensors: int = len(TENSORS), pairs: int = len(PAIRS)
) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, pairs) + b"".join(parts)


SOUND = header(*PAIRS, *TENSORS)


def test_tensors_are_named_with_shapes_and_types(tmp_path: Path) -> None:
    path = tmp_path / "tiny.gguf"
    path.write_bytes(SOUND + bytes(100))
    assert tensors(path) == (
        Tensor("blk.0.ffn_up.weight", (64, 32), "Q5_0"),
        Tensor("norm.weight", (64,), "F32"),
    )


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "too early"),
        (b"ELF!" + SOUND[4:], "begin with"),
        (header(version=99), "version"),
        (header(pairs=1 << 60), "more follows"),
        (header(tensors=1 << 60), "more follows"),
        (header(struct.pack("<Q", 1 << 62), pairs=1), "too early"),
        (header(pair("a", 9, struct.pack("<IQ", 4, 1 << 40)), pairs=1), "more follows"),
        (header(pair("a", 77, b""), pairs=1), "unknown type"),
        (header(pair("a", 9, struct.pack("<IQ", 9, 1) * 9), pairs=1), "unknown type"),
        (header(tensor("t", (1,) * 9, 0), pairs=0, tensors=1), "dimensions"),
        (SOUND[:-30], "too early"),
    ],
)
def test_a_header_that_lies_is_refused(tmp_path: Path, content: bytes, what: str) -> None:
    path = tmp_path / "tiny.gguf"
    path.write_bytes(content)
    with pytest.raises(HashMismatch, match=what):
        tensors(path)
