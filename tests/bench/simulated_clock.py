"""Time that passes only while everything waits. Import it before what reads a clock."""

from __future__ import annotations

import asyncio
import functools
import selectors
import time
from collections.abc import Callable
from typing import Any


class SimulatedClock:
    """The clock of this process. `worked` are the seconds that steps were given which pass in none:
    a stopwatch counts them, a deadline does not."""

    now = 1000.0
    worked = 0.0

    @classmethod
    def read(cls) -> float:
        """Return the simulated seconds."""
        return cls.now

    @classmethod
    def stopwatch(cls) -> float:
        """Return the simulated seconds with those worked."""
        return cls.now + cls.worked


class Selector(selectors.DefaultSelector):
    """Moves the clock to the next timer in place of waiting for it."""

    def select(self, timeout: float | None = None) -> Any:
        """See `selectors`."""
        if timeout is None:
            return super().select(1.0)
        SimulatedClock.now += max(0.0, timeout)
        return super().select(0)


class Loop(asyncio.SelectorEventLoop):
    """An event loop on the simulated clock."""

    def __init__(self) -> None:
        super().__init__(Selector())

    def time(self) -> float:
        """Return the simulated seconds."""
        return SimulatedClock.now


async def in_this_thread(function: Callable[..., Any], *args: Any, **named: Any) -> Any:
    """Stand in for `asyncio.to_thread`: no time passes."""
    return functools.partial(function, *args, **named)()


time.monotonic, time.perf_counter = SimulatedClock.read, SimulatedClock.stopwatch
asyncio.to_thread = in_this_thread
