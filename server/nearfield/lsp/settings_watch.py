"""Watch the settings files: the user's, and the `.nearfield.toml` of each workspace folder.

A thread compares the files' stamps when the client has sent something, at most once in
`LOOK_SECONDS`, and wakes the event loop when one differs. That costs less than a watcher, works on
network drives, and lets an idle server sleep: settings matter only when something is asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from nearfield.config.paths import user_config_file, workspace_config_file
from nearfield.tasks import describe

LOOK_SECONDS = 1.5

Stamp = tuple[int, int, int]

log = logging.getLogger(__name__)


async def watch(
    roots: Callable[[], Sequence[str]],
    changed: Callable[[], Awaitable[object]],
    active: threading.Event,
) -> None:
    """Await `changed` when a settings file of one of `roots` was written, created or deleted.

    `active` is set at each message from the client and cleared here. Runs until it is cancelled; an
    error in `changed` is logged.
    """
    loop, differs, stop = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    def wake() -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(differs.set)

    # A thread of its own: a network drive may not answer.
    looking = threading.Thread(
        target=_look, args=(roots, wake, active, stop), name="settings-watch", daemon=True
    )
    looking.start()
    try:
        while True:
            await differs.wait()
            differs.clear()
            try:
                await changed()
            except Exception as error:  # noqa: BLE001 - the next change must be applied
                log.error("the changed settings could not be applied: %s", describe(error))  # noqa: TRY400 - the text may quote a file
    finally:
        stop.set()
        active.set()


def _look(
    roots: Callable[[], Sequence[str]],
    wake: Callable[[], None],
    active: threading.Event,
    stop: threading.Event,
) -> None:
    user = user_config_file()
    known: dict[Path, Stamp | None] = {}
    while not stop.wait(LOOK_SECONDS if known else 0):
        active.clear()
        paths = [user, *(workspace_config_file(Path(root)) for root in roots())]
        now = {path: _stamp(path) for path in paths}
        if any(known.get(path, stamp) != stamp for path, stamp in now.items()):
            wake()
        known = now
        active.wait()


def _stamp(path: Path) -> Stamp | None:
    """Return what changes when the file does, None where there is none."""
    try:
        status = os.stat(path)  # noqa: PTH116 - a tenth of the price of pathlib's
    except (OSError, ValueError):
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
