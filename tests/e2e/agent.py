"""A client of `nearfield mcp` that writes lines by hand."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.e2e.prepared import forked
from tests.e2e.process import PATIENCE_SECONDS


class Agent:
    """A client that writes lines, whatever is in them."""

    def __init__(
        self, root: Path, environ: dict[str, str], log: Path, program: Sequence[str] = ()
    ) -> None:
        self.environ, self.log = environ, log
        with self.log.open("wb") as errors:
            self.process = subprocess.Popen(
                [*(program or forked()), "mcp", "--workspace", str(root)], env=environ,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
            )  # fmt: skip
        self.lines = queue.Queue[bytes]()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.root, self.number = root, 0

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                self.lines.put(line)

    def send(self, line: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()

    def begin(self) -> dict[str, Any]:
        who = {"name": "by-hand", "version": "1"}
        params = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": who}
        answer = self.ask("initialize", **params)
        self.send(b'{"jsonrpc": "2.0", "method": "notifications/initialized"}')
        return answer["result"]

    def ask(self, method: str, /, **params: Any) -> dict[str, Any]:
        self.number += 1
        message = {"jsonrpc": "2.0", "id": self.number, "method": method, "params": params}
        self.send(json.dumps(message).encode())
        while (answer := json.loads(self.lines.get(timeout=PATIENCE_SECONDS))) is not None:
            if answer.get("id") == self.number:
                return answer
        raise AssertionError

    def call(self, tool: str, /, **arguments: Any) -> tuple[str, bool]:
        result = self.ask("tools/call", name=tool, arguments=arguments)["result"]
        (content,) = result["content"]
        return content["text"], result["isError"]

    def end(self) -> int:
        assert self.process.stdin is not None
        self.process.stdin.close()
        code = self.process.wait(PATIENCE_SECONDS)
        self.reader.join(PATIENCE_SECONDS)
        return code
