"""The rates at which this machine evaluates and generates, measured as it works."""

from __future__ import annotations

SMOOTHING = 0.2
"""Weight of the newest measurement: an old one counts for nothing after about ten."""

WORTH_MEASURING = 16
"""A prompt chunk shorter than this (tokens) says more about overhead than about the rate."""


class Rates:
    """Tokens a second, 0.0 while unknown; smoothed exponentially."""

    def __init__(self, prefill: float = 0.0, decode: float = 0.0) -> None:
        self.prefill = prefill
        self.decode = decode

    def prefilled(self, tokens: int, ms: float) -> None:
        """Note that a chunk of the prompt took `ms`."""
        if tokens >= WORTH_MEASURING and ms > 0:
            self.prefill = _smooth(self.prefill, tokens * 1000 / ms)

    def decoded(self, ms: float) -> None:
        """Note that a generated token took `ms`."""
        if ms > 0:
            self.decode = _smooth(self.decode, 1000 / ms)

    def prefill_ms(self, tokens: int) -> float:
        """Return the milliseconds that `tokens` would take; 0 while the rate is unknown."""
        return tokens * 1000 / self.prefill if self.prefill else 0.0


def _smooth(old: float, new: float) -> float:
    return new if not old else old + SMOOTHING * (new - old)
