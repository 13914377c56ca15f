"""Suggestions beside the first one: when they are made, what is shown of them, what ends them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.unit.features.conftest import FakeUser, Start, scripted, until

from nearfield.features.completion import completer
from nearfield.features.completion.acceptance import Taken
from nearfield.features.completion.question import RequestScope
from nearfield.providers.scripted import Scripted
from nearfield.types import InfillRequest, Priority, Reason, Selected, Span

ADD = "def add(a, b):\n    return |\n"
FIRST = {"match": r"return $", "text": "a + b\n"}


def said(answer: Any) -> list[str]:
    return [suggestion.text for suggestion in answer.suggestions]


def others(model: Scripted) -> list[InfillRequest]:
    requests = [c.request for c in model.calls if isinstance(c.request, InfillRequest)]
    return [request for request in requests if request.avoid]


def answers(*texts: str, **how: Any) -> list[dict[str, Any]]:
    return [FIRST, *({"match": r"return $", "text": text, **how} for text in texts)]


# what the model would say otherwise, and what is shown to who asks twice
TABLE: list[tuple[str, list[dict[str, Any]], list[str]]] = [
    ("two more", answers("sum(c)\n", "b + a\n", "max(a, b)\n"), ["a + b", "sum(c)", "b + a"]),
    ("one more", answers("b + a\n"), ["a + b", "b + a"]),
    ("none", answers(), ["a + b"]),
    ("the same again", answers("  a  +  b\n"), ["a + b"]),
    ("one that breaks the parse", answers("b + ) (\n", "sum(c)\n"), ["a + b", "sum(c)"]),
    ("two that are alike", answers("b + a\n", "b +  a\n"), ["a + b", "b + a"]),
    ("one that was forced", answers("zzz(b)\n", logprob=-6.0), ["a + b"]),
    ("one that fails", answers("", error="Unreachable"), ["a + b"]),
]


@pytest.mark.parametrize("case", TABLE, ids=[c[0] for c in TABLE])
async def test_a_second_manual_request_gets_alternatives(
    start: Start, case: tuple[str, list[dict[str, Any]], list[str]]
) -> None:
    _, script, expected = case
    person = FakeUser(await start(scripted("model", *script)), ADD)
    assert said(await person.ask(invoked=True))[0] == "a + b"
    answer = await person.ask(invoked=True)
    assert said(answer) == expected
    assert len({suggestion.id for suggestion in answer.suggestions}) == len(expected)


BROKEN = {"match": r"return $", "text": "a + ) (\n"}
FINE = {"match": r"return $", "text": "sum(c)\n"}

# what the model would say, what is shown to who asks by a key, and why nothing is
INSTEAD: list[tuple[str, list[dict[str, Any]], list[str], str]] = [
    ("another", [BROKEN, FINE], ["sum(c)"], ""),
    ("none other", [BROKEN], [], "syntax"),
    ("one that fails", [BROKEN, {**FINE, "error": "Unreachable", "text": ""}], [], "syntax"),
    ("one that was forced", [BROKEN, {**FINE, "logprob": -6.0}], [], "syntax"),
    ("nothing to begin with", [{"text": ""}, FINE], [], "empty"),
]


@pytest.mark.parametrize("case", INSTEAD, ids=[c[0] for c in INSTEAD])
async def test_an_alternative_replaces_a_rejected_suggestion(
    start: Start, case: tuple[str, list[dict[str, Any]], list[str], str]
) -> None:
    _, script, expected, reason = case
    person = FakeUser(await start(scripted("model", *script)), ADD)
    answer = await person.ask(invoked=True)
    assert (said(answer), answer.reason) == (expected, reason)


async def test_a_rejected_suggestion_is_not_replaced_while_typing(start: Start) -> None:
    model = scripted("model", BROKEN, FINE)
    assert await FakeUser(await start(model), ADD).said() == "<syntax>"
    assert not others(model)


async def test_a_replacement_is_not_shown_in_a_changed_document(
    start: Start,
) -> None:
    model = scripted("model", BROKEN, {**FINE, "delay_ms": 200})
    person = FakeUser(await start(model), ADD)
    question = asyncio.create_task(person.ask(invoked=True))
    await until(lambda: others(model))
    person.type("c")
    assert (await question).reason == "stale"


async def test_the_first_suggestion_does_not_wait_for_slow_alternatives(start: Start) -> None:
    first = {**FIRST, "piece_ms": 60}  # some 300 ms to write: the others would be noticed
    model = scripted("model", first, *answers("b + a\n", delay_ms=600_000)[1:])
    person = FakeUser(await start(model), ADD)
    async with asyncio.timeout(60):
        assert said(await person.ask(invoked=True)) == ["a + b"]
    await until(lambda: others(model))
    assert others(model)[0].priority is Priority.PREFILL
    assert others(model)[0].avoid == ("a + b",)


async def test_a_key_that_shows_what_typing_does_not_waits_for_no_alternatives(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(completer, "ALTERNATIVES_SECONDS", 600.0)
    model = scripted("model", {**FIRST, "text": "ab\n"}, *answers("sum(c)\n", delay_ms=600_000)[1:])
    person = FakeUser(await start(model, invoked_deadline_ms=60_000), ADD)
    assert (await person.ask()).reason is Reason.TOO_SHORT
    async with asyncio.timeout(30):
        assert said(await person.ask(invoked=True)) == ["ab"]
    await until(lambda: others(model))
    assert others(model)[0].avoid == ("ab",)


async def test_quick_alternatives_are_returned_with_the_first(start: Start) -> None:
    person = FakeUser(await start(scripted("model", *answers("b + a\n", "sum(c)\n"))), ADD)
    texts = said(await person.ask(invoked=True))
    assert texts[0] == "a + b"
    assert set(texts) <= {"a + b", "b + a", "sum(c)"}


async def test_typing_gets_a_single_suggestion(start: Start) -> None:
    model = scripted("model", *answers("b + a\n"))
    person = FakeUser(await start(model), ADD)
    assert said(await person.ask()) == ["a + b"]
    assert said(await person.ask()) == ["a + b"]
    assert others(model) == []


async def test_a_popup_that_is_asked_for_again_gets_others(start: Start) -> None:
    model = scripted("model", *answers("b + a\n"))
    person = FakeUser(await start(model), ADD)
    await person.ask()
    assert said(await person.ask(again=True)) == ["a + b"]
    await until(lambda: len(others(model)) == 2 and not model.streaming)
    assert said(await person.ask(again=True)) == ["a + b", "b + a"]


@pytest.mark.parametrize("what", ["typed", "asked elsewhere", "closed", "paused"])
async def test_typing_and_other_requests_end_the_alternatives(start: Start, what: str) -> None:
    model = scripted("model", FIRST, *answers("b + a\n", delay_ms=600_000)[1:])
    service = await start(model)
    person = FakeUser(service, ADD)
    await person.ask(invoked=True)
    await until(lambda: model.streaming)
    if what == "typed":
        person.type("x")
    elif what == "asked elsewhere":
        person.cursor = 3
        await person.ask()
    elif what == "closed":
        service.closed(person.uri)
    else:
        service.pause()
    await until(lambda: not [c for c in model.calls if c.request in others(model) and not c.ended])


async def test_after_the_selected_item(start: Start) -> None:
    model = scripted(
        "model",
        {"match": r"sqrt$", "text": "(a)\n"},
        {"match": r"sqrt$", "text": " + b\n"},
    )
    person = FakeUser(await start(model), "def add(a, b):\n    return sq|\n")
    item = Selected(Span(person.cursor - 2, person.cursor), "sqrt")
    await person.ask(invoked=True, selected=item)
    await until(lambda: others(model))
    assert others(model)[0].avoid == ("(a)",)
    assert said(await person.ask(invoked=True, selected=item)) == ["sqrt(a)", "sqrt + b"]


async def test_not_where_it_costs(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RequestScope, "is_local", False)
    model = scripted("model", *answers("b + a\n"))
    person = FakeUser(await start(model), ADD)
    await person.ask(invoked=True)
    await asyncio.sleep(0)
    assert said(await person.ask(invoked=True)) == ["a + b"]
    assert others(model) == []


async def test_any_of_them_can_be_accepted(start: Start) -> None:
    person = FakeUser(await start(scripted("model", *answers("b + a\n"))), ADD)
    await person.ask(invoked=True)
    await person.ask(invoked=True)
    person.edit(person.cursor, person.cursor, "b + a")
    assert person.service.acceptance.counts[Taken.ACCEPTED] == 1
