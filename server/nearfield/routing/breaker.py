"""A circuit breaker for each provider: what has failed several times in a row is left alone.

Closed, everything passes. After `failures` in a row it opens for `seconds`; then one request may
try (half-open), whose success closes it and whose failure opens it again for twice as long. Only
failures that say something about the provider count; an answer that is merely refused as too long
says nothing. Time is given by the caller, so that tests need not wait.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum

from nearfield.errors import (
    BadAnswer,
    DeadlineExceeded,
    NearfieldError,
    RateLimited,
    Unauthorised,
    Unreachable,
)

MAX_PAUSE_SECONDS = 300.0
# Several servers of one team must not be tried by all their users in the same second.
JITTER = 0.2
# A refused key stays refused until the user changes it; asking each time only costs time.
UNAUTHORISED_SECONDS = 60.0

# The embedded engine is not among them: its own client restarts it, with longer waits each time,
# and the request after a crash should reach it.
_COUNTED = (Unreachable, DeadlineExceeded, BadAnswer)


class Circuit(StrEnum):
    """State of a breaker."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@dataclass(slots=True)
class Breaker:
    """See the module. All times are seconds of one clock, `time.monotonic()`. While `has_failed` is
    false there is nothing to ask it or to tell it but a failure."""

    failures: int
    seconds: float
    _failed: int = 0
    _until: float = 0.0
    _pause: float = 0.0
    _trying: bool = False
    last: str = ""
    has_failed: bool = False

    def state(self, now: float) -> Circuit:
        """Return the state at `now`."""
        if not self._until:
            return Circuit.CLOSED
        return Circuit.OPEN if now < self._until else Circuit.HALF_OPEN

    def why_not(self, now: float) -> str:
        """The sentence that keeps a request away at `now`, "" when it may pass."""
        state = self.state(now)
        if state is Circuit.OPEN:
            wait = max(1, round(self._until - now))
            return f"left alone for {wait} s more after it failed ({self.last})"
        if state is Circuit.HALF_OPEN and self._trying:
            return f"being tried again after it failed ({self.last})"
        return ""

    def begin(self, now: float) -> None:
        """Record that a request is sent; the first one of a half-open circuit is its trial."""
        self._trying = self.state(now) is Circuit.HALF_OPEN

    def succeed(self) -> None:
        """Record an answer and close the circuit."""
        self._failed, self._until, self._pause, self._trying, self.last = 0, 0.0, 0.0, False, ""
        self.has_failed = False

    def abandon(self) -> None:
        """The request ended without saying anything about the provider (it was cancelled)."""
        self._trying = False

    def fail(self, error: NearfieldError, now: float) -> None:
        """Record the failure `error`; opens the circuit after too many of them."""
        trial, self._trying, self.has_failed = self._trying, False, True
        if isinstance(error, RateLimited):
            self._open(now, error.retry_after or self.seconds, type(error).__name__)
        elif isinstance(error, Unauthorised):
            self._open(now, UNAUTHORISED_SECONDS, type(error).__name__)
        elif isinstance(error, _COUNTED):
            self._failed += 1
            if trial or self._failed >= self.failures:
                pause = min(self._pause * 2 or self.seconds, MAX_PAUSE_SECONDS)
                self._open(now, pause * random.uniform(1, 1 + JITTER), type(error).__name__)  # noqa: S311 - spreads load, guards nothing
                self._pause = pause

    def _open(self, now: float, seconds: float, last: str) -> None:
        self._until, self.last = now + seconds, last
