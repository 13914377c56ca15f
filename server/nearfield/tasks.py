"""The one place where background work begins.

asyncio holds its tasks weakly and does not report their errors. Here each is held, has a name, and
an unexpected error is logged with the place where it happened. Its text is logged only if the error
is a `NearfieldError`: a foreign message may quote a document.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Coroutine
from typing import Any, TypeVar

from nearfield.errors import NearfieldError

log = logging.getLogger(__name__)

T = TypeVar("T")

_running: set[asyncio.Task[Any]] = set()


def run_task(work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
    """Start `work` on the running loop and hold it until it ends. `name` appears in the log."""
    task = asyncio.get_running_loop().create_task(work, name=name)
    _running.add(task)
    task.add_done_callback(_ended)
    return task


async def stop_task(task: asyncio.Task[Any] | None) -> None:
    """Cancel `task` and wait until it has cleaned up; its own errors are in the log already.

    Cancelling the caller meanwhile is honoured after `task` has been told to stop.
    """
    if task is None or task.done():
        return
    task.cancel()
    await asyncio.wait({task})


def describe(error: BaseException) -> str:
    """Return what may be logged of `error`: its type, our own message, and where it happened."""
    if isinstance(error, NearfieldError):
        return f"{type(error).__name__}: {error}"
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {frames[-1].filename}:{frames[-1].lineno} ({frames[-1].name})" if frames else ""
    return f"{type(error).__name__}{where}"


def _ended(task: asyncio.Task[Any]) -> None:
    _running.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("task %s failed: %s", task.get_name(), describe(error))
