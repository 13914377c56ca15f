"""The conversations of one session of an editor, or of the command line.

A face gives messages and a `Host` to ask; everything else is decided here: which functions there
are, what the model is told, who may answer, and that each session answers one message at a time.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

from nearfield.config.folders import FolderConfigs
from nearfield.config.schema import Config
from nearfield.features.chat import tool_registry as registry
from nearfield.features.chat.answer import Answering
from nearfield.features.chat.audit_store import CallStore
from nearfield.features.chat.folder import Folder
from nearfield.features.chat.protocol import Ask, Function, Host, Listener, Part, Refused, Reply
from nearfield.features.chat.references import expanded
from nearfield.features.chat.session import Session, Turn
from nearfield.features.chat.tool_calls import Caller
from nearfield.features.chat.tool_context import Knows, ToolContext
from nearfield.features.offers import Offers
from nearfield.features.room import room
from nearfield.features.trace import RequestMetrics, TraceLog
from nearfield.routing.request_context import AskUser, RequestContext, Task
from nearfield.routing.router import Router, built
from nearfield.routing.tasks import usual_role
from nearfield.types import Reason, Role, Tool

SESSIONS = 32
"""Conversations kept; the one not used for longest goes first."""
METHOD = "nearfield/chat"
"""What the trace calls every answer; its situation is how it ended."""


class Brains(Protocol):
    """What is needed of `features.service.Service`."""

    configs: FolderConfigs
    router: Router | None
    offers: Offers
    traces: TraceLog


class Chat:
    """See the module. One event loop. `ask_user` puts an offer of a provider to the user, in the
    mode "ask"."""

    def __init__(
        self,
        brains: Brains,
        host: Host,
        *,
        knowledge: Callable[[], Knows | None] = lambda: None,
        ask_user: AskUser | None = None,
        store: CallStore | None = None,
    ) -> None:
        self._brains = brains
        self._host = host
        self._knowledge = knowledge
        self._ask_user = ask_user
        self._store = store or CallStore()
        self._sessions: OrderedDict[str, Session] = OrderedDict()

    async def say(self, ask: Ask, listener: Listener) -> Reply:
        """Answer one message. Raises `NotReady`, `NoProvider` and `LedgerError`; cancelling it ends
        the model, the running function and the question to the user, and what was said stays."""
        router = built(self._brains.router)
        if not ask.message.strip():
            raise Refused("The message is empty.")
        session = self._session(ask.session)
        async with session.lock:
            try:
                return await self._answered(router, session, ask, listener)
            finally:
                await asyncio.shield(asyncio.to_thread(self._store.close))

    def close(self, session: str) -> bool:
        """Forget a conversation; whether there was one of that id."""
        return self._sessions.pop(session, None) is not None

    async def _answered(
        self, router: Router, session: Session, ask: Ask, listener: Listener
    ) -> Reply:
        config = self._brains.configs.of(ask.workspace)
        functions = registry.chosen(config.chat.functions, ask.functions)
        tools = tuple(map(_tool, functions.values()))
        reach = await asyncio.to_thread(self._reach, ask, config)
        reply = Reply(session.id)
        role = ask.role or usual_role(self._brains.configs.user, Task.CHAT)
        size = room(router, self._brains.configs.user, role, ask.max_tokens, tools)
        parts, reply.notes = await expanded(ask, reach, size, reads="readFile" in functions)
        session.turns.append(Turn(Role.USER, parts))
        caller = Caller(
            functions=functions,
            all_names=frozenset(registry.known()),
            reach=reach,
            store=self._store,
            session=session.id,
            workspace=ask.workspace,
            granted=session.granted,
            report=listener.call,
        )
        accepted = ask.accepted or self._brains.offers.take(ask.workspace, Task.CHAT)

        def context(now: Session) -> RequestContext:
            return RequestContext(
                Task.CHAT, ask.workspace, now.sources, (), accepted, self._ask_user
            )

        with RequestMetrics(self._brains.traces, METHOD, ask.snapshot) as account:
            answering = Answering(
                router=router,
                session=session,
                ask=ask,
                caller=caller,
                listener=listener,
                limits=config.chat,
                context=context,
                room=size,
                reply=reply,
                account=account,
                tools=tools,
                offered=self._brains.offers.add,
            )
            try:
                await answering.run()
            finally:
                _settle(session)
                account.provider, account.model = reply.provider, reply.model
            account.situation = reply.finish.value
            account.reason = Reason.SHOWN if reply.text.strip() else Reason.EMPTY
        return reply

    def _session(self, name: str) -> Session:
        if name and name in self._sessions:
            self._sessions.move_to_end(name)
        else:
            name = name or uuid.uuid4().hex
            self._sessions[name] = Session(name)
        found = self._sessions[name]
        found.used = time.monotonic()
        for other in list(self._sessions):
            if len(self._sessions) <= SESSIONS:
                break
            if not self._sessions[other].lock.locked() and other != name:
                del self._sessions[other]
        return found

    def _reach(self, ask: Ask, config: Config) -> ToolContext:
        return ToolContext(
            limits=config.chat,
            host=self._host,
            knowledge=self._knowledge(),
            inside=Folder(ask.workspace, config.files.exclude) if ask.workspace else None,
            snapshot=ask.snapshot,
        )


def _settle(session: Session) -> None:
    """Leave whole exchanges: a message that nobody has answered goes, so that it can be said again,
    and results that nobody has used are followed by words."""
    last = session.turns[-1].role if session.turns else None
    if last is Role.USER:
        session.turns.pop()
    elif last is Role.TOOL:
        session.turns.append(Turn(Role.ASSISTANT, [Part("(I was stopped here.)")]))


def _tool(function: Function) -> Tool:
    return Tool(function.name, function.description, function.parameters)
