"""Requests that providers are answering in this process, for the user to see and to stop.

One event loop. An entry costs a few microseconds, so completions have one as well.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

from nearfield.errors import RequestStopped
from nearfield.routing.activity import Phase
from nearfield.types import Delta


@dataclass(slots=True, eq=False)
class RunningRequest:
    """A request at one provider. `share` is 0..1 of the prompt that is read, None if unknown;
    `tokens` were written. Until the provider says anything there is no phase."""

    id: int
    task: str
    provider: str
    model: str
    is_local: bool
    begun: float
    phase: Phase | None = None
    share: float | None = None
    tokens: int = 0
    is_stopped: bool = False
    limit: asyncio.Timeout | None = None
    """That of the wait for the next piece."""

    def heard(self, delta: Delta) -> None:
        """Take a piece of the answer into account."""
        if delta.read is not None:
            self.phase, self.share = Phase.READING, delta.read
            return
        if delta.text or delta.tool_calls:
            self.phase, self.share = Phase.WRITING, None
        elif delta.thinking:
            self.phase, self.share = Phase.THINKING, None
        else:
            return
        self.tokens += len(delta.logprobs) or 1

    def waits(self, limit: asyncio.Timeout) -> None:
        """Let `stop` end the wait that `limit` bounds. Raises `RequestStopped` after a `stop`."""
        self.check()
        self.limit = limit

    def check(self) -> None:
        """Raise `RequestStopped` after a `stop`."""
        if self.is_stopped:
            raise RequestStopped("You stopped this request.")

    def stop(self) -> None:
        """End the request with `RequestStopped`, which frees the model."""
        self.is_stopped = True
        if self.limit is not None and not self.limit.expired():
            self.limit.reschedule(asyncio.get_running_loop().time())


@dataclass
class RunningRequests:
    """See the module."""

    _running: dict[int, RunningRequest] = field(default_factory=dict[int, RunningRequest])
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    @contextmanager
    def begin(
        self, task: str, provider: str, model: str, *, is_local: bool
    ) -> Generator[RunningRequest]:
        """Show a request while the body runs."""
        number = next(self._numbers)
        one = RunningRequest(number, task, provider, model, is_local, time.monotonic())
        self._running[number] = one
        try:
            yield one
        finally:
            one.limit = None
            del self._running[number]

    def all(self) -> list[RunningRequest]:
        """Return those that are being answered, the oldest first."""
        return list(self._running.values())

    def stop(self, number: int) -> bool:
        """Stop a request; return whether there is one of that number."""
        one = self._running.get(number)
        if one is not None:
            one.stop()
        return one is not None
