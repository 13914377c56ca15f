"""A server whose answers a test writes, and the providers that talk to it."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from nearfield.config.schema import ProviderSettings
from nearfield.providers import registry
from nearfield.providers.base import Provider
from nearfield.types import ChatRequest, Message, Role

KEY = "sk-test-0123456789abcdef"


def sse(*events: object, done: str = "") -> bytes:
    """Server-sent events with JSON data."""
    text = "".join(f"data: {json.dumps(event)}\n\n" for event in events)
    return (text + (f"data: {done}\n\n" if done else "")).encode()


def json_lines(*lines: object) -> bytes:
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def named_sse(*events: dict[str, Any]) -> bytes:
    """Server-sent events as Anthropic names them."""
    return "".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in events).encode()


@dataclass
class Dialect:
    """How one kind of server says "Hello there": `begin` is the first piece, `rest` the others."""

    kind: str
    path: str
    content_type: str
    begin: bytes
    rest: bytes
    options: dict[str, Any] = field(default_factory=dict[str, Any])
    error: object = None
    """An error object in a stream, as this kind of server sends it."""
    models: object = None
    models_path: str = "/v1/models"


def _chat(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


_OPENAI_BEGIN = sse(_chat({"role": "assistant", "content": None}), _chat({"content": "Hello"}))
_OPENAI_REST = sse(
    _chat({"content": " there"}),
    _chat({}, "stop"),
    {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 2}},
    done="[DONE]",
)
_MESSAGE = {
    "id": "m",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [],
    "stop_reason": None,
    "stop_sequence": None,
    "usage": {"input_tokens": 7, "output_tokens": 0},
}
_OPENAI_MODELS = {"object": "list", "data": [{"id": "known-a"}, {"id": "known-b"}]}

DIALECTS = {
    "llama_server": Dialect(
        kind="llama_server",
        path="/v1/chat/completions",
        content_type="text/event-stream",
        begin=_OPENAI_BEGIN,
        rest=_OPENAI_REST,
        error={"error": {"code": 400, "type": "exceed_context_size_error", "message": "too long"}},
    ),
    "openai_compatible": Dialect(
        kind="openai_compatible",
        path="/v1/chat/completions",
        content_type="text/event-stream",
        begin=_OPENAI_BEGIN,
        rest=_OPENAI_REST,
        error={"error": {"code": "context_length_exceeded", "message": "maximum context length"}},
        models=_OPENAI_MODELS,
    ),
    "ollama": Dialect(
        kind="ollama",
        path="/api/chat",
        content_type="application/x-ndjson",
        begin=json_lines({"message": {"role": "assistant", "content": "Hello"}, "done": False}),
        rest=json_lines(
            {"message": {"role": "assistant", "content": " there"}, "done": False},
            {
                "message": {"role": "assistant", "content": ""},
                "done": True,
                "done_reason": "stop",
                "prompt_eval_count": 7,
                "eval_count": 2,
                "eval_duration": 5_000_000,
            },
        ),
        error={"error": "input length exceeds maximum context length"},
        models={"models": [{"name": "known-a", "size": 5}, {"name": "known-b", "size": 6}]},
        models_path="/api/tags",
    ),
    "anthropic": Dialect(
        kind="anthropic",
        path="/v1/messages",
        content_type="text/event-stream",
        begin=named_sse(
            {"type": "message_start", "message": _MESSAGE},
            {
                "type": "content_block_start",
                "index": 0,
                "content_block": {"type": "text", "text": ""},
            },
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "text_delta", "text": "Hello"},
            },
        ),
        rest=named_sse(
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "text_delta", "text": " there"},
            },
            {"type": "content_block_stop", "index": 0},
            {
                "type": "message_delta",
                "delta": {"stop_reason": "end_turn", "stop_sequence": None},
                "usage": {"output_tokens": 2},
            },
            {"type": "message_stop"},
        ),
        error={
            "type": "error",
            "error": {"type": "invalid_request_error", "message": "prompt is too long: 9 > 8"},
        },
        models={
            "data": [
                {"type": "model", "id": "known-a", "display_name": "A", "created_at": "2026-01-01"},
                {"type": "model", "id": "known-b", "display_name": "B", "created_at": "2026-01-01"},
            ],
            "has_more": False,
            "first_id": "known-a",
            "last_id": "known-b",
        },
    ),
}


@dataclass
class Server:
    """The server and what it was asked. `gone` is set when a client closed a hanging answer;
    `release` ends the hanging ones."""

    http: HTTPServer
    release: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return self.http.url_for("").rstrip("/")

    @property
    def requests(self) -> list[Request]:
        return [request for request, _ in self.http.log]

    def bodies(self, path: str) -> list[Any]:
        return [json.loads(r.data) for r in self.requests if r.path == path]

    def answer(self, path: str, body: object, status: int = 200, **more: Any) -> None:
        if isinstance(body, bytes):
            content_type = more.pop("content_type", "text/event-stream")
            self.http.expect_request(path).respond_with_data(
                body, status=status, content_type=content_type, **more
            )
        else:
            self.http.expect_request(path).respond_with_json(body, status=status, **more)

    def hang(self, path: str, begin: bytes = b"", content_type: str = "text/event-stream") -> None:
        """Send `begin`, then nothing, until `release`."""

        def handler(request: Request) -> Response:
            if not begin:
                self.release.wait(60)

            def body() -> Iterator[bytes]:
                yield begin
                self.release.wait(60)

            return Response(body(), content_type=content_type)

        self.http.expect_request(path).respond_with_handler(handler)


class Resetter:
    """A port where every connection is read from and then reset."""

    def __init__(self) -> None:
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection:
                if not connection.recv(65536):
                    return
                self.connections += 1
                # Closing with no time to linger sends a reset instead of an end.
                linger = struct.pack("ii", 1, 0)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    def close(self) -> None:
        with socket.create_connection(self._listener.getsockname()) as last:
            last.shutdown(socket.SHUT_WR)
            self._thread.join(10)
        self._listener.close()


@pytest.fixture
def resetter() -> Iterator[Resetter]:
    resetter = Resetter()
    yield resetter
    resetter.close()


class _Listening(HTTPServer):
    """Says of a model that it is its own, as an Ollama does, where a test says nothing of it."""

    def respond_nohandler(self, request: Request, extra_message: str = "") -> Response:
        if request.path == "/api/show":
            return Response("{}", content_type="application/json")
        return super().respond_nohandler(request, extra_message)


@pytest.fixture(scope="module")
def listening() -> Iterator[HTTPServer]:
    """Kept for a module's tests: ending one takes half a second."""
    with _Listening(host="127.0.0.1", threaded=True) as http:
        yield http


@pytest.fixture
def server(listening: HTTPServer) -> Iterator[Server]:
    listening.clear()
    server = Server(listening)
    yield server
    server.release.set()


@pytest.fixture
async def made() -> AsyncGenerator[Any]:
    """Builds providers and closes them."""
    built: list[Provider] = []

    def build(kind: str, url: str, model: str = "m", **options: Any) -> Any:
        environ = {"TEST_KEY": KEY}
        settings = ProviderSettings(kind=kind, model=model, base_url=url, options=options)
        built.append(registry.build("mine", settings, environ=environ))
        return built[-1]

    yield build
    for provider in built:
        await provider.aclose()


def question(text: str = "Hello?", **more: Any) -> ChatRequest:
    return ChatRequest((Message(Role.USER, text),), **more)
