"""Typing first, between the processes of one user.

Each worker has its own scheduler, and all of them share the cores. So a worker that answers typing
locks a file of the user's, and the others look before each step whether it is locked. The kernel
ends a lock together with its process, so a killed one holds nothing up. The file is empty and
is never read. Where it cannot be opened, each worker knows of itself alone.

To look takes a microsecond. `filelock`, which other modules use, took 300 times as long.
"""

from __future__ import annotations

import errno
import os
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from nearfield.files.private import open_private, private_folder

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

FILE = "typing.lock"
TAKEN = {errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK}
"""How systems say that another process has a lock."""

LOOK_SECONDS = 0.005
"""How often a worker that gives way looks again: a fifth of a step of the smallest model."""

PATIENCE_SECONDS = 2.0
"""How long a worker gives way without a step of its own. An answer to typing takes less; longer
means that a stopped process has the lock, or that the pauses are too short for a step."""


class TypingLock:
    """The lock, as one process has it. Each object counts for itself."""

    def __init__(self, path: Path | None) -> None:
        self._file: int | None = None
        self._has = False
        if path is not None:
            with suppress(OSError):
                private_folder(path.parent)
                self._file = open_private(path)

    def take(self) -> None:
        """Take the lock, unless another process has it: then all give way already."""
        self._has = self._has or self._take()

    def give_back(self) -> None:
        """Give the lock back; nothing happens when it is not ours."""
        if self._has and self._file is not None:
            _unlock(self._file)
        self._has = False

    def is_elsewhere(self) -> bool:
        """Return whether another process has the lock."""
        if self._has:
            return False
        self.take()
        is_free = self._has or self._file is None
        self.give_back()
        return not is_free

    def close(self) -> None:
        """Give the lock back and close the file; safe to call twice."""
        self.give_back()
        if self._file is not None:
            os.close(self._file)
        self._file = None

    def _take(self) -> bool:
        if self._file is None:
            return False
        try:
            _lock(self._file)
        except OSError as error:
            if error.errno not in TAKEN:
                self.close()  # a file system without locks
            return False
        return True


class StepGate:
    """Decides whether the next step of this worker may run. `end` ends the running one.

    `watch` runs in a thread of its own, the rest in the main thread.
    """

    def __init__(
        self,
        path: Path | None = None,
        end: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lock, self._watched_lock = TypingLock(path), TypingLock(path)
        self._end = end
        self._clock = clock
        self._waits_since: float | None = None
        """When the step that has not run yet was held up first."""
        self._was_free = True
        self._is_long = threading.Event()

    def may_begin(self, *, types: bool) -> bool:
        """Return whether a step may run now. `types`: it is of an answer to typing."""
        if types:
            self._lock.take()
            return True
        self._lock.give_back()
        self._was_free = not self._lock.is_elsewhere()
        if self._was_free:
            return True
        self.held_up()
        return self._is_patience_over()

    def rest(self) -> None:
        """Say that there is nothing to do. Impatience stays until the lock has been free."""
        self._lock.give_back()
        if not self._is_patience_over():
            self._waits_since = None

    @contextmanager
    def step(self, *, is_watched: bool) -> Generator[None]:
        """Surround a step. One that `is_watched` is ended when another process answers typing."""
        if is_watched:
            self._is_long.set()
        try:
            yield
        finally:
            self._is_long.clear()
        if self._was_free:
            self._waits_since = None

    def held_up(self) -> None:
        """Say that a step has to wait, or was ended."""
        if self._waits_since is None:
            self._waits_since = self._clock()

    def watch(self) -> None:
        """End watched steps when another process answers typing; for ever."""
        while True:
            self._is_long.wait()
            self.look()
            time.sleep(LOOK_SECONDS)

    def look(self) -> None:
        """End the watched step, if another process answers typing."""
        if self._watched_lock.is_elsewhere() and not self._is_patience_over():
            self._end()

    def _is_patience_over(self) -> bool:
        since = self._waits_since
        return since is not None and self._clock() - since >= PATIENCE_SECONDS


def _lock(file: int) -> None:
    """Lock a file without waiting. Raises `OSError`, of `TAKEN` if another one has it."""
    if sys.platform == "win32":
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
    else:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _unlock(file: int) -> None:
    with suppress(OSError):
        if sys.platform == "win32":
            msvcrt.locking(file, msvcrt.LK_UNLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_UN)
