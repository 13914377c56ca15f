"""When idle work runs, and what keeps it from running."""

from __future__ import annotations

import asyncio
from typing import Literal

import pytest

from nearfield.config.folders import FolderConfigs
from nearfield.config.schema import Config, Engine
from nearfield.features.idle import Activity, IdleScheduler
from nearfield.routing.pause import UserPause

from .conftest import until


class Job:
    """Counts how often it starts and is cancelled; runs until then."""

    def __init__(self) -> None:
        self.started = self.cancelled = 0

    async def __call__(self) -> None:
        self.started += 1
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


async def test_a_job_runs_after_its_time_unless_it_is_cancelled_before() -> None:
    scheduler, soon, later = IdleScheduler(), Job(), Job()
    scheduler.at(0.0, "soon", soon)
    scheduler.at(60.0, "later", later)
    await until(lambda: soon.started)
    scheduler.cancel()
    await until(lambda: soon.cancelled)
    assert (later.started, later.cancelled) == (0, 0)


async def test_a_job_replaces_a_running_one_of_its_name() -> None:
    scheduler, first, second, other = IdleScheduler(), Job(), Job(), Job()
    scheduler.at(0.0, "one", first)
    scheduler.at(0.0, "other", other)
    await until(lambda: first.started and other.started)
    scheduler.at(0.0, "one", second)
    await until(lambda: second.started and first.cancelled)
    assert other.cancelled == 0
    await scheduler.aclose()
    assert (second.cancelled, other.cancelled) == (1, 1)


@pytest.mark.parametrize(
    ("is_paused", "is_on_battery", "setting", "expected"),
    [
        (False, False, "save", True),
        (False, True, "save", False),
        (False, True, "ignore", True),
        (True, False, "ignore", False),
    ],
)
def test_idle_work_is_allowed_unless_paused_or_saving_power(
    is_paused: bool,
    is_on_battery: bool,
    setting: Literal["save", "ignore"],
    expected: bool,
) -> None:
    configs = FolderConfigs(Config(engine=Engine(on_battery=setting)))
    activity = Activity(configs, UserPause(is_here=is_paused), is_on_battery)
    assert activity.allows_idle_work() is expected
    assert activity.allows_idle_work("/work") is expected
