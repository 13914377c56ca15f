"""How sure a model was of what is shown: the log-probabilities of its tokens, and no others.

A stream goes on for a token or two behind what is shown, and what was cut away tells nothing of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nearfield.config.schema import Completion


@dataclass(frozen=True, slots=True)
class Confidence:
    """Natural logarithms of probabilities: `mean` over the tokens, and of the `least` likely."""

    mean: float
    least: float


def confidence_of(logprobs: Sequence[tuple[int, float]], chars: int) -> Confidence | None:
    """Of the tokens that begin in the first `chars` characters of a text. `logprobs` has for each
    token where it begins in it. None where nothing is known."""
    shown = [value for start, value in logprobs if start < max(1, chars)]
    return Confidence(sum(shown) / len(shown), min(shown)) if shown else None


def unsure(confidence: Confidence | None, settings: Completion) -> bool:
    """Return whether it is below what the settings ask for; what is not known never is.

    Their defaults hide a third of the suggestions of the default model that are wrong and 2 % of
    those that are right (tests/bench/RESULTS.md, Confidence).
    """
    if confidence is None:
        return False
    return (
        confidence.mean < settings.min_confidence
        or confidence.least < settings.min_token_confidence
    )
