"""Servers and processes that die: nothing is said twice, and nothing is sent without a record."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nearfield.config.schema import Config
from nearfield.providers.registry import build
from nearfield.routing.consent import Consent
from nearfield.routing.guard import remote
from nearfield.routing.route import Restart
from nearfield.routing.router import Router
from nearfield.routing.store import Store
from nearfield.types import ChatRequest, Message, Role

SENDER = Path(__file__).with_name("routing_sender.py")


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEARFIELD_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("NEARFIELD_CACHE_DIR", str(tmp_path / "cache"))


class Server(ThreadingHTTPServer):
    """Speaks just enough of OpenAI's protocol. It remembers every request; after `pieces` it drops
    the connection when `dies`, else it ends well."""

    daemon_threads = True

    def __init__(self, pieces: tuple[str, ...], dies: bool = False) -> None:
        self.pieces, self.dies = pieces, dies
        self.seen: list[str] = []
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class Handler(BaseHTTPRequestHandler):
    @property
    def ours(self) -> Server:
        assert isinstance(self.server, Server)
        return self.server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
        self.ours.seen.append(body)
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        for piece in self.ours.pieces:
            self._send({"choices": [{"index": 0, "delta": {"content": piece}}]})
        if self.ours.dies:
            # What was said has arrived; what follows never does.
            self.close_connection = True
            self.connection.close()
            return
        end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
        self._send(end)
        self.wfile.write(b"data: [DONE]\n\n")

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(b'{"data": [{"id": "m"}]}')

    def _send(self, event: dict[str, Any]) -> None:
        self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:
        del format, args

    def handle(self) -> None:
        # A client that is killed resets its connections.
        try:
            super().handle()
        except (ConnectionError, ValueError):
            self.close_connection = True

    def finish(self) -> None:
        try:
            super().finish()
        except (ConnectionError, ValueError):
            self.close_connection = True


@contextmanager
def serving(*pieces: str, dies: bool = False) -> Generator[Server]:
    server = Server(pieces, dies)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


async def test_a_server_that_dies_in_the_middle_is_followed_by_the_next() -> None:
    with serving("The first ", "half of", dies=True) as dying, serving("All", " of it.") as well:
        config = msgspec.convert(
            {
                "providers": {
                    name: {"kind": "openai_compatible", "model": "m", "base_url": server.url}
                    for name, server in (("dying", dying), ("well", well))
                },
                "cache": {"enabled": False},
            },
            Config,
        )
        providers = {name: build(name, one) for name, one in config.providers.items()}
        router = Router(config, providers)
        request = ChatRequest((Message(Role.USER, "say"),), deadline=time.monotonic() + 60)
        shown, everything = "", ""
        async with router.chat(request) as route:
            async for item in route:
                if isinstance(item, Restart):
                    assert item.provider == "well"
                    shown = ""
                else:
                    shown += item.text
                    everything += item.text
        await router.aclose()
        for provider in providers.values():
            await provider.aclose()
    assert shown == "All of it."
    assert everything == "The first half ofAll of it.", "each text came once"
    assert len(well.seen) == 1


@pytest.mark.parametrize("seed", range(4))
def test_a_killed_process_leaves_its_request_in_the_ledger(tmp_path: Path, seed: int) -> None:
    wait = random.Random(seed).uniform(0.05, 0.6)
    with serving("ok") as server:
        settings = {
            "kind": "openai_compatible", "model": "m", "base_url": server.url,
            "options": {"leaves_machine": True},
        }  # fmt: skip
        far = msgspec.convert({"providers": {"far": settings}}, Config).providers["far"]
        store = Store()
        to = remote("far", "m", {"far": far})
        store.say(str(tmp_path), "far", to.destination, Consent.WORKSPACE)
        child = subprocess.Popen(
            [sys.executable, str(SENDER), server.url, str(tmp_path)],
            env=dict(os.environ),
            stderr=subprocess.PIPE,
            text=True,
        )
        until = time.monotonic() + 60
        while len(server.seen) < 10 and child.poll() is None and time.monotonic() < until:
            time.sleep(0.005)
        time.sleep(wait)
        child.kill()
        _, errors = child.communicate()
        time.sleep(0.1)
        sent = {number for body in server.seen for number in re.findall(r"question-\d+\.", body)}
    entries = store.entries()
    known = {
        number
        for entry in entries
        for number in re.findall(r"question-\d+\.", entry.sending.content)
    }
    store.close()
    assert len(sent) >= 10, errors
    assert sent <= known
    # At most what was on its way when the process died is without an outcome.
    assert sum(entry.outcome == "sending" for entry in entries) <= 16
