"""How long a command waits for a model: until it is there, and not for ever."""

from __future__ import annotations

import pytest

from nearfield.cli.serving import load_model, until_loaded
from nearfield.config.schema import Config, Engine, ProviderSettings
from nearfield.errors import NotReady
from nearfield.features.service import Service
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
