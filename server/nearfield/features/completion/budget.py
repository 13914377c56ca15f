"""The prompt sizes with which a model answers in time.

A prompt token costs about a third of a generated one, and all of them are paid before the first
character of the answer. So the deadline is divided: the time to write one line is subtracted first,
the rest buys prompt tokens at the measured rate.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from nearfield.features.completion.generate import Stopwatch
from nearfield.providers.estimate import (
    CHARS_PER_TOKEN,
    LINE_TOKENS,
    UNKNOWN_DECODE_RATE,
    UNKNOWN_PREFILL_RATE,
)
from nearfield.types import Capabilities, Usage

FIXED_SECONDS = 0.05
"""Everything but the model, with the round trip to the worker; see tests/bench/overhead.py."""

MIN_PROMPT_TOKENS = 64
"""A smaller prompt says too little to be worth a request: some five lines."""

FIRST_TOKENS = 176
"""A first answer is written from about 35 lines; more of them make it later than they make it
better."""

FIRST_SECONDS = 0.3
"""A machine that evaluates more than `FIRST_TOKENS` in this time shows the model more."""

IDLE_SECONDS = 10.0
"""The longest that idle prefill works on one prompt."""

TEMPLATE_TOKENS = 64
"""Kept for control tokens and file names, and for text that has more tokens than estimated."""

SNIPPET_SHARE = 0.3
"""Share of a prompt for the snippets of other files, …"""

SNIPPET_TOKENS = 700
"""… and their maximum. They are a share of the whole prompt, so a slower machine gives them no
less: idle prefill evaluates as much without them."""

UNKNOWN_CONTEXT = 4096
"""Tokens, where a provider does not say."""

KEEP_OLD_RATE = 0.7
"""Weight of the earlier value when a rate is measured again: steadies it over some three
requests."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """`fresh_tokens` may be evaluated before the answer. `prompt_tokens` is the most that a prompt
    may hold in all, of which `snippet_tokens` may be other files'. `idle_tokens` is the most that
    idle prefill evaluates."""

    fresh_tokens: int
    prompt_tokens: int
    snippet_tokens: int = 0
    idle_tokens: int = 0

    @property
    def fresh_chars(self) -> int:
        """`fresh_tokens` in characters."""
        return int(self.fresh_tokens * CHARS_PER_TOKEN)

    @property
    def snippet_chars(self) -> int:
        """`snippet_tokens` in characters."""
        return int(self.snippet_tokens * CHARS_PER_TOKEN)

    @property
    def prompt_chars(self) -> int:
        """`prompt_tokens` in characters."""
        return int(self.prompt_tokens * CHARS_PER_TOKEN)


def allow(
    can: Capabilities, seconds: float, max_tokens: int, *, is_manual: bool = False
) -> Allowance:
    """Return what is in time within `seconds` with the rates in `can`; `max_tokens` of the context
    are kept free.

    fresh = (seconds - fixed - line / decode rate) * prefill rate, at least `MIN_PROMPT_TOKENS`. An
    automatic request wants the first answer soon: of that, `FIRST_TOKENS` are enough, or what is
    evaluated in `FIRST_SECONDS`. Idle prefill adds the rest.
    """
    prefill = can.prefill_rate or UNKNOWN_PREFILL_RATE
    decode = can.decode_rate or UNKNOWN_DECODE_RATE
    context = can.context_tokens or UNKNOWN_CONTEXT
    most = max(MIN_PROMPT_TOKENS, context - max_tokens - TEMPLATE_TOKENS)
    fresh = int((seconds - FIXED_SECONDS - LINE_TOKENS / decode) * prefill)
    if not is_manual:
        fresh = min(fresh, max(FIRST_TOKENS, int(FIRST_SECONDS * prefill)))
    snippets = min(SNIPPET_TOKENS, int(most * SNIPPET_SHARE))
    fresh = min(most, max(MIN_PROMPT_TOKENS, fresh))
    idle = min(most, max(fresh, int(IDLE_SECONDS * prefill)))
    return Allowance(fresh, most, snippets, idle)


class LearnedRates:
    """Rates of providers that do not measure their own, learned from their answers.

    Without timings of its own a provider's time to the first token counts as the prefill. It
    includes the round trip, so the rate is never overestimated.
    """

    def __init__(self) -> None:
        self._prefill: dict[str, float] = {}
        self._decode: dict[str, float] = {}

    def fill_in(self, name: str, can: Capabilities) -> Capabilities:
        """Return `can` with the learned rates where it has none."""
        prefill = can.prefill_rate or self._prefill.get(name)
        decode = can.decode_rate or self._decode.get(name)
        if (prefill, decode) == (can.prefill_rate, can.decode_rate):
            return can
        return replace(can, prefill_rate=prefill, decode_rate=decode)

    def learn(self, name: str, watch: Stopwatch, new_chars: int, usage: Usage | None) -> None:
        """Learn from a request to `name`, of whose prompt `new_chars` were not sent before."""
        if watch.first is not None:
            evaluated = usage.evaluated_tokens if usage else None
            tokens = new_chars / CHARS_PER_TOKEN if evaluated is None else evaluated
            if tokens >= MIN_PROMPT_TOKENS:
                _blend(self._prefill, name, tokens / max(1e-3, watch.first - watch.begun))
        if watch.first is not None and watch.last is not None and watch.tokens >= LINE_TOKENS:
            _blend(self._decode, name, watch.tokens / max(1e-3, watch.last - watch.first))


def _blend(rates: dict[str, float], name: str, measured: float) -> None:
    old = rates.get(name, measured)
    rates[name] = old * KEEP_OLD_RATE + measured * (1 - KEEP_OLD_RATE)
