"""A table of words instead of a network."""

from __future__ import annotations

import hashlib
import json
import struct
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nearfield.index.static_embedder import NotStatic, StaticEmbedder

from .conftest import ROWS
from .conftest import static_folder as folder


@pytest.mark.parametrize(
    ("text", "vector"),
    [
        ("read", [1, 0]),
        ("read file", [0.5**0.5, 0.5**0.5]),
        ("read read read file", [0.9**0.5, 0.1**0.5]),
        ("file nothing known", [0, 1]),
        ("nothing known", [0, 0]),
        ("read socket", [0, 0]),
        ("", [0, 0]),
        ("file \ud800", [0, 1]),
    ],
)
def test_a_vector_is_the_mean_of_the_words(tmp_path: Path, text: str, vector: list[float]) -> None:
    assert np.allclose(StaticEmbedder(folder(tmp_path)).embed([text]), [vector], atol=1e-6)


@pytest.mark.parametrize(
    ("arrays", "vector"),
    [
        ({"embeddings": ROWS.astype(np.int8)}, [0.5**0.5, 0.5**0.5]),
        ({"embeddings": ROWS.astype(np.float16)}, [0.5**0.5, 0.5**0.5]),
        ({"weights": np.array([0, 3, 1, 1], np.float64)}, [0.9**0.5, 0.1**0.5]),
        (
            {"embeddings": ROWS[1:3], "mapping": np.array([0, 1, 1, 0], np.int64)},
            [0, 1],
        ),
    ],
)
def test_tables_that_were_shrunk(
    tmp_path: Path, arrays: dict[str, Any], vector: list[float]
) -> None:
    embedder = StaticEmbedder(folder(tmp_path, **arrays))
    assert embedder.dimensions == 2
    assert np.allclose(embedder.embed(["read file"]), [vector], atol=1e-3)


def test_what_is_shipped_is_what_was_trained() -> None:
    at = resources.files("nearfield.index") / "data" / "static"
    record = json.loads((at / "static.json").read_text("utf-8"))
    for name, digest in record["sha256"].items():
        assert hashlib.sha256((at / name).read_bytes()).hexdigest() == digest
    shipped = StaticEmbedder.shipped()
    assert (shipped.name, shipped.dimensions) == (record["name"], record["dimensions"])
    asked, answer, other = shipped.embed(
        ["decompress an archive", "extractZip(path), unpack_tar(path)", "open_socket(host)"]
    )
    assert asked.shape == (record["dimensions"],) and asked @ answer > asked @ other + 0.2


def headed(header: str) -> bytes:
    """A safetensors file of nothing but its header."""
    return struct.pack("<Q", len(header)) + header.encode()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("model.safetensors", None),
        ("tokenizer.json", None),
        ("tokenizer.json", b"{}"),
        ("tokenizer.json", b"\xff"),
        ("model.safetensors", b"short"),
        ("model.safetensors", headed("[]")),
        ("model.safetensors", headed("{}")),
        ("model.safetensors", headed('{"embeddings": {"dtype": "F32"}}')),
        ("model.safetensors", headed('{"embeddings": 3}')),
    ],
)
def test_a_folder_that_holds_none(tmp_path: Path, name: str, content: bytes | None) -> None:
    file = folder(tmp_path) / name
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    refused(tmp_path)


@pytest.mark.parametrize(
    "arrays",
    [
        {"embeddings": ROWS[:2]},
        {"embeddings": ROWS[0]},
        {"mapping": np.array([0, 1, 2, 7], np.int64)},
        {"weights": np.array([1, 2], np.float32)},
    ],
)
def test_a_table_that_does_not_fit_its_tokens(tmp_path: Path, arrays: dict[str, Any]) -> None:
    refused(folder(tmp_path, **arrays))


def refused(at: Path) -> None:
    """It says what is wrong."""
    with pytest.raises(NotStatic, match="holds no static embedder"):
        StaticEmbedder(at).embed(["read"])
