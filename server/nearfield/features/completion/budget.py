"""How much a model may be shown so that it answers in time.

A prompt token costs about a third of a generated one, and all of them are paid before the first
character of the answer. So the deadline is divided: what is kept for writing one line comes off
first, the rest buys prompt tokens at the measured rate.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from nearfield.features.completion.generate import Stopwatch
from nearfield.types import Capabilities, Usage

UNKNOWN_PREFILL_RATE = 60.0
"""Tokens a second while nothing is measured: the slowest seen with the default model on a 2-core
laptop was 65. Too low costs context in the first answer, too high costs the answer."""

UNKNOWN_DECODE_RATE = 15.0
"""Tokens a second; the slowest seen there was 19."""

LINE_TOKENS = 16
"""Kept for writing: a line of code is 10 to 14 tokens in the models of the catalogue, and one more
is needed to see that it has ended."""

FIXED_SECONDS = 0.05
"""Everything but the model, with the round trip to the worker; see tests/bench/overhead.py."""

CHARS_PER_TOKEN = 3.0
"""Code in the tokenizers of the catalogue has 3.0 to 3.8 characters a token; the low end, because a
prompt that comes out too long misses the deadline."""

LEAST_TOKENS = 64
"""Below this a prompt says too little to be worth asking: some five lines."""

FIRST_TOKENS = 176
"""A first answer is written from about 35 lines; more of them make it later than they make it
better."""

FIRST_SECONDS = 0.3
"""A machine that evaluates more than `FIRST_TOKENS` in this time shows the model more."""

IDLE_SECONDS = 10.0
"""Idle prefill works no longer than this on one prompt: on a slow laptop it must end some time."""

TEMPLATE_TOKENS = 64
"""Kept for control tokens and file names, and for text that has more tokens than estimated."""

SNIPPET_SHARE = 0.3
"""The snippets of other files may take so much of a prompt …"""

SNIPPET_TOKENS = 700
"""… and so many tokens. They are of what a prompt holds in all, so a slower machine gives them no
less: idle prefill reads as much without."""

UNKNOWN_CONTEXT = 4096
"""Tokens, where a provider does not say."""

KEEP_OLD_RATE = 0.7
"""Weight of the earlier value when a rate is measured anew: steadies it over some three
requests."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """`fresh_tokens` may be evaluated before the answer, `prompt_tokens` is the most that the
    prompt may hold in all, reused ones counted; `snippet_tokens` of these may be other files'.
    `idle_tokens` is the most that idle prefill evaluates."""

    fresh_tokens: int
    prompt_tokens: int
    snippet_tokens: int = 0
    idle_tokens: int = 0

    @property
    def fresh_chars(self) -> int:
        """The same in characters."""
        return int(self.fresh_tokens * CHARS_PER_TOKEN)

    @property
    def snippet_chars(self) -> int:
        """The same in characters."""
        return int(self.snippet_tokens * CHARS_PER_TOKEN)

    @property
    def prompt_chars(self) -> int:
        """The same in characters."""
        return int(self.prompt_tokens * CHARS_PER_TOKEN)


def allow(
    can: Capabilities, seconds: float, max_tokens: int, *, patient: bool = False
) -> Allowance:
    """What fits into `seconds` with the rates in `can`, `max_tokens` of the context kept free.

    fresh = (seconds - fixed - line / decode rate) * prefill rate, at least `LEAST_TOKENS`. Who is
    not `patient` wants the first answer soon: of what the deadline would allow, `FIRST_TOKENS` are
    enough, or what is evaluated in `FIRST_SECONDS`. Idle prefill adds the rest.
    """
    prefill = can.prefill_rate or UNKNOWN_PREFILL_RATE
    decode = can.decode_rate or UNKNOWN_DECODE_RATE
    context = can.context_tokens or UNKNOWN_CONTEXT
    most = max(LEAST_TOKENS, context - max_tokens - TEMPLATE_TOKENS)
    fresh = int((seconds - FIXED_SECONDS - LINE_TOKENS / decode) * prefill)
    if not patient:
        fresh = min(fresh, max(FIRST_TOKENS, int(FIRST_SECONDS * prefill)))
    snippets = min(SNIPPET_TOKENS, int(most * SNIPPET_SHARE))
    fresh = min(most, max(LEAST_TOKENS, fresh))
    idle = min(most, max(fresh, int(IDLE_SECONDS * prefill)))
    return Allowance(fresh, most, snippets, idle)


class Rates:
    """Rates of providers that do not measure their own, learned from what they answered.

    Without timings of its own a provider's time to the first token stands for the prefill: that
    includes the way there and back, so that the rate is never taken for higher than it is.
    """

    def __init__(self) -> None:
        self._prefill: dict[str, float] = {}
        self._decode: dict[str, float] = {}

    def fill_in(self, name: str, can: Capabilities) -> Capabilities:
        """`can` with the learned rates where it has none."""
        prefill = can.prefill_rate or self._prefill.get(name)
        decode = can.decode_rate or self._decode.get(name)
        if (prefill, decode) == (can.prefill_rate, can.decode_rate):
            return can
        return replace(can, prefill_rate=prefill, decode_rate=decode)

    def learn(self, name: str, watch: Stopwatch, prompt_chars: int, usage: Usage | None) -> None:
        """One request to `name` is over; see `Stopwatch` for what was measured."""
        if watch.first is not None:
            evaluated = usage.evaluated_tokens if usage else None
            tokens = prompt_chars / CHARS_PER_TOKEN if evaluated is None else evaluated
            if tokens >= LEAST_TOKENS:
                _blend(self._prefill, name, tokens / max(1e-3, watch.first - watch.begun))
        if watch.first is not None and watch.last is not None and watch.tokens >= LINE_TOKENS:
            _blend(self._decode, name, watch.tokens / max(1e-3, watch.last - watch.first))


def _blend(rates: dict[str, float], name: str, measured: float) -> None:
    old = rates.get(name, measured)
    rates[name] = old * KEEP_OLD_RATE + measured * (1 - KEEP_OLD_RATE)
