"""A small model is asked whether the function that it calls is about the question."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nearfield.providers.embedded import Embedded
from nearfield.types import ChatRequest, Delta, Message, Role, Tool

pytestmark = pytest.mark.asyncio

REQUEST = ChatRequest(
    (Message(Role.USER, "What is a monad?"),), (Tool("getWeather", "The weather of a city.", {}),)
)
CALL = '{"name": "getWeather", "arguments": {}}'
SMALL, LARGE = "qwen2.5-coder-1.5b-instruct", "qwen2.5-coder-7b-instruct"


class Answering(Embedded):
    """A provider whose model answers with `deltas`."""

    def __init__(self, model: str, *deltas: Delta) -> None:
        engine: Any = None
        super().__init__(engine, model=model, path=Path("none"))
        self.deltas = deltas
        self.asked: list[tuple[ChatRequest, str]] = []

    async def _chat(self, request: ChatRequest, lane: str) -> AsyncGenerator[Delta]:
        self.asked.append((request, lane))
        for delta in self.deltas:
            yield delta

    async def finds_relevant(self, body: str, request: ChatRequest = REQUEST) -> bool:
        return await self._is_relevant(body, request)


@pytest.mark.parametrize(
    ("answer", "logprobs", "is_relevant"),
    [("No", (-0.1,), False), ("No", (-0.6,), True), ("Yes", (-0.1,), True), ("No", (), True)],
)
async def test_a_small_model_is_asked_in_one_token(
    answer: str, logprobs: tuple[float, ...], is_relevant: bool
) -> None:
    provider = Answering(SMALL, Delta(answer, logprobs=logprobs))
    assert await provider.finds_relevant(CALL) is is_relevant
    [(request, lane)] = provider.asked
    assert (request.max_tokens, request.tools, lane) == (1, (), "infill")


async def test_the_question_is_its_owners() -> None:
    provider = Answering(SMALL, Delta("Yes", logprobs=(-0.1,)))
    await provider.finds_relevant(CALL, replace(REQUEST, owner="ada"))
    [(request, _)] = provider.asked
    assert request.owner == "ada"


@pytest.mark.parametrize(("model", "body"), [(LARGE, CALL), (SMALL, '{"name": "other"}')])
async def test_others_are_not_asked(model: str, body: str) -> None:
    provider = Answering(model)
    assert await provider.finds_relevant(body)
    assert not provider.asked
