"""What is stored in little room: weights with the words, symbols file by file."""

from __future__ import annotations

import pytest

from nearfield.index.outlines import (
    DEFINED,
    named,
    pack_definitions,
    pack_uses,
    unpack_definitions,
    unpack_uses,
)
from nearfield.index.store import SqliteStore
from nearfield.index.symbols import Definition
from nearfield.index.weights import STEPS, forms, weighed

from .conftest import Place


def digits(path: str, symbol: str, body: str) -> dict[str, int]:
    return {word[1:]: int(word[0]) for word in weighed(path, symbol, body).split()}


def test_a_word_weighs_more_the_more_of_the_chunk_it_is() -> None:
    short, long = digits("", "", "alpha beta"), digits("", "", "alpha " + "beta " * 200)
    assert short["alpha"] > long["alpha"]
    assert long["beta"] > long["alpha"]
    assert digits("", "alpha", "beta")["alpha"] >= digits("alpha", "", "beta")["alpha"]
    assert digits("alpha", "", "beta")["alpha"] >= digits("", "", "alpha beta")["alpha"]


def test_every_form_of_a_word_is_looked_up() -> None:
    parts = dict(forms("alpha"))
    assert set(parts) == {f"{digit}alpha" for digit in range(len(STEPS))}
    assert list(parts.values()) == sorted(parts.values(), reverse=True)


DEFINITIONS = (
    Definition("Ünïcode", "class", 3, 6, 1, 90),
    Definition("operator()", "method", 10, 4, 9, 12, "Ünïcode"),
    Definition("after", "function", 400, 0, 398, 410),
)


def test_definitions_survive_packing() -> None:
    assert unpack_definitions(pack_definitions(DEFINITIONS)) == DEFINITIONS
    assert unpack_definitions(pack_definitions(())) == ()


def test_references_survive_packing() -> None:
    uses = {"alpha": (0, 5, 900), "\U0001f600": (7,)}
    packed = pack_uses(uses)
    for name, rows in uses.items():
        assert unpack_uses(packed, name) == list(rows)
    assert unpack_uses(packed, "beta") == unpack_uses(pack_uses({}), "beta") == []


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("getUserName", "get_user_name", True),
        ("operator+", "operator-", False),
        ("a.b", "a b", False),
        ("x", "X", True),
    ],
)
def test_names_are_one_word_whatever_they_hold(one: str, other: str, same: bool) -> None:
    assert (named(DEFINED, one) == named(DEFINED, other)) is same
    assert named(DEFINED, one).replace("_", "").isalnum()


def test_repeated_saves_do_not_grow_the_table_of_triples(
    place: Place,
) -> None:
    def spelled() -> int:
        store = SqliteStore(place.file)
        count = store.connection.execute("SELECT count(*) FROM grams").get
        store.close()
        assert isinstance(count, int)
        return count

    for turn in range(4):
        place.write({"a.py": f"def alphabet(): return {turn}\n"})
        place.build()
        assert spelled() == 1
    place.write({"a.py": "def numbers(): pass\n"})
    place.build()
    assert spelled() == 1
    assert place.searcher().reader.similar_names("alphabe", 5) == []
    assert place.searcher().reader.similar_names("numbes", 5) == ["numbers"]


def test_imports_and_importers_of_a_file(place: Place) -> None:
    place.write(
        {
            "shop/till.py": "from shop.goods import price\nimport os\n",
            "shop/goods.py": "def price(): pass\n",
            "shop/web.ts": "import { price } from './goods';\n",
        }
    )
    place.build()
    reader = place.searcher().reader
    assert {"shop", "goods", "price", "os"} <= reader.imports("shop/till.py")
    assert reader.importers("goods") == {"shop/till.py", "shop/web.ts"}
    assert reader.imports("shop/goods.py") == reader.imports("nowhere.py") == frozenset()
