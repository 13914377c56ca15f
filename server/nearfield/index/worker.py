"""The indexer: a process of its own at the lowest priority (`python -m nearfield.index.worker`).

Lines on standard input tell it what to index and the text of open buffers; lines on standard output
report its progress. It ends with its input, so it never outlives its server. A single thread works;
messages are served between two files or two batches, so an edit never waits for a build. It pauses
while the user types, and indexes the typed text afterwards. Of several indexers of one workspace
the one with the lock builds; when it ends, another one takes over.
"""

from __future__ import annotations

import contextlib
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import psutil

from nearfield.index.builder import BuildProgress, is_rules, left_out
from nearfield.index.embedder import NOT_INSTALLED, Embedder, is_installed
from nearfield.index.follower import Follower, decided
from nearfield.index.messages import (
    Changed,
    GiveWay,
    Message,
    Near,
    OpenBuffer,
    Pause,
    Start,
    State,
    Status,
)
from nearfield.index.schema_store import IndexFile, IndexUnusable, trouble
from nearfield.index.search_store import SqliteReader
from nearfield.index.shared import Shared
from nearfield.index.throttle import MachineLoad, TypingPause
from nearfield.index.watch import Watcher
from nearfield.index.workspace import Keeper, Workspace
from nearfield.power import is_on_battery
from nearfield.terminal import guard

LOCK_SECONDS = 2.0
"""Interval at which a reading indexer tries to become the builder."""
RETRY_SECONDS = 10.0
"""After a full disk or a broken file."""
BATTERY_SECONDS = 60.0
PARSER_IDLE_SECONDS = 5.0
"""Starting the process that parses takes a tenth of a second; keeping it costs 30 MB."""
SAY_SECONDS = 0.2
"""Progress is said at most this often."""


class Indexer:
    """An indexer that follows one workspace until the input ends."""

    def __init__(
        self,
        workspace: Workspace,
        start: Start,
        inbox: queue.Queue[Message | None],
        say: Callable[[Status], None],
    ) -> None:
        """`inbox` gets what the server says, None at its end; see `give_way`."""
        self._workspace = workspace
        self._start = start
        self._inbox = inbox
        self._tell = say
        self._keeper: Keeper | None = None
        self._buffers: dict[str, str] = {}
        self._near: tuple[str, ...] = ()
        self._closing = False
        self._paused = False
        self._dirty = True
        self._said_at = 0.0
        self._detail = self._left_out = ""
        self._counts = (0, 0, 0)
        self._looked: tuple[tuple[int, int], ...] | None = None
        self._told: Status | None = None
        self._typing = TypingPause()
        self._late_buffers: dict[str, str | None] = {}
        self._late_changes: list[str] = []
        self._embedder = Embedder(gives_way=self._rest)
        self._load = MachineLoad()

    def give_way(self, seconds: float) -> None:
        """Pause at once for `seconds`, as the user types. Thread-safe."""
        if self._typing.ask(seconds):
            self._embedder.interrupt()

    def run(self) -> None:
        """Work until the input ends."""
        while not self._closing:
            try:
                with trouble():
                    self._step()
            except IndexUnusable as error:
                self._drop_keeper()
                self._dirty = True
                self._say("failed", detail=str(error))
                self._wait(RETRY_SECONDS)
        self._drop_keeper()

    def _step(self) -> None:
        self._rest()
        if self._keeper is None and not self._take():
            self._say("reading", detail="Another Nearfield builds the index of this workspace.")
            self._wait(LOCK_SECONDS)
        elif self._paused:
            self._say("paused")
            self._wait(None)
        elif self._dirty:
            self._build()
        else:
            self._embed()

    def _take(self) -> bool:
        """Become the builder, if there is none."""
        keeper = Keeper(
            self._workspace,
            stop=self._is_interrupted,
            holder=self._start.holder,
            embedder=self._embedder if is_installed() else None,
        )
        keeper.__enter__()
        if not keeper.taken:
            return False
        self._keeper, self._dirty = keeper, True
        self._detail = keeper.said
        if not self._workspace.place.kept:
            self._detail = "The cache folder cannot be written, so the index ends with the server."
        for path, text in self._buffers.items():
            keeper.builder.buffer(path, text)
        return True

    def _drop_keeper(self) -> None:
        if self._keeper is not None:
            with contextlib.suppress(IndexUnusable), trouble():
                self._keeper.__exit__(None, None, None)
            self._keeper = None

    def _build(self) -> None:
        assert self._keeper is not None  # noqa: S101 - `_step` has seen to it
        self._dirty = False
        self._say("building")

        def heard(progress: BuildProgress) -> None:
            self._say("building", progress.done, progress.total, often=True)

        report = self._keeper.build(heard)
        if report.stopped:
            self._dirty = True
        self._left_out = left_out(self._held()[0], report.skipped)

    def _embed(self) -> None:
        assert self._keeper is not None  # noqa: S101 - `_step` has seen to it
        if not self._start.on_battery and is_on_battery():
            self._say("ready", detail="Vectors wait until the machine is plugged in.")
            self._wait(BATTERY_SECONDS)
            return

        def heard(done: int, total: int) -> None:
            self._say("embedding", done, total, often=True)

        self._load.rested()
        self._counts = self._held()
        self._keeper.embed(self._near, heard, self._gives_way)
        if not (self._dirty or self._paused or self._closing):
            lacking = NOT_INSTALLED if self._start.vectors and not is_installed() else ""
            said = filter(None, (self._detail, self._left_out, lacking))
            self._say("ready", detail=" ".join(said))
            self._detail = ""
            self._wait(None)

    def _gives_way(self) -> bool:
        """Rest when others need the machine; whether to leave off embedding."""
        if rest := self._load.rest():
            self._wait(rest)
            self._load.rested()
        return self._is_interrupted() or self._dirty

    def _is_interrupted(self) -> bool:
        """Serve what came in; whether to leave off what is being done."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._serve(self._inbox.get_nowait())
        self._rest()
        return self._closing or self._paused

    def _rest(self) -> None:
        """Wait while the user types, then index the text typed and saved meanwhile."""
        waited = False
        while not self._closing and (left := self._typing.left()):
            waited = True
            with contextlib.suppress(queue.Empty):
                self._serve(self._inbox.get(timeout=left))
        buffers, self._late_buffers = self._late_buffers, {}
        for path, text in buffers.items():
            self._read_buffer(path, text)
        if self._late_changes:
            changes, self._late_changes = self._late_changes, []
            self._read_changes(tuple(dict.fromkeys(changes)))
        if waited:
            self._load.rested()

    def _wait(self, seconds: float | None) -> None:
        """Serve a message, or give up waiting. Waiting without an end ends the process that
        parses after `PARSER_IDLE_SECONDS`."""
        first = PARSER_IDLE_SECONDS if seconds is None else seconds
        try:
            message = self._inbox.get(timeout=first)
        except queue.Empty:
            if seconds is not None:
                return
            if self._keeper is not None:
                self._keeper.end_parser()
            message = self._inbox.get()
        self._serve(message)
        self._is_interrupted()

    def _serve(self, message: Message | None) -> None:
        match message:
            case None:
                self._closing = True
            case Pause(on=on):
                self._paused = on
            case Near(paths=paths):
                self._near = paths
            case OpenBuffer(path=path, text=text):
                self._buffer(path, text)
            case Changed(paths=paths):
                self._changed(paths)
            case GiveWay() | Start():
                pass  # received before they came here

    def _buffer(self, path: str, text: str | None) -> None:
        if text is None:
            self._buffers.pop(path, None)
        else:
            self._buffers[path] = text
        self._late_buffers[path] = text

    def _read_buffer(self, path: str, text: str | None) -> None:
        if self._keeper is None:
            return
        if text is None:
            self._keeper.builder.closed(path)
        else:
            self._keeper.builder.buffer(path, text)

    def _changed(self, paths: tuple[str, ...]) -> None:
        """Read the files that changed; a folder, or rules, mean a walk."""
        tree = self._workspace.tree
        if not paths or any(is_rules(path) or (tree.root / path).is_dir() for path in paths):
            self._dirty = True
        self._late_changes += paths

    def _read_changes(self, paths: tuple[str, ...]) -> None:
        tree = self._workspace.tree
        if self._keeper is not None and not self._dirty:
            known = self._keeper.builder.refresh(paths)
            gone = [path for path in paths if not (tree.root / path).exists()]
            # A deleted path that was no file may have been a folder.
            self._dirty = known < len(paths) and bool(gone)

    def _say(
        self, state: State, done: int = 0, total: int = 0, detail: str = "", *, often: bool = False
    ) -> None:
        now = time.monotonic()
        if often and now - self._said_at < SAY_SECONDS:
            return
        self._said_at = now
        if not often:
            self._counts = self._held()
        files, chunks, vectors = self._counts
        status = Status(
            state=state, detail=detail, done=done, total=total,
            files=files, chunks=chunks, vectors=vectors,
        )  # fmt: skip
        # A reading one looks again and again, and mostly there is nothing new.
        if status != self._told or state != "reading":
            self._tell(status)
        self._told = status

    def _held(self) -> tuple[int, int, int]:
        """Return the numbers of files, chunks and vectors, whichever process builds."""
        if self._keeper is not None:
            return self._keeper.counts()
        looked = _looks_of(self._workspace.place.file)
        if looked == self._looked:
            return self._counts  # asked every two seconds, and mostly nothing has happened
        try:
            reader = SqliteReader(self._workspace.place.file)
        except IndexUnusable:
            return 0, 0, 0  # the other one has only begun
        try:
            counts = reader.counts()
        finally:
            reader.close()
        self._looked = looked
        return counts.files, counts.chunks, counts.vectors


def _looks_of(file: Path) -> tuple[tuple[int, int], ...]:
    """Size and time of the index's file and of what is written beside it; others write it."""
    looks: list[tuple[int, int]] = []
    for path in (file, file.with_name(file.name + "-wal")):
        with contextlib.suppress(OSError):
            found = path.stat()
            looks.append((found.st_size, found.st_mtime_ns))
    return tuple(looks)


def lower_priority() -> None:
    """The lowest that the system has, for the processor and the disk; as far as it lets us."""
    process = psutil.Process()
    with contextlib.suppress(psutil.Error, OSError):
        process.nice(psutil.IDLE_PRIORITY_CLASS if sys.platform == "win32" else 19)
    if sys.platform == "linux":
        with contextlib.suppress(psutil.Error, OSError):
            process.ionice(psutil.IOPRIO_CLASS_IDLE)


def main() -> None:
    """Serve one workspace until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the command that started it
    guard()
    lower_priority()
    decoder = msgspec.json.Decoder(Message)
    first = decoder.decode(sys.stdin.buffer.readline())
    if not isinstance(first, Start):
        raise SystemExit("the first message must say what to index")
    inbox: queue.Queue[Message | None] = queue.Queue()

    def say(told: Status) -> None:
        with contextlib.suppress(BrokenPipeError):
            sys.stdout.buffer.write(msgspec.json.encode(told) + b"\n")
            sys.stdout.buffer.flush()

    workspace = Workspace(
        root=Path(first.root),
        place=IndexFile(Path(first.place), first.kept),
        exclude=first.exclude,
        max_bytes=first.max_bytes,
        vectors=first.vectors,
    )
    indexers: list[Indexer] = []

    def listen() -> None:
        for line in sys.stdin.buffer:
            message = decoder.decode(line)
            if isinstance(message, GiveWay):
                for one in indexers:
                    one.give_way(message.seconds)
            inbox.put(message)  # that one too: a rest may have become shorter
        inbox.put(None)

    threading.Thread(target=listen, name="index-input", daemon=True).start()
    if first.store:
        shared = Shared(first.store, first.name)
        held = decided(shared, inbox, say)
        if held == "ended":
            return
        if held == "shared":
            workspace = replace(workspace, shared=shared)
            follower = Follower(workspace, inbox, say)
            follower.start()
            indexers.append(Indexer(workspace.part(), first, inbox, follower.said))
            indexers[0].run()
            return
    indexers.append(Indexer(workspace, first, inbox, say))
    watcher = Watcher(workspace.tree.root, lambda paths: inbox.put(Changed(paths=paths)))
    watcher.start()
    indexers[0].run()
    watcher.stop()


if __name__ == "__main__":
    main()
