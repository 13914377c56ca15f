"""What is read from a GGUF file's header, and what is made of a header that lies."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from tests.unit.catalog.gguf_files import model, pair, tensor, text

from nearfield.catalog.gguf import check
from nearfield.errors import HashMismatch

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
        check(path)


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    path = tmp_path / "whole.gguf"
    path.write_bytes(model())
    return path


def test_a_whole_model_is_taken(whole: Path) -> None:
    check(whole)


def test_every_cut_of_it_is_refused(whole: Path) -> None:
    content = whole.read_bytes()
    for size in range(0, len(content), 3):
        whole.write_bytes(content[:size])
        with pytest.raises(HashMismatch):
            check(whole)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (model(without="general.architecture"), "what kind of model"),
        (model(without="tiny.block_count"), "no tiny.block_count"),
        (model(without="tokenizer.ggml.model"), "no tokenizer.ggml.model"),
        (model(pair("tiny.block_count", 4, bytes(4))), "twice"),
        (model(pair("general.alignment", 4, struct.pack("<I", 3))), "power of two"),
        (model(pair("general.alignment", 4, bytes(4))), "power of two"),
        (model(tensors=()), "no weights"),
        (model(tensors=(("a", (33,), 8, 0),)), "whole blocks"),
        (model(tensors=(("a", (32,), 4, 0),)), "unknown type 4"),
        (model(tensors=(("a", (32,), 4_000_000_000, 0),)), "unknown type"),
        (model(tensors=(("a", (32,), 0, 32),)), "does not begin"),
        (model(tensors=(("a", (32,), 0, 0), ("a", (32,), 0, 128))), "one name"),
        (model(tensors=(("a", (2**62, 2**62), 0, 0),)), "cut"),
        (model(tensors=(("a" * 64, (32,), 0, 0),)), "name has 64 bytes"),
        (model(pair("x" * 70_000, 4, bytes(4))), "name has 70000 bytes"),
        (model(pair("x", 9, struct.pack("<IQ", 8, 2**33))), "more follows"),
        (b"GGUF" + struct.pack("<IQQ", 3, 2**20, 0) + bytes(2**21), "more follows"),
        (b"GGUF" + bytes(5000), "version"),
    ],
)
def test_an_incomplete_model_file_is_refused(tmp_path: Path, content: bytes, what: str) -> None:
    path = tmp_path / "tiny.gguf"
    path.write_bytes(content)
    with pytest.raises(HashMismatch, match=what):
        check(path)
