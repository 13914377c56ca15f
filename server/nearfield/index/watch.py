"""Changes outside the editor: a thread that watches a tree and names what changed.

Where the system cannot watch (network drives), it looks every few seconds instead.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import watchfiles

from nearfield.index.files import VENDORED

MANY_PATHS = 500
"""From here on a whole build is quicker than file by file: a branch was switched."""
DEBOUNCE_MS = 400
"""The watcher's thread wakes this often, also when nothing changes."""
NETWORK = frozenset({"nfs", "nfs4", "cifs", "smbfs", "smb3", "fuse.sshfs", "9p", "afpfs", "davfs"})
POLL_MS = 5_000


class Watcher:
    """Calls `changed` with paths relative to `root`, from a thread of its own; with none when it is
    better to look everywhere."""

    def __init__(self, root: Path, changed: Callable[[tuple[str, ...]], None]) -> None:
        self._root = root
        self._changed = changed
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="index-watch", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Stop watching; later changes are ignored."""
        self._stop.set()

    def _run(self) -> None:
        polling = is_on_network(self._root)
        try:
            for changes in watchfiles.watch(
                self._root,
                watch_filter=self._counts,
                stop_event=self._stop,
                debounce=DEBOUNCE_MS,
                step=DEBOUNCE_MS,
                force_polling=polling or None,
                poll_delay_ms=POLL_MS if polling else 300,
                ignore_permission_denied=True,
                raise_interrupt=False,
            ):
                paths = tuple(sorted(self._relative(path) for _change, path in changes))
                self._changed(() if len(paths) > MANY_PATHS else paths)
        except (OSError, RuntimeError):  # the watcher's own error is a RuntimeError
            # No watches left, or the folder was deleted: the next start finds what changed
            # meanwhile.
            self._changed(())

    def _counts(self, _change: watchfiles.Change, path: str) -> bool:
        parts = self._relative(path).split("/")
        return not any(part in VENDORED for part in parts)

    def _relative(self, path: str) -> str:
        try:
            return Path(path).relative_to(self._root).as_posix()
        except ValueError:
            return ""


def is_on_network(root: Path) -> bool:
    """Return whether a folder is on a drive that sends no events."""
    try:
        mounts = psutil.disk_partitions(all=True)
    except (OSError, psutil.Error):
        return False
    holding = [one for one in mounts if root.is_relative_to(one.mountpoint)]
    nearest = max(holding, key=lambda one: len(one.mountpoint), default=None)
    return nearest is not None and nearest.fstype in NETWORK
