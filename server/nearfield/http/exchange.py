"""An HTTP request and its answer, over ASGI: the body within limits, JSON, events, errors."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

from nearfield.errors import BadAnswer, ContextTooLong, NearfieldError, NoProvider, NotReady
from nearfield.http.wire import BadRequest
from nearfield.json_schema import SchemaUnusable

Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]

MAX_BYTES = 4 * 1024 * 1024
"""A prompt of a million tokens has as many; no model of this machine reads more."""
BODY_SECONDS = 30.0
SHOWN = "nearfield.shown"
"""Key in the state of a request that has shown the token."""
UNREAD_SECONDS = 60.0
"""A client that reads nothing for this long counts as gone, so that its model is freed."""
RETRY_SECONDS = "2"


class HttpExchange:
    """See the module. `headers` are lower-case; of one sent twice both are kept, by a comma."""

    def __init__(self, scope: Event, receive: Receive, send: Send) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.headers: dict[str, str] = {}
        for raw_name, raw_value in scope["headers"]:
            name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
            self.headers[name] = f"{self.headers[name]}, {value}" if name in self.headers else value
        self.begun = False
        self._state: Event = scope.setdefault("state", {})
        self._receive = receive
        self._send = send

    def known(self) -> None:
        """The client has shown the token."""
        self._state[SHOWN] = True

    async def body(self) -> bytes:
        """Return the whole body. Raises `BadRequest` when it is too large or too slow, and
        `ConnectionResetError` when the client has hung up.
        """
        if int(self.headers.get("content-length") or "0") > MAX_BYTES:
            raise _too_large()
        # Kept in one piece: a client may send a byte at a time.
        whole = bytearray()
        try:
            async with asyncio.timeout(BODY_SECONDS):
                while True:
                    event = await self._receive()
                    if event["type"] == "http.disconnect":
                        raise ConnectionResetError
                    whole += event.get("body", b"")
                    if len(whole) > MAX_BYTES:
                        raise _too_large()
                    if not event.get("more_body", False):
                        return bytes(whole)
        except TimeoutError:
            raise BadRequest("The body did not come in time.", status=408) from None

    async def gone(self) -> None:
        """Return when the client has hung up. Only after `body`."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def json(self, value: object, status: int = 200, **headers: str) -> None:
        """Answer with `value`."""
        content = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
        length = {"content-length": str(len(content))}
        await self._start(status, {"content-type": "application/json"} | length | headers)
        await self._write({"type": "http.response.body", "body": content})

    async def stream(self, events: AsyncIterator[dict[str, Any]]) -> None:
        """Answer with `events` as they come. An error before the first of them is an answer of its
        own; a later one is the last event."""
        async for event in events:
            if not self.begun:
                await self._start(200, {"content-type": "text/event-stream; charset=utf-8"})
            await self._event(json.dumps(event, ensure_ascii=False))
        await self._event("[DONE]", last=True)

    async def error(self, error: NearfieldError | None) -> None:
        """Answer with `error`, None for an unexpected one."""
        status, told = described(error)
        if self.begun:
            await self._event(json.dumps(told, ensure_ascii=False), last=True)
        elif status == 401:
            await self.json(told, status, **{"www-authenticate": "Bearer"})
        elif status in (429, 503):
            await self.json(told, status, **{"retry-after": RETRY_SECONDS})
        else:
            await self.json(told, status)

    async def _start(self, status: int, headers: dict[str, str]) -> None:
        self.begun = True
        # The answer is about the user's code: no cache may keep it.
        named = {"cache-control": "no-store", "x-content-type-options": "nosniff"} | headers
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in named.items()]
        await self._write({"type": "http.response.start", "status": status, "headers": raw})

    async def _event(self, data: str, last: bool = False) -> None:
        body = f"data: {data}\n\n".encode("utf-8", "replace")
        await self._write({"type": "http.response.body", "body": body, "more_body": not last})

    async def _write(self, event: Event) -> None:
        """Send `event`. Raises `ConnectionResetError` when the client does not read."""
        try:
            async with asyncio.timeout(UNREAD_SECONDS):
                await self._send(event)
        except TimeoutError:
            raise ConnectionResetError from None


def described(error: NearfieldError | None) -> tuple[int, dict[str, Any]]:
    """The status and the body for `error`, in OpenAI's shape."""
    status, kind, code, param = 500, "server_error", "", ""
    causes = error.causes if isinstance(error, NoProvider) else ()
    if isinstance(error, BadRequest):
        status, code, param = error.status, error.code, error.param
        kind = {401: "authentication_error", 429: "rate_limit_error"}.get(
            status, "invalid_request_error"
        )
    elif isinstance(error, SchemaUnusable):
        status, kind, param = 400, "invalid_request_error", "response_format"
    elif isinstance(error, BadAnswer):
        status, code = 502, "bad_answer"
    elif any(isinstance(cause, ContextTooLong) for cause in causes):
        status, kind, code = 400, "invalid_request_error", "context_length_exceeded"
    elif isinstance(error, NoProvider | NotReady):
        status, code = 503, "no_provider"
        if isinstance(error, NotReady) or any(isinstance(cause, NotReady) for cause in causes):
            code = "not_ready"
    message = str(error) if error is not None else "Nearfield failed; its log says where."
    told = {"message": message, "type": kind, "param": param or None, "code": code or None}
    return status, {"error": told}


def _too_large() -> BadRequest:
    return BadRequest(f"The body is larger than {MAX_BYTES} bytes.", status=413)
