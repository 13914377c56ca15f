"""Locks that processes share: each is a file, held while a process changes what others read too.

A lock is free when its process ends, however it ends.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from nearfield.errors import ConfigError

WAIT_SECONDS = 10.0
"""Wait for another process, which holds a lock for a moment."""


class LockHeld(ConfigError):
    """Another process holds a lock for longer than was waited."""


@contextmanager
def locked(path: Path, seconds: float | None = None, *, nested: bool = False) -> Generator[None]:
    """Hold the lock `path`, whose folder exists; a thread may take a `nested` one again.

    Waits for `seconds`, or `WAIT_SECONDS`. Raises `LockHeld` and `OSError`.
    """
    # Not at the start of a command.
    import filelock

    wait = WAIT_SECONDS if seconds is None else seconds
    lock = filelock.FileLock(path, timeout=wait, mode=0o600, is_singleton=nested)
    try:
        lock.acquire(timeout=wait)
    except filelock.Timeout as error:
        raise LockHeld(
            f"Another process of Nearfield holds {path}.", "Try again once it has ended."
        ) from error
    try:
        yield
    finally:
        lock.release()
