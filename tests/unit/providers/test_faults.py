"""Every fault of a server, for every provider: which error it becomes, and what it does not say."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any

import msgspec
import pytest
from werkzeug import Request, Response

from nearfield.errors import (
    BadAnswer,
    ContextTooLong,
    DeadlineExceeded,
    ModelNotServed,
    NotReady,
    ProviderError,
    RateLimited,
    Unauthorised,
    Unreachable,
    Unsupported,
)
from nearfield.types import ChatRequest, Delta, Finish, Message, Role

from .conftest import DIALECTS, KEY, Dialect, Resetter, Server

SECRET_CODE = "launch_code = 'tulip'"
QUESTION = ChatRequest((Message(Role.USER, SECRET_CODE),))


@dataclass(frozen=True)
class Fault:
    """`arrange` makes the server fail; `text` is what was streamed before."""

    error: type[ProviderError]
    arrange: Callable[[Server, Dialect], None]
    text: str = ""


def _refuse(status: int, message: str = "", **headers: str) -> Callable[[Server, Dialect], None]:
    def arrange(server: Server, dialect: Dialect) -> None:
        said = f"{message} You said: {SECRET_CODE}, with {KEY}"
        body: dict[str, Any] = {"error": {"message": said}}
        if dialect.kind == "ollama":
            body = {"error": said}
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        server.answer(dialect.path, body, status, headers=fields)

    return arrange


def _data(body: bytes, content_type: str = "") -> Callable[[Server, Dialect], None]:
    def arrange(server: Server, dialect: Dialect) -> None:
        server.answer(dialect.path, body, content_type=content_type or dialect.content_type)

    return arrange


def _half(server: Server, dialect: Dialect) -> None:
    server.answer(dialect.path, dialect.begin, content_type=dialect.content_type)


def _half_line(server: Server, dialect: Dialect) -> None:
    body = dialect.begin + dialect.rest[:25]
    server.answer(dialect.path, body, content_type=dialect.content_type)


def _error_in_stream(server: Server, dialect: Dialect) -> None:
    encoded = msgspec.json.encode(dialect.error)
    if dialect.kind == "anthropic":
        encoded = b"event: error\ndata: " + encoded + b"\n\n"
    elif dialect.kind != "ollama":
        encoded = b"data: " + encoded + b"\n\n"
    body = dialect.begin + encoded
    server.answer(dialect.path, body, content_type=dialect.content_type)


FAULTS = {
    "half a stream": Fault(Unreachable, _half, text="Hello"),
    "half a line": Fault(Unreachable, _half_line, text="Hello"),
    "an error in the stream": Fault(ContextTooLong, _error_in_stream, text="Hello"),
    "garbage": Fault(BadAnswer, _data(b"data: \xff\xfe{{{\n\n\n")),
    "JSON of another shape": Fault(BadAnswer, _data(b'data: {"type": [4]}\n\n[4]\n')),
    "a web page": Fault(BadAnswer, _data(b"<html>sign in</html>", "text/html")),
    "500": Fault(BadAnswer, _refuse(500)),
    "502": Fault(Unreachable, _refuse(502)),
    "503 while loading": Fault(NotReady, _refuse(503, "Loading model")),
    "401": Fault(Unauthorised, _refuse(401)),
    "403": Fault(Unauthorised, _refuse(403)),
    "404": Fault(Unsupported, _refuse(404)),
    "501": Fault(Unsupported, _refuse(501)),
    "429": Fault(RateLimited, _refuse(429)),
    "413": Fault(ContextTooLong, _refuse(413)),
    "400, too long": Fault(ContextTooLong, _refuse(400, "prompt is too long: 300000 tokens")),
    "400": Fault(BadAnswer, _refuse(400, "no such thing")),
    "a redirect": Fault(BadAnswer, _refuse(307, location="http://192.0.2.1/")),
}
"""Web pages and garbage are told apart from streams by their content type and shape."""


@pytest.fixture(autouse=True)
def _all_logs(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("kind", DIALECTS)
async def test_a_faulty_answer_becomes_the_right_error(
    kind: str, fault: str, server: Server, made: Any, caplog: pytest.LogCaptureFixture
) -> None:
    dialect, case = DIALECTS[kind], FAULTS[fault]
    case.arrange(server, dialect)
    provider = _provider(made, server, dialect)
    text, error = await _collect(provider)
    assert type(error) is case.error
    assert text == case.text
    asked = [request for request in server.requests if request.path == dialect.path]
    assert len(asked) == (2 if fault in ("500", "502") else 1)
    _says_nothing_private(error, caplog)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize("kind", DIALECTS)
async def test_a_server_that_failed_once_is_asked_again(
    kind: str, status: int, server: Server, made: Any
) -> None:
    dialect = DIALECTS[kind]
    tries: list[int] = []

    def handler(request: Request) -> Response:
        tries.append(len(request.data))
        if len(tries) == 1:
            return Response("upstream", status)
        return Response(dialect.begin + dialect.rest, content_type=dialect.content_type)

    server.http.expect_request(dialect.path).respond_with_handler(handler)
    text, error = await _collect(_provider(made, server, dialect))
    assert (text, error) == ("Hello there", None)
    assert len(tries) == 2 and tries[0] == tries[1]


@pytest.mark.parametrize("kind", DIALECTS)
async def test_a_reset_connection_is_unreachable(kind: str, resetter: Resetter, made: Any) -> None:
    provider = made(kind, resetter.url, **_options(DIALECTS[kind]))
    _, error = await _collect(provider)
    assert isinstance(error, Unreachable)
    assert resetter.connections == 3


@pytest.mark.parametrize("kind", DIALECTS)
async def test_a_drop_is_tried_again(kind: str, server: Server, made: Any) -> None:
    dialect = DIALECTS[kind]
    provider = _provider(made, server, dialect)
    tries = _drop_times(server, dialect, 2)
    text, error = await _collect(provider)
    assert (text, error) == ("Hello there", None)
    assert len(tries) == 3


def _drop_times(server: Server, dialect: Dialect, times: int) -> list[int]:
    """Drop the first connections, then answer."""
    tries: list[int] = []

    def handler(request: Request) -> Response:
        tries.append(len(tries))
        if len(tries) <= times:
            request.environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            raise ConnectionResetError
        return Response(dialect.begin + dialect.rest, content_type=dialect.content_type)

    server.http.expect_request(dialect.path).respond_with_handler(handler)
    return tries


@pytest.mark.parametrize("kind", DIALECTS)
async def test_a_closed_port_is_unreachable(kind: str, made: Any) -> None:
    provider = made(kind, "http://127.0.0.1:9", **_options(DIALECTS[kind]))
    _, error = await _collect(provider)
    assert isinstance(error, Unreachable)
    assert "127.0.0.1:9" in str(error)


@pytest.mark.parametrize("kind", DIALECTS)
async def test_a_hanging_server_times_out(kind: str, server: Server, made: Any) -> None:
    dialect = DIALECTS[kind]
    server.hang(dialect.path)
    provider = _provider(made, server, dialect, first_token_timeout_s=0.3)
    _, error = await _collect(provider)
    assert isinstance(error, DeadlineExceeded)


@pytest.mark.parametrize("kind", DIALECTS)
async def test_deadline_before_the_first_piece(kind: str, server: Server, made: Any) -> None:
    dialect = DIALECTS[kind]
    server.hang(dialect.path)
    provider = _provider(made, server, dialect)
    deadline = time.monotonic() + 0.4
    _, error = await _collect(provider, deadline=deadline)
    assert isinstance(error, DeadlineExceeded)
    assert time.monotonic() >= deadline


@pytest.mark.parametrize("kind", DIALECTS)
async def test_deadline_in_the_middle(kind: str, server: Server, made: Any) -> None:
    dialect = DIALECTS[kind]
    server.hang(dialect.path, dialect.begin, dialect.content_type)
    provider = _provider(made, server, dialect)
    deltas = [d async for d in provider.chat(_asked(deadline=time.monotonic() + 2.5))]
    assert "".join(d.text for d in deltas) == "Hello"
    assert deltas[-1].finish is Finish.DEADLINE
    assert deltas[-1].usage is not None


@pytest.mark.parametrize("kind", DIALECTS)
async def test_stalls_in_the_middle(kind: str, server: Server, made: Any) -> None:
    dialect = DIALECTS[kind]
    server.hang(dialect.path, dialect.begin, dialect.content_type)
    provider = _provider(made, server, dialect, idle_timeout_s=0.3)
    text, error = await _collect(provider)
    assert isinstance(error, DeadlineExceeded)
    assert text == "Hello"


IN_AN_HOUR = "in an hour"
"""Becomes a date when it is sent: a run of all tests takes minutes."""

WAITS = {
    "seconds": ({"retry-after": "7"}, 7.0),
    "a date": ({"retry-after": IN_AN_HOUR}, 3600.0),
    "a past date": ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
    "milliseconds": ({"retry-after-ms": "1500", "retry-after": "2"}, 1.5),
    "nonsense": ({"retry-after": "soon"}, None),
    "nothing": ({}, None),
}


@pytest.mark.parametrize("wait", WAITS)
@pytest.mark.parametrize("kind", DIALECTS)
async def test_retry_after(kind: str, wait: str, server: Server, made: Any) -> None:
    dialect = DIALECTS[kind]
    headers, expected = WAITS[wait]
    if headers.get("retry-after") == IN_AN_HOUR:
        headers = {"retry-after": formatdate(time.time() + 3600, usegmt=True)}
    server.answer(dialect.path, {"error": "slow down"}, 429, headers=headers)
    _, error = await _collect(_provider(made, server, dialect))
    assert isinstance(error, RateLimited)
    assert error.retry_after == (pytest.approx(expected, abs=60) if expected else expected)


@pytest.mark.parametrize("kind", [k for k, d in DIALECTS.items() if d.models])
async def test_unknown_model_names_the_known(kind: str, server: Server, made: Any) -> None:
    dialect = DIALECTS[kind]
    _refuse(404, "model 'm' not found")(server, dialect)
    server.answer(dialect.models_path, dialect.models)
    _, error = await _collect(_provider(made, server, dialect))
    assert isinstance(error, ModelNotServed)
    assert error.known == ("known-a", "known-b")
    assert "known-b" in str(error)


@pytest.mark.parametrize("how", ["closed", "cancelled"])
@pytest.mark.parametrize("kind", DIALECTS)
async def test_leaving_closes_the_connection(
    kind: str, how: str, server: Server, made: Any
) -> None:
    """The server sees the connection end at once, while it still has more to say."""
    dialect = DIALECTS[kind]
    closed = asyncio.Event()
    loop = asyncio.get_running_loop()

    def handler(request: Request) -> Response:
        connection = request.environ["werkzeug.socket"]

        def body() -> Any:
            yield dialect.begin
            connection.settimeout(60)
            with suppress(ConnectionResetError):
                assert connection.recv(1) == b""
            loop.call_soon_threadsafe(closed.set)

        return Response(body(), content_type=dialect.content_type)

    server.http.expect_request(dialect.path).respond_with_handler(handler)
    provider = _provider(made, server, dialect)
    got = asyncio.Event()

    async def consume() -> None:
        async with aclosing(provider.chat(_asked())) as stream:
            async for delta in stream:
                if delta.text:
                    got.set()
                    if how == "closed":
                        return

    task = asyncio.create_task(consume())
    await asyncio.wait_for(got.wait(), 60)
    if how == "cancelled":
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    else:
        await task
    await asyncio.wait_for(closed.wait(), 60)


@pytest.mark.parametrize("kind", DIALECTS)
async def test_no_fault(kind: str, server: Server, made: Any) -> None:
    dialect = DIALECTS[kind]
    body = dialect.begin + dialect.rest
    server.answer(dialect.path, body, content_type=dialect.content_type)
    provider = _provider(made, server, dialect)
    deltas: list[Delta] = [delta async for delta in provider.chat(_asked())]
    assert "".join(delta.text for delta in deltas) == "Hello there"
    assert [delta.finish for delta in deltas[:-1]] == [None] * (len(deltas) - 1)
    last = deltas[-1]
    assert last.finish is Finish.STOP
    assert last.usage is not None
    assert (last.usage.prompt_tokens, last.usage.generated_tokens) == (7, 2)
    assert last.usage.prefill_ms is not None
    sent = server.requests[-1].headers
    assert sent.get("x-api-key") == KEY or sent.get("authorization") == f"Bearer {KEY}"


def _options(dialect: Dialect) -> dict[str, Any]:
    return {"api_key_env": "TEST_KEY", **dialect.options}


def _provider(made: Any, server: Server, dialect: Dialect, **options: Any) -> Any:
    base = "/v1" if dialect.kind == "openai_compatible" else ""
    return made(dialect.kind, server.url + base, **_options(dialect), **options)


def _asked(deadline: float | None = None) -> ChatRequest:
    return ChatRequest(QUESTION.messages, deadline=deadline)


async def _collect(
    provider: Any, deadline: float | None = None
) -> tuple[str, ProviderError | None]:
    text = ""
    try:
        async for delta in provider.chat(_asked(deadline)):
            text += delta.text
    except ProviderError as error:
        return text, error
    return text, None


def _says_nothing_private(error: ProviderError | None, caplog: pytest.LogCaptureFixture) -> None:
    said = [str(error), repr(error)]
    cause: BaseException | None = error
    while cause is not None:
        said += [str(cause), repr(cause)]
        cause = cause.__cause__
    said += [record.getMessage() for record in caplog.records]
    for text in said:
        assert "tulip" not in text
        assert KEY not in text
