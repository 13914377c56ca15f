"""Work that waits until the user does nothing, and the facts that forbid it.

`IdleScheduler` is the one timer of all features: each names what it does after how many seconds
without a change or a request, and starts through it what a keystroke has to end. `Activity` is the
one place that knows whether the user has paused Nearfield and whether the machine runs on its
battery.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from nearfield.config.folders import FolderConfigs
from nearfield.listeners import Listeners
from nearfield.power import is_on_battery
from nearfield.routing.pause import UserPause
from nearfield.tasks import run_task, stop_task

log = logging.getLogger(__name__)

Work = Callable[[], Coroutine[Any, Any, object]]
T = TypeVar("T")

REST_SECONDS = 0.2
"""The user rests after this time without a change or an answer: longer than most pauses between two
keys, shorter than the wait of any job."""
TYPING_SECONDS = 0.4
"""Time for which others leave the machine to the user after a keystroke or an answer."""

CHECK_SECONDS = 30.0
"""Interval between looks at the battery and at idle models."""


@dataclass(slots=True)
class Activity:
    """`pause`: the user wants no model to be asked. `is_on_battery`: the machine is unplugged.
    `has_one_user`: else a team shares it, and nothing is prepared."""

    configs: FolderConfigs
    pause: UserPause = field(default_factory=UserPause)
    is_on_battery: bool = False
    has_one_user: bool = True

    @property
    def is_paused(self) -> bool:
        """Return whether no model may be asked."""
        return self.pause.is_on

    def allows_idle_work(self, folder: str | None = None) -> bool:
        """Return whether idle work may run: in `folder`, or anywhere."""
        if not self.has_one_user:
            return False
        saves = self.is_on_battery and self.configs.of(folder).engine.on_battery == "save"
        return not (self.is_paused or saves)

    async def watch_power(self, on_change: Callable[[], None]) -> None:
        """Follow the source of the machine's power until cancelled."""
        while True:
            unplugged = await asyncio.to_thread(is_on_battery)
            if unplugged is not self.is_on_battery:
                self.is_on_battery = unplugged
                log.info("on %s power", "battery" if unplugged else "mains")
                on_change()
            await asyncio.sleep(CHECK_SECONDS)


class IdleScheduler:
    """Starts jobs after a time without activity; each name has one job. One event loop.

    `on_rest` is called once the user rests, to plan such jobs. `others` are told for how many
    seconds to leave the machine to the user.
    """

    def __init__(self, on_rest: Callable[[], None] = lambda: None) -> None:
        self.others = Listeners[float]()
        self._on_rest = on_rest
        self._rest: asyncio.TimerHandle | None = None
        self._rested_for = 0.0
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._tasks: dict[str, asyncio.Task[Any]] = {}

    def active(self) -> None:
        """End all jobs, as the user has done something, and wait for a rest again."""
        self.cancel()
        self.rest_later()

    def rest_later(self, seconds: float = TYPING_SECONDS) -> None:
        """Begin to wait for a rest again; others give way for `seconds`."""
        if self.others.callbacks:
            self.others.tell(seconds)
        if self._rest is not None:
            self._rest.cancel()
        self._rest = asyncio.get_running_loop().call_later(REST_SECONDS, self._rested)

    def at(self, seconds: float, name: str, work: Work) -> None:
        """Run `work` after `seconds` of rest, unless cancelled before; replaces the job called
        `name`."""
        self.cancel(name)
        loop = asyncio.get_running_loop()
        seconds = max(0.0, seconds - self._rested_for)
        self._timers[name] = loop.call_later(seconds, self._start, name, work)

    def run(self, name: str, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run `work` now, until it ends or the user does something; replaces the job called
        `name`."""
        self.cancel(name)
        task = self._tasks[name] = run_task(work, name)
        task.add_done_callback(lambda done: self._ended(name, done))
        return task

    def cancel(self, name: str | None = None) -> None:
        """Cancel the job called `name`, or all, also while it runs."""
        for one in (name,) if name is not None else (*self._timers, *self._tasks):
            if (timer := self._timers.pop(one, None)) is not None:
                timer.cancel()
            if (task := self._tasks.pop(one, None)) is not None:
                task.cancel()

    async def aclose(self) -> None:
        """Cancel all jobs, and wait until they have cleaned up."""
        tasks = tuple(self._tasks.values())
        self.cancel()
        if self._rest is not None:
            self._rest.cancel()
        for task in tasks:
            await stop_task(task)

    def _rested(self) -> None:
        self._rested_for = REST_SECONDS
        try:
            self._on_rest()
        finally:
            self._rested_for = 0.0

    def _start(self, name: str, work: Work) -> None:
        self._timers.pop(name, None)
        self.run(name, work())

    def _ended(self, name: str, task: asyncio.Task[Any]) -> None:
        if self._tasks.get(name) is task:
            del self._tasks[name]
