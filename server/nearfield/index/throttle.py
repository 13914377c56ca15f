"""Slow the indexer down while the machine is needed for something else.

The indexer has the lowest priority, so it takes next to nothing from others. That is not enough: a
processor that never rests is hot and loud, so while others need most of it the indexer rests half
of the time. And a model's threads wait for each other: whatever takes a core from one of them, or
memory bandwidth, delays its whole answer, so the indexer pauses while the user types.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil

BUSY_SHARE = 0.7
"""Others need this share of all cores: a compiler or a test run does, an editor does not."""
MAX_REST_SECONDS = 0.5
"""A batch takes about 0.2 s; messages are served between two rests."""


@dataclass(frozen=True, slots=True)
class LoadSample:
    """Processor seconds since some beginning: `used` by others, at normal priority or above, of
    `total` that there were; `at` is the clock."""

    used: float
    total: float
    at: float


def read() -> LoadSample:
    """Return the current load."""
    times = psutil.cpu_times()
    # Windows knows no low priority here, so what this process used is taken off instead.
    own = psutil.Process().cpu_times()
    low = getattr(times, "nice", own.user + own.system)
    total = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
    idle = times.idle + getattr(times, "iowait", 0.0)
    return LoadSample(max(total - idle - low, 0.0), total, time.monotonic())


class MachineLoad:
    """Tells how long to rest between two pieces of work."""

    def __init__(self, reading: Callable[[], LoadSample] = read) -> None:
        self._reading = reading
        self._before = reading()

    def rest(self) -> float:
        """Seconds to rest now: as long as it was since the last call when others kept the machine
        busy meanwhile, else 0."""
        now, before = self._reading(), self._before
        self._before = now
        total = now.total - before.total
        if total <= 0 or (now.used - before.used) / total < BUSY_SHARE:
            return 0.0
        return min(now.at - before.at, MAX_REST_SECONDS)

    def rested(self) -> None:
        """The rest is over, and was no work."""
        self._before = self._reading()


MAX_PAUSE_SECONDS = 10.0
"""Maximum pause: while the user keeps typing, one piece of work (a file, or a batch) is done this
often.
"""


class TypingPause:
    """A pause that one thread requests and another one observes."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until = 0.0
        self._begun: float | None = None
        self._due = False

    def ask(self, seconds: float) -> bool:
        """Rest until `seconds` from now, whatever was asked before; whether to leave off even what
        is under way."""
        self._until = self._clock() + seconds
        return not self._due

    def left(self) -> float:
        """Seconds still to rest before the next piece of work, 0 to begin it."""
        now, self._due = self._clock(), False
        if now >= self._until:
            self._begun = None
            return 0.0
        if self._begun is None:
            self._begun = now
        left = min(self._until, self._begun + MAX_PAUSE_SECONDS) - now
        if left > 0:
            return left
        self._begun, self._due = None, True
        return 0.0
