"""The circuit breaker opens, tries once and closes."""

from __future__ import annotations

import pytest

from nearfield.errors import (
    BadAnswer,
    ContextTooLong,
    NearfieldError,
    RateLimited,
    Unauthorised,
    Unreachable,
)
from nearfield.routing.breaker import Breaker, Circuit


def test_the_breaker_opens_tries_once_and_closes() -> None:
    breaker = Breaker(2, 10)
    now = 100.0
    for error in (Unreachable(""), BadAnswer("")):
        assert breaker.why_not(now) == ""
        breaker.begin(now)
        breaker.fail(error, now)
    assert breaker.state(now) is Circuit.OPEN and "BadAnswer" in breaker.why_not(now)
    now += 13
    assert breaker.state(now) is Circuit.HALF_OPEN and not breaker.why_not(now)
    breaker.begin(now)
    assert "being tried" in breaker.why_not(now)
    breaker.fail(Unreachable(""), now)
    assert breaker.state(now + 19) is Circuit.OPEN
    now += 25
    breaker.begin(now)
    breaker.succeed()
    assert breaker.state(now) is Circuit.CLOSED and not breaker.why_not(now)


@pytest.mark.parametrize(
    ("error", "open_after"),
    [
        (RateLimited("", retry_after=40), 39),
        (RateLimited(""), 9),
        (Unauthorised(""), 59),
        (ContextTooLong(""), None),
        (Unreachable(""), None),
    ],
)
def test_a_failure_opens_the_circuit_for_its_own_time(
    error: NearfieldError, open_after: float | None
) -> None:
    breaker = Breaker(3, 10)
    breaker.begin(0)
    breaker.fail(error, 1.0)
    assert (breaker.state(1.0) is Circuit.OPEN) == (open_after is not None)
    if open_after is not None:
        assert breaker.state(1.0 + open_after) is Circuit.OPEN
        assert breaker.state(1.0 + open_after + 2) is Circuit.HALF_OPEN


def test_an_abandoned_trial_may_be_repeated() -> None:
    breaker = Breaker(1, 10)
    breaker.begin(0)
    breaker.fail(Unreachable(""), 0)
    breaker.begin(20)
    breaker.abandon()
    assert breaker.why_not(20) == ""
