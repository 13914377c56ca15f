"""A model asked what is next: when, how, and what ends it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.unit.features.conftest import FakeUser, Start, scripted, until

from nearfield.features.next_edit import edits
from nearfield.features.next_edit.edits import NextEdit
from nearfield.features.next_edit.inline import INLINE
from nearfield.providers.scripted import Call, Scripted
from nearfield.types import CompletionRequest, Health, HealthState, InfillRequest, Priority

CODE = """\
FIELDS = [
    Field("first_name"),
    Field("last_name"),
    Field("birth_date"),
    Field("phone_number"),
]
|"""
BIRTH = {
    "match": r'-Field\("birth_date"\),\n\+$',
    "text": 'Field("birth_date", label="Date of birth"),\n',
}
PHONE = {
    "match": r'-Field\("phone_number"\),\n\+$',
    "text": 'Field("phone_number", label="Telephone"),\n',
}
LABELS = {"first_name": "Given name", "last_name": "Family name"}
ON: dict[str, Any] = {"next_edit_model": True}
LONG = 30.0
"""Seconds; more than any answer takes."""


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction] - used by being there
    monkeypatch.setattr(edits, "GUESS_AFTER_SECONDS", 0.0)


def asked(model: Scripted) -> list[Call]:
    """What the model was asked about next edits."""
    return [call for call in model.calls if "next-edit" in getattr(call.request, "document", "")]


def label(person: FakeUser, *names: str) -> None:
    """Give the fields of these names a label, by hand."""
    for name in names:
        at = person.text.index(f'"{name}"') + len(name) + 2
        person.edit(at, at, f', label="{LABELS[name]}"')


async def offers(person: FakeUser, seconds: float = 0.0) -> tuple[NextEdit, ...]:
    """What is offered at the document's end."""
    return await person.service.next_edits.offered(person.snapshot(), person.cursor, seconds)


async def test_what_the_model_says_while_the_user_rests_is_offered(start: Start) -> None:
    model = scripted("model", BIRTH, PHONE)
    person = FakeUser(await start(model, **ON), CODE)
    label(person, "first_name")
    await asyncio.sleep(0.05)
    assert not asked(model), "one change says nothing"
    label(person, "last_name")
    await until(lambda: asked(model) and not model.streaming)
    (offer,) = await offers(person)
    assert (offer.by, offer.new) == ("model", ', label="Date of birth"')
    (call,) = asked(model)
    assert isinstance(call.request, InfillRequest)
    assert (call.request.priority, call.request.single_line) == (Priority.PREFILL, True)
    person.edit(offer.span.start, offer.span.end, offer.new)
    await until(lambda: len(asked(model)) == 2 and not model.streaming)
    (offer,) = await offers(person)
    assert offer.new == ', label="Telephone"'
    person.edit(offer.span.start, offer.span.end, offer.new)
    assert await offers(person, LONG) == ()
    assert len(asked(model)) == 2


async def test_whoever_waits_has_it_when_it_comes(start: Start) -> None:
    person = FakeUser(await start(scripted("model", {**BIRTH, "delay_ms": 50}), **ON), CODE)
    label(person, "first_name", "last_name")
    (offer,) = await offers(person, LONG)
    assert offer.by == "model"


async def test_it_is_ghost_text_on_its_line(start: Start) -> None:
    service = await start(scripted("model", BIRTH), **ON)
    person = FakeUser(service, CODE)
    label(person, "first_name", "last_name")
    (offer,) = await offers(person, LONG)
    ask = CompletionRequest("1", INLINE, person.snapshot(), offer.span.start)
    answer = await service.complete(ask)
    assert [one.id for one in answer.suggestions] == [offer.id]


async def test_the_next_keystroke_frees_the_model_and_nothing_stale_is_offered(
    start: Start,
) -> None:
    model = scripted("model", {**BIRTH, "delay_ms": 60_000})
    person = FakeUser(await start(model, **ON), CODE)
    label(person, "first_name", "last_name")
    waiting = asyncio.create_task(offers(person, LONG))
    await until(lambda: model.streaming)
    person.edit(person.cursor, person.cursor, "x")
    assert await waiting == ()
    await until(lambda: asked(model)[0].ended == "closed")


async def test_a_question_that_is_given_up_leaves_the_answer_for_the_next(start: Start) -> None:
    model = scripted("model", {**BIRTH, "delay_ms": 100})
    person = FakeUser(await start(model, **ON), CODE)
    label(person, "first_name", "last_name")
    waiting = asyncio.create_task(offers(person, LONG))
    await until(lambda: model.streaming)
    waiting.cancel()
    await until(lambda: asked(model)[-1].ended == "finished")
    assert [one.by for one in await offers(person)] == ["model"]


@pytest.mark.parametrize("why", ["setting", "pause", "not ready", "disabled", "excluded"])
async def test_nobody_is_asked(start: Start, why: str) -> None:
    completion = {} if why == "setting" else dict(ON)
    if why == "disabled":
        completion["disabled_languages"] = ["python"]
    model = scripted("model", BIRTH)
    service = await start(model, **completion)
    person = FakeUser(service, CODE, "a.py" if why != "excluded" else "b.py")
    if why == "pause":
        service.pause()
    if why == "not ready":
        model.health_now = Health(HealthState.STARTING)
    if why == "excluded":
        config = service.config
        files = type(config.files)(exclude=["b.py"])
        await service.configure(type(config)(completion=config.completion, files=files))
    label(person, "first_name", "last_name")
    if why != "pause":  # then no face asks
        assert await offers(person, 1.0) == ()
    await asyncio.sleep(0.05)
    assert not asked(model)


@pytest.mark.parametrize(
    "answer",
    [
        {"logprob": -1.0},
        {"text": 'Field("birth_date", label="Date of birth"\n'},
        {"text": ""},
        {"text": "word " * 80},
    ],
)
async def test_a_poor_answer_is_not_offered_and_not_asked_for_again(
    start: Start, answer: dict[str, Any]
) -> None:
    model = scripted("model", {**BIRTH, **answer})
    person = FakeUser(await start(model, **ON), CODE)
    label(person, "first_name", "last_name")
    for _ in range(2):
        assert await offers(person, LONG) == ()
    await asyncio.sleep(0.05)
    assert len([call for call in asked(model) if call.ended != "closed"]) == 1


async def test_an_error_of_the_model_harms_nothing(start: Start) -> None:
    model = scripted("model", {**BIRTH, "text": "", "error": "Unreachable"})
    person = FakeUser(await start(model, **ON), CODE)
    label(person, "first_name", "last_name")
    assert await offers(person, LONG) == ()


async def test_undoing_the_last_change_takes_the_guess_back(start: Start) -> None:
    person = FakeUser(await start(scripted("model", BIRTH), **ON), CODE)
    label(person, "first_name", "last_name")
    assert await offers(person, LONG)
    at = person.text.index(', label="Family name"')
    person.edit(at, at + len(', label="Family name"'), "")
    assert await offers(person) == ()


async def test_a_dismissed_guess_stays_away(start: Start) -> None:
    service = await start(scripted("model", BIRTH), **ON)
    person = FakeUser(service, CODE)
    label(person, "first_name", "last_name")
    (offer,) = await offers(person, LONG)
    assert service.next_edits.dismiss(offer.id)
    assert await offers(person, LONG) == ()
