"""A table of words instead of a network."""

from __future__ import annotations

import hashlib
import json
from importlib import resources

import numpy as np
import pytest

from nearfield.index.static_embedder import DIMENSIONS, StaticEmbedder

EMBEDDER = StaticEmbedder()


def test_the_shipped_table_is_the_trained_one() -> None:
    at = resources.files("nearfield.index") / "data" / "static"
    record = json.loads((at / "static.json").read_text("utf-8"))
    for name, digest in record["sha256"].items():
        assert hashlib.sha256((at / name).read_bytes()).hexdigest() == digest
    assert (EMBEDDER.name, EMBEDDER.dimensions) == (record["name"], record["dimensions"])
    asked, answer, other = EMBEDDER.embed(
        ["decompress an archive", "extractZip(path), unpack_tar(path)", "open_socket(host)"]
    )
    assert asked.shape == (DIMENSIONS,) and asked @ answer > asked @ other + 0.2


@pytest.mark.parametrize(
    ("text", "weights"),
    [
        ("read", (1, 0)),
        ("read file", (1, 1)),
        ("read read read file", (1 + np.log(3), 1)),
        ("file \ud800", (0, 1)),
    ],
)
def test_a_vector_is_the_mean_of_the_words(text: str, weights: tuple[float, float]) -> None:
    rows = EMBEDDER._rows  # pyright: ignore[reportPrivateUsage] - the table is the expectation
    tokenizer = EMBEDDER._tokenizer  # pyright: ignore[reportPrivateUsage]
    words = [rows[tokenizer.token_to_id(word)].astype(np.float32) for word in ("read", "file")]
    mean = words[0] * weights[0] + words[1] * weights[1]
    assert np.allclose(EMBEDDER.embed([text])[0], mean / np.linalg.norm(mean), atol=1e-5)


@pytest.mark.parametrize("text", ["", "zzqx vbnq", "\ud800"])
def test_a_text_without_known_words_has_no_direction(text: str) -> None:
    assert not EMBEDDER.embed([text]).any()


def test_many_texts_have_the_vectors_that_each_has_alone() -> None:
    texts = [f"read file {'socket ' * (number % 5)}" for number in range(150)]
    alone = np.concatenate([EMBEDDER.embed([text]) for text in texts])
    assert np.allclose(EMBEDDER.embed(texts), alone, atol=1e-6)
