"""Notice that the client's process has ended, even if the input stays open."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Callable

log = logging.getLogger(__name__)

POLL_SECONDS = 0.4
"""Interval on systems that cannot tell at once: often enough for the promise of a second."""


async def watch(pid: int, gone: Callable[[], None]) -> None:
    """Call `gone` once the process `pid` has ended.

    One that cannot be seen from the start is not watched (a client in another container sends its
    own number): the end of the input suffices.
    """
    if sys.platform == "linux":
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            log.info("the client's process %d cannot be seen from here", pid)
            return
        except OSError:
            # An old kernel, or a sandbox that forbids it.
            await _poll(pid)
        else:
            await _readable(descriptor)
    else:
        await _poll(pid)
    log.info("the client's process has ended")
    gone()


async def _readable(descriptor: int) -> None:
    """A process's descriptor becomes readable when the process ends."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(descriptor, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


async def _poll(pid: int) -> None:
    import psutil  # 20 ms that `initialize` need not wait for.

    try:
        process = psutil.Process(pid)
        while True:
            await asyncio.sleep(POLL_SECONDS)
            if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
                return
    except psutil.NoSuchProcess:
        return
