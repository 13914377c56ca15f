"""`python -m nearfield.providers.parent_watchdog PROGRAM ARGUMENT…` ends it with its parent.

A server that we started must not outlive us, not even when we are killed: a forgotten one holds
gigabytes. We hold this process's standard input; when it ends, for whatever reason, the program is
asked to end, and made to after `GRACE_SECONDS`. The exit code is the program's.

With `--with-input` before the program it reads what we write; the end of its input then asks it to
end, and all of its process group is killed after `INPUT_GRACE_SECONDS`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

GRACE_SECONDS = 3.0
INPUT_GRACE_SECONDS = 1.0
"""Less than the two seconds after which our own end of a tool server kills this process."""
FORWARDED = "--with-input"


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
    if command[:1] == [FORWARDED]:
        return _with_input(command[1:])
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


def _with_input(command: list[str]) -> int:
    child = subprocess.Popen(command, stdin=subprocess.PIPE)

    def end() -> None:
        with suppress(subprocess.TimeoutExpired):
            child.wait(INPUT_GRACE_SECONDS)
        _kill_group()
        child.kill()

    def pass_on() -> None:
        with suppress(OSError):
            while data := os.read(0, 65_536):
                if child.stdin is not None:
                    child.stdin.write(data)
                    child.stdin.flush()
        if child.stdin is not None:
            with suppress(OSError):
                child.stdin.close()
        end()

    threading.Thread(target=pass_on, name="input", daemon=True).start()
    code = child.wait()
    _kill_group()  # what it has started may run on
    return code


def _kill_group() -> None:
    """Kill all that the program has started, and this process, if the group is ours."""
    if sys.platform != "win32" and os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
