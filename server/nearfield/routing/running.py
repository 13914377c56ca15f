"""Requests that providers are answering in this process, for the user to see and to stop.

One event loop. An entry costs a few microseconds, so completions have one as well. The route that
follows a request writes its fields; the phase is computed when the user looks.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from dataclasses import dataclass, field

from nearfield.routing.activity import Phase
from nearfield.types import Delta


@dataclass(slots=True, eq=False)
class RunningRequest:
    """A request at one provider. `last` is the last piece that said anything, `tokens` were
    written; `limit` is that of the wait for the next piece, None between two waits."""

    task: str
    provider: str
    model: str
    is_local: bool
    id: int = field(default_factory=itertools.count(1).__next__)
    begun: float = field(default_factory=time.monotonic)
    last: Delta | None = None
    tokens: int = 0
    is_stopped: bool = False
    limit: asyncio.Timeout | None = None

    @property
    def share(self) -> float | None:
        """The part of the prompt that is read, 0..1; None if unknown."""
        return self.last.read if self.last is not None else None

    @property
    def phase(self) -> Phase | None:
        """The provider's phase; None until it says anything."""
        if self.last is None:
            return None
        if self.last.read is not None:
            return Phase.READING
        return Phase.WRITING if self.last.text or self.last.tool_calls else Phase.THINKING

    def stop(self) -> None:
        """End the request with `RequestStopped`, which frees the model: now, or at its next
        wait."""
        self.is_stopped = True
        if self.limit is not None and not self.limit.expired():
            self.limit.reschedule(asyncio.get_running_loop().time())


class RunningRequests(dict[int, RunningRequest]):
    """The requests that are being answered, by their ids, the oldest first."""

    def stop(self, number: int) -> bool:
        """Stop a request; return whether there is one of that number."""
        one = self.get(number)
        if one is not None:
            one.stop()
        return one is not None
