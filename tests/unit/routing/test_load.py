"""Providers that are busy or slow are passed over."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.unit.routing.conftest import Make, scripted

from nearfield.routing import load as load_module
from nearfield.routing.load import UNLIKE_REQUESTS, ProviderLoad
from nearfield.types import ChatRequest, InfillRequest, Message, Priority, Role

CHAT = ChatRequest((Message(Role.USER, "why?"),))


class _Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> _Clock:
    made = _Clock()
    monkeypatch.setattr(load_module, "time", made)
    return made


def _answer(load: ProviderLoad, clock: _Clock, name: str, seconds: float) -> None:
    with load.answering(name, Priority.CHAT) as one:
        clock.now += seconds
        load.spoke(name, one)


def test_a_request_waits_only_for_those_that_are_as_urgent(clock: _Clock) -> None:
    load = ProviderLoad()
    with load.answering("a", Priority.HOVER):
        assert load.ordered(["a", "b"], Priority.HOVER) == ["b", "a"]
        assert load.ordered(["a", "b"], Priority.CHAT) == ["a", "b"]
    assert load.ordered(["a", "b"], Priority.HOVER) == ["a", "b"]


def test_two_late_answers_in_a_row_are_slow_and_forgotten_in_time(clock: _Clock) -> None:
    load = ProviderLoad()
    _answer(load, clock, "a", 30.0)
    assert load.ordered(["a", "b"], Priority.CHAT) == ["a", "b"]
    _answer(load, clock, "a", 30.0)
    assert load.ordered(["a", "b"], Priority.CHAT) == ["b", "a"]
    clock.now += load_module.REMEMBERED_SECONDS
    assert load.ordered(["a", "b"], Priority.CHAT) == ["a", "b"]


async def _provider(route: Any) -> str:
    async with route:
        async for _ in route:
            pass
    return route.provider.name


@pytest.mark.parametrize(("passes", "second"), [(True, "b"), (False, "a")])
async def test_a_second_chat_goes_to_the_one_that_is_free(
    make: Make, passes: bool, second: str, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    slow = scripted("a", text="from a", waits_for=str(gate))
    router = make({"routing": {"pass_over_busy": passes}}, slow, scripted("b", text="from b"))
    first = asyncio.create_task(_provider(router.chat(CHAT)))
    while not slow.calls:
        await asyncio.sleep(0.01)
    other = asyncio.create_task(_provider(router.chat(CHAT)))
    while not other.done() and len(slow.calls) < 2:
        await asyncio.sleep(0.01)
    gate.touch()
    assert await other == second
    assert await first == "a"


async def test_completions_stay_with_the_one_that_has_read_the_document(make: Make) -> None:
    slow = scripted("a", text="from a", delay_ms=200)
    router = make({}, slow, scripted("b", text="from b"))
    request = InfillRequest("d", "m.py", "python", "def ", "")
    first = asyncio.create_task(_provider(router.infill(request)))
    while not slow.calls:
        await asyncio.sleep(0.01)
    assert await _provider(router.infill(request)) == "a"
    assert await first == "a"


def test_people_stay_at_one_of_several_servers_until_it_is_busier() -> None:
    load = ProviderLoad()
    models = {"gpu-1": "m", "small": "s", "gpu-2": "m"}
    names = list(models)
    orders = {owner: load.spread(names, models, owner) for owner in map(str, range(40))}
    assert {order[1] for order in orders.values()} == {"small"}
    assert {order[0] for order in orders.values()} == {"gpu-1", "gpu-2"}
    owner = next(one for one, order in orders.items() if order[0] == "gpu-1")
    with ExitStack() as under_way:
        for _ in range(UNLIKE_REQUESTS - 1):
            under_way.enter_context(load.answering("gpu-1", Priority.COMPLETION))
        assert load.spread(names, models, owner)[0] == "gpu-1"
        under_way.enter_context(load.answering("gpu-1", Priority.COMPLETION))
        assert load.spread(names, models, owner) == ["gpu-2", "small", "gpu-1"]
    assert load.spread(names, models, owner) == orders[owner]
