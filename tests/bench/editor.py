"""A plain LSP client over stdio for the benchmarks, around a real `nearfield serve`."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

Json = dict[str, Any]


def _unrecorded(options: Json) -> Json:
    """The settings of a bench: what it does is not counted among what the user did."""
    return {**options, "completion": {"record": False, **options.get("completion", {})}}


class Editor:
    """Starts a server, initializes it, and speaks to it; a context manager.

    Offsets of documents are lines and UTF-16 columns counting from 0, as on the wire.
    """

    def __init__(self, root: Path, options: Json | None = None, *, env: Json | None = None) -> None:
        self.started = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "nearfield", "serve", "--stdio"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=env,
        )
        self.log: list[str] = []
        self.notifications: queue.Queue[Json] = queue.Queue()
        self._answers: dict[int, queue.Queue[Json]] = {}
        self._next = 0
        self._versions: dict[str, int] = {}
        for target in (self._read, self._read_log):
            threading.Thread(target=target, daemon=True).start()
        self.capabilities: Json = self.call(
            "initialize",
            {
                "processId": None,
                "rootUri": root.as_uri(),
                "workspaceFolders": [{"uri": root.as_uri(), "name": root.name}],
                "capabilities": {
                    "textDocument": {"inlineCompletion": {}, "completion": {}},
                    "window": {"workDoneProgress": True},
                },
                "initializationOptions": _unrecorded(options or {}),
            },
        )
        self.initialized_ms = (time.perf_counter() - self.started) * 1000
        self.notify("initialized", {})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.call("shutdown", None)
            self.notify("exit", None)
        self.process.wait(10)

    # --- protocol ------------------------------------------------------------------------

    def call(self, method: str, params: Any, timeout: float = 120) -> Any:
        """Send a request and wait for its result; an error answer raises `RuntimeError`."""
        return self.answer(self.send(method, params), timeout)

    def answer(self, id: int, timeout: float = 120) -> Any:
        """Wait for the result of what was sent as `id`; raises as `call` does, and `queue.Empty`
        when it does not come."""
        answer = self._answers[id].get(timeout=timeout)
        del self._answers[id]
        if "error" in answer:
            raise RuntimeError(f"request {id}: {answer['error']}")
        return answer["result"]

    def send(self, method: str, params: Any) -> int:
        """Send a request and return its id."""
        self._next += 1
        self._answers[self._next] = queue.Queue()
        self._write({"id": self._next, "method": method, "params": params})
        return self._next

    def notify(self, method: str, params: Any) -> None:
        """Send a notification."""
        self._write({"method": method, "params": params})

    def _write(self, message: Json) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        stdin = self.process.stdin
        if stdin is None:
            raise RuntimeError("the server has no standard input")
        stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        stdin.flush()

    def _read(self) -> None:
        stream = self.process.stdout
        if stream is None:
            return
        while header := stream.readline():
            length = int(header.split(b":")[1])
            while stream.readline().strip():
                pass
            message: Json = json.loads(stream.read(length))
            if "method" in message and "id" in message:
                self._write({"id": message["id"], "result": None})
            elif "method" in message:
                self.notifications.put(message)
            elif message.get("id") in self._answers:
                self._answers[message["id"]].put(message)

    def _read_log(self) -> None:
        stream = self.process.stderr
        while stream is not None and (line := stream.readline()):
            self.log.append(line.decode("utf-8", "replace").rstrip())

    # --- what an editor does ---------------------------------------------------------------

    def open(self, uri: str, text: str, language: str = "python") -> None:
        """Open a document."""
        self._versions[uri] = 1
        document = {"uri": uri, "languageId": language, "version": 1, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": document})

    def edit(self, uri: str, line: int, character: int, text: str, removed: int = 0) -> None:
        """Replace `removed` columns of a line by `text`."""
        self.replace(uri, (line, character), (line, character + removed), text)

    def replace(self, uri: str, start: tuple[int, int], end: tuple[int, int], text: str) -> None:
        """Replace what stands between two places, each a line and a column, by `text`."""
        self._versions[uri] += 1
        range = {
            name: {"line": line, "character": column}
            for name, (line, column) in (("start", start), ("end", end))
        }
        self.notify(
            "textDocument/didChange",
            {
                "textDocument": {"uri": uri, "version": self._versions[uri]},
                "contentChanges": [{"range": range, "text": text}],
            },
        )

    def close(self, uri: str) -> None:
        """Close a document."""
        self.notify("textDocument/didClose", {"textDocument": {"uri": uri}})

    def complete(self, uri: str, line: int, character: int, *, invoked: bool) -> list[Json]:
        """Ask for inline completions; the items."""
        result = self.call(
            "textDocument/inlineCompletion",
            {
                "textDocument": {"uri": uri},
                "position": {"line": line, "character": character},
                "context": {"triggerKind": 1 if invoked else 2},
            },
        )
        if isinstance(result, dict):
            result = result["items"]
        return result or []

    def trace(self, last: int = 1) -> list[Json]:
        """The accounting of the last requests, newest first."""
        answer = self.call("nearfield/trace", {"last": last})
        return answer if isinstance(answer, list) else answer["items"]

    def wait_ready(self, timeout: float = 120) -> Json:
        """Wait until a model can answer; the status."""
        end = time.monotonic() + timeout
        while True:
            status: Json = self.call("nearfield/status", {})
            if status["state"] == "ready":
                return status
            if time.monotonic() > end:
                raise RuntimeError(f"no model became ready: {status}")
            time.sleep(0.05)
