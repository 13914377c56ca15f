"""The account of every answered request, which anyone may read; never any text of a document."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from types import TracebackType
from typing import Any, Self

from nearfield.errors import EditRefused, NotPermitted
from nearfield.listeners import Listeners
from nearfield.types import Reason, Snapshot, Trace, Usage

KEPT = 1000
"""Traces held: an hour or two of typing, some 300 bytes each."""


class TraceLog:
    """The last `KEPT` traces, in memory only."""

    def __init__(self, kept: int = KEPT) -> None:
        self._traces: deque[Trace] = deque(maxlen=kept)
        self._watchers = Listeners[Trace]()

    def __len__(self) -> int:
        return len(self._traces)

    def add(self, trace: Trace) -> None:
        """Append `trace` and tell the watchers."""
        self._traces.append(trace)
        self._watchers.tell(trace)

    def last(self, n: int) -> list[Trace]:
        """The last `n` traces, newest first; all of them when there are fewer."""
        newest_first = reversed(self._traces)
        return [trace for trace, _ in zip(newest_first, range(max(0, n)), strict=False)]

    def watch(self, callback: Callable[[Trace], None]) -> Callable[[], None]:
        """Call `callback` with every further trace; returns the function that ends it."""
        return self._watchers.add(callback)


@dataclass(slots=True)
class Account:
    """One request that somebody waits for, from its begin to its end, however it ends: a context
    manager that adds its trace to `log`. `snapshot` is None where it is about no document. Who
    answered is filled in meanwhile; `reason` stays `SHOWN` when something is."""

    log: TraceLog
    method: str
    snapshot: Snapshot | None
    situation: str = ""
    provider: str = ""
    model: str = ""
    usage: Usage | None = None
    reason: Reason = Reason.SHOWN
    detail: str = ""
    _begun: float = 0.0

    def spent(self, usage: Usage) -> None:
        """A request has cost that, besides those before it; what one of them does not say counts
        as nothing."""
        before = self.usage
        self.usage = usage if before is None else _together(before, usage)

    def __enter__(self) -> Self:
        self._begun = time.monotonic()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        reason = self.reason
        if isinstance(error, asyncio.CancelledError):
            reason = Reason.CANCELLED
        elif isinstance(error, EditRefused | NotPermitted):
            reason = Reason.REFUSED
        elif error is not None:
            reason = Reason.FAILED
        self.log.add(
            Trace(
                id="",
                method=self.method,
                uri=self.snapshot.uri if self.snapshot else "",
                version=self.snapshot.version if self.snapshot else None,
                provider=self.provider,
                model=self.model,
                situation=self.situation,
                total_ms=(time.monotonic() - self._begun) * 1000,
                shown=not reason,
                reason=reason,
                detail=self.detail,
                usage=self.usage,
            )
        )


def flat(trace: Trace) -> dict[str, Any]:
    """`trace` as `nearfield/trace` answers it: one level, JSON types, None where unknown."""
    usage = trace.usage
    return {
        "id": trace.id,
        "method": trace.method,
        "uri": trace.uri,
        "version": trace.version,
        "provider": trace.provider,
        "model": trace.model,
        "situation": trace.situation,
        "prompt_tokens": usage.prompt_tokens if usage else None,
        "evaluated_tokens": usage.evaluated_tokens if usage else None,
        "reused_tokens": usage.reused_tokens if usage else None,
        "generated_tokens": usage.generated_tokens if usage else None,
        "prefill_ms": _tenth(usage.prefill_ms if usage else None),
        "decode_ms": _tenth(usage.decode_ms if usage else None),
        "total_ms": _tenth(trace.total_ms),
        "mean_logprob": _thousandth(trace.mean_logprob),
        "min_logprob": _thousandth(trace.min_logprob),
        "shown": trace.shown,
        "reason": trace.reason,
        "detail": trace.detail,
        "included": [
            {"path": one.path, "kind": one.kind.value, "tokens": one.tokens}
            for one in trace.included
        ],
    }


def _together(one: Usage, other: Usage) -> Usage:
    def total(name: str) -> float | None:
        values = [v for v in (getattr(one, name), getattr(other, name)) if v is not None]
        return sum(values) if values else None

    counts = {field.name: total(field.name) for field in fields(Usage) if field.name != "model"}
    return replace(other, **counts)


def _thousandth(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _tenth(ms: float | None) -> float | None:
    return None if ms is None else round(ms, 1)
