"""Limits of each person: what was used today and this minute, and whether the role allows more.

Days are of UTC. The sums of the day are read at the start and written now and then, so a restart
forgets no quota; a killed process forgets `FLUSH_SECONDS` at most. Tokens are known after an
answer, so the last one of a day may pass the limit. One event loop.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from nearfield.errors import NearfieldError
from nearfield.features.team.settings import TeamRole
from nearfield.features.team.usage_store import UsageRow, UsageStore, UsageUnusable

log = logging.getLogger(__name__)

FLUSH_SECONDS = 5.0
LOOKS = 10
"""Lists and counts of tokens that may be asked for, for each request to a model: an agent counts
before it asks, and lists cost little."""
MINUTE = 60.0

_Key = tuple[str, str, str, str]


class OverLimit(NearfieldError):
    """A limit of the person's role is reached. `wait_seconds` until it is worth asking again."""

    def __init__(self, message: str, wait_seconds: float) -> None:
        super().__init__(message)
        self.wait_seconds = wait_seconds


@dataclass(slots=True)
class _Bucket:
    """Requests that may be made at once; they come back evenly over a minute."""

    left: float
    at: float


@dataclass(slots=True)
class _Day:
    requests: int = 0
    tokens: int = 0


class Limits:
    """See the module. `now` is in seconds since the epoch."""

    def __init__(self, store: UsageStore, now: Callable[[], float] = time.time) -> None:
        self._store = store
        self._now = now
        self._day = ""
        self._today: dict[str, _Day] = {}
        self._buckets: dict[str, _Bucket] = {}
        self._sums: dict[str, Counter[_Key]] = {
            name: Counter() for name in ("requests", "read", "written", "refused")
        }

    async def load(self) -> None:
        """Read what was used today. Raises `UsageUnusable`."""
        self._turn_page()
        for row in await asyncio.to_thread(self._store.rows, self._day):
            one = self._of(row.person)
            one.requests += row.requests
            one.tokens += row.read + row.written

    def admit(self, person: str, role: TeamRole, use: str) -> None:
        """Count a request to a model. Raises `OverLimit`."""
        self._turn_page()
        one, key = self._of(person), (self._day, person, use, "")
        try:
            self._check(person, role, one)
        except OverLimit:
            self._sums["refused"][key] += 1
            raise
        one.requests += 1
        self._sums["requests"][key] += 1

    def look(self, person: str, role: TeamRole) -> None:
        """Count a request for a list, for a count of tokens or about a kept chat. Raises
        `OverLimit`."""
        if role.requests_per_minute:
            self._take(f"{person} looks", role.requests_per_minute * LOOKS)

    def used(self, person: str, use: str, model: str, read: int, written: int) -> None:
        """Count the tokens of an answer."""
        self._turn_page()
        self._of(person).tokens += read + written
        key = (self._day, person, use, model)
        self._sums["read"][key] += read
        self._sums["written"][key] += written

    async def keep(self) -> None:
        """Write the sums now and then, until cancelled."""
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            await self.flush()

    async def flush(self) -> None:
        """Write the sums; what cannot be written is tried again the next time."""
        taken = {name: sums.copy() for name, sums in self._sums.items()}
        keys = sorted({key for sums in taken.values() for key in sums})
        if not keys:
            return
        for sums in self._sums.values():
            sums.clear()
        rows = [
            UsageRow(
                day=key[0], person=key[1], use=key[2], model=key[3],
                **{name: sums[key] for name, sums in taken.items()},
            )
            for key in keys
        ]  # fmt: skip
        try:
            await asyncio.to_thread(self._store.add, rows)
        except UsageUnusable as error:
            log.warning("%s", error.message)
            for name, sums in taken.items():
                self._sums[name].update(sums)

    def _check(self, person: str, role: TeamRole, one: _Day) -> None:
        if role.requests_per_day and one.requests >= role.requests_per_day:
            raise OverLimit(
                f"Your {role.requests_per_day} requests of this day (UTC) are used.",
                self._until_tomorrow(),
            )
        if role.tokens_per_day and one.tokens >= role.tokens_per_day:
            raise OverLimit(
                f"Your {role.tokens_per_day} tokens of this day (UTC) are used.",
                self._until_tomorrow(),
            )
        if role.requests_per_minute:
            self._take(person, role.requests_per_minute)

    def _take(self, key: str, per_minute: int) -> None:
        now, rate = self._now(), per_minute / MINUTE
        bucket = self._buckets.setdefault(key, _Bucket(per_minute, now))
        bucket.left = min(per_minute, bucket.left + max(0.0, now - bucket.at) * rate)
        bucket.at = now
        if bucket.left < 1:
            raise OverLimit(
                f"Your role allows {per_minute} such requests a minute.", (1 - bucket.left) / rate
            )
        bucket.left -= 1

    def _of(self, person: str) -> _Day:
        return self._today.setdefault(person, _Day())

    def _turn_page(self) -> None:
        day = day_of(self._now())
        if day != self._day:
            self._day, self._today = day, {}

    def _until_tomorrow(self) -> float:
        now = datetime.fromtimestamp(self._now(), UTC)
        next_day = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
        return (next_day - now).total_seconds()


def day_of(seconds: float) -> str:
    """Return the day (UTC) of a moment in seconds since the epoch."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")
