"""A server of the panel's page that answers as a test says: for states that a real one is seldom
in. The page is the installed one, with the headers of the real server."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.e2e.panel_answers import AT

PAGE = Path(__file__).parents[2] / "server/nearfield/panel/page"
TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css"}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'"
)
TOKEN = "a-token-that-nothing-else-holds"


class FakeServer:
    """`answers` are for GET, by path; `done` has what was posted. `failing` are the paths that
    answer with an error."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self.answers = dict(answers)
        self.posted: list[tuple[str, Any]] = []
        self.replies: dict[str, Any] = {}
        self.failing: dict[str, tuple[int, str, str]] = {}
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.started = AT
        self.streams: list[queue.SimpleQueue[tuple[str, Any] | None]] = []
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.http.daemon_threads = True
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.http.server_address[1]}/panel/"

    def tell(self, name: str, data: Any) -> None:
        """Send an event to each page."""
        for stream in list(self.streams):
            stream.put((name, data))

    def drop(self) -> None:
        """End each stream, as a server that stops does."""
        for stream in list(self.streams):
            stream.put(None)


def _handler(server: FakeServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            """Nothing is logged."""

        def do_GET(self) -> None:
            path = self.path.removeprefix("/panel/").split("?")[0]
            server.seen.append((self.path, dict(self.headers)))
            if path.startswith("api/"):
                self._api(path.removeprefix("api/"), None)
                return
            file = PAGE / (path or "index.html")
            if not file.is_file():
                self._say(404, b"", "text/plain")
                return
            kind = TYPES.get(file.suffix, "image/svg+xml")
            self._say(200, file.read_bytes(), kind)

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            server.seen.append((self.path, dict(self.headers)))
            self._api(self.path.removeprefix("/panel/api/"), body)

        def _api(self, path: str, body: Any) -> None:
            if path == "session" and body == {"code": "once"}:
                self._json(200, {"token": TOKEN})
            elif self.headers.get("Authorization") != f"Bearer {TOKEN}":
                self._json(401, {"error": {"message": "The token is wrong.", "hint": ""}})
            elif path in server.failing:
                status, message, hint = server.failing[path]
                self._json(status, {"error": {"message": message, "hint": hint, "field": ""}})
            elif path == "events":
                self._events()
            elif body is None:
                self._json(200, server.answers[path])
            else:
                server.posted.append((path, body))
                reply = server.replies.get(path, {})
                self._json(200, reply(body) if callable(reply) else reply)

        def _events(self) -> None:
            stream: queue.SimpleQueue[tuple[str, Any] | None] = queue.SimpleQueue()
            stream.put(("hello", {"version": "0.2.0", "started": server.started, "pid": 1}))
            stream.put(("now", server.answers["now"]))
            self._head(200, "text/event-stream")
            server.streams.append(stream)
            try:
                while (event := stream.get()) is not None:
                    name, data = event
                    text = f"event: {name}\ndata: {json.dumps(data)}\n\n"
                    self.wfile.write(text.encode())
            except OSError:
                pass
            finally:
                server.streams.remove(stream)

        def _json(self, status: int, value: Any) -> None:
            self._say(status, json.dumps(value).encode(), "application/json")

        def _say(self, status: int, content: bytes, kind: str) -> None:
            self._head(status, kind, len(content))
            self.wfile.write(content)

        def _head(self, status: int, kind: str, length: int | None = None) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Security-Policy", POLICY)
            self.send_header("Referrer-Policy", "no-referrer")
            if length is not None:
                self.send_header("Content-Length", str(length))
            self.end_headers()

    return Handler


@contextmanager
def fake_server(answers: Mapping[str, Any]) -> Generator[FakeServer]:
    """A server that answers so until the end of the block."""
    server = FakeServer(answers)
    try:
        yield server
    finally:
        server.drop()
        server.http.shutdown()
        server.http.server_close()
