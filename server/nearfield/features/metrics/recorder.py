"""Writes the records of suggestions to their file, in batches, off the event loop.

Nothing runs while nothing changes. If the file cannot be written, one warning is logged and records
are lost; nothing else is affected.
"""

from __future__ import annotations

import asyncio
import copy
import logging
import time
from collections.abc import Callable, Sequence

from nearfield.config.folders import FolderConfigs
from nearfield.features.feature import Feature
from nearfield.features.metrics.store import RecordStore, RecordUnusable
from nearfield.features.suggestion_record import SuggestionRecord
from nearfield.routing.router import Router
from nearfield.tasks import run_task, stop_task
from nearfield.types import Situation, Trace

log = logging.getLogger(__name__)

WRITE_SECONDS = 20.0
"""Interval between writes; a killed server loses at most that."""

KEPT_DAYS = 90
"""Age at which records are deleted; a hundred suggestions a day are 2 MB by then."""

MAX_WAITING = 2000
"""Records that wait for a file that cannot be written; beyond that the oldest are dropped."""

DAY = 86_400.0


class Recorder(Feature):
    """Collects records and writes them; one event loop. `mark` says to which trial one belongs."""

    def __init__(self, store: RecordStore, mark: Callable[[Trace], str] = lambda trace: "") -> None:
        self._mark = mark
        self._enabled = True
        self.write_seconds = WRITE_SECONDS
        self._store = store
        self._waiting: dict[int, SuggestionRecord] = {}
        self._writing: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()
        self._said = self._broken = False
        self._pruned = 0.0

    def configure(self, config: FolderConfigs, router: Router | None) -> None:
        """Turn recording on, or off, which drops the records that wait."""
        self._enabled = config.user.completion.record
        if not self._enabled:
            self._waiting.clear()

    def record(self, language: str, trace: Trace) -> SuggestionRecord | None:
        """Record an answered request. Returns None if nothing is recorded: recording is off, or
        neither a model nor the cache was asked."""
        if not self._enabled or not (trace.provider or trace.situation is Situation.CACHED):
            return None
        usage = trace.usage
        row = SuggestionRecord(
            at=time.time(),
            method=trace.surface,
            language=language,
            situation=str(trace.situation),
            provider=trace.provider,
            model=trace.model,
            reason=trace.reason,
            ms=round(trace.total_ms, 1),
            evaluated=(usage.evaluated_tokens if usage else None) or 0,
            reused=(usage.reused_tokens if usage else None) or 0,
            generated=(usage.generated_tokens if usage else None) or 0,
            confidence=trace.mean_logprob,
            stages={name: round(ms, 1) for name, ms in trace.stages},
            trial=self._mark(trace),
        )
        self.row_changed(row)
        return row

    def row_changed(self, row: SuggestionRecord) -> None:
        """Write a new or changed record within `write_seconds`."""
        if not self._enabled or not row.at:
            return
        self._waiting[id(row)] = row
        while len(self._waiting) > MAX_WAITING:
            del self._waiting[next(iter(self._waiting))]
        if self._writing is None or self._writing.done():
            self._writing = run_task(self._write_later(), "write the record")

    async def flush(self) -> None:
        """Write the records that wait."""
        async with self._lock:
            rows, self._waiting = list(self._waiting.values()), {}
            if not rows:
                return
            now = time.time()
            before = now - KEPT_DAYS * DAY if now - self._pruned > DAY else None
            try:
                # Copies, because records may change while they are written.
                copies = [copy.copy(row) for row in rows]
                ids = await asyncio.to_thread(self._store.save, copies, before)
            except RecordUnusable as error:
                self._failed(rows, error)
                return
            self._broken = False
            self._pruned = now if before is not None else self._pruned
            for row, number in zip(rows, ids, strict=True):
                row.id = number

    async def aclose(self) -> None:
        """Write the records that wait and close the file."""
        await stop_task(self._writing)
        await self.flush()
        await asyncio.to_thread(self._store.close)

    async def _write_later(self) -> None:
        while self._waiting:
            await asyncio.sleep(self.write_seconds)
            # A cancellation from here on would lose the ids of written records.
            await asyncio.shield(run_task(self.flush(), "write the record now"))
            if self._broken:
                return  # the next record tries again

    def _failed(self, rows: Sequence[SuggestionRecord], error: RecordUnusable) -> None:
        """Keep the records for the next write; newer changes win."""
        self._waiting = {**{id(row): row for row in rows}, **self._waiting}
        self._broken = True
        if not self._said:
            self._said = True
            log.warning("%s %s Suggestions go on without it.", error, error.hint)
