"""What is different here, laid over the team's index."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from nearfield.index.builder import Builder
from nearfield.index.here import index_time
from nearfield.index.interface import IndexReader
from nearfield.index.search import Searcher
from nearfield.index.store import SqliteStore
from nearfield.index.workspace import Keeper

from ..conftest import WordEmbedder
from ..test_builder import BODIES, NAMES
from .conftest import SharedPlace
from .test_same_answers import FILES, QUESTIONS


def git(place: SharedPlace, *words: str) -> None:
    who = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *who, *words], cwd=place.root, check=True, capture_output=True)


def committed(place: SharedPlace) -> None:
    git(place, "add", "--all")
    git(place, "commit", "--quiet", "--allow-empty", "--message", "now")


@pytest.fixture
def repository(shared: SharedPlace) -> SharedPlace:
    git(shared, "init", "--quiet")
    shared.write(FILES)
    committed(shared)
    shared.build()
    return shared


def refreshed(place: SharedPlace) -> None:
    """As a server does when git's index, or the team's, has changed."""
    with Keeper(place.as_("read").part()) as keeper:
        assert keeper.taken
        keeper.build()


@pytest.fixture
def reader(repository: SharedPlace) -> Iterator[IndexReader]:
    found = repository.as_("read").reader()
    yield found
    found.close()


# How much there is, and what was skipped, is the team's.
UNLIKE = frozenset({"counted", "skipped"})
RANKED = frozenset(
    name for name, question in QUESTIONS.items() if question.__qualname__.startswith("scored")
)


def whole(place: SharedPlace) -> IndexReader:
    """An index of everything as it is here."""
    with Keeper(place.alone()) as keeper:
        keeper.build()
    return place.alone().reader()


def test_overlaid_answers_equal_a_local_index(repository: SharedPlace, reader: IndexReader) -> None:
    repository.write(
        {
            "shop/goods.py": (
                "from shop.prices import priceOf\n\n\nclass Basket:\n    pass\n\n\n"
                "class BasketOfMany(Basket):\n    def add_item(self, item): priceOf(item)\n"
            ),
            "new/late.py": "from shop.goods import Basket\n\ndef getUserName(x): return Basket()\n",
        }
    )
    refreshed(repository)
    alone = whole(repository)
    for name in QUESTIONS.keys() - UNLIKE - RANKED:
        mine, wanted = QUESTIONS[name](reader), QUESTIONS[name](alone)
        if name in {"chunks that define", "few of them"}:
            mine, wanted = sorted(mine)[:1], sorted(wanted)[:1]
        assert mine == wanted, name
    for query in ("BasketOfMany", "getUserName", "price of a thing"):
        found = [
            [(hit.path, hit.first) for hit in Searcher(repository.root, one, None).search(query)]
            for one in (reader, alone)
        ]
        assert found[0][:2] == found[1][:2] != []
    alone.close()


@pytest.mark.parametrize("seed", range(3))
def test_random_changes_are_answered_from_local_files(repository: SharedPlace, seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(12):
        match rng.choice(["write", "write", "commit", "rename", "build", "refresh"]):
            case "write":
                repository.write({rng.choice(["", "one/"]) + rng.choice(NAMES): rng.choice(BODIES)})
            case "commit":
                committed(repository)
            case "rename":
                files = sorted(
                    path.relative_to(repository.root).as_posix()
                    for path in repository.root.rglob("*.py")
                )
                (repository.root / rng.choice(files)).rename(repository.root / "moved.py")
            case "build":
                repository.build()
            case _:
                refreshed(repository)
    refreshed(repository)
    reader, alone = repository.as_("read").reader(), whole(repository)
    for name in ("alpha", "beta", "gamma", "Basket", "priceOf", "getUserName"):
        wanted = alone.definitions(name)
        # What was removed here is the team's until it is built: its text is never shown.
        there = [one for one in reader.definitions(name) if (repository.root / one.path).exists()]
        assert there == wanted, name
        found = Searcher(repository.root, reader, None).defined(name)
        assert [one.place for one in found] == wanted
    reader.close()
    alone.close()


def test_open_documents_count(repository: SharedPlace, reader: IndexReader) -> None:
    embedder = WordEmbedder()
    with Keeper(repository.as_("read").part(), embedder=embedder) as keeper:
        keeper.build()
        assert keeper.counts() == (0, 0, 0)
        path = "shop/prices.py"
        assert keeper.builder.buffer(path, "def costOf(thing): return 1\n")
        searcher = Searcher(repository.root, reader, embedder)
        assert [one.signature for one in searcher.defined("costOf")][:1] == [
            "def costOf(thing): return 1"
        ]
        assert searcher.defined("priceOf") == []
        assert [hit.symbol for hit in searcher.search("cost of")][:1] == ["costOf"]
        assert keeper.embed() == 1
        with Keeper(repository.as_("build"), embedder=embedder) as team:
            team.embed()
        fresh = repository.as_("read").reader()
        assert fresh.vectors("words", 64).nearest(embedder.embed(["cost of thing"])[0], 1)[0][0] < 0
        fresh.close()
        keeper.builder.closed(path)
        assert keeper.counts()[:2] == (0, 0)
        assert searcher.defined("costOf") == []
        assert [one.place.path for one in searcher.defined("priceOf")] == [path]


def test_without_git_only_open_documents_are_different(shared: SharedPlace) -> None:
    shared.write(FILES)
    shared.build()
    shared.write({"shop/prices.py": "def other(): pass\n"})
    refreshed(shared)
    reader = shared.as_("read").reader()
    assert reader.definitions("other") == []
    reader.close()


def test_a_commit_of_the_database_is_no_option_of_git(
    repository: SharedPlace, reader: IndexReader
) -> None:
    victim = repository.root / "victim"
    with Keeper(repository.as_("build")) as keeper:
        store = keeper._store  # pyright: ignore[reportPrivateUsage]
        assert store is not None
        store.say({"commit": f"--output={victim}"})
    repository.write({"shop/prices.py": "def other(): pass\n"})
    refreshed(repository)
    assert not victim.exists()
    assert [one.path for one in reader.definitions("other")] == ["shop/prices.py"]


def test_git_says_when_something_has_happened(repository: SharedPlace) -> None:
    before = index_time(repository.root)
    repository.write({"a.py": "x = 1\n"})
    committed(repository)
    assert 0 != index_time(repository.root) != before
    shutil.rmtree(repository.root / ".git")
    assert index_time(repository.root) == 0


def test_the_local_part_has_a_file_of_its_own(repository: SharedPlace) -> None:
    part = repository.as_("read").part()
    assert part.place.file != repository.as_("read").place.file
    store = SqliteStore(part.place.file)
    Builder(part.tree, store).build()
    assert store.counts()[0] == 0
    store.close()
