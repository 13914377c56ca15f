"""Timeouts of an answer."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TypeVar

from nearfield.errors import DeadlineExceeded
from nearfield.providers.failures import Who
from nearfield.providers.options import ServerOptions

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Clock:
    """The ends of the waits for an answer, in seconds of `time.monotonic()`."""

    begun: float
    first: float
    idle_s: float
    total: float
    deadline: float | None

    @classmethod
    def start(cls, options: ServerOptions, deadline: float | None) -> Clock:
        """Return the clock of an answer that is requested now."""
        now = time.monotonic()
        return cls(
            begun=now,
            first=now + options.first_token_timeout_s,
            idle_s=options.idle_timeout_s,
            total=now + options.total_timeout_s,
            deadline=deadline,
        )

    @classmethod
    def long(cls, options: ServerOptions) -> Clock:
        """Return the clock of an answer that may take hours, as long as pieces keep coming."""
        now = time.monotonic()
        return cls(now, now + options.first_token_timeout_s, options.idle_timeout_s, math.inf, None)

    @classmethod
    def short(cls, timeout_s: float) -> Clock:
        """Return the clock of a request that no model works on."""
        now = time.monotonic()
        return cls(now, now + timeout_s, timeout_s, now + timeout_s, None)

    def until_first(self) -> float:
        """Return when the wait for the first piece ends."""
        end = self.total if self.deadline is None else min(self.total, self.deadline)
        return min(self.first, end)

    def until_next(self) -> float:
        """Return when the wait for the next piece ends, if it begins now."""
        end = self.total if self.deadline is None else min(self.total, self.deadline)
        return min(time.monotonic() + self.idle_s, end)


async def within(limit: float, work: Awaitable[_T], who: Who) -> _T:
    """Return the result of `work`, waited for until `limit` (`time.monotonic()`). Raises
    `DeadlineExceeded`."""
    wait = max(0.0, limit - time.monotonic())
    try:
        async with asyncio.timeout(wait):
            return await work
    except TimeoutError:
        raise DeadlineExceeded(
            f"{who} did not answer in time.", "A smaller model or prompt is faster."
        ) from None
