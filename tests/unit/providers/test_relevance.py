"""A small model is asked whether the function that it calls is about the question."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nearfield.engine.client import EngineState
from nearfield.engine.frames import Generate, owner_of
from nearfield.providers.embedded import Embedded
from nearfield.providers.relevance import Answer, is_relevant
from nearfield.types import ChatRequest, Delta, Message, Role, Tool

pytestmark = pytest.mark.asyncio

QUESTION = Message(Role.USER, "What is a monad?")
WEATHER = Tool("getWeather", "The weather of a city.", {})
READ = Tool("readFile", "Read.", {}, is_general=True)
REQUEST = ChatRequest((QUESTION,), (WEATHER, READ))
CALL = '{"name": "getWeather", "arguments": {}}'
SMALL, LARGE = "qwen2.5-coder-1.5b-instruct", "qwen2.5-coder-7b-instruct"


class Model:
    """A model that gives `answers` in turn."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[ChatRequest, bool]] = []

    async def __call__(self, request: ChatRequest, in_conversation: bool) -> Answer:
        self.asked.append((request, in_conversation))
        return self.answers[len(self.asked) - 1]


@pytest.mark.parametrize(
    ("answer", "is_made"),
    [
        (("No", -0.1), False),
        ((" no", -0.3), False),
        (("No", -0.6), True),
        (("Yes", -0.1), True),
        (("No", None), True),
    ],
)
async def test_a_sure_no_to_the_subject_stops_any_call(answer: Answer, is_made: bool) -> None:
    model = Model(answer)
    assert await is_relevant(READ, REQUEST, model) is is_made
    [(asked, in_conversation)] = model.asked
    assert (asked.max_tokens, asked.tools, in_conversation) == (1, (), False)
    assert "What is a monad?" in asked.messages[-1].content
    assert "Read." in asked.messages[-1].content


@pytest.mark.parametrize(
    ("answer", "is_made"),
    [
        (("Yes", -0.1), True),
        (("yes", -0.7), True),
        (("No", -0.7), False),
        ((" no", None), False),
        (("The", -0.1), True),
    ],
)
async def test_a_function_of_one_purpose_must_be_made_for_the_question(
    answer: Answer, is_made: bool
) -> None:
    earlier = Message(Role.SYSTEM, "Be brief.")
    request = replace(REQUEST, messages=(earlier, QUESTION))
    model = Model(("Yes", -0.1), answer)
    assert await is_relevant(WEATHER, request, model) is is_made
    asked, in_conversation = model.asked[1]
    assert (asked.max_tokens, asked.tools, in_conversation) == (1, REQUEST.tools, True)
    assert asked.messages[0] == earlier
    assert asked.messages[-1].content.startswith("What is a monad?")
    assert "`getWeather`" in asked.messages[-1].content


@pytest.mark.parametrize(
    ("messages", "body"),
    [
        ((QUESTION,), '{"name": "unknown"}'),
        ((QUESTION,), '["getWeather"]'),
        ((QUESTION,), '{"name": "getW'),
        ((QUESTION, Message(Role.TOOL, "text", tool_call_id="1")), CALL),
        ((), CALL),
    ],
    ids=["unknown function", "no object", "cut", "after a result", "no question"],
)
async def test_other_calls_are_not_asked_about(messages: tuple[Message, ...], body: str) -> None:
    provider = Answering(SMALL)
    assert await provider.finds_relevant(replace(REQUEST, messages=messages), body)
    assert not provider.asked


class Engine:
    """A loaded model with a chat template."""

    status = SimpleNamespace(state=EngineState.READY)

    async def ready(self, deadline: float | None = None) -> SimpleNamespace:
        del deadline
        return SimpleNamespace(chat_template=True, tools=True)


class Answering(Embedded):
    """A provider whose model answers with `deltas`."""

    def __init__(self, model: str, *deltas: Delta) -> None:
        engine: Any = Engine()
        super().__init__(engine, model=model, path=Path("none"))
        self.deltas = deltas
        self.asked: list[Generate] = []

    async def _stream(self, spec: Generate, deadline: float | None) -> AsyncGenerator[Delta]:
        del deadline
        self.asked.append(spec)
        for delta in self.deltas:
            yield delta

    async def finds_relevant(self, request: ChatRequest = REQUEST, body: str = CALL) -> bool:
        return await self._is_relevant(body, request)


async def test_the_questions_are_their_owners_and_in_words() -> None:
    provider = Answering(SMALL, Delta("Y"), Delta("es", logprobs=(-0.1,)))
    assert await provider.finds_relevant(replace(REQUEST, owner="ada"))
    first, second = provider.asked
    assert (first.lane, second.lane) == ("infill", "chat")
    for spec in (first, second):
        assert owner_of(spec.document) == "ada"
        assert (spec.schema, spec.call_marks, spec.max_tokens) == ("", None, 1)


async def test_a_large_model_is_not_asked() -> None:
    provider = Answering(LARGE)
    assert await provider.finds_relevant()
    assert not provider.asked
