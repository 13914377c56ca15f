"""The choice of a prompt among the ways to write it, by what is evaluated already."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nearfield.engine.frames import Variant
from nearfield.engine.rates import Rates
from nearfield.errors import Unsupported


@dataclass(frozen=True, slots=True)
class TokenizedPrompt:
    """A variant in tokens: what to evaluate, the bytes owed to healing, and how many tokens its
    last piece has."""

    tokens: list[int]
    owed: bytes
    variant: int
    last: int = 0


def choose(
    variants: list[Variant],
    tokenize: Callable[[Variant, int], TokenizedPrompt],
    unknown: Callable[[list[int]], int],
    rates: Rates,
    budget_ms: float,
) -> TokenizedPrompt:
    """Return the first variant that can be evaluated within `budget_ms` (0: any) and has at most
    its `max_extra_tokens` more unevaluated tokens than the cheapest, else the cheapest. No later
    variant is tokenized once that is certain. `unknown` counts the tokens that are not evaluated
    yet. Raises `Unsupported` if all are empty."""
    found: list[tuple[TokenizedPrompt, int]] = []
    affordable: list[tuple[TokenizedPrompt, int]] = []
    for i, variant in enumerate(variants):
        prompt = tokenize(variant, i)
        if not prompt.tokens:
            continue
        new = unknown(prompt.tokens)
        found.append((prompt, new))
        if not budget_ms or rates.prefill_ms(new) <= budget_ms:
            affordable.append((prompt, new))
            if new <= variant.max_extra_tokens:
                break
    if not found:
        raise Unsupported("The prompt is empty.")
    fewest = min(new for _, new in found)
    for prompt, new in affordable:
        if new <= fewest + variants[prompt.variant].max_extra_tokens:
            return prompt
    return min(found, key=lambda pair: pair[1])[0]
