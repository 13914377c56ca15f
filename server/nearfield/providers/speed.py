"""The rates of a server, from what it reports about its answers."""

from __future__ import annotations

from nearfield.types import Usage

MIN_PROMPT_TOKENS = 32
MIN_ANSWER_TOKENS = 8
"""Shorter ones measure the overhead."""

WEIGHT = 0.3
"""Weight of the newest measurement; the rest is the past, which smooths over a busy moment."""


class Speed:
    """Tokens a second, reading and writing; None while unknown."""

    def __init__(self) -> None:
        self.prefill: float | None = None
        self.decode: float | None = None

    def note(self, usage: Usage | None) -> None:
        """Learn from an answer's `usage`."""
        if usage is None:
            return
        self.prefill = _mixed(
            self.prefill, usage.evaluated_tokens, usage.prefill_ms, MIN_PROMPT_TOKENS
        )
        self.decode = _mixed(
            self.decode, usage.generated_tokens, usage.decode_ms, MIN_ANSWER_TOKENS
        )


def _mixed(old: float | None, tokens: int | None, ms: float | None, least: int) -> float | None:
    if tokens is None or not ms or tokens < least:
        return old
    new = tokens * 1000 / ms
    return new if old is None else old + WEIGHT * (new - old)
