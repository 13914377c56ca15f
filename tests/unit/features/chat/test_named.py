"""Names in a question: what is shown of their definitions, their uses and their constants."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.unit.features.chat.conftest import FakeUser

from nearfield.config.schema import Chat
from nearfield.features.chat.folder import Folder
from nearfield.features.chat.lookup import places_of
from nearfield.features.chat.named import centred, constants, facts, names_in
from nearfield.features.chat.tool_context import ToolContext
from nearfield.index.search import Hit
from nearfield.index.symbols import outline
from nearfield.syntax.languages import language_for
from nearfield.syntax.parser import parse
from nearfield.types import Snapshot, SymbolLocation

FILES = {
    "shop.py": (
        "RATE_LIMIT = 20\n\n\nclass Shop:\n    def __init__(self, timeout_s: int = 5):\n"
        "        self.timeout_s = timeout_s\n\n    def price_of(self, item):\n"
        "        return min(item.cents, RATE_LIMIT)\n"
    ),
    "market.py": (
        "from shop import (\n    RATE_LIMIT,\n    Shop,\n)\n\n\nclass Market(Shop):\n"
        "    def total_of(self):\n        return self.price_of(1)\n"
    ),
    "other.py": "import shop\n\n\ndef run():\n    return shop.Shop(timeout_s=3).price_of(2)\n",
    "build/out.py": "from shop import Shop\n",
    ".gitignore": "build/\n",
}


@dataclass
class Index:
    """Definitions as the parser sees them, of every file, also of those that are withheld."""

    root: Path

    async def definitions(
        self, name: str, snapshot: Snapshot | None = None, *, limit: int = 20
    ) -> tuple[SymbolLocation, ...]:
        found: list[SymbolLocation] = []
        for path in sorted(self.root.rglob("*.py")):
            text, language = path.read_text(), language_for("", path.name)
            assert language is not None
            parsed = parse(language, text)
            assert parsed is not None
            for one in outline(parsed).definitions:
                if one.name == name:
                    whole = "\n".join(text.splitlines()[one.first : one.last + 1])
                    found.append(
                        SymbolLocation(
                            str(path), path.name, name, one.kind, one.container, one.row,
                            one.first, one.last, text=whole,
                        )
                    )  # fmt: skip
        return tuple(found)

    async def named(self, text: str, *, limit: int) -> tuple[SymbolLocation, ...]:
        return (await self.definitions(text))[:limit]

    async def defined_in(self, path: str) -> tuple[SymbolLocation, ...]:
        return ()

    async def references(
        self, name: str, snapshot: Snapshot | None = None, *, limit: int = 200
    ) -> tuple[SymbolLocation, ...]:
        return ()

    async def search(self, query: str, *, limit: int = 10, workspace: str = "") -> tuple[Hit, ...]:
        return ()


@pytest.fixture
def shop(tmp_path: Path) -> tuple[Index, Folder]:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    (tmp_path / ".git").mkdir()
    return Index(tmp_path), Folder(str(tmp_path), ())


@pytest.mark.parametrize(
    ("question", "names"),
    [
        ("What does `price_of` return?", ["price_of"]),
        ("Who calls `Shop.price_of()`, and RATE_LIMIT?", ["Shop.price_of", "RATE_LIMIT"]),
        ("Is JsonRPCServer.__init__ or _private used?", ["JsonRPCServer.__init__", "_private"]),
        ('How is "main:app" or src/a_b.py turned into an App?', []),
        ("Where is the price computed, e.g. for books?", []),
    ],
)
def test_names_are_told_from_words(question: str, names: list[str]) -> None:
    assert names_in(question) == names


@pytest.mark.parametrize(
    ("question", "defined", "used"),
    [
        ("What does `price_of` return?", ["shop.py:8-9 (`Shop.price_of`)"], []),
        (
            "Which methods call `price_of`?",
            ["shop.py:8-9 (`Shop.price_of`)"],
            ["market.py:9 in `Market.total_of`", "other.py:5 in `run`"],
        ),
        ("Which files import `Shop`?", ["shop.py:4-9 (`Shop`)"], ["market.py:3"]),
        ("Which classes derive from `Shop`?", ["shop.py:4-9 (`Shop`)"], ["market.py:7"]),
        (
            "What is the default of `timeout_s` in `Shop`?",
            ["shop.py:4-9 (`Shop`)"],
            ["shop.py:5 in `Shop`", "shop.py:6 in `Shop.__init__`", "other.py:5 in `run`"],
        ),
        ("What is `unheard_of`?", [], []),
    ],
)
async def test_definitions_and_uses_are_found(
    shop: tuple[Index, Folder], question: str, defined: list[str], used: list[str]
) -> None:
    shown, uses = await facts(*shop, question, 1000)
    assert [one.place for one in shown] == defined
    assert sorted(one.place for one in uses) == sorted(used)


async def test_the_values_of_constants_that_a_text_names_are_told(
    shop: tuple[Index, Folder],
) -> None:
    found = await constants(*shop, ["return min(item.cents, RATE_LIMIT)"])
    assert [(one.place, one.text) for one in found] == [("shop.py:1", "RATE_LIMIT = 20")]
    assert await constants(*shop, ["RATE_LIMIT = 20\nprint(RATE_LIMIT)"]) == []


async def test_the_definitions_that_an_answer_names_are_placed(
    shop: tuple[Index, Folder],
) -> None:
    context = ToolContext(limits=Chat(), host=FakeUser(), knowledge=shop[0], inside=shop[1])
    assert await places_of(context, "It is done by `price_of` of the class `Nobody`.") == [
        "shop.py:8-9 (`Shop.price_of`)"
    ]


def test_of_a_long_text_the_lines_that_fit_the_question_are_kept() -> None:
    lines = [f"option_{number} = {number}" for number in range(100)]
    lines[70] = '"truncate.leeway": 5,'
    text = "\n".join(["POLICIES = {", *lines, "}"])
    shown = centred(text, "What is the default leeway when text is truncated?", 300)
    assert len(shown) < 330
    assert shown.startswith("POLICIES = {\noption_0 = 0\n")
    assert '…\noption_69 = 69\n"truncate.leeway": 5,\noption_71 = 71\n…' in shown
    assert centred("short", "What?", 300) == "short"
    assert "option_42 = 42" in centred(text, "What?", 300, around="option_42")
