"""Waiting for what callbacks tell."""

from __future__ import annotations

import asyncio

import pytest

from nearfield.listeners import Listeners, until


async def test_a_wait_ends_once_it_is_over_and_unsubscribes() -> None:
    listeners, seen = Listeners[int](), list[int]()
    listeners.add(seen.append)
    wait = asyncio.create_task(until(listeners.add, lambda: 3 in seen, 60))
    for value in (1, 2, 3):
        await asyncio.sleep(0)
        assert not wait.done()
        listeners.tell(value)
    await wait
    assert listeners.callbacks == [seen.append]


async def test_what_is_over_already_is_not_waited_for() -> None:
    await until(Listeners[int]().add, lambda: True, 60)


async def test_a_wait_that_takes_too_long_unsubscribes() -> None:
    listeners = Listeners[int]()
    with pytest.raises(TimeoutError):
        await until(listeners.add, lambda: False, 0.01)
    assert not listeners
