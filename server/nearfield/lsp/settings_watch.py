"""Follow the settings files: the user's, and the `.nearfield.toml` of each workspace folder.

Two or three files are looked at every second. That costs less than a watcher's thread, works on
network drives, and takes no watch from the system.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from nearfield.config.paths import user_config_file, workspace_config_file

LOOK_SECONDS = 1.0

Stamp = tuple[int, int, int]


async def watch(
    roots: Callable[[], Sequence[str]], changed: Callable[[], Awaitable[object]]
) -> None:
    """Await `changed` whenever a settings file of one of `roots` was written, made or deleted. Runs
    until it is cancelled."""
    known: dict[Path, Stamp | None] = {}
    while True:
        paths = [user_config_file(), *(workspace_config_file(Path(root)) for root in roots())]
        # In a thread: a network drive may not answer.
        now = await asyncio.to_thread(_stamps, paths)
        differs = any(known.get(path, stamp) != stamp for path, stamp in now.items())
        known = now
        if differs:
            await changed()
        await asyncio.sleep(LOOK_SECONDS)


def _stamps(paths: Sequence[Path]) -> dict[Path, Stamp | None]:
    return {path: _stamp(path) for path in paths}


def _stamp(path: Path) -> Stamp | None:
    """Return what changes when the file does, None where there is none."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
