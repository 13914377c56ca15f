"""How long a command waits for a model: until it is there, and not for ever."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from nearfield.cli.serving import load_model, serving, until_indexed, until_loaded
from nearfield.config.load import Loaded
from nearfield.config.schema import Config, Engine, ProviderSettings
from nearfield.errors import NotReady
from nearfield.features.service import Service
from nearfield.features.status import IndexState
from nearfield.providers.scripted import Scripted
from nearfield.types import Health, HealthState


def provider(**options: float) -> Scripted:
    return Scripted("slow", ProviderSettings(kind="scripted", options=options))


async def test_a_stopped_provider_is_started_and_waited_for() -> None:
    slow = provider(load_ms=50)
    assert (await slow.health()).state is HealthState.IDLE
    await load_model(slow)
    assert (await slow.health()).state is HealthState.READY


@pytest.mark.parametrize("state", [HealthState.READY, HealthState.UNAVAILABLE])
async def test_a_provider_that_does_not_load_is_not_waited_for(state: HealthState) -> None:
    one = provider()
    one.health_now = Health(state)
    await load_model(one, seconds=0)


async def test_the_wait_ends_with_its_reason() -> None:
    one = provider()
    one.health_now = Health(HealthState.STARTING, "huge.gguf: loading", 0.5)
    with pytest.raises(NotReady, match=r"after 0 s\. huge\.gguf: loading"):
        await load_model(one, seconds=0)
    service = Service(Config(engine=Engine(enabled=False)), {"one": one})
    await service.start()
    with pytest.raises(NotReady, match="still being loaded"):
        await until_loaded(service, seconds=0)
    await service.aclose()


async def test_a_command_opens_its_index_at_once() -> None:
    settings = ProviderSettings(kind="scripted", options={})
    config = Config(engine=Engine(enabled=False), providers={"one": settings})
    async with serving(Loaded(config)) as service:
        assert service.knowledge.wait_seconds == 0


@pytest.mark.parametrize(
    ("state", "is_coming"),
    [
        (IndexState("off"), True),
        (IndexState("building", "", 1, 9), True),
        (IndexState("off", "A whole home or disk is not indexed."), False),
        (IndexState("reading", "Another Nearfield builds the index of this workspace."), False),
        (IndexState("embedding"), False),
        (IndexState("ready"), False),
    ],
)
def test_an_index_is_awaited_only_from_the_process_itself(
    state: IndexState, is_coming: bool
) -> None:
    assert state.is_coming is is_coming


async def test_a_folder_that_is_not_indexed_is_not_waited_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    service = Service(Config(engine=Engine(enabled=False)), {"one": provider()})
    await service.start()
    service.knowledge.folders((str(tmp_path / "gone"),))
    async with asyncio.timeout(60):
        await until_indexed(service.knowledge)
    assert service.knowledge.state.detail
    assert not capsys.readouterr().err
    await service.aclose()
