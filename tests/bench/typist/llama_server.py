"""llama.cpp's server as a child, by the clock on the wall."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
from completer import Spent
from ours import cpu_seconds

from nearfield.engine.client import SPIN_COUNT, physical_cores

START_SECONDS = 300.0
WHEEL = Path(__file__).parents[1] / "replay" / "serve_peer.py"
REUSE = 256


class Server:
    """`program` is a native llama-server; without one it is that of the xllamacpp wheel."""

    def __init__(self, model: Path, program: str, batch: int) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        threads = str(physical_cores())
        self._command = [sys.executable, str(WHEEL), str(model), threads, str(port), str(batch)]
        if program:
            self._command = [
                program, "-m", str(model), "--host", "127.0.0.1", "--port", str(port),
                "-t", threads, "-b", str(batch), "-ub", str(batch), "-np", "1", "-c", "8192",
                "--cache-reuse", str(REUSE),
            ]  # fmt: skip
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=3600)
        self._process: subprocess.Popen[bytes] | None = None
        self._slot = asyncio.Lock()
        self._spent = Spent()
        self._cpu = 0.0

    async def start(self) -> None:
        """Start it and wait until it answers."""
        environ = {**os.environ, "GOMP_SPINCOUNT": SPIN_COUNT}
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet, env=environ
        )
        await asyncio.to_thread(self._wait)

    def _wait(self) -> None:
        for _ in range(int(START_SECONDS * 10)):
            try:
                if self._client.get("/health").status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        raise RuntimeError("llama.cpp's server does not start")

    def begin(self) -> None:
        """Count from here."""
        assert self._process is not None
        self._cpu = cpu_seconds(self._process.pid)

    async def ask(self, body: dict[str, Any]) -> str:
        """Return the answer to a request."""
        async with self._slot:
            return await asyncio.to_thread(self._post, body)

    def _post(self, body: dict[str, Any]) -> str:
        answer = self._client.post("/infill", json={**body, "stream": False})
        data = answer.raise_for_status().json()
        self._spent.evaluated += data["timings"]["prompt_n"]
        self._spent.generated += data["timings"]["predicted_n"]
        return data["content"]

    def spent(self) -> Spent:
        """Return the cost since `begin`."""
        assert self._process is not None
        self._spent.cpu_s = cpu_seconds(self._process.pid) - self._cpu
        return self._spent

    async def close(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            await asyncio.to_thread(self._process.wait, 60)
        self._client.close()
