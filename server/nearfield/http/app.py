"""Paths and admission: an ASGI application over the handlers of some paths.

Every request names this machine as its host, so that no web page gets here by a name that it has
bound to loopback; that of a team names the team's. Every one shows a token, but those to `/health`
and, where the user has named it, to Ollama's paths: its clients have no place for one. A request
without a token that comes from a browser is refused, unless it is for a file of a page, and what it
asks stays on this machine. No CORS headers are sent, so browsers keep pages from reading answers.
When a client hangs up, the model is freed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from nearfield.errors import NearfieldError
from nearfield.features.team.settings import Use
from nearfield.http.access import Admission
from nearfield.http.dialect import ANTHROPIC, LLAMA_CPP, OLLAMA, OPENAI, Dialect
from nearfield.http.exchange import PAGE_BYTES, Answer, Event, HttpExchange, Receive, Send
from nearfield.http.member import Member
from nearfield.http.wire import BadRequest
from nearfield.routing.request_context import OWNER
from nearfield.tasks import run_task, stop_task

OLLAMA_PATH = "/api/tags"
"""One of the paths that Ollama's API has."""

OF_BROWSERS = ("origin", "sec-fetch-site", "referer")
"""Headers that browsers add to what a page asks, and no page can leave out."""


@dataclass(frozen=True, slots=True)
class PathHandler:
    """Handler of a path, and the method of HTTP that it takes. An `open` one needs no token, and a
    `page` is for browsers, which cannot show one; its errors are written by `dialect`, without one
    by that of the API that has such paths. People of a team need `use` among theirs, None for
    none; `look` is counted for them, as no place at a model is."""

    method: str
    answer: Answer
    open: bool = False
    page: bool = False
    dialect: Dialect | None = None
    use: Use | None = None
    look: bool = False


class App:
    """See the module. `handlers` are by path."""

    def __init__(self, handlers: Mapping[str, PathHandler], access: Admission) -> None:
        self._handlers = handlers
        self._access = access

    async def __call__(self, scope: Event, receive: Receive, send: Send) -> None:
        """ASGI: one request, one answer."""
        exchange = HttpExchange(scope, receive, send)
        known = self._handlers.get(exchange.path)
        said = known.dialect if known is not None else None
        exchange.dialect = said or _dialect(exchange.path)
        if known is None:
            await self._answer(exchange)
            return
        with self._access.observed(exchange, known.use):
            await self._answer(exchange)

    async def _answer(self, exchange: HttpExchange) -> None:
        try:
            answer = self._admitted(exchange)
            # A request without a token is not delayed.
            body = await exchange.body() if exchange.method == "POST" else b""
        except BadRequest as error:
            await exchange.error(error)
            return
        except ConnectionResetError:
            return
        OWNER.set(exchange.member.owner)
        work = run_task(_answered(answer, exchange, body), f"http {exchange.path}")
        gone = asyncio.ensure_future(exchange.gone())
        try:
            await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            await stop_task(work)
        failure = None if work.cancelled() else work.exception()
        if failure is not None and not isinstance(failure, ConnectionResetError):
            await exchange.error(None)

    def _admitted(self, exchange: HttpExchange) -> Answer:
        """Return the handler of an admitted request. Raises `BadRequest`."""
        host = exchange.headers.get("host", "")
        name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
        if not self._access.answers_to(name):
            raise BadRequest(self._access.answers, status=403)
        handler = self._handlers.get(exchange.path)
        if (member := self._member(exchange)) is not None:
            exchange.known(member)
        elif handler is None or not handler.open:
            raise BadRequest(
                "The token is missing or wrong: send `Authorization: Bearer TOKEN`.",
                code="invalid_api_key",
                status=401,
            )
        elif not handler.page and any(map(exchange.headers.get, OF_BROWSERS)):
            raise BadRequest("Without a token no web page is answered.", status=403)
        if handler is not None and handler.page and not exchange.is_known:
            exchange.most_bytes = PAGE_BYTES
        if handler is None:
            raise BadRequest(self._no_such_path(exchange.path), status=404)
        if exchange.method != handler.method and (exchange.method, handler.method) != (
            "HEAD",
            "GET",
        ):
            raise BadRequest(f"This path takes {handler.method}.", status=405)
        if handler.use is not None:
            exchange.member.check_use(handler.use)
        if handler.look and member is not None:
            self._access.look(member)
        return handler.answer

    def _member(self, exchange: HttpExchange) -> Member | None:
        """Return whose token is in `Authorization`, or where Anthropic's clients put it; None
        where it is none."""
        kind, _, shown = exchange.headers.get("authorization", "").partition(" ")
        key = exchange.headers.get("x-api-key", "").strip()
        found = self._access.member(shown.strip()) if kind.lower() == "bearer" else None
        return found or (self._access.member(key) if key else None)

    def _no_such_path(self, path: str) -> str:
        if path.startswith("/api/") and OLLAMA_PATH not in self._handlers:
            return "Ollama's paths are there with `nearfield serve --http HOST:PORT --ollama`."
        paths = (path for path, handler in self._handlers.items() if not handler.page)
        return f"There is no such path; there are {', '.join(paths)}."


def _dialect(path: str) -> Dialect:
    """Return the API that `path` belongs to, also where there is no such path."""
    if path.startswith("/api/") or path == "/":
        return OLLAMA
    if path.startswith("/v1/messages"):
        return ANTHROPIC
    return LLAMA_CPP if path in ("/infill", "/props") else OPENAI


async def _answered(answer: Answer, exchange: HttpExchange, body: bytes) -> None:
    """The answer, or why there is none: an expected error is the client's, and none of the log's,
    because it may quote what a model has said."""
    try:
        await answer(exchange, body)
    except NearfieldError as error:
        await exchange.error(error)
