"""Whatever happens to the files, the index ends up as one that is built from nothing."""

from __future__ import annotations

import inspect
import os
import random
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from nearfield.config.schema import Config
from nearfield.features.doctor import checks
from nearfield.index.builder import Builder, left_out
from nearfield.index.embedding import Embedding
from nearfield.index.files import Tree
from nearfield.index.schema_store import IndexUnusable
from nearfield.index.search_store import SqliteReader
from nearfield.index.store import SqliteStore
from nearfield.index.vector_store import SqliteVectors
from nearfield.index.workspace import Keeper

from .conftest import Place, WordEmbedder, everything

BODIES = [
    "def alpha():\n    return beta()\n",
    "class Gamma:\n    def beta(self):\n        return alpha\n",
    "# Title\nalpha beta\n## Sub\ngamma\n",
    "x = 1\n",
    "",
    "binary\0",
    "@generated" * 3,
]
NAMES = ["a.py", "b.py", "c.md", "d.txt", "\u00e9 \U0001f600.py", "e.log"]
FOLDERS = ["", "one/", "one/two/", "out/"]
RULES = ["*.log\n", "out/\n", "*.py\n!a.py\n", ""]


class Life:
    """Random operations on a tree, with an index that is looked after now and then."""

    def __init__(self, place: Place, seed: int) -> None:
        self.place = place
        self.rng = random.Random(seed)
        self.buffers: dict[str, str] = {}
        self.store = SqliteStore(place.file)
        self.builder = Builder(place.tree, self.store)

    def path(self) -> str:
        return self.rng.choice(FOLDERS) + self.rng.choice(NAMES)

    def step(self) -> None:
        operation = self.rng.choice(
            ["write", "write", "write", "remove", "rename", "rules", "branch", "build", "refresh",
             "refresh", "restart", "buffer", "close"]
        )  # fmt: skip
        getattr(self, operation)()

    def write(self) -> None:
        self.place.write({self.path(): self.rng.choice(BODIES)})

    def files(self) -> list[Path]:
        return sorted(path for path in self.place.root.rglob("*") if path.is_file())

    def remove(self) -> None:
        if files := self.files():
            chosen = self.rng.choice(files)
            if chosen.parent != self.place.root and self.rng.random() < 0.3:
                shutil.rmtree(chosen.parent)
            else:
                chosen.unlink()

    def rename(self) -> None:
        if files := self.files():
            target = self.place.root / self.path()
            target.parent.mkdir(parents=True, exist_ok=True)
            self.rng.choice(files).rename(target)

    def rules(self) -> None:
        folder = self.rng.choice(["", "one/"])
        name = self.rng.choice([".gitignore", ".nearfieldignore"])
        self.place.write({folder + name: self.rng.choice(RULES)})

    def branch(self) -> None:
        for name in NAMES:
            self.place.write({name: self.rng.choice(BODIES)})

    def build(self) -> None:
        self.builder.build()

    def refresh(self) -> None:
        self.builder.refresh([self.path(), self.path()])

    def restart(self) -> None:
        """The server ends, buffers and all, and another one comes."""
        self.store.close()
        self.buffers.clear()
        self.store = SqliteStore(self.place.file)
        self.builder = Builder(self.place.tree, self.store)

    def buffer(self) -> None:
        path, text = self.path(), self.rng.choice(BODIES[:4])
        if self.builder.buffer(path, text):
            self.buffers[path] = text

    def close(self) -> None:
        if self.buffers:
            path, _ = self.buffers.popitem()
            self.builder.closed(path)

    def settle(self) -> None:
        for path in list(self.buffers):
            self.builder.closed(path)
        self.builder.build()
        self.store.close()


@pytest.mark.parametrize("seed", range(25))
def test_after_settling_the_index_equals_one_built_from_nothing(
    place: Place, tmp_path: Path, seed: int
) -> None:
    life = Life(place, seed)
    for _ in range(40):
        life.step()
    life.settle()
    fresh = SqliteStore(tmp_path / "fresh.db")
    Builder(place.tree, fresh).build()
    fresh.close()
    assert everything(place.file) == everything(tmp_path / "fresh.db")


def test_nothing_is_read_twice(place: Place) -> None:
    place.write({f"m{i}.py": f"def f{i}(): pass\n" for i in range(20)})
    old = 1_500_000_000
    for path in place.root.iterdir():
        os.utime(path, (old, old))
    assert place.build().read == 20
    assert place.build().read == 0
    place.write({"m3.py": "def g(): pass\n"})
    assert place.build().read == 1


def test_a_buffers_text_counts_until_it_is_closed(place: Place) -> None:
    place.write({"a.py": "def disk(): pass\n"})
    store = SqliteStore(place.file)
    builder = Builder(place.tree, store)
    builder.build()
    builder.buffer("a.py", "def typed(): pass\n")
    builder.buffer("new.py", "def unsaved(): pass\n")
    place.write({"a.py": "def saved(): pass\n"})
    builder.refresh(["a.py"])
    builder.build()
    searcher = place.searcher()
    assert [hit.text for hit in searcher.search("typed")] == ["def typed(): pass"]
    assert searcher.defined("unsaved")[0].signature == "def unsaved(): pass"
    assert searcher.reader.definitions("saved") == []
    builder.closed("a.py")
    builder.closed("new.py")
    assert [one.path for one in searcher.reader.definitions("saved")] == ["a.py"]
    assert searcher.reader.definitions("typed") + searcher.reader.definitions("unsaved") == []
    store.close()


def test_the_buffers_of_a_server_that_died_are_let_go(place: Place) -> None:
    place.write({"a.py": "def disk(): pass\n"})
    store = SqliteStore(place.file)
    gone = Builder(place.tree, store, holder=2**22 + 12345)
    gone.build()
    gone.buffer("a.py", "def typed(): pass\n")
    store.close()
    place.build()
    assert place.searcher().reader.definitions("typed") == []
    assert place.searcher().reader.definitions("disk") != []


def embed(place: Place, embedder: WordEmbedder) -> int:
    store = SqliteStore(place.file)
    reader = SqliteReader(place.file)
    vectors = SqliteVectors(store.connection, embedder.name, embedder.dimensions)
    made = Embedding(place.tree, reader, vectors, embedder).run()
    reader.close()
    store.close()
    return made


def test_a_moved_chunk_is_embedded_once(place: Place) -> None:
    place.write({"a.py": "def alpha():\n    return 1\n", "b.py": "def beta():\n    return 2\n"})
    place.build()
    embedder = WordEmbedder()
    assert embed(place, embedder) == 2
    (place.root / "a.py").rename(place.root / "renamed.py")
    place.write({"copy.py": "x = 1\n\n\ndef alpha():\n    return 1\n"})
    place.build()
    assert embed(place, embedder) == 1  # the line above
    body = (place.root / "b.py").read_bytes()
    place.write({"b.py": "def other():\n    return 3\n"})
    place.build()
    embed(place, embedder)
    count = len(embedder.seen)
    (place.root / "b.py").write_bytes(body)  # the branch is switched back
    place.build()
    assert embed(place, embedder) == 0
    assert len(embedder.seen) == count
    assert place.searcher(embedder).search("what gives beta back")[0].path == "b.py"


def test_a_file_that_does_not_hold_still_is_left_for_later(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.write({"a.py": "x = 1\n", "b.py": "y = 1\n"})
    real = os.fstat
    ticks = iter(range(1_000_000))

    def moving(handle: int) -> Any:
        status = list(real(handle))
        status[6] += next(ticks)  # st_size
        return os.stat_result(status)

    monkeypatch.setattr("nearfield.index.files.os.fstat", moving)
    report = place.build()
    assert report.files == 0 and report.skipped == {"unreadable": 2}
    monkeypatch.undo()
    assert place.build().files == 2


def test_a_full_disk_is_reported_and_the_index_kept(place: Place) -> None:
    place.write({"a.py": "def alpha(): pass\n"})
    place.build()
    body = "".join(f"def f{i}_{i * 7919}(): return {i}\n" for i in range(3000))
    place.write({"big.py": body})
    store = SqliteStore(place.file)
    pages = store.connection.execute("PRAGMA page_count").get
    store.connection.execute(f"PRAGMA max_page_count={pages + 4}")
    with pytest.raises(IndexUnusable, match="FullError"):
        Builder(place.tree, store).build()
    store.connection.execute("PRAGMA max_page_count=1000000")
    assert [one.path for one in place.searcher().reader.definitions("alpha")] == ["a.py"]
    assert Builder(place.tree, store).build().files == 2
    store.close()


def test_a_stopped_build_is_continued_later(place: Place) -> None:
    place.write({f"m{i}.py": f"def f{i}(): pass\n" for i in range(300)})
    store = SqliteStore(place.file)
    asked = iter(range(1000))
    report = Builder(place.tree, store, stop=lambda: next(asked) >= 100).build()
    assert report.stopped and 64 <= report.read <= 100
    second = Builder(place.tree, store).build()
    assert second.files == 300
    store.close()


def test_a_walk_is_stopped_and_nothing_is_lost(place: Place) -> None:
    place.write({f"m{i}.py": f"def f{i}(): pass\n" for i in range(300)})
    assert place.build().files == 300
    store = SqliteStore(place.file)
    report = Builder(place.tree, store, stop=lambda: True).build()
    assert report.stopped and report.removed == 0
    assert store.counts()[0] == 300
    store.close()


def test_a_tree_deeper_than_the_stack_is_walked(place: Place) -> None:
    place.write({"d/" * 300 + "a.py": "x = 1\n"})
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + 100)
    try:
        found = [entry.path for entry in place.tree.walk()]
    finally:
        sys.setrecursionlimit(limit)
    assert found == ["d/" * 300 + "a.py"]


LEFT_OUT: dict[str, tuple[dict[str, str], str]] = {
    "nothing is": ({"a.py": "x", "b.log": "x", ".gitignore": "*.log\n"}, ""),
    "everything, from above": (
        {"../.git/HEAD": "x", "../.gitignore": "*\n", "a.py": "x"},
        "No file is indexed: 1 skipped, excluded by {above}/.gitignore.",
    ),
    "everything, from here": (
        {".gitignore": "*\n", "a.py": "x"},
        "No file is indexed: 2 skipped, excluded by .gitignore.",
    ),
    "by the settings' own file": (
        {".nearfieldignore": "/*\n", "a.py": "x"},
        "No file is indexed: 2 skipped, excluded by .nearfieldignore.",
    ),
    "below a file that cannot be read": (
        {"a.py": "x", "sub/.gitignore": "x\0", "sub/b.py": "x"},
        "Files are missing: 1 skipped, excluded by sub/.gitignore, which cannot be read"
        " (it is no text).",
    ),
}


@pytest.mark.parametrize("case", LEFT_OUT)
def test_missing_files_are_explained(place: Place, case: str) -> None:
    files, sentence = LEFT_OUT[case]
    place.write(files)
    report = place.build()
    above = place.tree.root.parent
    assert left_out(report.files, report.skipped) == sentence.format(above=above)
    reader = SqliteReader(place.file)
    assert left_out(reader.counts().files, reader.skipped()) == sentence.format(above=above)
    reader.close()
    check = checks.ignore_rules(Config(), place.root)
    assert check.found == sentence.format(above=above) or not sentence
    assert (check.state is checks.State.NOTE) is bool(sentence)


def test_settings_exclude(place: Place) -> None:
    place.write({"a.py": "x = 1\n", "gen/b.py": "x = 1\n"})
    found = {entry.path: entry.reason for entry in Tree(place.root, ["gen/"]).walk()}
    assert found == {"a.py": "", "gen": "excluded by the settings"}


def test_vectors_wait_for_more_urgent_work(place: Place) -> None:
    place.write({"a.py": "def alpha(): pass\n"})
    with Keeper(place.workspace) as keeper:
        assert keeper.taken
        keeper.build()
        assert keeper.embed(stop=lambda: True) == 0
        assert keeper.embed() == 1
        with Keeper(place.workspace) as second:
            assert not second.taken
