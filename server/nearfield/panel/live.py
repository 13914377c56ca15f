"""Changes while the page is looked at: one watcher for all pages, and a stream for each.

Nothing runs while no page is open. A page that does not read is dropped; it connects again and
begins with the whole state.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from nearfield import __version__
from nearfield.http.exchange import HttpExchange
from nearfield.http.wire import BadRequest
from nearfield.panel.jobs import Jobs, PanelJob
from nearfield.panel.view import plain
from nearfield.tasks import run_task, stop_task

MAX_STREAMS = 8
LOOK_SECONDS = 1.0
BEAT_SECONDS = 10.0
MAX_WAITING = 64
"""Events that wait for a page; one that leaves more unread is dropped."""

Event = dict[str, Any]
Files = Callable[[], Mapping[str, Sequence[Path]]]
"""Returns the files that lie under each view."""


class Live:
    """See the module. `now` is the state that is told when it changes, `files` what lies under the
    other views."""

    def __init__(self, now: Callable[[], Awaitable[Any]], files: Files, jobs: Jobs) -> None:
        self._now = now
        self._files = files
        self._streams: set[asyncio.Queue[Event | None]] = set()
        self._watching: asyncio.Task[None] | None = None
        self._started = time.time()
        self._last: Any = None
        jobs.changes.add(self._job_changed)

    async def events(self, exchange: HttpExchange, body: bytes) -> None:
        """Answer with what changes, until the page is closed."""
        if len(self._streams) >= MAX_STREAMS:
            raise BadRequest(f"{MAX_STREAMS} pages are open.", status=429, hint="Close one.")
        queue = asyncio.Queue[Event | None](MAX_WAITING)
        hello = {"version": __version__, "started": self._started, "pid": os.getpid()}
        queue.put_nowait({"event": "hello", "data": hello})
        if self._streams and self._last is not None:
            queue.put_nowait({"event": "now", "data": self._last})
        self._streams.add(queue)
        if self._watching is None or self._watching.done():
            self._watching = run_task(self._watch(), "watch for the panel")
        try:
            await exchange.stream(_beating(queue))
        finally:
            self._streams.discard(queue)
            if not self._streams:
                await stop_task(self._watching)
                self._last = None

    async def aclose(self) -> None:
        """End every stream."""
        for queue in self._streams:
            _drop(queue)
        await stop_task(self._watching)

    async def _watch(self) -> None:
        stamps = await asyncio.to_thread(self._stamps)
        while True:
            found = plain(await self._now())
            if found != self._last:
                self._last = found
                self._tell("now", found)
            seen = await asyncio.to_thread(self._stamps)
            if changed := [view for view in seen if seen[view] != stamps.get(view)]:
                self._tell("changed", {"views": changed})
            stamps = seen
            await asyncio.sleep(LOOK_SECONDS)

    def _stamps(self) -> dict[str, list[tuple[int, int]]]:
        return {view: [_stamp(path) for path in paths] for view, paths in self._files().items()}

    def _job_changed(self, job: PanelJob) -> None:
        self._tell("job", plain(job))

    def _tell(self, name: str, data: Any) -> None:
        for queue in self._streams:
            try:
                queue.put_nowait({"event": name, "data": data})
            except asyncio.QueueFull:
                _drop(queue)


def _drop(queue: asyncio.Queue[Event | None]) -> None:
    """End a stream at once, without what waits."""
    with suppress(asyncio.QueueEmpty):
        while True:
            queue.get_nowait()
    queue.put_nowait(None)


async def _beating(queue: asyncio.Queue[Event | None]) -> AsyncGenerator[Event]:
    """Yield the events, and an empty one where there is none for a while."""
    while True:
        try:
            async with asyncio.timeout(BEAT_SECONDS):
                event = await queue.get()
        except TimeoutError:
            event = {}
        if event is None:
            return
        yield event


def _stamp(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except OSError:
        return 0, 0
    return stat.st_mtime_ns, stat.st_size
