"""What one completion question came to: its situation, cost and end, for the trace."""

from __future__ import annotations

import time
from dataclasses import dataclass

from nearfield.errors import (
    EngineDied,
    NearfieldError,
    NoProvider,
    NotReady,
    RateLimited,
    Unauthorised,
    Unreachable,
)
from nearfield.features.ask import CompletionAsk
from nearfield.features.confidence import Confidence
from nearfield.types import Included, Trace, Usage

_REASONS: tuple[tuple[type[NearfieldError], str], ...] = (
    (NotReady, "not_ready"),
    (EngineDied, "engine_died"),
    (Unreachable, "unreachable"),
    (Unauthorised, "unauthorised"),
    (RateLimited, "rate_limited"),
)


@dataclass(slots=True)
class Account:
    """What the trace of one question will say."""

    begun: float
    situation: str = ""
    provider: str = ""
    model: str = ""
    usage: Usage | None = None
    shown: bool = False
    reason: str = "error"
    included: tuple[Included, ...] = ()
    confidence: Confidence | None = None

    def trace(self, ask: CompletionAsk) -> Trace:
        """The account as it stands."""
        return Trace(
            id=ask.id,
            method=ask.method,
            uri=ask.snapshot.uri,
            version=ask.snapshot.version,
            provider=self.provider,
            model=self.model,
            situation=self.situation,
            total_ms=(time.monotonic() - self.begun) * 1000,
            shown=self.shown,
            reason=self.reason,
            usage=self.usage,
            included=self.included,
            mean_logprob=self.confidence.mean if self.confidence else None,
            min_logprob=self.confidence.least if self.confidence else None,
        )


def reason_of(error: NearfieldError | None) -> str:
    """The word for the trace: what the last candidate's trouble was."""
    if isinstance(error, NoProvider) and error.causes:
        error = error.causes[-1]
    return next((word for kind, word in _REASONS if isinstance(error, kind)), "no_provider")
