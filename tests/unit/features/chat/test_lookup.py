"""Questions about the workspace: what is looked up, who words it, and which files are named."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.unit.features.chat.conftest import StartTalk, Talk

from nearfield.catalog.models import is_small
from nearfield.features.chat.chat import ChatService
from nearfield.features.chat.lookup import is_question
from nearfield.features.chat.protocol import ChatFinish
from nearfield.index.search import Hit
from nearfield.types import Snapshot, SymbolLocation


@dataclass
class FakeIndex:
    """Finds the same pieces for every question."""

    root: Path
    found: tuple[tuple[str, float], ...]

    async def definitions(
        self, name: str, snapshot: Snapshot | None = None, *, limit: int = 20
    ) -> tuple[SymbolLocation, ...]:
        return ()

    async def named(self, text: str, *, limit: int) -> tuple[SymbolLocation, ...]:
        return await self.definitions(text, limit=limit)

    async def defined_in(self, path: str) -> tuple[SymbolLocation, ...]:
        return ()

    async def references(
        self, name: str, snapshot: Snapshot | None = None, *, limit: int = 200
    ) -> tuple[SymbolLocation, ...]:
        return ()

    async def search(self, query: str, *, limit: int = 10, workspace: str = "") -> tuple[Hit, ...]:
        return tuple(
            Hit(
                str(self.root / path),
                0,
                2,
                "function",
                "price",
                "python",
                score,
                "def price(item):",
            )
            for path, score in self.found[:limit]
        )


PRICE = (("src/shop.py", 1.1),)


def knowing(t: Talk, found: tuple[tuple[str, float], ...] = PRICE, model: str = "") -> Talk:
    index = FakeIndex(t.root, found)
    t.model.model = model or t.model.model
    t.chat = ChatService(t, t.person, knowledge=lambda: index, store=t.store)
    return t


def tools(t: Talk, number: int = -1) -> int:
    """The number of functions that a request offered."""
    request: Any = t.model.calls[number].request
    return len(request.tools)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("where is the price computed", True),
        ("Please explain how orders are saved", True),
        ("the price is computed where?", True),
        ("Wo wird der Preis berechnet", True),
        ("rename price to cost", False),
        ("add a test for price", False),
        ("hello", False),
    ],
)
def test_a_question_asks_to_be_told(message: str, expected: bool) -> None:
    assert is_question(message) is expected


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("qwen2.5-coder-0.5b-instruct", True),
        ("qwen2.5-coder:1.5b", True),
        ("some-7B-model", False),
        ("gpt-5", False),
        ("model-v1.5", False),
    ],
)
def test_a_models_name_says_whether_it_is_small(model: str, expected: bool) -> None:
    assert is_small(model) is expected


@pytest.mark.asyncio
@pytest.mark.parametrize(("model", "offered"), [("coder-1.5b", False), ("coder-30b", True)])
async def test_what_the_index_found_is_in_the_question(
    model: str, offered: bool, talk: StartTalk
) -> None:
    t = knowing(talk({"text": "In price."}), model=model)
    reply = await t.say("where is the price computed?")
    assert "src/shop.py:1-2 (`price`)\n```\ndef price(item):" in t.told()
    assert (tools(t) > 0) is offered
    assert reply.text == "In price.\n\nLooked up: src/shop.py:1-2 (`price`)."
    assert t.screen.shown == reply.text


@pytest.mark.asyncio
async def test_a_small_model_without_words_is_offered_functions_then(talk: StartTalk) -> None:
    t = knowing(talk({"text": ""}), model="coder-1.5b")
    await t.say("where is the price computed?")
    assert [tools(t, number) > 0 for number in range(3)] == [False, True, False]


UNRELATED: dict[str, dict[str, Any]] = {
    "no question": {"message": "rename price to cost"},
    "what the index does not know": {"found": (("src/shop.py", 0.3),)},
    "a file that is withheld": {"found": ((".env", 1.1),)},
    "one that the user shows": {"message": "what does @file:readme.md say?"},
    "without the function": {"functions": ("readFile",)},
}


@pytest.mark.asyncio
@pytest.mark.parametrize("case", UNRELATED)
async def test_nothing_is_looked_up_for_what_is_no_question_about_the_workspace(
    case: str, talk: StartTalk
) -> None:
    how: dict[str, Any] = {
        "message": "where is the price computed?",
        "found": PRICE,
        **UNRELATED[case],
    }
    t = knowing(talk({"text": "Well."}), how.pop("found"))
    reply = await t.say(how.pop("message"), **how)
    assert "The workspace holds this" not in t.told()
    assert reply.text == "Well."


@pytest.mark.asyncio
async def test_a_file_that_the_workspace_does_not_have_is_said_to_be_none(talk: StartTalk) -> None:
    text = "In `shop.py` and `src/prices.py`, with os.path and item.cents, see ./src/shop.py:2."
    t = knowing(talk({"text": text}))
    reply = await t.say("where is the price computed?")
    assert reply.notes == ["The answer names src/prices.py, which the workspace does not have."]


@pytest.mark.asyncio
async def test_the_places_are_named_where_the_model_says_nothing(talk: StartTalk) -> None:
    t = knowing(talk({"text": ""}), model="coder-1.5b")
    reply = await t.say("where is the price computed?")
    assert reply.finish is ChatFinish.EMPTY
    assert reply.text.endswith("Looked up: src/shop.py:1-2 (`price`).")
