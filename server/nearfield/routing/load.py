"""The load of each provider as this process sees it: what it answers now, and how fast it was.

Figures are of this process alone and are forgotten with it. One event loop.
"""

from __future__ import annotations

import hashlib
import time
from collections import defaultdict, deque
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from nearfield.types import Priority

SLOW_SECONDS = 10.0
"""A provider is slow when its last two answers began later than this. Two, as a model that had to
be loaded is late once."""
UNLIKE_REQUESTS = 4
"""Servers of one model whose requests under way differ by less are equally good for a team: its
people stay at the one that has read their code."""
REMEMBERED_SECONDS = 300.0
"""A figure older than this says nothing about now."""


@dataclass(slots=True)
class CountedRequest:
    """A request that is being answered."""

    priority: Priority
    begun: float
    has_begun_to_speak: bool = False


@dataclass(frozen=True, slots=True)
class _Figure:
    at: float
    seconds: float


@dataclass
class ProviderLoad:
    """See the module."""

    _running: dict[str, list[CountedRequest]] = field(
        default_factory=lambda: defaultdict[str, list[CountedRequest]](list)
    )
    _figures: dict[str, deque[_Figure]] = field(
        default_factory=lambda: defaultdict[str, deque[_Figure]](lambda: deque(maxlen=2))
    )

    @contextmanager
    def answering(self, name: str, priority: Priority) -> Generator[CountedRequest]:
        """Count a request to `name` while the body runs."""
        one = CountedRequest(priority, time.monotonic())
        self._running[name].append(one)
        try:
            yield one
        finally:
            self._running[name].remove(one)

    def spoke(self, name: str, one: CountedRequest) -> None:
        """Take note that the answer has begun to arrive."""
        if not one.has_begun_to_speak:
            one.has_begun_to_speak = True
            now = time.monotonic()
            self._figures[name].append(_Figure(now, now - one.begun))

    def why_not(self, name: str, priority: Priority) -> str:
        """Return why a request of this priority would wait for `name`, "" if it would not."""
        if any(one.priority <= priority for one in self._running[name]):
            return "it answers something else"
        fresh = time.monotonic() - REMEMBERED_SECONDS
        figures = self._figures[name]
        if len(figures) == 2 and all(f.at > fresh and f.seconds > SLOW_SECONDS for f in figures):
            return "its last answers were slow"
        return ""

    def ordered(self, names: Sequence[str], priority: Priority) -> list[str]:
        """Return `names` with those last that would keep the request waiting."""
        return sorted(names, key=lambda name: bool(self.why_not(name, priority)))

    def spread(self, names: Sequence[str], models: Mapping[str, str], owner: str) -> list[str]:
        """Return `names` with those of the same model in the order in which `owner` should ask
        them: the less busy first, and among equals always in the same order."""

        def rank(name: str) -> tuple[int, bytes]:
            chosen = hashlib.sha256(f"{owner} {name}".encode()).digest()
            return len(self._running[name]) // UNLIKE_REQUESTS, chosen

        alike: dict[str, list[str]] = defaultdict(list)
        for name in names:
            alike[models[name]].append(name)
        ranked = {model: iter(sorted(group, key=rank)) for model, group in alike.items()}
        return [next(ranked[models[name]]) for name in names]
