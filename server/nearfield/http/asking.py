"""The one way from every path of the HTTP frontend to the models.

Here are the places for requests, the context that routing decides by, the names of models, and how
an answer is written whole or as a stream. The modules of the APIs translate bodies and answers.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Generator, Sequence
from typing import Any

from nearfield.config.schema import ROLES
from nearfield.features.chat.structured import structured
from nearfield.features.completion.prompting import UNKNOWN_CONTEXT
from nearfield.features.service import Service
from nearfield.features.team.settings import Use
from nearfield.http.access import Admission
from nearfield.http.answers import AnswerText, Form, events, in_one_piece, whole
from nearfield.http.exchange import HttpExchange
from nearfield.http.member import Member
from nearfield.http.wire import MODEL, BadRequest
from nearfield.providers import estimate
from nearfield.providers.base import Provider
from nearfield.routing.request_context import RequestContext, Task
from nearfield.routing.router import Route, Router, built
from nearfield.types import ChatRequest

DOCUMENT = "http"
"""All clients share what has been evaluated: the engine finds by the text what fits."""

CHAT_ROLES = ("fast", "code", "large")
"""Roles that answer conversations, the smallest model first."""

CALM_SECONDS = 1.0
"""The longest that work in the background waits for completions."""


class Asking:
    """See the module. `workspace` is the folder that the requests belong to, by whose consent
    something may be sent elsewhere; "" for none."""

    def __init__(self, service: Service, access: Admission, workspace: str = "") -> None:
        self.service = service
        self.workspace = workspace
        self._access = access
        self._completions = 0
        self._calm = asyncio.Event()
        self._calm.set()

    @contextlib.asynccontextmanager
    async def place(
        self, exchange: HttpExchange, use: Use, *, urgent: bool = False
    ) -> AsyncGenerator[Router]:
        """Hold one of the places for requests to models; `urgent` ones are of a keystroke. Raises
        `BadRequest` when there is none, and `NotReady` while Nearfield is paused or its providers
        are not built.
        """
        self.service.activity.pause.check()
        router = built(self.service.router)
        async with self._access.place(exchange.member, use, urgent=urgent):
            yield router

    @contextlib.asynccontextmanager
    async def hole(self, exchange: HttpExchange) -> AsyncGenerator[Router]:
        """Hold a place for a completion, and hold up what is less urgent. Raises as `place`, and
        `BadRequest` for a person who may not have completions."""
        exchange.member.check_use("complete")
        check_model(exchange.member, "complete")
        async with self.place(exchange, "complete", urgent=True) as router:
            with self.typing():
                yield router

    @contextlib.contextmanager
    def typing(self) -> Generator[None]:
        """Hold up what is less urgent than a completion."""
        self._completions += 1
        self._calm.clear()
        try:
            yield
        finally:
            self._completions -= 1
            if not self._completions:
                self._calm.set()

    async def calm(self) -> None:
        """Wait until no completion is under way, at most `CALM_SECONDS`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CALM_SECONDS):
                await self._calm.wait()

    def folder(self, exchange: HttpExchange) -> str:
        """Return the folder whose consent counts for a request: none for one without a token, which
        stays on this machine."""
        return self.workspace if exchange.is_known else ""

    def context(self, exchange: HttpExchange, task: Task) -> RequestContext:
        """Return the context of a request. The text's file is unknown; secrets in it are replaced
        before it leaves the machine in any case.
        """
        return RequestContext(task, self.folder(exchange))

    def served(self) -> list[str]:
        """Return the roles for which there is a provider."""
        router = self.service.router
        return [role for role in ROLES if router is not None and router.candidates(role)]

    def names(self, exchange: HttpExchange) -> list[str]:
        """Return the names of models that a request may have."""
        may_ask = exchange.member.may_ask
        roles = [role for role in self.served() if role != "edit" and may_ask(role)]
        return [MODEL, *(f"{MODEL}/{role}" for role in roles)]

    def permitted(
        self, exchange: HttpExchange, request: ChatRequest, role: str, context: RequestContext
    ) -> str:
        """Return the role that answers a conversation: `role`, or the one that suits it where that
        is "". Raises `BadRequest` for a model or function that the person may not use."""
        member = exchange.member
        member.check_functions([tool.name for tool in request.tools])
        if member.models is None:
            return role
        if role:
            check_model(member, role)
            return role
        # Asked by name, no rule of the operator's can choose another one.
        suited = built(self.service.router).choose(request, context).role
        chats = [one for one in (suited, *CHAT_ROLES) if member.may_ask(one)]
        if not chats:
            raise BadRequest("Your role has no model for chats.", "model", "forbidden", 403)
        return chats[0]

    def first(self, role: str) -> Provider | None:
        """Return the provider that is asked first for `role`, None without one."""
        router = self.service.router
        found = router.candidates(role) if router is not None else ()
        return found[0] if found else None

    def named(self, role: str) -> Provider | None:
        """Return the provider that is asked first where a model's name has `role`, "" for none;
        None without one."""
        return self.first(role or "fast") or self.first(role or "complete")

    def context_tokens(self, role: str) -> int:
        """Return how many tokens the model of `role` can hold; what is assumed where it does not
        say."""
        provider = self.first(role)
        return (provider.capabilities.context_tokens if provider else None) or UNKNOWN_CONTEXT

    async def count(self, texts: Sequence[str], role: str) -> int:
        """Return how many tokens `texts` are for the model of `role`; an estimate where none of
        this machine can say."""
        provider = self.named(role) or self.first("complete")
        if provider is None:
            return sum(map(estimate.tokens, texts))
        return sum([await provider.count_tokens(text) for text in texts if text])

    async def say(self, exchange: HttpExchange, route: Route, form: Form, *, stream: bool) -> None:
        """Answer with what `route` brings. Raises what it raises."""
        if not stream:
            await exchange.json(form.whole(await whole(route)))
            return
        async with contextlib.aclosing(events(route, form)) as pieces:
            await exchange.stream(pieces)

    async def chat(
        self, exchange: HttpExchange, request: ChatRequest, role: str, form: Form, *, stream: bool
    ) -> None:
        """Answer a conversation. JSON that has to meet a schema comes in one piece, because it is
        checked before it is sent. Raises `BadAnswer` where it does not meet it."""
        exchange.member.check_use("chat")
        context = self.context(exchange, Task.CHAT)
        role = self.permitted(exchange, request, role, context)
        async with self.place(exchange, "chat") as router:
            if request.schema is None:
                await self.say(exchange, router.chat(request, role, context), form, stream=stream)
                return
            found = await structured(
                router,
                request.messages,
                request.schema,
                context,
                role=role,
                max_tokens=request.max_tokens,
                deadline=request.deadline,
            )
            await self.say_whole(exchange, AnswerText(found.model, found.text), form, stream=stream)

    async def say_whole(
        self, exchange: HttpExchange, said: AnswerText, form: Form, *, stream: bool
    ) -> None:
        """Answer with a text that is complete."""
        if not stream:
            await exchange.json(form.whole(said))
            return

        async def pieces() -> AsyncGenerator[dict[str, Any]]:
            for event in in_one_piece(form, said):
                yield event

        await exchange.stream(pieces())


def role_of(model: str) -> str:
    """Return the role that a model's name asks for, "" for the one that suits the task. Raises
    `BadRequest` for another model."""
    name, _, role = model.partition("/")
    if name != MODEL or (role and role not in ROLES):
        raise unknown_model(model)
    return role


def check_model(member: Member, role: str) -> None:
    """Raise `BadRequest` where a person may not ask the models of a role."""
    if not member.may_ask(role):
        raise BadRequest(
            f"Your role may not ask {MODEL}/{role}; /v1/models lists what it may.",
            "model", "forbidden", 403,
        )  # fmt: skip


def unknown_model(model: str) -> BadRequest:
    """Return the error for a name that no model has."""
    return BadRequest(
        f"There is no model {model!r} here; {MODEL!r} is the one to name, and"
        " /v1/models lists others.",
        "model",
        "model_not_found",
        404,
    )
