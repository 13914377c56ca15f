"""A `nearfield serve` process and the messages to and from it.

Messages are read by a thread and handled by the caller's own, while it waits: no locks, and what
happens in a test happens in its order.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import queue
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nearfield.lsp import frames

LOG_LINES = 20
"""The last ones of the server's log are part of a failure's message."""

END_SECONDS = 10.0
"""Time for the server to end itself before it is killed."""


class Failed(AssertionError):
    """The server did not do what was waited for."""


class Connection:
    """See the module. `handle` gets every message that is no answer; what it returns answers the
    server's requests."""

    def __init__(
        self,
        command: Sequence[str],
        environ: Mapping[str, str],
        handle: Callable[[str, Any], Any],
        patience_s: float,
    ) -> None:
        self.patience_s = patience_s
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(environ),
        )
        self._handle = handle
        self._ended = False
        self._ids = itertools.count(1)
        self._answers: dict[int, dict[str, Any]] = {}
        self._arrived: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._log: deque[str] = deque(maxlen=LOG_LINES)
        self._threads = [
            threading.Thread(target=self._read, daemon=True),
            threading.Thread(target=self._read_log, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def notify(self, method: str, params: Any = None) -> None:
        """Send a notification."""
        self._send({"method": method, "params": params})

    def request(self, method: str, params: Any = None) -> Any:
        """Send a request and wait for its result. Raises `Failed` for an error and for none."""
        number = next(self._ids)
        self._send({"id": number, "method": method, "params": params})
        self.wait(lambda: number in self._answers, f"answer to {method}")
        answer = self._answers.pop(number)
        if "error" in answer:
            raise Failed(f"{method}: {answer['error'].get('message')}")
        return answer.get("result")

    def wait(self, condition: Callable[[], object], what: str) -> None:
        """Handle messages until `condition` holds. Raises `Failed` when it never does."""
        end = time.monotonic() + self.patience_s
        while not condition():
            message = self._next(end - time.monotonic())
            if message is None:
                why = "has ended" if self._ended else "said nothing"
                raise Failed(f"There was no {what}: the server {why}.\n" + self._said())
            self._take(message)

    def rest(self, seconds: float) -> None:
        """Handle the messages of that time."""
        end = time.monotonic() + seconds
        while (message := self._next(end - time.monotonic())) is not None:
            self._take(message)

    def end(self) -> int:
        """End the server as editors do, with force when it does not go; answers its exit code."""
        try:
            if not self._ended:
                self.request("shutdown")
                self.notify("exit")
            self._process.wait(END_SECONDS)
        except (Failed, subprocess.TimeoutExpired):
            self._process.kill()
        code = self._process.wait()
        for thread in self._threads:
            thread.join()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                # What could not be written any more is of no use.
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        return code

    def _send(self, message: dict[str, Any]) -> None:
        stream = self._process.stdin
        try:
            if stream is not None:
                stream.write(frames.encode({"jsonrpc": "2.0", **message}))
                stream.flush()
        except BrokenPipeError as error:
            raise Failed("The server has ended.\n" + self._said()) from error

    def _next(self, seconds: float) -> Any:
        """The next message; None when none comes in that time, and once the server has ended."""
        if self._ended:
            return None
        try:
            message = self._arrived.get(timeout=max(0.0, seconds))
        except queue.Empty:
            return None
        self._ended = message is None
        return message

    def _said(self) -> str:
        """The end of the log; all that there is of it when the server has ended."""
        if self._ended:
            self._threads[1].join(END_SECONDS)
        return "".join(self._log)

    def _take(self, message: Any) -> None:
        if not isinstance(message, dict):
            raise Failed("The server sent something that is no message.")
        if "method" not in message:
            self._answers[message["id"]] = message
            return
        result = self._handle(message["method"], message.get("params"))
        if "id" in message:
            self._send({"id": message["id"], "result": result})

    def _read(self) -> None:
        stream = self._process.stdout
        if isinstance(stream, io.BufferedReader):
            for message in frames.messages(stream.read1):
                self._arrived.put(message)
        self._arrived.put(None)

    def _read_log(self) -> None:
        if self._process.stderr is not None:
            for line in self._process.stderr:
                self._log.append(line.decode("utf-8", "replace"))
