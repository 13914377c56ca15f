"""A client that speaks frames only, for what editors do not: counting every single answer, sending
garbage, closing the pipe."""

from __future__ import annotations

import io
import itertools
import os
import queue
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any

import pytest
from tests.e2e.prepared import forked
from tests.e2e.process import PATIENCE_SECONDS, script

from nearfield.lsp import frames


class Wire:
    """A client that sends what it is told to and keeps everything that comes back."""

    def __init__(
        self, environ: Mapping[str, str], *arguments: str, program: Sequence[str] = ()
    ) -> None:
        self.process = subprocess.Popen(
            [*(program or forked()), "serve", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(environ),
        )
        self.received: list[dict[str, Any]] = []
        self.errors: list[bytes] = []
        self._arrived: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._ids = itertools.count(1)
        self._documents = itertools.count(1)
        self._threads = [
            threading.Thread(target=self._read, daemon=True),
            threading.Thread(target=self._read_errors, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def write(self, data: bytes) -> None:
        """Send bytes as they are."""
        assert self.process.stdin
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def send(self, *messages: Any) -> None:
        """Send messages in one write."""
        self.write(b"".join(map(frames.encode, messages)))

    def notify(self, method: str, params: Any = None) -> None:
        """Send a notification."""
        self.send({"jsonrpc": "2.0", "method": method, "params": params})

    def request(self, method: str, params: Any = None) -> int:
        """Send a request; answers its id."""
        msg_id = next(self._ids)
        self.send({"jsonrpc": "2.0", "id": msg_id, "method": method, "params": params})
        return msg_id

    def ask(self, method: str, params: Any = None) -> Any:
        """Send a request and wait for its result."""
        answer = self.answer(self.request(method, params))
        assert "error" not in answer, answer
        return answer["result"]

    def answer(self, msg_id: int | str | None) -> dict[str, Any]:
        """Wait for the answer to a request."""
        return self.until(lambda m: "method" not in m and m.get("id") == msg_id)

    def until(self, wanted: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """Wait for a message; one that was there already counts."""
        for message in self.received:
            if wanted(message):
                return message
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                message = self._arrived.get(timeout=max(0.01, end - time.monotonic()))
            except queue.Empty:
                pytest.fail(f"it never came; there was {self.received[-3:]}")
            self.received.append(message)
            if wanted(message):
                return message

    def answers(self) -> list[dict[str, Any]]:
        """All answers so far."""
        while not self._arrived.empty():
            self.received.append(self._arrived.get())
        return [message for message in self.received if "method" not in message]

    def shown_messages(self) -> list[str]:
        """The texts of the windows that popped up so far."""
        self.answers()
        method = "window/showMessage"
        return [m["params"]["message"] for m in self.received if m.get("method") == method]

    def initialize(
        self, options: Any = None, *, ready: bool = True, **params: Any
    ) -> dict[str, Any]:
        """Begin a session and wait until the server is ready to suggest; answers the result."""
        result = self.ask(
            "initialize",
            {
                "processId": os.getpid(),
                "capabilities": {},
                "initializationOptions": script() if options is None else options,
                **params,
            },
        )
        self.notify("initialized", {})
        if ready:
            self.until(
                lambda m: m.get("method") == "nearfield/status" and m["params"]["state"] == "ready"
            )
        return result

    def open(self, text: str, uri: str | None = None, language: str = "python") -> str:
        """Open a document, by default a new one; answers its URI."""
        if uri is None:
            uri = f"file:///w/{next(self._documents)}.py"
        item = {"uri": uri, "languageId": language, "version": 1, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": item})
        return uri

    def request_ghost(self, uri: str, line: int, character: int) -> int:
        """Ask for ghost text; answers the request's id."""
        return self.request("textDocument/inlineCompletion", ghost_params(uri, line, character))

    def ghost(self, uri: str, line: int, character: int) -> list[dict[str, Any]]:
        """Ask for ghost text and wait for it."""
        answer = self.answer(self.request_ghost(uri, line, character))
        return answer["result"]["items"]

    def close(self) -> None:
        """Close the input."""
        assert self.process.stdin
        self.process.stdin.close()

    def ended_within(self, seconds: float) -> bool:
        """Whether the process ends in that time."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def log(self) -> str:
        """What the process has written to standard error; all of it once it has ended."""
        if self.process.poll() is not None:
            self._threads[1].join(PATIENCE_SECONDS)
        return b"".join(self.errors).decode()

    def end(self) -> None:
        """Leave nothing behind."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for thread in self._threads:
            thread.join()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream:
                try:
                    stream.close()
                except BrokenPipeError:
                    continue

    def _read(self) -> None:
        for message in frames.messages(_piecewise(self.process.stdout)):
            self._arrived.put(message if isinstance(message, dict) else {"garbage": message})

    def _read_errors(self) -> None:
        read = _piecewise(self.process.stderr)
        while data := read(1 << 16):
            self.errors.append(data)


def _piecewise(stream: IO[bytes] | None) -> Callable[[int], bytes]:
    """Reads what has arrived, without waiting for more."""
    assert isinstance(stream, io.BufferedReader)
    return stream.read1


def ghost_params(uri: str, line: int, character: int, kind: int = 1) -> dict[str, Any]:
    """The params of an inline completion."""
    return {
        "textDocument": {"uri": uri},
        "position": {"line": line, "character": character},
        "context": {"triggerKind": kind},
    }


StartWire = Callable[..., Wire]
"""Starts a server and a bare client for it; the fixture `wire`."""
