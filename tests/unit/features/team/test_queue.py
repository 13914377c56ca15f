"""Who gets a free place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from nearfield.features.team.queue import Crowded, FairQueue


class Crowd:
    """Requests that hold their places until they are told to go; `order` is who got one."""

    def __init__(self, queue: FairQueue, most: int = 9) -> None:
        self.queue, self.most = queue, most
        self.order: list[str] = []
        self._go: dict[str, asyncio.Event] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def ask(self, *names: str) -> None:
        """`ada1` is a request of ada's; upper case is one of a keystroke."""
        for name in names:
            self._go[name] = asyncio.Event()
            self._tasks.append(asyncio.create_task(self._hold(name)))
            await asyncio.sleep(0)

    async def end(self, name: str) -> None:
        self._go[name].set()
        for _ in range(4):
            await asyncio.sleep(0)

    async def _hold(self, name: str) -> None:
        person = name.rstrip("0123456789").lower()
        async with self.queue.place(person, self.most, urgent=name.isupper()):
            self.order.append(name)
            await self._go[name].wait()

    async def aclose(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def crowd(at_once: int, waiting: int = 9, most: int = 9) -> AsyncGenerator[Crowd]:
    one = Crowd(FairQueue(at_once, waiting, 60), most)
    try:
        yield one
    finally:
        await one.aclose()
        assert (one.queue.running, one.queue.length) == (0, 0)


async def test_a_free_place_goes_to_who_has_the_fewest() -> None:
    async with crowd(3) as one:
        await one.ask("ada1", "ada2", "ada3", "ada4", "bob1")
        assert one.order == ["ada1", "ada2", "ada3"]
        await one.end("ada1")
        assert one.order[3:] == ["bob1"]
        await one.end("ada2")
        assert one.order[4:] == ["ada4"]


async def test_among_equals_it_goes_to_who_was_served_longest_ago() -> None:
    async with crowd(1) as one:
        await one.ask("ada1", "ada2", "ada3", "bob1", "eve1")
        for name in ("ada1", "bob1", "eve1", "ada2"):
            await one.end(name)
        assert one.order == ["ada1", "bob1", "eve1", "ada2", "ada3"]


async def test_a_keystroke_comes_before_and_has_a_place_kept() -> None:
    async with crowd(4) as one:
        await one.ask("ada1", "bob1", "eve1", "max1", "ADA2")
        assert one.order == ["ada1", "bob1", "eve1", "ADA2"]
        await one.ask("BOB2", "EVE2")
        await one.end("ADA2")
        await one.end("ada1")
        assert one.order[4:] == ["BOB2", "EVE2"]


async def test_no_chat_waits_for_ever_behind_keystrokes() -> None:
    async with crowd(1) as one:
        await one.ask("ADA1", "bob1", *(f"ADA{n}" for n in range(2, 9)))
        while "bob1" not in one.order:
            assert len(one.order) < 8
            await one.end(one.order[-1])


async def test_a_person_has_no_more_than_the_role_allows() -> None:
    async with crowd(4, most=2) as one:
        await one.ask("ADA1", "ADA2", "ADA3", "BOB1")
        assert one.order == ["ADA1", "ADA2", "BOB1"]


async def test_too_many_that_wait_are_refused() -> None:
    async with crowd(1, waiting=1) as one:
        await one.ask("ada1", "ada2")
        with pytest.raises(Crowded, match="wait already"):
            async with one.queue.place("ada", 9, urgent=True):
                pass
        await one.ask("bob1")
        assert one.queue.length == 2


async def test_a_wait_has_an_end_and_leaves_nothing_behind() -> None:
    queue = FairQueue(1, 4, 0.01)
    async with queue.place("ada", 9, urgent=True):
        with pytest.raises(Crowded, match="No place"):
            async with queue.place("bob", 9, urgent=True):
                pass
        assert queue.length == 0
    assert queue.running == 0


async def test_one_who_gives_up_takes_no_place() -> None:
    async with crowd(1) as one:
        await one.ask("ada1", "bob1", "eve1")
        one._tasks[1].cancel()  # pyright: ignore[reportPrivateUsage]
        await one.end("ada1")
        assert one.order == ["ada1", "eve1"]
