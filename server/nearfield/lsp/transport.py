"""The process around a session: two threads for the streams, and an end that cannot hang.

Reading and writing happen in threads of their own, so that no client holds up the event loop,
neither with 50 MB of input nor by not reading its answers. The end (of the input, of the client's
process, by `exit` or a signal) is armed with a timer: whatever hangs, the process ends within a
second.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NoReturn

from nearfield import terminal
from nearfield.errors import NearfieldError
from nearfield.lsp import frames

if TYPE_CHECKING:
    from nearfield.lsp.protocol import NearfieldProtocol

log = logging.getLogger(__name__)

SWITCH_SECONDS = 0.0005
"""How long a thread that works on a large document keeps the interpreter from the event loop. With
Python's own 5 ms a trivial request waits for several such turns.
"""
END_SECONDS = 0.7
"""From the reason to end until the process is ended by force; the promise is one second."""
CLOSE_SECONDS = 0.45
"""The part of it for closing the models."""
FLUSH_SECONDS = 0.2
"""And for the last answers."""
SLICE_SECONDS = 0.05
"""These times are counted in slices of this: one in which the machine has stalled counts as one,
however long it was, so that what was accepted is written all the same."""


MAX_UNREAD_BYTES = 64 * 1024 * 1024
"""Bytes that wait for a client that does not read. More are no answers that it still wants."""


class Outbox:
    """Write frames in order, in a thread of its own; `write` never waits.

    Unread output is kept up to `MAX_UNREAD_BYTES`; beyond that the client counts as disconnected. A
    notification that replaces an earlier one takes its place.
    """

    def __init__(self, stream: io.RawIOBase, broken: Callable[[], None]) -> None:
        self._stream = stream
        self._broken = broken
        self._frames: dict[object, bytes] = {}
        self._bytes = 0
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="nearfield-write", daemon=True)
        self._thread.start()

    def write(self, data: bytes, replaces: str = "") -> None:
        """Send `data` after everything that was written before. What waits under the same name
        `replaces` is not sent any more."""
        with self._changed:
            if self._closed:
                return
            key: object = replaces or object()
            self._bytes += len(data) - len(self._frames.pop(key, b""))
            self._frames[key] = data
            full = self._bytes > MAX_UNREAD_BYTES
            if full:
                self._frames.clear()
                self._closed = True
            self._changed.notify()
        if full:
            log.error("the client does not read: %d MiB are waiting", MAX_UNREAD_BYTES >> 20)
            self._broken()

    def close(self) -> None:
        """Nothing more will be written."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def finish(self, seconds: float) -> None:
        """Close, and wait until everything is out, or for `seconds`."""
        self.close()
        for _ in _slices(seconds):
            self._thread.join(SLICE_SECONDS)
            if not self._thread.is_alive():
                return

    def _run(self) -> None:
        try:
            while data := self._next():
                view = memoryview(data)
                while view:
                    view = view[self._stream.write(view) or 0 :]
        except (OSError, ValueError):
            self._broken()

    def _next(self) -> bytes:
        """The frame that has waited longest; b"" after the last one."""
        with self._changed:
            self._changed.wait_for(lambda: self._frames or self._closed)
            if not self._frames:
                return b""
            data = self._frames.pop(next(iter(self._frames)))
            self._bytes -= len(data)
            return data


class Deadline:
    """Ends the process `END_SECONDS` after `start`, unless it has ended by itself."""

    def __init__(self, exit_code: Callable[[], int]) -> None:
        self._exit_code = exit_code
        self._started = threading.Event()

    def start(self) -> None:
        """The end has come; calling it again changes nothing."""
        if not self._started.is_set():
            self._started.set()
            threading.Thread(target=self._run, name="nearfield-end", daemon=True).start()

    def _run(self) -> None:
        for _ in _slices(END_SECONDS):
            time.sleep(SLICE_SECONDS)
        os._exit(self._exit_code())


def run(
    protocol: NearfieldProtocol,
    read: io.RawIOBase,
    write: io.RawIOBase,
    close: Callable[[], Awaitable[None]],
) -> NoReturn:
    """Serve one client until the end, and end the process. `close` frees what the session holds."""
    code = asyncio.run(_run(protocol, read, write, close))
    # Not by tearing the interpreter down: it waits for threads and frees a hundred MB, and the
    # thread that would end what hangs there does not run any more.
    logging.shutdown()
    with contextlib.suppress(OSError, NearfieldError):
        terminal.finish()  # what libraries have printed belongs to the log
    os._exit(code)


async def _run(
    protocol: NearfieldProtocol,
    read: io.RawIOBase,
    write: io.RawIOBase,
    close: Callable[[], Awaitable[None]],
) -> int:
    sys.setswitchinterval(SWITCH_SECONDS)
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    deadline = Deadline(lambda: protocol.exit_code)

    def stop() -> None:
        deadline.start()
        ended.set()

    def stop_soon() -> None:
        deadline.start()
        _call(loop, ended.set)

    outbox = Outbox(write, stop_soon)
    protocol.set_writer(outbox)
    protocol.stop = stop
    _on_signals(loop, stop)

    def take_in() -> None:
        try:
            for message in frames.messages(lambda n: _read(read, n)):
                if _is_exit(message):
                    # Armed here, where a stuck event loop cannot delay it.
                    deadline.start()
                _call(loop, protocol.receive, message)
        finally:
            stop_soon()

    threading.Thread(target=take_in, name="nearfield-read", daemon=True).start()
    await ended.wait()
    if not await _closed(close):
        log.warning("closing took too long")
    outbox.finish(FLUSH_SECONDS)
    return protocol.exit_code


async def _closed(close: Callable[[], Awaitable[None]]) -> bool:
    """Free what the session holds; return whether that was done in time."""
    closing = asyncio.ensure_future(close())
    for _ in _slices(CLOSE_SECONDS):
        await asyncio.wait({closing}, timeout=SLICE_SECONDS)
        if closing.done():
            closing.result()
            return True
    closing.cancel()
    return False


def _slices(seconds: float) -> range:
    return range(round(seconds / SLICE_SECONDS))


def _read(stream: io.RawIOBase, n: int) -> bytes | None:
    try:
        return stream.read(n)
    except (OSError, ValueError):
        return None


def _is_exit(message: Any) -> bool:
    # Not at the top: `nearfield mcp` uses the streams too, and would start later.
    from lsprotocol.types import EXIT

    return isinstance(message, dict) and message.get("method") == EXIT


def _call(loop: asyncio.AbstractEventLoop, function: Callable[..., object], *args: Any) -> None:
    """Run `function` on the loop, unless it has ended meanwhile."""
    try:
        loop.call_soon_threadsafe(function, *args)
    except RuntimeError:
        log.debug("the session has ended")


def _on_signals(loop: asyncio.AbstractEventLoop, stop: Callable[[], None]) -> None:
    if sys.platform == "win32" or threading.current_thread() is not threading.main_thread():
        return
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)


def take_stdio() -> tuple[io.RawIOBase, io.RawIOBase]:
    """The process's input and output, kept for the protocol alone.

    File descriptor 1 then leads to standard error: a stray print of any library cannot break the
    protocol. Descriptor 0 leads nowhere: a child cannot eat the input.
    """
    read = os.fdopen(os.dup(0), "rb", buffering=0)
    write = os.fdopen(os.dup(1), "wb", buffering=0)
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(2 if _is_open(2) else nowhere, 1)
    os.close(nowhere)
    return read, write


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True
