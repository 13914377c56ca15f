"""A workspace on disk whose index can be built and looked at."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nearfield.config.schema import Config
from nearfield.index.builder import Builder, BuildReport
from nearfield.index.files import Tree
from nearfield.index.outlines import unpack_definitions
from nearfield.index.search import Searcher
from nearfield.index.search_store import SqliteReader
from nearfield.index.store import SqliteStore
from nearfield.index.words import asked
from nearfield.index.workspace import Workspace


@pytest.fixture(autouse=True)
def no_git_configuration(tmp_path_factory: pytest.TempPathFactory, monkeypatch: Any) -> None:
    """The developer's own global excludes must not decide a test."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)


class WordEmbedder:
    """Texts that share words are near each other; counts what it was given."""

    name = "words"
    dimensions = 64

    def __init__(self) -> None:
        self.seen: list[str] = []

    def embed(self, texts: Sequence[str]) -> Any:
        self.seen += texts
        rows = np.full((len(texts), self.dimensions), 1e-3, np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in asked(text):
                row[zlib.crc32(word.encode()) % self.dimensions] += 1
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


class Place:
    """A folder and its index."""

    def __init__(self, base: Path) -> None:
        self.root = base / "work"
        self.root.mkdir()
        self.workspace = Workspace.of(self.root, Config(), base / "cache")
        self.file = self.workspace.place.file

    def write(self, files: Mapping[str, str | bytes]) -> None:
        for name, content in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)

    @property
    def tree(self) -> Tree:
        return self.workspace.tree

    def build(self) -> BuildReport:
        store = SqliteStore(self.file)
        try:
            return Builder(self.tree, store).build()
        finally:
            store.close()

    def searcher(self, embedder: Any = None) -> Searcher:
        return Searcher(self.tree.root, SqliteReader(self.file), embedder)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    yield Place(tmp_path)


def everything(file: Path) -> dict[str, object]:
    """All that an index says, in terms that do not depend on the order it was built in."""
    reader = SqliteReader(file)
    db = reader.connection
    chunks = [
        (row.path, row.first, row.last, row.kind, row.name, row.symbol, row.digest.hex(), row.id)
        for row in reader.rows([one[0] for one in db.execute("SELECT id FROM chunk")]).values()
    ]
    known = {row[7]: row[:7] for row in chunks}
    words = ("alpha", "beta", "gamma", "class", "def", "return")
    found: dict[str, object] = {
        "files": sorted(
            db.execute("SELECT path, hex(digest), bytes, language, reason FROM file").fetchall()
        ),
        "chunks": sorted(known.values()),
        "symbols": sorted(
            (path, unpack_definitions(definitions), uses, imports)
            for path, definitions, uses, imports in db.execute(
                "SELECT path, outline.definitions, uses, imports FROM outline"
                " JOIN file ON file.id = outline.file"
            ).fetchall()
        ),
        "defined": {name: reader.definitions(name) for name in words},
        "like": {name: reader.similar_names(name, 10) for name in ("alpha", "gama", "bet")},
        "referred": {name: reader.references(name) for name in words},
        "words": {
            word: sorted(known[chunk] for chunk, _ in reader.full_text([word], 10_000))
            for word in words
        },
    }
    reader.close()
    return found
