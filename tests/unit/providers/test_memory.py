"""Which model is unloaded for which, and which is waited for."""

from __future__ import annotations

import asyncio
import logging

import pytest

from nearfield.errors import NotReady
from nearfield.providers import memory as memory_module
from nearfield.providers.memory import ModelMemory, Resident
from nearfield.types import Health, HealthState

MIB = 1 << 20


class Model:
    """A provider with a model of so many MiB."""

    def __init__(self, name: str, mib: int) -> None:
        self.name, self.model = name, f"{name}-model"
        self.mib = mib
        self.in_memory = self.is_busy = False
        self.memory: ModelMemory | None = None

    @property
    def memory_bytes(self) -> int:
        return self.mib * MIB

    def live_in(self, memory: ModelMemory) -> None:
        self.memory = memory

    async def health(self) -> Health:
        return Health(HealthState.READY if self.in_memory else HealthState.IDLE)

    async def rest(self, after_seconds: float) -> bool:
        del after_seconds
        if self.is_busy or not self.in_memory:
            return False
        self.in_memory = False
        return True

    async def load(self) -> None:
        assert self.memory is not None
        await self.memory.admit(self.name)
        self.in_memory = True


def models(limit: int, **mib: int) -> tuple[ModelMemory, dict[str, Model]]:
    """A memory of `limit` MiB for a model of each role."""
    memory = ModelMemory(limit * MIB)
    made = {role: Model(role, size) for role, size in mib.items()}
    for role, model in made.items():
        assert isinstance(model, Resident)
        memory.add(model, role)
    return memory, made


def loaded(memory: ModelMemory) -> set[str]:
    return {one.role for one in memory.states() if one.loaded}


@pytest.mark.parametrize(
    ("limit", "asked", "stay"),
    [
        (1000, ["complete", "chat", "edit"], {"complete", "chat", "edit"}),
        # The chat model goes before the others, although it was asked last.
        (700, ["complete", "chat", "edit"], {"complete", "edit"}),
        (700, ["complete", "edit", "chat"], {"complete", "chat"}),
        (700, ["chat", "edit", "complete"], {"edit", "complete"}),
        (350, ["complete", "chat"], {"chat"}),
        (350, ["chat", "complete"], {"complete"}),
        # A model that is too large alone is its own loader's matter.
        (100, ["complete"], {"complete"}),
    ],
)
async def test_the_least_needed_model_is_unloaded_first(
    limit: int, asked: list[str], stay: set[str]
) -> None:
    memory, made = models(limit, complete=300, edit=300, chat=300)
    for role in asked:
        await made[role].load()
    assert loaded(memory) == stay


async def test_the_reason_is_told_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    memory, made = models(500, complete=300, chat=400)
    await made["chat"].load()
    with caplog.at_level(logging.INFO):
        await made["complete"].load()
    said = (
        "chat-model was unloaded for complete-model: together they need 700 MiB, and models may"
        " take 500 MiB here."
    )
    assert memory.why("chat") == said
    assert said in caplog.text
    assert memory.why("complete") == ""
    await made["complete"].rest(0)
    await made["chat"].load()
    assert memory.why("chat") == ""


async def test_a_model_that_answers_is_waited_for() -> None:
    memory, made = models(500, complete=300, chat=400)
    await made["chat"].load()
    made["chat"].is_busy = True
    loading = asyncio.create_task(made["complete"].load())
    while not memory.why("complete"):
        await asyncio.sleep(0)
    assert "once chat-model has answered" in memory.why("complete")
    assert loaded(memory) == {"chat"}
    made["chat"].is_busy = False
    await loading
    assert loaded(memory) == {"complete"}


async def test_two_that_are_loaded_at_once_do_not_wait_for_each_other() -> None:
    memory, made = models(500, complete=300, chat=400)
    await asyncio.gather(made["complete"].load(), made["chat"].load())
    assert loaded(memory) == {"chat"}


async def test_the_wait_for_a_model_that_never_ends_is_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memory_module, "WAIT_SECONDS", 0.01)
    _, made = models(500, complete=300, chat=400)
    await made["chat"].load()
    made["chat"].is_busy = True
    with pytest.raises(NotReady, match="once chat-model has answered"):
        await made["complete"].load()


async def test_without_a_limit_what_is_free_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    class Free:
        total = 4000 * MIB
        available = 200 * MIB

    monkeypatch.setattr(memory_module.psutil, "virtual_memory", Free)
    memory, made = models(0, complete=300, chat=400)
    await made["complete"].load()
    await made["chat"].load()
    assert loaded(memory) == {"chat"}
    assert "models may take 500 MiB here" in memory.why("complete")
