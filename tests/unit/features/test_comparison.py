"""Two models on the same holes: the measures, the kept rows, and who may be compared."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from nearfield.catalog.models import Catalog
from nearfield.config.schema import Config, ProviderSettings
from nearfield.errors import CatalogError, ConfigError, NotPermitted
from nearfield.features.comparison import (
    ScorePair,
    compare,
    contender,
    kept_rows,
    keys_saved,
    sign_test,
    similarity,
)
from nearfield.features.holes import CodeHole


@pytest.mark.parametrize(
    ("text", "wanted", "share"),
    [
        ("return a", "return a", 1.0),
        ("", "", 1.0),
        ("", "abcd", 0.0),
        ("kitten", "sitting", 1 - 3 / 7),
        ("abcd", "abed", 0.75),
    ],
)
def test_similarity(text: str, wanted: str, share: float) -> None:
    assert similarity(text, wanted) == pytest.approx(share)
    assert similarity(wanted, text) == pytest.approx(share)


@pytest.mark.parametrize(
    ("text", "wanted", "keys"),
    [
        ("return a + b", "return a + b", 11),
        # "return a " has 9 characters, and two keys take its two words.
        ("return a - b", "return a + b", 7),
        ("retry", "return a", 0),
        ("", "", 0),
    ],
)
def test_keys_saved(text: str, wanted: str, keys: int) -> None:
    assert keys_saved(text, wanted) == keys


@pytest.mark.parametrize(
    ("one", "other", "p"), [(0, 0, 1.0), (3, 3, 1.0), (0, 5, 0.0625), (1, 9, 22 / 1024)]
)
def test_sign_test(one: int, other: int, p: float) -> None:
    assert sign_test(one, other) == pytest.approx(p)
    assert sign_test(other, one) == pytest.approx(p)


def scripted(text: str) -> ProviderSettings:
    options = {"answers": [{"text": text}]}
    return ProviderSettings(kind="scripted", model="m", options=options)


HOLES = [
    CodeHole("a.py", "python", "x = 1\n", "y = 2", "\nz = 3\n"),
    CodeHole("a.py", "python", "x = 1\n", "y = 9", "\nz = 3\n"),
]
CONFIG = Config(providers={"good": scripted("y = 2"), "bad": scripted("no")})


def run(path: Path, asked: list[tuple[str, int]]) -> ScorePair:
    rows = kept_rows(path, named=True)
    pair = [contender(name, CONFIG, Catalog.load()) for name in ("good", "bad")]

    def step(name: str, number: int, count: int) -> None:
        asked.append((name, count))

    [found] = asyncio.run(compare(pair, {"own": HOLES}, CONFIG, rows, step))
    return found


def test_both_are_scored_and_no_row_is_asked_again(tmp_path: Path) -> None:
    path, asked = tmp_path / "rows" / "a.jsonl", list[tuple[str, int]]()
    found = run(path, asked)
    assert asked == [("good", 2), ("good", 2), ("bad", 2), ("bad", 2)]
    assert [one.exact for one in found.scores] == [1, 0]
    assert (found.only_first, found.only_second, found.p) == (1, 0, 1.0)
    assert found.scores[0].saved == pytest.approx((4 + 2) / 10)
    assert path.stat().st_mode & 0o777 == 0o600
    assert b"y = " not in path.read_bytes()  # no code is kept

    # A killed run leaves half a line: only that hole is asked again.
    content = path.read_bytes()
    path.write_bytes(content[:-20])
    asked.clear()
    assert run(path, asked).scores[0] == found.scores[0]
    assert asked == [("bad", 1)]
    asked.clear()
    run(path, asked)
    assert asked == []


@pytest.mark.parametrize(
    "content", [b"notes\n", b"notes", b'{"model": "m"}\n', b"[1]", b"\n", b"\xff\0\n"]
)
def test_rows_go_into_no_other_file_of_the_users(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="something else than rows"):
        kept_rows(path, named=True)
    assert path.read_bytes() == content


def test_rows_go_on_in_a_file_that_ends_in_one(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    run(path, [])
    content = path.read_bytes()
    for now in (b"", content, content[:-20], content[:20], content[:1]):
        path.write_bytes(now)
        asked = list[tuple[str, int]]()
        run(path, asked)
        assert len(asked) == 4 - now.count(b"\n")


def test_who_may_be_compared() -> None:
    far = ProviderSettings(
        kind="openai_compatible",
        model="m",
        base_url="https://models.example.org/v1",
        options={"api_key_env": "HOME"},
    )
    config = Config(providers={"far": far})
    for name in ("far", "far/other"):
        with pytest.raises(NotPermitted, match="outside this machine"):
            contender(name, config, Catalog.load())
    with pytest.raises(CatalogError):
        contender("no-such-model", config, Catalog.load())
