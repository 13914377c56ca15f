"""Until when somebody who types needs the machine more than the index does.

The lowest priority is not enough: a model's threads wait for each other, so whatever takes a core
from one of them for a moment, or the memory's bandwidth, delays the answer as a whole.
"""

from __future__ import annotations

import time
from collections.abc import Callable

LONGEST_SECONDS = 10.0
"""Who types on and on gets a piece of work (a file, or a batch) in between so often."""


class TypingPause:
    """One thread asks for rest, another one keeps it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until = 0.0
        self._begun: float | None = None
        self._due = False

    def ask(self, seconds: float) -> bool:
        """Rest until `seconds` from now, whatever was asked before; whether to leave off even what
        is under way."""
        self._until = self._clock() + seconds
        return not self._due

    def left(self) -> float:
        """Seconds still to rest before the next piece of work, 0 to begin it."""
        now, self._due = self._clock(), False
        if now >= self._until:
            self._begun = None
            return 0.0
        if self._begun is None:
            self._begun = now
        left = min(self._until, self._begun + LONGEST_SECONDS) - now
        if left > 0:
            return left
        self._begun, self._due = None, True
        return 0.0
