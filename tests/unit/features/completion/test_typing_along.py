"""A model goes on writing while the user types what it writes, and is ended by everything else."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.unit.features.completion.test_completer import completions
from tests.unit.features.conftest import FakeUser, Start, scripted, until

from nearfield.providers.scripted import Scripted

CODE = "def area(width, height):\n    return |\n"
SLOW = {"match": r"return $", "text": "(width * height)\n\n\nx = 1\n", "piece_ms": 20}
OTHERS = [
    {"match": r"return 0$", "text": " + width\n"},
    {"match": r"return \(h$", "text": "eight)\n"},
    {"match": r"return \($", "text": "height)\n"},
]


async def begun(
    start: Start, answer: dict[str, Any] = SLOW, **how: Any
) -> tuple[Scripted, FakeUser, asyncio.Task[str]]:
    """A model that has begun to write, its user, and the request."""
    model = scripted("model", answer, *OTHERS)
    user = FakeUser(await start(model), CODE)
    first = asyncio.create_task(user.said(**how))
    await until(lambda: completions(model) and completions(model)[0].sent.startswith("("))
    return model, user, first


@pytest.mark.parametrize("typed", ["(", "(w", "(width *"])
async def test_what_is_typed_along_restarts_no_model(start: Start, typed: str) -> None:
    model, user, first = await begun(start)
    user.type(typed)
    assert await user.said() == "(width * height)"[len(typed) :]
    assert await first == "<superseded>"
    assert len(completions(model)) == 1
    assert user.service.traces.last(1)[0].situation == "cached"


async def test_it_goes_on_over_several_keys(start: Start) -> None:
    model, user, _ = await begun(start)
    asked = []
    for character in "(wid":
        user.type(character)
        asked.append(asyncio.create_task(user.said()))
        await asyncio.sleep(0)
    answers = await asyncio.gather(*asked)
    assert answers == ["<superseded>"] * 3 + ["th * height)"]
    assert len(completions(model)) == 1


async def test_a_cancelled_request_leaves_it_to_the_next(start: Start) -> None:
    """Editors cancel the older request when a key is typed."""
    model, user, first = await begun(start)
    user.type("(")
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert model.streaming == 1
    assert await user.said() == "width * height)"
    assert len(completions(model)) == 1


async def test_a_cancelled_request_that_waits_for_it_frees_the_model(start: Start) -> None:
    model, user, first = await begun(start)
    user.type("(")
    second = asyncio.create_task(user.said())
    await until(first.done)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    assert model.streaming == 0
    assert len(completions(model)) == 1


async def test_an_editor_may_close_brackets(start: Start) -> None:
    model, user, first = await begun(start)
    user.edit(user.cursor, user.cursor, "()")
    user.cursor -= 1
    first.cancel()
    assert await user.said() == "width * height"
    assert len(completions(model)) == 1


@pytest.mark.parametrize(("typed", "rest"), [("0", " + width"), ("(h", "eight)")])
async def test_something_else_ends_it(start: Start, typed: str, rest: str) -> None:
    model, user, first = await begun(start)
    user.type(typed)
    assert await user.said() == rest
    assert await first in ("<superseded>", "<stale>")
    assert [call.ended for call in completions(model)] == ["closed", "closed"]


async def test_nobody_who_asks_is_not_waited_for(start: Start) -> None:
    """It ends by itself at the next token after something else was typed."""
    model, user, first = await begun(start)
    user.type("(")
    first.cancel()
    user.type("+")
    await until(lambda: not model.streaming)
    assert "x" not in completions(model)[0].sent


@pytest.mark.parametrize("first_by_key", [False, True])
async def test_a_request_by_a_key_is_asked_of_the_model(start: Start, first_by_key: bool) -> None:
    model, user, first = await begun(start, invoked=first_by_key)
    user.type("(")
    await user.ask(invoked=not first_by_key)
    assert await first in ("<superseded>", "<stale>")
    assert completions(model)[1].request.prefix.endswith("return (")


@pytest.mark.parametrize("end", ["close", "elsewhere", "stop"])
async def test_it_ends_with_its_document(start: Start, end: str) -> None:
    model, user, first = await begun(start, {**SLOW, "hang": True, "text": "(width"})
    user.type("(")
    first.cancel()
    await until(first.done)
    assert model.streaming == 1
    if end == "close":
        user.service.closed(user.uri)
    elif end == "elsewhere":
        user.edit(0, 0, "# ")
        assert await user.said() == "height)"
    else:
        await user.service.aclose()
    await until(lambda: not model.streaming)


async def test_an_unsure_end_asks_again(start: Start) -> None:
    """What was written stops being sure after the first token, which is typed."""
    answer = {**SLOW, "text": "( what\n", "logprobs": {" what": -9.0}}
    model, user, first = await begun(start, answer)
    user.type("(")
    assert await user.said() == "height)"
    assert await first == "<superseded>"
    assert len(completions(model)) == 2


async def test_after_a_deadline_the_model_is_asked(start: Start) -> None:
    model = scripted("model", {**SLOW, "text": "(width", "hang": True}, *OTHERS)
    user = FakeUser(await start(model, deadline_ms=2000), CODE)
    first = asyncio.create_task(user.said())
    await until(lambda: completions(model) and completions(model)[0].sent.startswith("("))
    await asyncio.sleep(0.1)
    user.type("(")
    assert await user.said() == "height)"
    assert await first == "<superseded>"
    assert len(completions(model)) == 2
