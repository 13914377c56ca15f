"""Paths and admission: an ASGI application over one service.

Every request but `/health` shows the token. Every one names this machine as its host, so that no
web page gets here by a name that it has bound to loopback. No CORS headers are sent, so browsers
keep pages from reading answers. When a client hangs up, the model is freed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from dataclasses import asdict
from typing import Any

from nearfield.config.schema import ROLES
from nearfield.errors import NearfieldError, NotReady
from nearfield.features.chat.structured import structured
from nearfield.features.service import Service
from nearfield.features.token import Token
from nearfield.http import wire
from nearfield.http.answers import AnswerText, ChatForm, CompletionForm, Form, events, whole
from nearfield.http.exchange import Event, HttpExchange, Receive, Send
from nearfield.http.wire import BadRequest, ChatBody, CompletionBody, RoleBody
from nearfield.routing.request_context import RequestContext, Task
from nearfield.routing.router import Route, Router, built
from nearfield.tasks import run_task, stop_task
from nearfield.types import ChatRequest, HealthState

HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})

MAX_REQUESTS = 8
"""Requests to models; more would only wait in the engine and hold their prompts in memory."""

LOOK_SECONDS = 0.1
"""Interval at which a model that is being loaded is looked at."""

DOCUMENT = "http"
"""All clients share what has been evaluated: the engine finds by the text what fits."""

Answer = Callable[[HttpExchange, bytes], Coroutine[Any, Any, None]]


class App:
    """See the module. `workspace` is the folder that the requests belong to, by whose consent
    something may be sent elsewhere; "" for none."""

    def __init__(self, service: Service, token: Token, workspace: str = "") -> None:
        self._service = service
        self._token = token
        self._workspace = workspace
        self._running = 0
        self._answers: dict[str, tuple[str, Answer]] = {
            "/health": ("GET", self._health),
            "/v1/models": ("GET", self._models),
            "/v1/completions": ("POST", self._completion),
            "/v1/chat/completions": ("POST", self._chat),
            "/nearfield/models/load": ("POST", self._load),
            "/nearfield/models/unload": ("POST", self._unload),
        }

    async def __call__(self, scope: Event, receive: Receive, send: Send) -> None:
        """ASGI: one request, one answer."""
        exchange = HttpExchange(scope, receive, send)
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
        if exchange.path != "/health":
            kind, _, shown = exchange.headers.get("authorization", "").partition(" ")
            if kind.lower() != "bearer" or not self._token.matches(shown.strip()):
                raise BadRequest(
                    "The token is missing or wrong: send `Authorization: Bearer TOKEN`.",
                    code="invalid_api_key",
                    status=401,
                )
            exchange.known()
        method, answer = self._answers.get(exchange.path, ("", None))
        if answer is None:
            known = ", ".join(self._answers)
            raise BadRequest(f"There is no such path; there are {known}.", status=404)
        if exchange.method != method:
            raise BadRequest(f"This path takes {method}.", status=405)
        return answer

    async def _health(self, exchange: HttpExchange, body: bytes) -> None:
        """Return whether completions can be had; without a token, so it tells nothing else."""
        state = self._service.status.state
        await exchange.json({"status": "ok" if state == "ready" else str(state)})

    async def _models(self, exchange: HttpExchange, body: bytes) -> None:
        router = self._service.router
        served = [role for role in ROLES if router is not None and router.candidates(role)]
        names = [
            wire.MODEL,
            *(f"{wire.MODEL}/{role}" for role in served if role != "edit"),
        ]
        about = {"object": "model", "created": 0, "owned_by": "nearfield"}
        await exchange.json({"object": "list", "data": [{"id": name, **about} for name in names]})

    async def _load(self, exchange: HttpExchange, body: bytes) -> None:
        """Load the model of a role; answers once it is in memory, or cannot be."""
        role = _loadable(wire.read(RoleBody, body).role or "complete")
        name = self._service.load(role, self._workspace)
        provider = self._service.providers[name]
        health = await provider.health()
        async with asyncio.timeout(wire.DEADLINE_SECONDS):
            while health.state is HealthState.STARTING:
                await asyncio.sleep(LOOK_SECONDS)
                health = await provider.health()
        if health.state is not HealthState.READY:
            raise NotReady(health.detail)
        await self._states(exchange, [name])

    async def _unload(self, exchange: HttpExchange, body: bytes) -> None:
        role = _loadable(wire.read(RoleBody, body).role)
        await self._states(exchange, await self._service.unload(role, self._workspace))

    async def _states(self, exchange: HttpExchange, providers: list[str]) -> None:
        models = [asdict(one) for one in self._service.models]
        await exchange.json({"providers": providers, "models": models})

    async def _completion(self, exchange: HttpExchange, body: bytes) -> None:
        asked = wire.read(CompletionBody, body)
        if _role(asked.model) not in ("", "complete"):
            raise BadRequest("Completions are of the model 'nearfield'.", "model")
        request = asked.request(DOCUMENT)
        with self._place() as router:
            route = router.infill(request, self._context(Task.COMPLETE))
            await self._say(exchange, route, CompletionForm(), asked)

    async def _chat(self, exchange: HttpExchange, body: bytes) -> None:
        asked = wire.read(ChatBody, body)
        role, request = _role(asked.model), asked.request()
        context = self._context(Task.CHAT)
        with self._place() as router:
            if request.schema is None:
                await self._say(exchange, router.chat(request, role, context), ChatForm(), asked)
            else:
                await self._by_schema(exchange, router, role, request, context, asked.stream)

    async def _say(
        self, exchange: HttpExchange, route: Route, form: Form, asked: CompletionBody | ChatBody
    ) -> None:
        if not asked.stream:
            await exchange.json(form.whole(await whole(route)))
            return
        with_usage = asked.stream_options is not None and asked.stream_options.include_usage
        async with contextlib.aclosing(events(route, form, with_usage)) as stream:
            await exchange.stream(stream)

    async def _by_schema(
        self,
        exchange: HttpExchange,
        router: Router,
        role: str,
        request: ChatRequest,
        context: RequestContext,
        stream: bool,
    ) -> None:
        """JSON that meets the schema; in one piece, because it is checked before it is sent."""
        found = await structured(
            router,
            request.messages,
            request.schema or {},
            context,
            role=role,
            max_tokens=request.max_tokens,
            deadline=request.deadline,
        )
        said, form = AnswerText(found.model, found.text), ChatForm()
        if not stream:
            await exchange.json(form.whole(said))
            return

        async def pieces() -> AsyncGenerator[dict[str, Any]]:
            yield form.opening(said.model)
            yield form.piece(said.model, said.text, ())
            yield form.ending(said)

        await exchange.stream(pieces())

    @contextlib.contextmanager
    def _place(self) -> Generator[Router]:
        """Reserve one of the places for requests to models. Raises `BadRequest` when there is none,
        and `NotReady` before the providers are built.
        """
        router = built(self._service.router)
        if self._running >= MAX_REQUESTS:
            raise BadRequest(f"{self._running} requests are being answered.", status=429)
        self._running += 1
        try:
            yield router
        finally:
            self._running -= 1

    def _context(self, task: Task) -> RequestContext:
        """Return the context of a request. The text's file is unknown; secrets in it are replaced
        before it leaves the machine in any case.
        """
        return RequestContext(task, self._workspace)


async def _answered(answer: Answer, exchange: HttpExchange, body: bytes) -> None:
    """The answer, or why there is none: an expected error is the client's, and none of the log's,
    because it may quote what a model has said."""
    try:
        await answer(exchange, body)
    except NearfieldError as error:
        await exchange.error(error)


def _loadable(role: str) -> str:
    """Return the role, "" for all models. Raises `BadRequest` for one that there is not."""
    if role not in ("", "chat", *ROLES):
        raise BadRequest(f"There is no role {role!r}.", "role")
    return role


def _role(model: str) -> str:
    """The role that a model's name asks for, "" for the one that suits the task. Raises
    `BadRequest`."""
    name, _, role = model.partition("/")
    if name != wire.MODEL or (role and role not in ROLES):
        raise BadRequest(
            f"There is no model {model!r} here; {wire.MODEL!r} is the one to name, and"
            " /v1/models lists others.",
            "model",
            "model_not_found",
            404,
        )
    return role
