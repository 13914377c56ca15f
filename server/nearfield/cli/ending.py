"""The end of a command by a signal, such as that of a terminal which is closed: first what it has
started ends, then the command."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def on_end(working: Callable[[], asyncio.Task[Any] | None]) -> None:
    """From now on let SIGTERM and SIGHUP cancel what `working` returns, and once that has ended,
    end this process by that very signal. Called in the event loop.

    A command that is asking the user something has a thread which waits for a line. Nothing else
    can end that, so the command is not left in the usual way.
    """

    def end(number: signal.Signals) -> None:
        at_work = working()
        if at_work is None or at_work.done():
            _die(number)
            return
        at_work.add_done_callback(lambda _: _die(number))
        at_work.cancel()

    _handle(end)


def run_to_end(work: Coroutine[Any, Any, T]) -> T:
    """Run `work`, which may start processes and asks the user nothing. What ends this process ends
    those before it."""

    async def stoppable() -> T:
        running = asyncio.ensure_future(work)
        _handle(lambda _: running.cancel())
        return await running

    try:
        return asyncio.run(stoppable())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


def _handle(end: Callable[[signal.Signals], object]) -> None:
    if sys.platform == "win32":  # which itself ends all that runs in a closed terminal
        return
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, end, number)


def _die(number: signal.Signals) -> None:
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
