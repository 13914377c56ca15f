"""The connection policy for every model server.

* Requests to this machine use no proxy, whatever the environment says. No request follows a
  redirect, so one to loopback never leaves it. Others use the proxies and certificates of
  `network`.
* An answer has four clocks: connecting, the first piece, the pause between pieces, the whole; and
  the request's own deadline, which is usually the shortest.
* Transport errors are tried again, with jitter, and only before any of the answer has come; a
  server's own failure (500, 502, 503, 504) once. A request changes nothing, so it may be repeated.
* Closing a stream closes its connection at once; the servers then stop generating.
* Keys and prompts are in no message.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from functools import partial
from typing import Any

import httpx
import msgspec
import stamina
import stamina.instrumentation

from nearfield.coerce import NotJson, is_deep, shallow
from nearfield.errors import (
    BadAnswer,
    ConfigError,
    ModelNotServed,
    ProviderError,
    Unauthorised,
    Unreachable,
    Unsupported,
)
from nearfield.network.clients import ClientFactory
from nearfield.network.hosts import LOCALHOST, is_loopback_host
from nearfield.network.trouble import trouble
from nearfield.providers import address, failures, refused
from nearfield.providers.clock import Clock, within
from nearfield.providers.failures import Who
from nearfield.providers.lines import JsonLines, LineTooLongError, ServerSentEvents
from nearfield.providers.options import Key, ServerOptions, authorization
from nearfield.providers.reading import MAX_STREAM_BYTES, UnreadableAnswer, chunks, whole
from nearfield.providers.refused import Refusals
from nearfield.types import ServedModel

ATTEMPTS = 3
WAIT_INITIAL_SECONDS = 0.05
WAIT_MAX_SECONDS = 1.0
WAIT_JITTER_SECONDS = 0.1
"""Retries are for what failed by chance, so they are few and quick: the router has others,
and a completion is worth little after two seconds."""

ASK_TIMEOUT_SECONDS = 10.0
"""For requests that no model works on: health, lists of models."""

stamina.instrumentation.set_on_retry_hooks([])
# By default it writes a warning with the error's text at each attempt, on a terminal too.

DONE = "[DONE]"
"""End of a stream of OpenAI's protocol: the only event that is not JSON."""

MAX_KNOWN = 30
"""Number of a server's models that a message names; the error itself has all."""

WHICH = "Is the provider's kind, preset and base_url right?"

MAX_ERROR_BYTES = 64 * 1024
"""Bytes of a failing answer that are read."""


class _Broke(Unreachable):
    """A transport error before the first byte of the answer: worth another try."""


class Http:
    """The way to one server. `local` is true when nothing that is sent leaves this machine.

    `environ` names proxies and certificates. `authorise` turns the key into headers; it is not
    called where there is none. `list_models`, when it is set, names the models in the error about
    an unknown one.
    """

    def __init__(
        self,
        name: str,
        base_url: str,
        options: ServerOptions,
        key: Key,
        *,
        environ: Mapping[str, str],
        model: str = "",
        authorise: Callable[[str], Mapping[str, str]] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> None:
        self.base_url = address.checked(name, base_url)
        self.loopback = address.is_loopback(self.base_url)
        self.local = self.loopback and not options.leaves_machine
        self.who = Who(name, address.host_of(self.base_url), model, key.hint)
        self.options = options
        self._key = key
        self._network = ClientFactory(environ)
        self._authorise = authorise or partial(authorization, user=options.user)
        self._query = dict(query or {})
        self._refusals = Refusals()
        self._client: httpx.AsyncClient | None = None
        self.list_models: Callable[[], Awaitable[list[ServedModel]]] | None = None

    async def aclose(self) -> None:
        """Close every connection; a later request opens new ones."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        deadline: float | None = None,
        timeout_s: float = ASK_TIMEOUT_SECONDS,
    ) -> Any:
        """Return the decoded JSON of a short answer. `timeout_s` is for all of it."""
        limit = time.monotonic() + timeout_s
        limit = limit if deadline is None else min(limit, deadline)

        async def read() -> Any:
            response = await self._send(method, path, body)
            try:
                return self._decoded(await whole(response))
            except httpx.TransportError:
                raise self.broke_off() from None
            except UnreadableAnswer as error:
                raise self.bad(str(error)) from None
            finally:
                await response.aclose()

        return await within(limit, read(), self.who)

    async def stream(
        self,
        path: str,
        body: object,
        *,
        deadline: float | None = None,
        events: type[ServerSentEvents] | type[JsonLines] = ServerSentEvents,
        clock: Clock | None = None,
    ) -> AsyncGenerator[str]:
        """Post `body` and yield the data of each event of the answer. `clock` is for an answer
        with times of its own."""
        clock = clock or Clock.start(self.options, deadline)
        response = await within(clock.until_first(), self._send("POST", path, body), self.who)
        try:
            check = self._check_type(response, events.content_types)
            await within(clock.until_first(), check, self.who)
            parser = events()
            most = MAX_STREAM_BYTES if math.isfinite(clock.total) else None
            async with aclosing(chunks(response, most)) as pieces:
                limit = clock.until_first()
                while (chunk := await within(limit, anext(pieces, None), self.who)) is not None:
                    for data in parser.feed(chunk):
                        yield data
                    limit = clock.until_next()
            for data in parser.end():
                if not _is_whole(data):
                    raise self.broke_off()
                yield data
        except httpx.TransportError:
            raise self.broke_off() from None
        except UnreadableAnswer as error:
            raise self.bad(str(error)) from None
        except (LineTooLongError, UnicodeDecodeError):
            raise self.bad("something that is no event stream") from None
        finally:
            await response.aclose()

    def decode(self, data: str, kind: type[Any]) -> Any:
        """Return the JSON text of an event as `kind` (a msgspec type). Raises `BadAnswer`; an error
        object raises what it means."""
        content = data.encode()
        if is_deep(content):
            raise self.bad("JSON of another shape")
        try:
            return msgspec.json.decode(content, type=kind)
        except msgspec.DecodeError:
            raise self._other(data) from None

    def convert(self, answer: object, kind: type[Any]) -> Any:
        """`answer` (from `ask`) as `kind`. Raises `BadAnswer`."""
        try:
            return msgspec.convert(answer, kind)
        except msgspec.ValidationError:
            raise self.bad("JSON of another shape") from None

    def bad(self, what: str) -> BadAnswer:
        """Return the error for an answer that is `what`."""
        return BadAnswer(
            f"{self.who} answered with {what}.", "Is the provider's kind and base_url right?"
        )

    def failed(self, error: object) -> ProviderError:
        """Return the error for an error object inside a stream."""
        return failures.of_event(self.who, error)

    async def headers(self) -> dict[str, str]:
        """Return the headers of a request, with the key."""
        key = await self._key.get()
        return {
            **self.options.headers,
            **(self._authorise(key) if key else {}),
            "accept-encoding": "identity",  # compressors hold back the first tokens
        }

    async def _send(self, method: str, path: str, body: object) -> httpx.Response:
        """Return the response once its headers report success. A parameter that the server refuses
        is left out and the request is sent again."""
        known, has_failed = self._refusals.known(path), False
        for _ in range(refused.MAX_REFUSED):
            fitted = self._refusals.fitted(path, body)
            response = await self._tried(method, path, fitted)
            if response.is_success:
                return response
            error, content = await self._refusal(response)
            status = response.status_code
            if isinstance(error, BadAnswer | Unsupported):
                if self._refusals.learn(path, fitted, status, content):
                    continue
                if named := refused.needed(fitted, status, content):
                    said = f"{self.who} refuses the parameter {named[0]!r}."
                    error = Unsupported(said, named[1])
            if has_failed or not failures.passes(status, error):
                break
            has_failed = True
            await asyncio.sleep(WAIT_INITIAL_SECONDS + random.uniform(0, WAIT_JITTER_SECONDS))  # noqa: S311 - jitter
        else:
            error = BadAnswer(f"{self.who} refuses one parameter after another.", WHICH)
        self._refusals.restore(path, known)
        raise error if body is None else await self._with_known(error)

    async def _tried(self, method: str, path: str, body: object) -> httpx.Response:
        """Return the response, whatever its status, after a few attempts where the connection
        broke."""
        async for attempt in stamina.retry_context(
            on=_Broke,
            attempts=ATTEMPTS,
            timeout=None,
            wait_initial=WAIT_INITIAL_SECONDS,
            wait_max=WAIT_MAX_SECONDS,
            wait_jitter=WAIT_JITTER_SECONDS,
        ):
            with attempt:
                return await self._once(method, path, body)
        raise self._broke()

    async def _once(self, method: str, path: str, body: object) -> httpx.Response:
        headers = await self.headers()
        content = None
        if body is not None:
            content = msgspec.json.encode(body)
            headers["content-type"] = "application/json"
        try:
            client = self._client or await self._open()
            request = client.build_request(
                method,
                self.base_url + path,
                params=self._query or None,
                content=content,
                headers=headers,
            )
            return await client.send(request, stream=True)
        except ConfigError as error:  # of a proxy, or of certificates
            raise Unreachable(
                f"{self.who} cannot be reached: {error.message}", error.hint
            ) from None
        except httpx.TransportError as error:
            raise self._on_the_way(error) from None
        except httpx.InvalidURL:
            raise self.bad("an address that cannot be sent to") from None

    def _on_the_way(self, error: httpx.TransportError) -> ProviderError:
        """Return the error for a request that got no answer."""
        proxy = self._network.proxy(self.base_url)
        if found := trouble(error, proxy):
            return Unreachable(f"{self.who} cannot be reached: {found.what}.", found.hint)
        if isinstance(error, httpx.ConnectError):
            return self._unreachable()
        if isinstance(error, httpx.UnsupportedProtocol | httpx.LocalProtocolError):
            return self.bad("an address or a header that cannot be sent")
        return self._broke()

    def _unreachable(self) -> Unreachable:
        # On this machine a refusal is certain: no server listens. Elsewhere it may be temporary.
        kind = Unreachable if self.loopback else _Broke
        return kind(f"{self.who} cannot be reached.", "Is it running, and is base_url right?")

    def _broke(self) -> Unreachable:
        return _Broke(f"The connection to {self.who} broke.", "Is the server still running?")

    def broke_off(self) -> Unreachable:
        """Return the error for a stream that ended before its end."""
        return Unreachable(f"The answer of {self.who} broke off.", "Is the server still running?")

    async def _open(self) -> httpx.AsyncClient:
        timeout = httpx.Timeout(None, connect=self.options.connect_timeout_s)
        if self.loopback:
            verify = await asyncio.to_thread(self._network.context, self.base_url)
            # A new connection costs nothing here, and llama.cpp's server closes the old one after
            # a stream without saying so.
            limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
            self._client = httpx.AsyncClient(
                transport=_Loopback(httpx.AsyncHTTPTransport(verify=verify, limits=limits)),
                timeout=timeout,
                trust_env=False,
            )
        else:
            self._client = self._network.async_client(timeout)
        return self._client

    async def _refusal(self, response: httpx.Response) -> tuple[ProviderError, bytes]:
        """Return the error that a failing answer means, and the answer."""
        body = b""
        try:
            async with aclosing(chunks(response, None)) as pieces:
                async for piece in pieces:
                    body += piece[:MAX_ERROR_BYTES]
                    if len(body) > MAX_ERROR_BYTES:
                        break
        except (httpx.TransportError, UnreadableAnswer):
            pass  # The status says enough.
        finally:
            await response.aclose()
        body = b"" if is_deep(body) else body
        error = failures.of_response(self.who, response.status_code, response.headers, body)
        if isinstance(error, Unauthorised):
            self._key.forget()
        return error, body

    async def _with_known(self, error: ProviderError) -> ProviderError:
        """`error`, with the models that the server has when it has not the one that was asked."""
        if not isinstance(error, ModelNotServed) or self.list_models is None:
            return error
        with suppress(ProviderError):
            known = tuple(model.name for model in await self.list_models())
            hint = f"It serves: {', '.join(known[:MAX_KNOWN])}." if known else "It serves none."
            return ModelNotServed(error.message, hint, known)
        return error

    async def _check_type(self, response: httpx.Response, allowed: tuple[str, ...]) -> None:
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in allowed:
            if kind == "application/json":  # an error that came with a success status
                raise self._other((await whole(response)).decode("utf-8", "replace"))
            raise self.bad(f"the content type {kind[:60]!r}")

    def _other(self, data: str) -> ProviderError:
        """Return the error for data that is not what was expected: an error object, or anything."""
        try:
            error = shallow(data)
        except NotJson:
            return self.bad("something that is not JSON")
        if isinstance(error, dict) and error.get("error"):
            return self.failed(error["error"])
        return self.bad("JSON of another shape")

    def _decoded(self, content: bytes) -> Any:
        try:
            return shallow(content)
        except NotJson:
            raise self.bad("something that is not JSON") from None


class _Loopback(httpx.AsyncBaseTransport):
    """Sends to this machine or not at all; resolves `localhost` without a name server."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """See httpx. Raises `httpx.UnsupportedProtocol` for an address elsewhere."""
        if not is_loopback_host(request.url.host):
            raise httpx.UnsupportedProtocol("not an address of this machine")
        if request.url.host != LOCALHOST:
            return await self._inner.handle_async_request(request)
        first, second = address.LOCALHOST_ADDRESSES
        named = request.url
        try:
            request.url = named.copy_with(host=first)
            return await self._inner.handle_async_request(request)
        except httpx.ConnectError as error:
            if trouble(error, None):
                raise  # a server listens there
            request.url = named.copy_with(host=second)
            return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        """See httpx."""
        await self._inner.aclose()


def _is_whole(data: str) -> bool:
    """Return whether an event at a stream's end is one, and not the first half of one."""
    try:
        shallow(data)
    except NotJson:
        return data == DONE
    return True
