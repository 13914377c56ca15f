"""Paths and admission: an ASGI application over one service.

Every request names this machine as its host, so that no web page gets here by a name that it has
bound to loopback. Every one shows the token, but those to `/health` and, where the user has named
it, to Ollama's paths: its clients have no place for one. A request without a token that comes from
a browser is refused, and what it asks stays on this machine. No CORS headers are sent, so browsers
keep pages from reading answers. When a client hangs up, the model is freed.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from nearfield.errors import NearfieldError
from nearfield.features.service import Service
from nearfield.features.token import Token
from nearfield.http.asking import Asking
from nearfield.http.chats import ChatsApi
from nearfield.http.dialect import ANTHROPIC, LLAMA_CPP, OLLAMA, OPENAI, Dialect
from nearfield.http.exchange import Answer, Event, HttpExchange, Receive, Send
from nearfield.http.llama_cpp import LlamaCppApi
from nearfield.http.loading import LoadingApi
from nearfield.http.messages import AnthropicApi
from nearfield.http.openai import OpenAiApi
from nearfield.http.wire import BadRequest
from nearfield.tasks import run_task, stop_task

HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})

OF_BROWSERS = ("origin", "sec-fetch-site", "referer")
"""Headers that browsers add to what a page asks, and no page can leave out."""


@dataclass(frozen=True, slots=True)
class PathHandler:
    """Handler of a path, and the method of HTTP that it takes. An `open` one needs no token."""

    method: str
    answer: Answer
    open: bool = False


class App:
    """See the module. `workspace` is the folder that the requests belong to, by whose consent
    something may be sent elsewhere; "" for none. With `ollama` its paths are there too."""

    def __init__(
        self, service: Service, token: Token, workspace: str = "", *, ollama: bool = False
    ) -> None:
        self._service = service
        self._token = token
        asking = Asking(service, workspace)
        openai, llama_cpp, messages = OpenAiApi(asking), LlamaCppApi(asking), AnthropicApi(asking)
        loading, chats = LoadingApi(asking), ChatsApi(asking)
        self._handlers = {
            "/health": PathHandler("GET", self._health, open=True),
            "/v1/models": PathHandler("GET", openai.models),
            "/v1/completions": PathHandler("POST", openai.completion),
            "/v1/chat/completions": PathHandler("POST", openai.chat),
            "/v1/embeddings": PathHandler("POST", openai.embeddings),
            "/v1/messages": PathHandler("POST", messages.message),
            "/v1/messages/count_tokens": PathHandler("POST", messages.count_tokens),
            "/nearfield/chats": PathHandler("GET", chats.heads),
            "/nearfield/chats/say": PathHandler("POST", chats.say),
            "/nearfield/chats/history": PathHandler("POST", chats.history),
            "/nearfield/chats/delete": PathHandler("POST", chats.delete),
            "/nearfield/models/load": PathHandler("POST", loading.load),
            "/nearfield/models/unload": PathHandler("POST", loading.unload),
            "/infill": PathHandler("POST", llama_cpp.infill),
            "/props": PathHandler("GET", llama_cpp.props),
        }
        self._ollama = ollama
        if ollama:
            from nearfield.http.ollama import OllamaApi

            named = OllamaApi(asking).paths()
            self._handlers |= {
                path: PathHandler(*handler, open=True) for path, handler in named.items()
            }

    async def __call__(self, scope: Event, receive: Receive, send: Send) -> None:
        """ASGI: one request, one answer."""
        exchange = HttpExchange(scope, receive, send)
        exchange.dialect = _dialect(exchange.path)
        try:
            answer = self._admitted(exchange)
            # A request without a token is not delayed.
            body = await exchange.body() if exchange.method == "POST" else b""
        except BadRequest as error:
            await exchange.error(error)
            return
        except ConnectionResetError:
            return
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
        if name.lower() not in HOSTS:
            raise BadRequest("This server answers to 127.0.0.1 and localhost.", status=403)
        handler = self._handlers.get(exchange.path)
        if self._shows_token(exchange):
            exchange.known()
        elif handler is None or not handler.open:
            raise BadRequest(
                "The token is missing or wrong: send `Authorization: Bearer TOKEN`.",
                code="invalid_api_key",
                status=401,
            )
        elif exchange.path != "/health" and any(map(exchange.headers.get, OF_BROWSERS)):
            raise BadRequest("Without a token no web page is answered.", status=403)
        if handler is None:
            raise BadRequest(self._no_such_path(exchange.path), status=404)
        if exchange.method != handler.method and (exchange.method, handler.method) != (
            "HEAD",
            "GET",
        ):
            raise BadRequest(f"This path takes {handler.method}.", status=405)
        return handler.answer

    def _shows_token(self, exchange: HttpExchange) -> bool:
        """Return whether the token is in `Authorization`, or where Anthropic's clients put it."""
        kind, _, shown = exchange.headers.get("authorization", "").partition(" ")
        key = exchange.headers.get("x-api-key", "")
        if kind.lower() == "bearer" and self._token.matches(shown.strip()):
            return True
        return bool(key) and self._token.matches(key.strip())

    def _no_such_path(self, path: str) -> str:
        if path.startswith("/api/") and not self._ollama:
            return "Ollama's paths are there with `nearfield serve --http HOST:PORT --ollama`."
        return f"There is no such path; there are {', '.join(self._handlers)}."

    async def _health(self, exchange: HttpExchange, body: bytes) -> None:
        """Return whether completions can be had; without a token, so it tells nothing else."""
        state = self._service.status.state
        await exchange.json({"status": "ok" if state == "ready" else str(state)})


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
