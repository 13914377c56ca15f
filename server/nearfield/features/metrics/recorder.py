"""Keeps the record of suggestions: rows are gathered here and written together, in a thread.

Nothing runs while nothing changes. A file that cannot be written is said once and costs rows,
nothing else.
"""

from __future__ import annotations

import asyncio
import copy
import logging
import time
from collections.abc import Sequence

from nearfield.config.folders import FolderConfigs
from nearfield.features.feature import Feature
from nearfield.features.metrics.store import RecordStore, RecordUnusable
from nearfield.features.suggestion_record import SuggestionRecord
from nearfield.routing.router import Router
from nearfield.tasks import run_task, stop_task
from nearfield.types import Situation, Trace

log = logging.getLogger(__name__)

WRITE_SECONDS = 20.0
"""Rows are written together so often at most; a killed server loses no more than that."""

KEPT_DAYS = 90
"""Older rows are deleted; a hundred suggestions a day are 2 MB by then."""

MOST_WAITING = 2000
"""Rows that wait for a file that cannot be written; the oldest are given up beyond."""

DAY = 86_400.0


class Recorder(Feature):
    """See the module. One event loop."""

    def __init__(self, store: RecordStore) -> None:
        self._enabled = True
        self.write_seconds = WRITE_SECONDS
        self._store = store
        self._waiting: dict[int, SuggestionRecord] = {}
        self._writing: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()
        self._said = self._broken = False
        self._pruned = 0.0

    def configure(self, config: FolderConfigs, router: Router | None) -> None:
        """Record from now on, or not; what waits is then given up."""
        self._enabled = config.user.completion.record
        if not self._enabled:
            self._waiting.clear()

    def answered(self, language: str, trace: Trace) -> SuggestionRecord | None:
        """A question was answered, or given up; None where nothing is recorded of it: it is turned
        off, or neither a model nor the cache was asked."""
        if not self._enabled or not (trace.provider or trace.situation is Situation.CACHED):
            return None
        usage = trace.usage
        row = SuggestionRecord(
            at=time.time(),
            method=trace.method,
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
        )
        self.row_changed(row)
        return row

    def row_changed(self, row: SuggestionRecord) -> None:
        """Write `row`, which is new or has changed, within `write_seconds`."""
        if not self._enabled or not row.at:
            return
        self._waiting[id(row)] = row
        while len(self._waiting) > MOST_WAITING:
            del self._waiting[next(iter(self._waiting))]
        if self._writing is None or self._writing.done():
            self._writing = run_task(self._write_later(), "write the record")

    async def flush(self) -> None:
        """Write what waits."""
        async with self._lock:
            rows, self._waiting = list(self._waiting.values()), {}
            if not rows:
                return
            now = time.time()
            before = now - KEPT_DAYS * DAY if now - self._pruned > DAY else None
            try:
                # As they are now: they may change again while they are written.
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
        """Write what waits and close the file."""
        await stop_task(self._writing)
        await self.flush()
        await asyncio.to_thread(self._store.close)

    async def _write_later(self) -> None:
        while self._waiting:
            await asyncio.sleep(self.write_seconds)
            # A cancellation from here on would lose the ids of rows that are written.
            await asyncio.shield(run_task(self.flush(), "write the record now"))
            if self._broken:
                return  # until there is more to write

    def _failed(self, rows: Sequence[SuggestionRecord], error: RecordUnusable) -> None:
        """They wait for the next time; what has changed meanwhile is newer."""
        self._waiting = {**{id(row): row for row in rows}, **self._waiting}
        self._broken = True
        if not self._said:
            self._said = True
            log.warning("%s %s Suggestions go on without it.", error, error.hint)
