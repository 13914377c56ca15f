"""Both kinds of index answer every question of `IndexReader` alike."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nearfield.index.builder import Builder
from nearfield.index.interface import FileContent, IndexReader, IndexStore
from nearfield.index.postgres.store import PostgresStore
from nearfield.index.search import Searcher
from nearfield.index.store import SqliteStore
from nearfield.index.workspace import Keeper

from ..conftest import WordEmbedder, everything
from ..test_builder import BODIES, Life
from .conftest import SharedPlace

FILES: dict[str, str | bytes] = {
    "shop/goods.py": (
        "import os\nfrom shop.prices import priceOf\n\n\n"
        'class Basket:\n    """What somebody buys."""\n\n'
        "    def add_item(self, item):\n        self.items.append(priceOf(item))\n\n\n"
        "def getUserName(user):\n    return user.name\n"
    ),
    "shop/prices.py": "def priceOf(thing):\n    return thing.price\n\n\nBASKET = {}\n",
    "shop/__init__.py": "from shop.goods import Basket\n",
    "shop/get_user_name.ts": "export function get_user_name(u: string) { return u; }\n",
    "tests/test_goods.py": "from shop.goods import Basket\n\ndef test_adding_items(): Basket()\n",
    "README.md": "# Shop\n\nBaskets, prices and café users.\n\n## Installing\n\nRun it.\n",
    "caf\u00e9 \U0001f600.py": "def na\u00efve_caf\u00e9(x): return x\n",
    "odd.py": 'def quoted_name(x):\n    """it\'s a \\\\ backslash % and _ under"""\n    return x\n',
    "long.py": f"def {'l' * 700}(): pass\n\ndef short(): pass\n",
    "five5.py": "def load5e10(x5): return 0x5f + 5e10\n",
    "empty.py": "",
    "min.js": "x" * 10_000,
}

Question = Callable[[IndexReader], Any]


def of_rows(question: Callable[[IndexReader], list[int]]) -> Question:
    """Chunks by what they are: their numbers differ."""

    def asked(reader: IndexReader) -> Any:
        found = question(reader)
        rows = reader.rows(found)
        return [
            (
                one.path,
                one.first,
                one.last,
                one.kind,
                one.name,
                one.symbol,
                one.language,
                one.digest,
            )
            for one in (rows[number] for number in found)
        ]

    return asked


def scored(words: list[str]) -> Question:
    def asked(reader: IndexReader) -> Any:
        found = reader.full_text(words, 50)
        rows = reader.rows([chunk for chunk, _ in found])
        return sorted(
            (-round(score, 5), rows[chunk].path, rows[chunk].first) for chunk, score in found
        )

    return asked


QUESTIONS: dict[str, Question] = {
    "a word": scored(["basket"]),
    "another form of a word": scored(["prices"]),
    "several words, one unknown": scored(["user", "name", "unheardof"]),
    "a word with an accent": scored(["cafe"]),
    "the same": scored(["caf\u00e9"]),
    "numbers": scored(["5", "5e10", "10"]),
    "no word": scored([]),
    "a definition": lambda reader: reader.definitions("Basket"),
    "in another style": lambda reader: reader.definitions("get_username"),
    "one of two styles": lambda reader: reader.definitions("getUserName"),
    "few of many": lambda reader: reader.definitions("Basket", 1),
    "no definition": lambda reader: reader.definitions("nobody"),
    "a name with an accent": lambda reader: reader.definitions("na\u00efve_caf\u00e9"),
    "a quote": lambda reader: reader.definitions("it's"),
    "a mistyped name": lambda reader: reader.similar_names("getUsrName", 5),
    "a part of a name": lambda reader: reader.similar_names("basket", 5),
    "too short": lambda reader: reader.similar_names("ab", 5),
    "what a file defines": lambda reader: reader.defined_in("shop/goods.py"),
    "what no file defines": lambda reader: reader.defined_in("nowhere.py"),
    "references": lambda reader: reader.references("Basket"),
    "few references": lambda reader: reader.references("Basket", 1),
    "imports": lambda reader: reader.imports("shop/goods.py"),
    "importers": lambda reader: reader.importers("goods"),
    "chunks that define": of_rows(lambda r: r.chunks_defining(["priceOf", "basket"], 10)),
    "few of them": of_rows(lambda r: r.chunks_defining(["basket", "priceOf"], 1)),
    "a file's name": lambda reader: sorted(reader.files_named("goods")),
    "a package": lambda reader: sorted(reader.files_named("shop")),
    "no pattern": lambda reader: reader.files_named("get_user%name"),
    "digest": lambda reader: reader.source("shop/goods.py"),
    "a strange name": lambda reader: reader.source("caf\u00e9 \U0001f600.py"),
    "no file": lambda reader: reader.source("nowhere.py"),
    "chunks that are gone": lambda reader: reader.rows([10**9]),
    "skipped": lambda reader: reader.skipped(),
    "counted": lambda reader: (
        reader.counts().files, reader.counts().bytes, reader.counts().chunks,
        reader.counts().vectors, reader.counts().disk_bytes > 0,
    ),
}  # fmt: skip


def both(shared: SharedPlace, embedder: Any = None) -> tuple[IndexReader, IndexReader]:
    """Readers of the file and of the database, of one workspace."""
    alone = shared.alone()
    for workspace in (alone, shared.workspace):
        with Keeper(workspace, embedder=embedder or WordEmbedder()) as keeper:
            keeper.build()
            if embedder is not None:
                keeper.embed()
    return alone.reader(), shared.as_("read").reader()


def test_both_stores_give_the_same_answers(shared: SharedPlace) -> None:
    shared.write(FILES)
    if sys.platform == "linux":
        (shared.root / os.fsdecode(b"not\xffutf8.py")).write_text("def undecoded(): pass\n")
    file, database = both(shared)
    different = {
        name: (question(file), question(database))
        for name, question in QUESTIONS.items()
        if question(file) != question(database)
    }
    assert different == {}
    answered = [name for name, question in QUESTIONS.items() if question(database)]
    nothing = {
        "no word", "no definition", "a quote", "too short", "no pattern",
        "what no file defines", "no file", "chunks that are gone",
    }  # fmt: skip
    assert set(QUESTIONS) - set(answered) == nothing
    assert database.full_text(["'", "\\", "%", "a'b & c | !d"], 5) == []
    if sys.platform == "linux":
        found = database.definitions("undecoded")
        assert [os.fsencode(one.path) for one in found] == [b"not\xffutf8.py"]
    file.close()
    database.close()


@pytest.mark.parametrize(
    "query", ["basket", "getUserName", "what somebody buys", "price of a thing", "gettUserNam",
              "def add_item(self, item):", "tests of goods", "nothing at all like it zzz"],
)  # fmt: skip
def test_the_ranking_is_the_same(shared: SharedPlace, query: str) -> None:
    shared.write(FILES)
    embedder = WordEmbedder()
    readers = both(shared, embedder)
    found = [
        [
            (hit.path, hit.first, hit.text, pytest.approx(hit.score, abs=2e-3))
            for hit in Searcher(shared.root, reader, embedder).search(query, near="shop/prices.py")
        ]
        for reader in readers
    ]
    assert found[0] == found[1] != []
    for reader in readers:
        reader.close()


def test_a_file_that_differs_locally_is_left_out(shared: SharedPlace) -> None:
    shared.write(FILES)
    shared.build()
    searcher = shared.searcher()
    assert [hit.path for hit in searcher.search("priceOf")][:1] == ["shop/prices.py"]
    assert [one.signature for one in searcher.defined("priceOf")] == ["def priceOf(thing):"]
    shared.write({"shop/prices.py": "def other(thing): pass\n"})
    assert "shop/prices.py" not in [hit.path for hit in searcher.search("priceOf")]
    assert searcher.defined("priceOf") == []
    searcher.close()


@pytest.mark.parametrize("path", ["../secret.py", "one/../../secret.py", "/etc/passwd", "a\0b.py"])
def test_a_database_cannot_name_files_outside_the_workspace(shared: SharedPlace, path: str) -> None:
    text = "def priceOf(): pass\n"
    shared.write({"a.py": text})
    (shared.root.parent / "secret.py").write_text(text)
    shared.build()
    with Keeper(shared.workspace) as keeper:
        store = keeper._store  # pyright: ignore[reportPrivateUsage]
        content = keeper.builder.content("a.py", None)
        assert store is not None and isinstance(content, FileContent)
        with store.transaction():
            store.drop("a.py")
            store.put(replace(content, path=path))
    searcher = shared.searcher()
    assert searcher.reader.definitions("priceOf") and searcher.defined("priceOf") == []
    assert searcher.search("priceOf") == []
    searcher.close()


class SharedLife(Life):
    """The same random operations; a builder in CI has no open buffers."""

    def __init__(self, place: SharedPlace, seed: int) -> None:
        self.place = place
        self.rng = random.Random(seed)
        self.buffers: dict[str, str] = {}
        self.shared = place
        self.begin()

    def begin(self) -> None:
        assert self.shared.workspace.shared is not None
        store = PostgresStore.taken(self.shared.workspace.shared)
        assert store is not None
        self.held: IndexStore = store
        self.builder = Builder(self.place.tree, store)

    def restart(self) -> None:
        self.held.close()
        self.begin()

    def buffer(self) -> None:
        self.restart()

    def settle(self) -> None:
        self.builder.build()
        self.held.close()


def told(place: SharedPlace) -> dict[str, object]:
    """As `everything`, of a database."""
    reader = place.reader()
    words = ("alpha", "beta", "gamma", "class", "def", "return")
    session = reader._session  # pyright: ignore[reportPrivateUsage]
    ids = [int(row[0]) for row in session.rows("SELECT id FROM chunk")]
    known = {
        number: (row.path, row.first, row.last, row.kind, row.name, row.symbol, row.digest.hex())
        for number, row in reader.rows(ids).items()
    }
    assert len(session.rows("SELECT FROM words")) == len(ids) == len(known)
    found: dict[str, object] = {
        "files": sorted(
            (bytes(row[0]), row[1].hex().upper(), *row[2:])
            for row in session.rows("SELECT path, digest, bytes, language, reason FROM file")
        ),
        "chunks": sorted(known.values()),
        "defined": {name: reader.definitions(name) for name in words},
        "like": {name: reader.similar_names(name, 10) for name in ("alpha", "gama", "bet")},
        "referred": {name: reader.references(name) for name in words},
        "words": {
            word: sorted(known[chunk] for chunk, _ in reader.full_text([word], 10_000))
            for word in words
        },
    }
    files = {int(row[0]) for row in session.rows("SELECT id FROM file")}
    for asked in ("file FROM definition", "file FROM mention", "file FROM imported"):
        assert {int(row[0]) for row in session.rows(f"SELECT {asked}")} <= files
    reader.close()
    return found


@pytest.mark.parametrize("seed", range(6))
def test_after_settling_it_equals_a_file_built_from_nothing(
    shared: SharedPlace, tmp_path: Path, seed: int
) -> None:
    life = SharedLife(shared, seed)
    for _ in range(30):
        life.step()
    life.settle()
    fresh = SqliteStore(tmp_path / "fresh.db")
    Builder(shared.tree, fresh).build()
    fresh.close()
    wanted = everything(tmp_path / "fresh.db")
    wanted.pop("symbols")  # packed there; asked for by name above
    assert told(shared) == wanted


def test_a_build_with_nothing_new_reads_and_writes_nothing(shared: SharedPlace) -> None:
    shared.write({"a.py": BODIES[0], "b.py": "def alpha(): pass\n"})
    assert shared.build().chunks > 0
    before = told(shared)
    report = shared.build()
    assert (report.chunks, report.removed) == (0, 0)
    assert told(shared) == before


def test_a_moved_chunk_is_embedded_once(shared: SharedPlace) -> None:
    embedder = WordEmbedder()

    def embed() -> int:
        embedder.seen.clear()
        with Keeper(shared.workspace, embedder=embedder) as keeper:
            keeper.build()
            return keeper.embed()

    shared.write({"a.py": "def alpha(): pass\n", "b.py": "def alpha(): pass\n"})
    assert embed() == len(embedder.seen) == 1
    (shared.root / "a.py").rename(shared.root / "c.py")
    assert embed() == 0
    shared.write({"d.py": "def beta(): pass\n"})
    assert embed() == 1
    reader = shared.reader()
    assert reader.vectors_of(embedder.name) == 2
    hits = Searcher(shared.root, reader, embedder).search("alpha")
    assert {hit.path for hit in hits} >= {"b.py", "c.py"}
    reader.close()
    for name in "bcd":
        (shared.root / f"{name}.py").unlink()
    shared.write({"e.py": "def gamma(): pass\n"})
    assert embed() == 1
    reader = shared.reader()
    assert reader.counts().vectors == 1, "those that nothing uses are dropped"
    reader.close()
