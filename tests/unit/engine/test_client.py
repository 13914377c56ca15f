"""What the engine's client says of a worker that never comes, or says nothing."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from nearfield.config.schema import Engine as Settings
from nearfield.engine import client, frames
from nearfield.engine.client import EngineClient, EngineState
from nearfield.errors import EngineDied, NotReady

DIES = "import os; os.kill(os.getpid(), 11)"
HANGS = "import sys; sys.stdin.read()"

start_process = asyncio.create_subprocess_exec


@pytest.fixture
async def engine(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[EngineClient]:
    """An engine whose worker is the script that the test names."""

    async def start(*_command: str, **streams: Any) -> Any:
        return await start_process(sys.executable, "-c", request.param, **streams)

    monkeypatch.setattr(client, "installed", lambda program=client.LLAMA: True)
    monkeypatch.setattr(asyncio, "create_subprocess_exec", start)
    monkeypatch.setattr(client, "RESTART_PAUSES", (0.0, 0.0, 0.0, 30.0))
    made = EngineClient(Settings())
    made.start("model.gguf")
    yield made
    await made.stop()


@pytest.mark.parametrize("engine", [DIES], indirect=True)
async def test_a_worker_that_never_starts_ends_the_wait_with_its_reason(
    engine: EngineClient,
) -> None:
    with pytest.raises(EngineDied, match=r"4 times in a row .*SIGSEGV"):
        await engine.ready()
    assert engine.status.state is EngineState.FAILED


@pytest.mark.parametrize("engine", [HANGS], indirect=True)
async def test_a_load_that_does_not_end_ends_the_wait(
    engine: EngineClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "LOAD_WAIT_SECONDS", 0.05)
    with pytest.raises(NotReady, match="still loading"):
        await engine.ready()


@pytest.mark.parametrize("engine", [HANGS], indirect=True)
async def test_a_silent_worker_ends_its_jobs_and_is_started_again(
    engine: EngineClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    while engine.pid is None:
        await asyncio.sleep(0.01)
    first = engine.pid
    loaded = frames.ModelLoaded("m", 1, 1, 1, 1, 1, 1, [""] * 5, False, False, 1.0, 1.0, 1.0)
    engine._dispatch(loaded)  # pyright: ignore[reportPrivateUsage] - stands in for the worker
    monkeypatch.setattr(client, "SILENCE_SECONDS", 0.05)
    with pytest.raises(EngineDied, match="said nothing"):
        await engine.tokenize("text")
    while engine.pid in (None, first):
        await asyncio.sleep(0.01)
