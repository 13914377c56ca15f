"""How busy others keep the machine, so that vectors are made slower then.

The indexer has the lowest priority, so it takes next to nothing from others; but a processor that
never rests is hot and loud. While others need most of it, the indexer rests as long as it works.
Processes of low priority are not counted as others: they wait for people as well.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil

BUSY_SHARE = 0.7
"""Others need this share of all cores: a compiler or a test run does, an editor does not."""
LONGEST_REST_SECONDS = 0.5
"""A batch takes about 0.2 s; messages are served between two rests."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Processor seconds since some beginning: `used` by others, at normal priority or above, of
    `total` that there were; `at` is the clock."""

    used: float
    total: float
    at: float


def read() -> Reading:
    """How things stand."""
    times = psutil.cpu_times()
    # Windows knows no low priority here, so what this process used is taken off instead.
    own = psutil.Process().cpu_times()
    low = getattr(times, "nice", own.user + own.system)
    total = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
    idle = times.idle + getattr(times, "iowait", 0.0)
    return Reading(max(total - idle - low, 0.0), total, time.monotonic())


class Load:
    """Tells how long to rest between two pieces of work."""

    def __init__(self, reading: Callable[[], Reading] = read) -> None:
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
        return min(now.at - before.at, LONGEST_REST_SECONDS)

    def rested(self) -> None:
        """The rest is over, and was no work."""
        self._before = self._reading()
