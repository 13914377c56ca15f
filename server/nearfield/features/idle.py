"""Work that waits until the user does nothing, and the facts that forbid it.

`IdleScheduler` is the one timer of all features: each names what it does after how many seconds
without a change or a request. `Activity` is the one place that knows whether the user has paused
Nearfield and whether the machine runs on its battery.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import psutil

from nearfield.config.folders import FolderConfigs
from nearfield.tasks import run_task, stop_task

Work = Callable[[], Coroutine[Any, Any, object]]


@dataclass(slots=True)
class Activity:
    """`is_paused`: the user wants no model to be asked. `is_on_battery`: the machine is
    unplugged."""

    configs: FolderConfigs
    is_paused: bool = False
    is_on_battery: bool = False

    def allows_idle_work(self, folder: str | None = None) -> bool:
        """Return whether idle work may run: in `folder`, or anywhere."""
        saves = self.is_on_battery and self.configs.of(folder).engine.on_battery == "save"
        return not (self.is_paused or saves)


def on_battery() -> bool:
    """Return whether the machine is unplugged; False without a battery, or where unknown."""
    # Missing on some systems, and in their type stubs.
    sensors = getattr(psutil, "sensors_battery", None)
    battery = sensors() if sensors is not None else None
    return battery is not None and battery.power_plugged is False


class IdleScheduler:
    """Starts jobs after a time without activity; each name has one job. One event loop."""

    def __init__(self) -> None:
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._tasks: dict[str, asyncio.Task[object]] = {}

    def at(self, seconds: float, name: str, work: Work) -> None:
        """Run `work` in `seconds`, unless cancelled before; replaces the job called `name`."""
        self.cancel(name)
        loop = asyncio.get_running_loop()
        self._timers[name] = loop.call_later(seconds, self._start, name, work)

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
        for task in tasks:
            await stop_task(task)

    def _start(self, name: str, work: Work) -> None:
        self._timers.pop(name, None)
        task = self._tasks[name] = run_task(work(), name)
        task.add_done_callback(lambda done: self._ended(name, done))

    def _ended(self, name: str, task: asyncio.Task[object]) -> None:
        if self._tasks.get(name) is task:
            del self._tasks[name]
