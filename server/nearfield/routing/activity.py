"""Progress of a model's work: loading, reading the prompt, thinking, writing.

A frontend names the display with `reported_to`; every request made inside reports there. Without a
display nothing is measured.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum

from nearfield.errors import NearfieldError
from nearfield.providers.base import Provider
from nearfield.tasks import run_task, stop_task
from nearfield.types import Delta, HealthState

LOOK_SECONDS = 1.0
"""How often a provider that has not spoken yet is looked at."""


class Phase(StrEnum):
    """The stages of one request."""

    LOADING = "loading"
    READING = "reading"
    THINKING = "thinking"
    WRITING = "writing"


@dataclass(frozen=True, slots=True)
class Work:
    """A moment of a request. `share` is 0..1 of what is loaded or read, None if unknown; `tokens`
    were written; `seconds` count from the beginning of the phase."""

    model: str
    phase: Phase
    share: float | None = None
    tokens: int = 0
    seconds: float = 0.0

    def words(self) -> str:
        """Describe it for the user."""
        passed = f"{self.seconds:.0f} s"
        if self.phase in (Phase.THINKING, Phase.WRITING):
            many = "" if self.tokens == 1 else "s"
            return f"{self.model}: {self.phase}, {self.tokens} token{many}, {passed}"
        share = "" if self.share is None else f" {self.share:.0%},"
        return f"{self.model}: {self.phase}{share or ','} {passed}"


Meter = Callable[[str, int, int], None]
"""Takes what one answer cost: the model, and the tokens that it read and wrote."""

METER: ContextVar[Meter | None] = ContextVar("meter of a person's use", default=None)
"""What counts the tokens of a request, also of one whose client has hung up; None for no count."""

Report = Callable[[Work], None]

REPORT: ContextVar[Report | None] = ContextVar("report of a model's work", default=None)
"""The display that requests are reported to; None while nothing is displayed."""


@contextmanager
def reported_to(report: Report | None) -> Generator[None]:
    """Tell `report` what the models do that are asked in the body."""
    token = REPORT.set(report)
    try:
        yield
    finally:
        REPORT.reset(token)


class Watch:
    """Follows one request to one provider."""

    def __init__(self, provider: Provider, report: Report | None) -> None:
        self._provider = provider
        self._report = report
        self._phase = Phase.READING
        self._share: float | None = None
        self._tokens = 0
        self._since = time.monotonic()

    def heard(self, delta: Delta) -> None:
        """Take a piece of the answer into account."""
        if self._report is None:
            return
        if delta.read is not None:
            self._enter(Phase.READING)
            self._share = delta.read
        elif delta.thinking or delta.text or delta.tool_calls:
            has_text = delta.text or delta.tool_calls
            self._enter(Phase.WRITING if has_text else Phase.THINKING)
            self._tokens += len(delta.logprobs) or 1
            if delta.usage and delta.usage.generated_tokens:
                self._tokens = delta.usage.generated_tokens
        self._tell()

    async def look(self) -> None:
        """Tell how the provider is until it speaks; `heard` tells the rest."""
        while self._phase in (Phase.LOADING, Phase.READING):
            try:
                health = await self._provider.health()
            except NearfieldError:
                return  # the request itself says what is wrong
            if health.state is HealthState.STARTING:
                self._enter(Phase.LOADING)
                self._share = health.progress
            elif self._phase is Phase.LOADING:
                self._enter(Phase.READING)
            self._tell()
            await asyncio.sleep(LOOK_SECONDS)

    def _enter(self, phase: Phase) -> None:
        if phase is not self._phase:
            self._phase, self._share, self._since = phase, None, time.monotonic()

    def _tell(self) -> None:
        if self._report is not None:
            seconds = time.monotonic() - self._since
            work = Work(self._provider.model, self._phase, self._share, self._tokens, seconds)
            self._report(work)


@asynccontextmanager
async def watched(provider: Provider, *, is_local: bool) -> AsyncGenerator[Watch]:
    """Follow a request to `provider`; only one on this machine is asked how it is."""
    watch = Watch(provider, REPORT.get())
    looking = None
    if is_local and REPORT.get() is not None:
        looking = run_task(watch.look(), "watch a model that is asked")
    try:
        yield watch
    finally:
        await stop_task(looking)
