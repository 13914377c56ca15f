"""The end of a command by a signal, such as that of a terminal which is closed: first what it has
started ends, then the command, by that very signal.

A command that is asking the user something has a thread which waits for a line. Nothing else can
end that, so the command is not left in the usual way.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from typing import Any


def on_end(working: Callable[[], asyncio.Task[Any] | None]) -> None:
    """From now on let SIGTERM and SIGHUP cancel what `working` returns, and end this process once
    that has ended. Called in the event loop."""
    if sys.platform == "win32":  # which itself ends all that runs in a closed terminal
        return
    loop = asyncio.get_running_loop()

    def end(number: signal.Signals) -> None:
        at_work = working()
        if at_work is None or at_work.done():
            _die(number)
            return
        at_work.add_done_callback(lambda _: _die(number))
        at_work.cancel()

    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, end, number)


def _die(number: signal.Signals) -> None:
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
