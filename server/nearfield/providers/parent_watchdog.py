"""`python -m nearfield.providers.parent_watchdog PROGRAM ARGUMENT…` ends it with its parent.

A server that we started must not outlive us, not even when we are killed: a forgotten one holds
gigabytes. We hold this process's standard input; when it ends, for whatever reason, the program is
asked to end, and made to after `GRACE_SECONDS`. The exit code is the program's.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from types import FrameType

GRACE_SECONDS = 3.0


def when_parent_goes(act: Callable[[], None]) -> None:
    """Call `act`, in a thread, once standard input has ended."""

    def wait() -> None:
        # Straight from the descriptor: no lock of `sys.stdin` is held when the process exits.
        while os.read(0, 4096):
            pass
        act()

    threading.Thread(target=wait, name="parent watchdog", daemon=True).start()


def main(command: list[str]) -> int:
    """Run `command` until it or our parent ends; returns its exit code."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)

    def end() -> None:
        child.terminate()
        try:
            child.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()

    def asked(signum: int, frame: FrameType | None) -> None:
        threading.Thread(target=end, name="end").start()

    signal.signal(signal.SIGTERM, asked)
    when_parent_goes(end)
    return child.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
