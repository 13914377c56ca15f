"""An HTTP request and its answer, over ASGI: the body within limits, JSON, events, errors."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

from nearfield.errors import NearfieldError
from nearfield.http.dialect import OPENAI, Dialect, api_error_of
from nearfield.http.member import THE_USER, Member
from nearfield.http.wire import BadRequest

Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]

MAX_BYTES = 4 * 1024 * 1024
"""A prompt of a million tokens has as many; no model of this machine reads more."""
PAGE_BYTES = 4096
"""The same for a page that has shown no token: it sends a code."""
BODY_SECONDS = 30.0
SHOWN = "nearfield.shown"
"""Key in the state of a request that has shown the token."""
UNREAD_SECONDS = 60.0
"""A client that reads nothing for this long counts as gone, so that its model is freed."""
RETRY_SECONDS = "2"


class HttpExchange:
    """See the module. `headers` are lower-case; of one sent twice both are kept, by a comma.
    `query` has the parameters of the address, of one sent twice the last.
    `dialect` is the API that the path belongs to, `member` the caller. A body has at most
    `most_bytes`."""

    most_bytes: int = MAX_BYTES
    dialect: Dialect = OPENAI
    member: Member = THE_USER

    def __init__(self, scope: Event, receive: Receive, send: Send) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.headers: dict[str, str] = {}
        for raw_name, raw_value in scope["headers"]:
            name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
            self.headers[name] = f"{self.headers[name]}, {value}" if name in self.headers else value
        self.query: dict[str, str] = dict(
            parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
        )
        self.begun = False
        self.status = 0
        """The status of the answer, 0 before there is one."""
        self._state: Event = scope.setdefault("state", {})
        self._receive = receive
        self._send = send

    def known(self, member: Member) -> None:
        """The client has shown the token of `member`."""
        self._state[SHOWN] = True
        self.member = member

    @property
    def is_known(self) -> bool:
        """Return whether the client has shown a token."""
        return SHOWN in self._state

    async def body(self) -> bytes:
        """Return the whole body. Raises `BadRequest` when it is too large or too slow, and
        `ConnectionResetError` when the client has hung up.
        """
        if int(self.headers.get("content-length") or "0") > self.most_bytes:
            raise _too_large(self.most_bytes)
        # Kept in one piece: a client may send a byte at a time.
        whole = bytearray()
        try:
            async with asyncio.timeout(BODY_SECONDS):
                while True:
                    event = await self._receive()
                    if event["type"] == "http.disconnect":
                        raise ConnectionResetError
                    whole += event.get("body", b"")
                    if len(whole) > self.most_bytes:
                        raise _too_large(self.most_bytes)
                    if not event.get("more_body", False):
                        return bytes(whole)
        except TimeoutError:
            raise BadRequest("The body did not come in time.", status=408) from None

    async def gone(self) -> None:
        """Return when the client has hung up. Only after `body`."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def json(self, value: object, status: int = 200, **headers: str) -> None:
        """Answer with `value`, without white space: some clients look for `"content":"`."""
        content = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        await self._whole(content, "application/json", status, headers)

    async def text(self, text: str) -> None:
        """Answer with plain text."""
        await self._whole(text, "text/plain; charset=utf-8", 200, {})

    async def file(self, content: bytes, media: str, **headers: str) -> None:
        """Answer with the content of a file."""
        described = {"content-type": media, "content-length": str(len(content))}
        await self._start(200, described | headers)
        await self._write({"type": "http.response.body", "body": content})

    async def redirect(self, path: str) -> None:
        """Send the client to another path of this server."""
        await self._start(307, {"location": path, "content-length": "0"})
        await self._write({"type": "http.response.body", "body": b""})

    async def stream(self, events: AsyncIterator[dict[str, Any]]) -> None:
        """Answer with `events` as they come. An error before the first of them is an answer of its
        own; a later one is the last event."""
        async for event in events:
            if not self.begun:
                # A proxy on the way, as remote editors have one, must not collect what it could
                # then compress.
                kept = {"cache-control": "no-store, no-transform"}
                await self._start(200, {"content-type": self.dialect.media} | kept)
            await self._piece(self.dialect.frame(event))
        await self._piece(self.dialect.last, last=True)

    async def error(self, error: NearfieldError | None) -> None:
        """Answer with `error`, None for an unexpected one."""
        failure = api_error_of(error)
        status, told = failure.status, self.dialect.error(failure)
        if self.begun:
            await self._piece(self.dialect.frame(told), last=True)
        elif status == 401:
            await self.json(told, status, **{"www-authenticate": "Bearer"})
        elif status in (429, 503):
            wait = error.wait_seconds if isinstance(error, BadRequest) else 0.0
            seconds = str(math.ceil(wait)) if wait else RETRY_SECONDS
            await self.json(told, status, **{"retry-after": seconds})
        else:
            await self.json(told, status)

    async def _whole(self, content: str, media: str, status: int, headers: dict[str, str]) -> None:
        body = content.encode("utf-8", "replace")
        described = {"content-type": media, "content-length": str(len(body))}
        await self._start(status, described | headers)
        await self._write({"type": "http.response.body", "body": body})

    async def _start(self, status: int, headers: dict[str, str]) -> None:
        self.begun, self.status = True, status
        # The answer is about the user's code: no cache may keep it.
        named = {"cache-control": "no-store", "x-content-type-options": "nosniff"} | headers
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in named.items()]
        await self._write({"type": "http.response.start", "status": status, "headers": raw})

    async def _piece(self, text: str, last: bool = False) -> None:
        body = text.encode("utf-8", "replace")
        await self._write({"type": "http.response.body", "body": body, "more_body": not last})

    async def _write(self, event: Event) -> None:
        """Send `event`. Raises `ConnectionResetError` when the client does not read."""
        try:
            async with asyncio.timeout(UNREAD_SECONDS):
                await self._send(event)
        except TimeoutError:
            raise ConnectionResetError from None


def _too_large(most: int) -> BadRequest:
    return BadRequest(f"The body is larger than {most} bytes.", status=413)


Answer = Callable[[HttpExchange, bytes], Coroutine[Any, Any, None]]
"""Answers a request, whose body is given."""
