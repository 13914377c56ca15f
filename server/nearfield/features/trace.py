"""The trace of every answered request; it never holds text of a document."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, fields, replace
from types import TracebackType
from typing import Any

from nearfield.errors import EditRefused, NotPermitted
from nearfield.types import Included, Reason, Snapshot, Surface, Trace, Usage

KEPT = 1000
"""Traces kept: an hour or two of typing, about 300 bytes each."""


class TraceLog:
    """The last `KEPT` traces, in memory only."""

    def __init__(self, kept: int = KEPT) -> None:
        self._traces: deque[Trace] = deque(maxlen=kept)

    def __len__(self) -> int:
        return len(self._traces)

    def add(self, trace: Trace) -> None:
        """Append `trace`."""
        self._traces.append(trace)

    def last(self, n: int) -> list[Trace]:
        """The last `n` traces, newest first; all of them when there are fewer."""
        newest_first = reversed(self._traces)
        return [trace for trace, _ in zip(newest_first, range(max(0, n)), strict=False)]


@dataclass(slots=True)
class RequestMetrics(AbstractContextManager["RequestMetrics"]):
    """The metrics of one request: a context manager that adds its trace to `log` at the end.

    `snapshot` is None if the request concerns no document. The other fields are filled in while the
    request runs. A `reason` other than `SHOWN` stays if an exception ends the request, except for
    a cancellation or a refusal. `trace` is None before the end, when `ended` is told.
    """

    log: TraceLog
    surface: Surface
    snapshot: Snapshot | None
    situation: str = ""
    provider: str = ""
    model: str = ""
    usage: Usage | None = None
    reason: Reason = Reason.SHOWN
    id: str = ""
    detail: str = ""
    included: tuple[Included, ...] = ()
    mean_logprob: float | None = None
    min_logprob: float | None = None
    stages: dict[str, float] = field(default_factory=dict[str, float])
    trace: Trace | None = None
    started: float = field(default_factory=time.monotonic)
    ended: Callable[[Trace], object] | None = None

    def spent(self, usage: Usage) -> None:
        """Add the cost of a further model call; a count that one of them lacks counts as 0."""
        before = self.usage
        self.usage = usage if before is None else _sum(before, usage)

    def answered(self, seconds: float) -> None:
        """Split the seconds that a model took into stages: reading the prompt and generating, as
        far as it reports them, and waiting, which is the rest."""
        read = (self.usage.prefill_ms if self.usage else None) or 0.0
        generate = (self.usage.decode_ms if self.usage else None) or 0.0
        self.stages["wait"] = max(0.0, seconds * 1000 - read - generate)
        self.stages["read"], self.stages["generate"] = read, generate

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, asyncio.CancelledError):
            self.reason = Reason.CANCELLED
        elif isinstance(error, EditRefused | NotPermitted):
            self.reason = Reason.REFUSED
        elif error is not None and self.reason is Reason.SHOWN:
            self.reason = Reason.FAILED
        self.trace = Trace(
            id=self.id,
            surface=self.surface,
            uri=self.snapshot.uri if self.snapshot else "",
            version=self.snapshot.version if self.snapshot else None,
            provider=self.provider,
            model=self.model,
            situation=self.situation,
            total_ms=(time.monotonic() - self.started) * 1000,
            shown=not self.reason,
            reason=self.reason,
            detail=self.detail,
            usage=self.usage,
            included=self.included,
            mean_logprob=self.mean_logprob,
            min_logprob=self.min_logprob,
            stages=tuple(self.stages.items()),
        )
        self.log.add(self.trace)
        if self.ended is not None:
            self.ended(self.trace)


def flat(trace: Trace) -> dict[str, Any]:
    """Return `trace` as `nearfield/trace` sends it: one level, JSON types, None where unknown."""
    usage = trace.usage
    return {
        "id": trace.id,
        "method": trace.surface,
        "uri": trace.uri,
        "version": trace.version,
        "provider": trace.provider,
        "model": trace.model,
        "situation": trace.situation,
        "prompt_tokens": usage.prompt_tokens if usage else None,
        "evaluated_tokens": usage.evaluated_tokens if usage else None,
        "reused_tokens": usage.reused_tokens if usage else None,
        "reuses_prefix": usage.reuses_prefix if usage else None,
        "generated_tokens": usage.generated_tokens if usage else None,
        "prefill_ms": _rounded(usage.prefill_ms if usage else None, 1),
        "decode_ms": _rounded(usage.decode_ms if usage else None, 1),
        "decode_steps": usage.decode_steps if usage else None,
        "stages": {name: round(ms, 1) for name, ms in trace.stages},
        "total_ms": _rounded(trace.total_ms, 1),
        "mean_logprob": _rounded(trace.mean_logprob, 3),
        "min_logprob": _rounded(trace.min_logprob, 3),
        "shown": trace.shown,
        "reason": trace.reason,
        "detail": trace.detail,
        "included": [
            {"path": one.path, "kind": one.kind.value, "tokens": one.tokens}
            for one in trace.included
        ],
    }


def _sum(one: Usage, other: Usage) -> Usage:
    def total(name: str) -> float | None:
        values = [v for v in (getattr(one, name), getattr(other, name)) if v is not None]
        return sum(values) if values else None

    names = [field.name for field in fields(Usage) if field.name not in ("model", "variant")]
    counts = {name: total(name) for name in names}
    return replace(other, **counts)


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
