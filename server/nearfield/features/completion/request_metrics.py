"""What one completion question came to: its situation, cost and end, for the trace."""

from __future__ import annotations

import time
from dataclasses import dataclass

from nearfield.features.completion.confidence import Confidence
from nearfield.features.completion.request import CompletionAsk
from nearfield.types import Included, Reason, Trace, Usage


@dataclass(slots=True)
class Account:
    """What the trace of one question will say."""

    begun: float
    situation: str = ""
    provider: str = ""
    model: str = ""
    usage: Usage | None = None
    shown: bool = False
    reason: Reason = Reason.ERROR
    detail: str = ""
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
            detail=self.detail,
            usage=self.usage,
            included=self.included,
            mean_logprob=self.confidence.mean if self.confidence else None,
            min_logprob=self.confidence.least if self.confidence else None,
        )
