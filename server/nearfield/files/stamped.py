"""Keep what was made of a file until the file looks different."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from nearfield.files.read import UnreadableFile, reason

T = TypeVar("T")

RACY_NS = 50_000_000
"""A file that changed this shortly before it was read may change again within the clock's tick and
look the same: it is not cached, and the next build reads it again."""

Stamp = tuple[int, int, int, int, int]


class Stamped(Generic[T]):
    """A cache of at most `most` files. Threads may share it; two may then read the same file."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._kept: OrderedDict[Path, tuple[Stamp, T]] = OrderedDict()

    def get(self, file: Path, make: Callable[[], T]) -> T | None:
        """Return what `make` makes of `file`, None where there is no such file.

        Raises `UnreadableFile`, and what `make` raises, which is not kept.
        """
        try:
            status = file.stat()
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return None
        except OSError as error:
            raise UnreadableFile(f"{file.name} cannot be read: {reason(error)}.") from error
        stamp = (
            status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
        )  # fmt: skip
        with self._lock:
            kept = self._kept.get(file)
            if kept is not None and kept[0] == stamp:
                self._kept.move_to_end(file)
                return kept[1]
        try:
            made = make()
        except FileNotFoundError:
            return None
        if abs(time.time_ns() - status.st_mtime_ns) >= RACY_NS:
            with self._lock:
                self._kept[file] = (stamp, made)
                if len(self._kept) > self._most:
                    self._kept.popitem(last=False)
        return made
