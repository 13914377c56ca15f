"""The index as the rest of the house sees it: open a folder, ask, and never wait for a build.

The work is done by an indexer in a process of its own (`worker`); this side reads the file that it
writes, in one thread, so the event loop never blocks. Until there is something to read, every
answer is empty. An indexer that dies is started again, later each time.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from nearfield.catalog.disk import cache_dir
from nearfield.config.schema import Config
from nearfield.index.embedder import Embedder
from nearfield.index.interface import IndexedSymbol
from nearfield.index.messages import (
    GiveWay,
    Message,
    Near,
    OpenBuffer,
    Pause,
    Start,
    Status,
)
from nearfield.index.schema_store import IndexUnusable, trouble
from nearfield.index.search import Defined, Hit, QueryKind, Searcher
from nearfield.index.workspace import Workspace
from nearfield.listeners import Listeners

__all__ = ["Defined", "Hit", "IndexedSymbol", "QueryKind", "Status", "WorkspaceIndex"]

log = logging.getLogger(__name__)

BUFFER_SECONDS = 0.3
"""Minimum interval between two versions of a buffer: the indexer reads a whole file each time."""
RESTART_SECONDS = (1.0, 3.0, 10.0, 30.0)
"""Pauses before an indexer that died is started again, the last one for all further deaths."""
STEADY_SECONDS = 120.0
"""An indexer that ran this long before it died begins with the shortest pause again."""
END_SECONDS = 0.2
"""An indexer that has not ended by itself in this time is killed. Only its last batch is lost, and
a server must be gone within a second of its client.
"""

Answer = TypeVar("Answer")


class WorkspaceIndex:
    """The index of one workspace folder. Its methods belong to one event loop."""

    def __init__(self, config: Config, cache: Path | None = None) -> None:
        """Cheap, no I/O. `cache` is the user's cache folder if not given."""
        self._config = config
        self._cache = cache or cache_dir()
        self._workspace: Workspace | None = None
        self._status = Status()
        self._listeners = Listeners[Status]()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="index-read")
        self._embedder = Embedder()
        self._searcher: Searcher | None = None
        self._task: asyncio.Task[None] | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._buffers: dict[str, str] = {}
        self._outbox: dict[str, str | None] = {}
        self._flush: asyncio.TimerHandle | None = None
        self._near: tuple[str, ...] = ()
        self._places: dict[str, str] = {}
        """Absolute paths, relative to the folder; asking the disk at every keystroke may block."""
        self._paused = False

    @property
    def status(self) -> Status:
        """Return the state last reported."""
        return self._status

    def subscribe(self, callback: Callable[[Status], None]) -> Callable[[], None]:
        """Hear every change of the status; returns how to stop that."""
        return self._listeners.add(callback)

    async def open(self, root: Path) -> None:
        """Start indexing `root`; returns once the indexer is being started. Call it only once."""
        if self._task is not None or not self._config.index.enabled:
            return
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(
            self._thread, Workspace.of, root, self._config, self._cache
        )
        workspace = found.as_reader()
        self._workspace = workspace
        self._task = loop.create_task(self._keep(workspace), name="index")

    async def close(self) -> None:
        """End the indexer; safe to call twice, or without `open`."""
        if self._flush is not None:
            self._flush.cancel()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            # Not `await task`: that could not be told from the caller's own cancellation.
            await asyncio.wait({task})
        loop = asyncio.get_running_loop()
        if self._searcher is not None:
            searcher, self._searcher = self._searcher, None
            await loop.run_in_executor(self._thread, searcher.close)
        if task is not None and self._workspace is not None:
            await loop.run_in_executor(self._thread, self._workspace.place.discard)
        self._thread.shutdown(wait=False)

    # --- what the editor knows ---

    def buffer(self, path: str, text: str) -> None:
        """Index the text of an open document; it replaces the file on disk until `closed`. `path`
        is absolute; one outside the folder is ignored.
        """
        inside = self._inside(path)
        if inside:
            self._buffers[inside] = text
            self._later(inside, text)

    def closed(self, path: str) -> None:
        """The document was closed: the disk counts."""
        inside = self._inside(path)
        if inside and self._buffers.pop(inside, None) is not None:
            self._later(inside, None)

    def near(self, paths: tuple[str, ...]) -> None:
        """The files (absolute) that matter most now; their vectors are made first."""
        self._near = tuple(inside for path in paths if (inside := self._inside(path)))
        self._send(Near(paths=self._near))

    def pause(self) -> None:
        """Leave off all background work, e.g. while the machine is needed for something else."""
        self._paused = True
        self._send(Pause(on=True))

    def resume(self) -> None:
        """Go on."""
        self._paused = False
        self._send(Pause(on=False))

    def give_way(self, seconds: float) -> None:
        """Leave the machine to the user for `seconds` from now, replacing any earlier pause."""
        self._send(GiveWay(seconds=seconds))

    # --- questions ---

    async def search(
        self, query: str, kind: QueryKind | None = None, k: int = 10, near: str = ""
    ) -> list[Hit]:
        """The `k` best chunks for a name, a question or a piece of code; `near` is the absolute
        path of the file it is asked from."""
        inside = self._inside(near) if near else ""
        return await self.ask(lambda found: found.search(query, kind, k, inside), list[Hit]())

    async def definitions(self, name: str, limit: int = 20) -> list[Defined]:
        """Return the definitions of `name`, with their text."""
        return await self.ask(lambda found: found.defined(name, limit), list[Defined]())

    async def references(self, name: str, limit: int = 1_000) -> list[IndexedSymbol]:
        """Return the references to `name`."""
        return await self.ask(
            lambda found: found.reader.references(name, limit), list[IndexedSymbol]()
        )

    async def ask(self, question: Callable[[Searcher], Answer], nothing: Answer) -> Answer:
        """Put a question of several parts to the index, in the index's thread; `nothing` while
        there is no index."""
        workspace = self._workspace
        if workspace is None or self._task is None:
            return nothing
        loop = asyncio.get_running_loop()

        def answer() -> Answer:
            try:
                if self._searcher is None:
                    self._searcher = workspace.searcher(self._embedder)
                with trouble():
                    return question(self._searcher)
            except IndexUnusable:
                # Not there yet, or set aside and built again: the next question opens it again.
                if self._searcher is not None:
                    self._searcher.close()
                    self._searcher = None
                return nothing

        return await loop.run_in_executor(self._thread, answer)

    # --- the indexer ---

    async def _keep(self, workspace: Workspace) -> None:
        """Run the indexer, and another one when it dies."""
        deaths = 0
        while True:
            started = time.monotonic()
            code = await self._run(workspace)
            if time.monotonic() - started > STEADY_SECONDS:
                deaths = 0
            wait = RESTART_SECONDS[min(deaths, len(RESTART_SECONDS) - 1)]
            deaths += 1
            log.warning("the indexer ended with %s; the next one starts in %s s", code, wait)
            self._say(Status(state="failed", detail="The indexer died and is started again."))
            await asyncio.sleep(wait)

    async def _run(self, workspace: Workspace) -> int | None:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "nearfield.index.worker",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        self._process = process
        try:
            self._send(
                Start(
                    root=str(workspace.root), exclude=workspace.exclude,
                    max_bytes=workspace.max_bytes, vectors=workspace.vectors,
                    on_battery=self._config.index.on_battery, holder=os.getpid(),
                    place=str(workspace.place.file), kept=workspace.place.kept,
                    store=workspace.shared.url if workspace.shared is not None else "",
                    name=workspace.shared.name if workspace.shared is not None else "",
                )
            )  # fmt: skip
            self._send(Near(paths=self._near))
            if self._paused:
                self._send(Pause(on=True))
            for path, text in self._buffers.items():
                self._send(OpenBuffer(path=path, text=text))
            assert process.stdout is not None  # noqa: S101 - asked for above
            async for line in process.stdout:
                self._say(msgspec.json.decode(line, type=Status))
            return await process.wait()
        finally:
            self._process = None
            await _end(process)

    def _send(self, message: Message) -> None:
        process = self._process
        if process is None or process.stdin is None or process.stdin.is_closing():
            return  # it will be told all of it when it starts
        process.stdin.write(msgspec.json.encode(message) + b"\n")

    def _is_behind(self) -> bool:
        process = self._process
        if process is None or process.stdin is None:
            return False
        return process.stdin.transport.get_write_buffer_size() > 0

    def _later(self, path: str, text: str | None) -> None:
        self._outbox[path] = text
        if self._flush is None:
            self._flush = asyncio.get_running_loop().call_later(BUFFER_SECONDS, self._pass_on)

    def _pass_on(self) -> None:
        self._flush = None
        if self._is_behind():
            # It reads at the lowest priority; what it has not read yet is as old as this.
            self._flush = asyncio.get_running_loop().call_later(BUFFER_SECONDS, self._pass_on)
            return
        for path, text in self._outbox.items():
            self._send(OpenBuffer(path=path, text=text))
        self._outbox.clear()

    def _say(self, status: Status) -> None:
        self._status = status
        self._listeners.tell(status)

    def _inside(self, path: str) -> str:
        """`path` relative to the folder, "" for one outside."""
        if self._workspace is None:
            return ""
        if path not in self._places:
            root = os.path.realpath(self._workspace.root)
            whole = Path(os.path.realpath(Path(path).parent)) / Path(path).name
            inside = whole.relative_to(root).as_posix() if whole.is_relative_to(root) else ""
            self._places[path] = inside
        return self._places[path]


async def _end(process: asyncio.subprocess.Process) -> None:
    """Close its input, which ends it; kill it when it takes too long. Nothing is lost by that."""
    if process.returncode is not None:
        return
    if process.stdin is not None:
        process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), END_SECONDS)
    except TimeoutError:
        with suppress(ProcessLookupError):  # it has ended meanwhile
            process.kill()
        await process.wait()
