"""What is found, and what comes first."""

from __future__ import annotations

import numpy as np
import pytest

from nearfield.index.embedder import Embedder
from nearfield.index.embedding import Embedding
from nearfield.index.search import QueryKind, kind_of
from nearfield.index.search_store import SqliteReader
from nearfield.index.store import SqliteStore
from nearfield.index.vector_store import SqliteVectors

from .conftest import Place, WordEmbedder
from .test_builder import embed

FILES = {
    "src/users.py": "def getUserName(user):\n    return user.name\n\n\ndef rename(user):\n"
    "    print(getUserName(user))\n",
    "src/session.py": 'class Session:\n    """Keeps cookies."""\n\n    def close(self):\n'
    "        self.jar.clear()\n",
    "src/store/disk.py": "import users\n\n\ndef write_atomically(path, data):\n"
    "    temporary = path + '.new'\n    replace(temporary, path)\n",
    "tests/test_session.py": "def test_session_close():\n    Session().close()\n",
    "docs/session.md": "# Session\nA session keeps cookies; close the session.\n",
}


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("user name", "src/users.py"),
        ("get_user_name", "src/users.py"),
        ("getUserName", "src/users.py"),
        ("getUsrName", "src/users.py"),
        ("Session", "src/session.py"),
        ("close session", "src/session.py"),
        ("tests of the session", "tests/test_session.py"),
        ("write atomically", "src/store/disk.py"),
        ("replace(temporary, path)", "src/store/disk.py"),
        ('what "quotes" AND (OR NOT* write: atomically', "src/store/disk.py"),
    ],
)
def test_the_best_match_is_first(place: Place, query: str, first: str) -> None:
    place.write(FILES)
    place.build()
    for embedder in (None, WordEmbedder()):
        if embedder is not None:
            embed(place, embedder)
        hits = place.searcher(embedder).search(query)
        assert hits[0].path == first, embedder


def test_nothing_matches(place: Place) -> None:
    place.write(FILES)
    place.build()
    assert place.searcher().search("zebra") == []
    assert place.searcher().search("?!") == []


def test_the_neighbourhood_of_the_cursor_counts(place: Place) -> None:
    body = "def handle(request):\n    return request\n"
    place.write({"a/one/x.py": body, "b/two/x.py": body})
    place.build()
    searcher = place.searcher()
    for near in ("a/one/y.py", "b/two/y.py"):
        assert searcher.search("handle request", near=near)[0].path == near.replace("y.py", "x.py")


BODY = "def handle(request):\n    return request\n"


@pytest.mark.parametrize(
    ("files", "near", "first"),
    [
        # What the cursor's file imports comes before its like.
        ({"web/main.py": "from shop.orders import handle\n"}, "web/main.py", "shop/orders.py"),
        ({"web/main.py": "from mail.orders import handle\n"}, "web/main.py", "mail/orders.py"),
        ({"web/main.ts": "import { handle } from '../shop/orders';\n"}, "web/main.ts",
         "shop/orders.py"),
        # So does what imports the cursor's file.
        ({"web/main.py": "x = 1\n", "shop/orders.py": "import web.main\n" + BODY}, "web/main.py",
         "shop/orders.py"),
        ({"web/main.py": "x = 1\n", "mail/orders.py": "import web.main\n" + BODY}, "web/main.py",
         "mail/orders.py"),
    ],
)  # fmt: skip
def test_imported_files_and_importers_are_near(
    place: Place, files: dict[str, str], near: str, first: str
) -> None:
    place.write({"mail/orders.py": BODY, "shop/orders.py": BODY} | files)
    place.build()
    hits = place.searcher().search("handle request", near=near)
    assert hits[0].path == first


def test_a_file_that_changed_since_is_not_shown(place: Place) -> None:
    place.write(FILES)
    place.build()
    place.write({"src/users.py": "something else\n"})
    assert all(hit.path != "src/users.py" for hit in place.searcher().search("user name"))


def test_definitions_and_references(place: Place) -> None:
    place.write(FILES)
    place.build()
    searcher = place.searcher()
    found = searcher.defined("Session")
    assert [(one.place.path, one.signature, one.doc) for one in found] == [
        ("src/session.py", "class Session:", "Keeps cookies.")
    ]
    assert searcher.defined("get_user_name")[0].place.name == "getUserName"
    used = searcher.reader.references("getUserName")
    assert [(one.path, one.row) for one in used] == [("src/users.py", 5)]
    names = [one.name for one in searcher.reader.defined_in("src/users.py")]
    assert names == ["getUserName", "rename"]


@pytest.mark.parametrize(
    ("query", "kind"),
    [
        ("getUserName", QueryKind.SYMBOL),
        ("get_user_name()", QueryKind.SYMBOL),
        ("Session.close", QueryKind.SYMBOL),
        ("std::move", QueryKind.SYMBOL),
        ("session", QueryKind.WORDS),
        ("how is a session closed", QueryKind.WORDS),
        ("x = foo(bar)", QueryKind.CODE),
        ("def f():\n    pass", QueryKind.CODE),
    ],
)
def test_a_query_has_its_kind(query: str, kind: QueryKind) -> None:
    assert kind_of(query) is kind


def test_the_shipped_embedder_finds_code_by_meaning(place: Place) -> None:
    place.write(
        {
            "a.py": "def total(numbers):\n    result = 0\n    for n in numbers:\n"
            "        result += n\n    return result\n",
            "b.py": "def shout(text):\n    return text.upper() + '!'\n",
            "c.py": "def fetch(url):\n    return urlopen(url).read()\n",
        }
    )
    place.build()
    embedder = Embedder()
    store, reader = SqliteStore(place.file), SqliteReader(place.file)
    vectors = SqliteVectors(store.connection, embedder.name, embedder.dimensions)
    assert Embedding(place.tree, reader, vectors, embedder).run() == 3
    store.close()
    searcher = place.searcher(embedder)
    assert searcher.search("compute the sum of a list")[0].path == "a.py"
    assert searcher.search("download a web page")[0].path == "c.py"
    assert searcher.search("make a string uppercase")[0].path == "b.py"


def test_a_run_that_was_interrupted_is_done_again() -> None:
    texts = [f"def step_{i}(value): return value * {i} + offset" for i in range(30)]
    begun = list[int]()

    def interrupt() -> None:
        begun.append(len(begun))
        if len(begun) <= 2:
            embedder.interrupt()

    embedder = Embedder(gives_way=interrupt)
    embedder.interrupt()  # nothing is under way
    assert np.array_equal(embedder.embed(texts), Embedder().embed(texts))
    assert len(begun) == 3, "twice in vain, and then the run itself"


def test_long_and_odd_texts_are_embedded() -> None:
    rows = Embedder().embed(["", "x " * 5000, "\ud800", "a\0b"])
    assert rows.shape == (4, 384)
    assert abs((rows**2).sum(axis=1) - 1).max() < 1e-3
