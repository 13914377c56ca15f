"""Real llama.cpp servers, one of which is killed while it speaks."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.conftest import needs

from nearfield.config.schema import Config
from nearfield.providers.managed import Managed
from nearfield.providers.registry import build
from nearfield.routing.route import Restart
from nearfield.routing.router import Router
from nearfield.types import ChatRequest, Delta, InfillRequest, Message, Role

pytestmark = [
    pytest.mark.model,
    pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL"),
]

DEADLINE_SECONDS = 60.0
SHOWN = 5
"""So many pieces are shown before the kill."""


@pytest.fixture
async def two(small_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[
    tuple[Router, Managed]
]:  # fmt: skip
    """A router over two running servers, and the one that is asked first."""
    needs("xllamacpp")
    monkeypatch.setenv("NEARFIELD_DATA_DIR", str(tmp_path / "data"))
    options = {"managed": True, "engine": "xllamacpp", "context_size": 1024, "lanes": 1,
               "fim_template": "qwen", "threads": 1}  # fmt: skip
    settings = {"kind": "llama_server", "model": str(small_model), "options": options}
    config = msgspec.convert(
        {
            "providers": {"first": settings, "second": settings},
            "routing": {"min_logprob": -100},
            "cache": {"enabled": False},
        },
        Config,
    )
    providers = {name: build(name, one) for name, one in config.providers.items()}
    first, second = providers["first"], providers["second"]
    assert isinstance(first, Managed)
    assert isinstance(second, Managed)
    await asyncio.gather(first.child.ready(), second.child.ready())
    router = Router(config, providers)
    yield router, first
    await router.aclose()
    for provider in providers.values():
        await provider.aclose()


def chat(deadline: float) -> ChatRequest:
    said = Message(Role.USER, "Tell a long story about a dragon, a knight and a castle.")
    return ChatRequest((said,), max_tokens=200, temperature=0.0, deadline=deadline)


def infill(deadline: float) -> InfillRequest:
    prefix = "def add(a, b):\n    return a + b\n\n\ndef subtract(a, b):\n    "
    return InfillRequest("d", "a.py", "python", prefix, "", max_tokens=200, deadline=deadline)


@pytest.mark.parametrize("ask", [chat, infill])
async def test_the_next_server_answers_and_shows_nothing_twice(
    two: tuple[Router, Managed], ask: Callable[[float], Any]
) -> None:
    router, first = two
    request = ask(time.monotonic() + DEADLINE_SECONDS)
    route = router.chat(request) if isinstance(request, ChatRequest) else router.infill(request)
    shown: list[str] = []
    restarts: list[str] = []
    finish, half = None, ""
    victim = first.child.pid
    async with route:
        async for item in route:
            if isinstance(item, Restart):
                restarts.append(item.provider)
                half = "".join(shown)
                shown.clear()
                continue
            assert isinstance(item, Delta)
            finish = item.finish or finish
            shown.append(item.text)
            if len(shown) == SHOWN and victim is not None and not restarts:
                assert route.provider is not None and route.provider.name == "first"
                os.kill(victim, signal.SIGKILL)
                victim = None
    assert restarts == ["second"]
    assert finish is not None
    assert route.provider is not None and route.provider.name == "second"
    assert any("first" in why for why in route.failures)
    # Both hold the same model, so the second one begins as the first one did; it does so once.
    text = "".join(shown)
    assert len(text) > len(half)
    assert text.count(half) <= 1
