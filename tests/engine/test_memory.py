"""Two real models that do not fit into memory together."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path

import pytest
from tests.processes import running

from nearfield.config.schema import Config, Engine, Models
from nearfield.features import assemble
from nearfield.features.loading import prepare, unload
from nearfield.features.service import Service, ServiceState
from nearfield.providers.embedded import Embedded
from nearfield.types import ChatRequest, HealthState, InfillRequest, Message, Role

pytestmark = [pytest.mark.model, pytest.mark.asyncio]

QUESTION = ChatRequest((Message(Role.USER, "Say yes."),), max_tokens=4)
HOLE = InfillRequest("d", "a.py", "python", "def add(a, b):\n    return ", "\n", max_tokens=4)
WORKER = "nearfield.engine.worker"


def workers() -> int:
    """Processes of this one that hold a model."""
    return len(running(WORKER))


def config(complete: Path, chat: Path, limit_mb: int) -> Config:
    return Config(
        engine=Engine(context_size=512, chat_context_size=512, memory_limit_mb=limit_mb),
        models=Models(complete=str(complete), chat=str(chat)),
    )


async def answered(provider: Embedded, *, chats: bool) -> str:
    stream = provider.chat(QUESTION) if chats else provider.infill(HOLE)
    async with aclosing(stream):
        return "".join([delta.text async for delta in stream])


async def test_one_is_unloaded_for_the_other(default_model: Path, small_model: Path) -> None:
    built = assemble.providers(config(default_model, small_model, 900))
    complete, chat = built["embedded"], built["embedded_chat"]
    assert isinstance(complete, Embedded)
    assert isinstance(chat, Embedded)
    try:
        assert await answered(complete, chats=False)
        assert await answered(chat, chats=True)
        assert workers() == 1
        health = await complete.health()
        assert health.state is HealthState.IDLE
        assert "was unloaded for" in health.detail
        # While an answer is written, nothing takes its model away.
        async with aclosing(chat.chat(QUESTION)) as stream:
            await anext(stream)
            complete.start()
            while "has answered" not in (await complete.health()).detail:
                await asyncio.sleep(0.02)
            assert (await chat.health()).state is HealthState.READY
        assert await answered(complete, chats=False)
        assert (await chat.health()).state is HealthState.IDLE
        assert workers() == 1
    finally:
        for provider in built.values():
            await provider.aclose()


async def test_both_stay_where_they_fit(default_model: Path, small_model: Path) -> None:
    built = assemble.providers(config(default_model, small_model, 4000))
    complete, chat = built["embedded"], built["embedded_chat"]
    assert isinstance(complete, Embedded)
    assert isinstance(chat, Embedded)
    try:
        assert await answered(complete, chats=False)
        assert await answered(chat, chats=True)
        assert workers() == 2
        assert complete.memory_bytes > default_model.stat().st_size
    finally:
        for provider in built.values():
            await provider.aclose()


async def test_the_chat_model_is_loaded_while_a_question_is_typed_and_unloaded_when_told(
    default_model: Path, small_model: Path
) -> None:
    service = Service(config(default_model, small_model, 4000))
    try:
        await service.start()
        while service.status.state in (ServiceState.STARTING, ServiceState.LOADING):
            await asyncio.sleep(0.02)
        assert service.status.state is ServiceState.READY, service.status.detail
        assert {one.role: one.loaded for one in service.models} == {"complete": True, "chat": False}
        await service.loader.prepare()
        chat = service.providers["embedded_chat"]
        while (await chat.health()).state is HealthState.STARTING:
            await asyncio.sleep(0.02)
        assert (await chat.health()).state is HealthState.READY
        assert all(one.loaded for one in service.models)
        assert await service.loader.unload("chat") == ["embedded_chat"]
        assert await service.loader.unload("chat") == []
        assert service.loader.load("chat") == "embedded_chat"
        assert service.router is not None
        await prepare(service.router, "code")
        while (await chat.health()).state is HealthState.STARTING:
            await asyncio.sleep(0.02)
        assert sorted(await unload(service.router)) == ["embedded", "embedded_chat"]
    finally:
        await service.aclose()
