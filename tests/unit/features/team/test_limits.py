"""Quotas of a day, requests of a minute, and the sums that are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from nearfield.features.team.limits import Limits, OverLimit
from nearfield.features.team.settings import TeamRole
from nearfield.features.team.usage_store import UsageRow, UsageStore

NOON = 1_796_040_000.0 - 1_796_040_000.0 % 86_400 + 43_200


class Clock:
    """Seconds since the epoch, moved by hand."""

    def __init__(self) -> None:
        self.seconds = NOON

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path) -> UsageStore:
    return UsageStore(tmp_path)


def refused(limits: Limits, role: TeamRole, person: str = "ada") -> OverLimit | None:
    try:
        limits.admit(person, role, "chat")
    except OverLimit as error:
        return error
    return None


async def test_requests_of_a_day_end_at_midnight(store: UsageStore, clock: Clock) -> None:
    limits, role = Limits(store, clock), TeamRole(requests_per_day=2)
    assert [bool(refused(limits, role)) for _ in range(3)] == [False, False, True]
    over = refused(limits, role)
    assert over is not None
    assert over.wait_seconds == 43_200
    assert not refused(limits, role, "bob")
    clock.seconds += over.wait_seconds
    assert not refused(limits, role)


async def test_tokens_of_a_day_are_known_after_an_answer(store: UsageStore, clock: Clock) -> None:
    limits, role = Limits(store, clock), TeamRole(tokens_per_day=100)
    assert not refused(limits, role)
    limits.used("ada", "chat", "tiny", 80, 19)
    assert not refused(limits, role)
    limits.used("ada", "chat", "tiny", 1, 0)
    assert refused(limits, role)


async def test_requests_of_a_minute_come_back_evenly(store: UsageStore, clock: Clock) -> None:
    limits, role = Limits(store, clock), TeamRole(requests_per_minute=6)
    assert not any(refused(limits, role) for _ in range(6))
    over = refused(limits, role)
    assert over is not None
    assert over.wait_seconds == pytest.approx(10)
    clock.seconds += 10
    assert not refused(limits, role)
    assert refused(limits, role)


async def test_sums_outlive_a_restart_and_have_no_code(store: UsageStore, clock: Clock) -> None:
    limits, role = Limits(store, clock), TeamRole(requests_per_day=2)
    for _ in range(3):
        refused(limits, role)
    limits.used("ada", "chat", "tiny", 5, 7)
    await limits.flush()
    limits.used("ada", "chat", "tiny", 1, 1)
    await limits.flush()
    day = "2026-11-30"
    assert store.rows(day) == [
        UsageRow(day=day, person="ada", use="chat", model="", requests=2, refused=1),
        UsageRow(day=day, person="ada", use="chat", model="tiny", read=6, written=8),
    ]
    again = Limits(store, clock)
    await again.load()
    assert refused(again, role)
    store.close()


async def test_what_cannot_be_written_is_written_later(store: UsageStore, clock: Clock) -> None:
    limits = Limits(store, clock)
    limits.used("ada", "chat", "tiny", 5, 7)
    store.path.mkdir()
    await limits.flush()
    store.path.rmdir()
    await limits.flush()
    (row,) = store.rows("2026-11-30")
    assert (row.read, row.written) == (5, 7)
    store.close()
