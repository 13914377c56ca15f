"""A worker's end of the frames: commands from its standard input, events to its standard output.

A thread reads, the main thread works. The process ends when its standard input does, which happens
when the server ends, however it ends; there is nothing to save, so it ends at once.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable

from nearfield.engine import frames
from nearfield.engine.frames import Command, Event


class Inbox:
    """Commands from the reader thread to the main thread."""

    def __init__(self) -> None:
        self._items: deque[Command] = deque()
        self._arrived = threading.Condition()

    def put(self, command: Command) -> None:
        """Add a command and wake the main thread."""
        with self._arrived:
            self._items.append(command)
            self._arrived.notify()

    def take(self, seconds: float | None) -> Command | None:
        """Return the next command; None when there is none for so long. None waits for ever."""
        with self._arrived:
            if not self._arrived.wait_for(lambda: self._items, seconds):
                return None
            return self._items.popleft()


def own_output() -> int:
    """Return the descriptor for frames, and keep it for them: whatever a library prints goes to
    standard error. Ctrl-C is for the command that started the worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    out = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return out


def read_commands(take: Callable[[Command], None]) -> None:
    """Give each command to `take`, in a thread; end the process when they end."""
    source = os.dup(0)

    def read() -> None:
        with os.fdopen(source, "rb") as stream:
            while header := stream.read(frames.HEADER.size):
                (length,) = frames.HEADER.unpack(header)
                take(frames.decode_command(stream.read(length)))
        os._exit(0)

    threading.Thread(target=read, name="reader", daemon=True).start()


def send(out: int, event: Event) -> None:
    """Write one frame."""
    data = memoryview(frames.encode(event))
    while data:
        data = data[os.write(out, data) :]
