"""The conversations of one session of an editor, or of the command line.

A frontend gives messages and a `ChatHost` to ask. Everything else is decided here: the functions,
the model's instructions, the permitted providers, and that each session answers one message at a
time.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Protocol

from nearfield.catalog.models import is_small
from nearfield.config.folders import FolderConfigs
from nearfield.config.schema import Config
from nearfield.errors import NearfieldError
from nearfield.features.accepted import Accepted, Origin
from nearfield.features.chat import tool_registry as registry
from nearfield.features.chat.answer import Answering
from nearfield.features.chat.audit_store import CallStore
from nearfield.features.chat.chat_states import KeepsChats
from nearfield.features.chat.folder import Folder
from nearfield.features.chat.kept_chats import KeptChats, real
from nearfield.features.chat.lookup import (
    LookedUp,
    is_question,
    look_up,
    places_of,
    unknown_files,
)
from nearfield.features.chat.protocol import (
    Ask,
    ChatFinish,
    ChatFunction,
    ChatHost,
    Listener,
    Reply,
    ToolRefused,
    TurnPart,
)
from nearfield.features.chat.references import expanded, references
from nearfield.features.chat.session import CODE_ONLY, ChatSession, ChatTurn, Exchange
from nearfield.features.chat.tool_calls import ToolCaller
from nearfield.features.chat.tool_context import Knows, ToolContext
from nearfield.features.chat.tool_servers import ToolServers
from nearfield.features.offers import Offers
from nearfield.features.project_rules import project_rules
from nearfield.features.room import room
from nearfield.features.trace import RequestMetrics, TraceLog
from nearfield.listeners import Listeners
from nearfield.providers.estimate import CHARS_PER_TOKEN
from nearfield.routing.request_context import AskUser, RequestContext, Task
from nearfield.routing.roles import usual_role
from nearfield.routing.router import Router, built
from nearfield.tasks import run_task, stop_task
from nearfield.types import Reason, Role, Surface, Tool

log = logging.getLogger(__name__)

KEEP_SECONDS = 3.0
"""After this time without another message the state of a chat is kept."""
LAST_SECONDS = 0.4
"""Maximum time for that when the server ends; the process must end within a second."""
SESSIONS = 32
"""Conversations kept; the least recently used one is dropped first."""
FORGOTTEN = "What was said in this chat before is not known here any more: it begins again."


class Brains(Protocol):
    """The part of `features.service.Service` that a chat uses."""

    configs: FolderConfigs
    router: Router | None
    offers: Offers
    traces: TraceLog
    tool_servers: ToolServers
    applied: Listeners[Accepted]
    """Told each change of a file that the user has let a chat make."""


class ChatService:
    """See the module. One event loop. `ask_user` puts an offer of a provider to the user, in the
    mode "ask". Chats are kept in `kept`, and those that are there are resumed by their id."""

    def __init__(
        self,
        brains: Brains,
        host: ChatHost,
        *,
        knowledge: Callable[[], Knows | None] = lambda: None,
        ask_user: AskUser | None = None,
        store: CallStore | None = None,
        kept: KeptChats | None = None,
    ) -> None:
        self._brains = brains
        self._host = host
        self._knowledge = knowledge
        self._ask_user = ask_user
        self._store = store or CallStore()
        self._kept = kept
        self._sessions: OrderedDict[str, ChatSession] = OrderedDict()
        self._last: tuple[ChatSession, KeepsChats, int] | None = None
        """The chat whose state is not on the disk yet, who holds it, and the limit in bytes."""
        self._keeping: asyncio.Task[None] | None = None

    async def say(self, ask: Ask, listener: Listener) -> Reply:
        """Answer one message. Raises `NotReady`, `NoProvider` and `LedgerError`; cancelling it ends
        the model, the running function and the question to the user, and what was said stays."""
        router = built(self._brains.router)
        if not ask.message.strip():
            raise ToolRefused("The message is empty.")
        wishes = ask.wishes.check()
        await stop_task(self._keeping)
        is_open = ask.session in self._sessions
        session = await self._session(ask)
        reply = Reply(session.id)
        if ask.goes_on and not is_open and not session.turns:
            reply.notes.append(FORGOTTEN)
        async with session.lock:
            if not is_open and session.turns:
                await self._recall(router, session, ask)
            session.wishes = wishes.over(session.wishes)
            try:
                await self._answer(router, session, ask, listener, reply)
            finally:
                # Also when the answer was cancelled meanwhile.
                await asyncio.shield(asyncio.ensure_future(self._end(session, ask, reply)))
        reply.notes = list(dict.fromkeys(reply.notes))
        return reply

    async def note(self, ask: Ask, parts: Sequence[TurnPart], reply: Reply) -> None:
        """Add an exchange that a command answered, so that the model knows of it. `parts` are the
        answer, each with the file that it is about."""
        session = await self._session(ask)
        async with session.lock:
            session.turns.append(ChatTurn(Role.USER, [TurnPart(ask.message)]))
            session.turns.append(ChatTurn(Role.ASSISTANT, list(parts)))
            _settle(session, ask, reply)
            await self._end(session, ask, reply)

    def close(self, session: str) -> bool:
        """Forget a conversation, but for what is kept of it; whether there was one of that id."""
        return self._sessions.pop(session, None) is not None

    async def delete(self, session: str) -> bool:
        """Forget a conversation and delete what is kept of it; whether there was one."""
        found = self._sessions.pop(session, None)
        if found is not None:
            found.is_deleted = True
        was_kept = self._kept is not None and await asyncio.to_thread(self._kept.delete, session)
        return found is not None or was_kept

    async def _end(self, session: ChatSession, ask: Ask, reply: Reply) -> None:
        """Keep what was said."""
        if self._kept is not None and not session.is_mixed and session.id in self._sessions:
            own, user = self._brains.configs.of(ask.workspace), self._brains.configs.user
            try:
                is_whole = await asyncio.to_thread(self._kept.save, session, own.chat, user.chat)
                if is_whole:
                    self._keep_state(session, ask, reply)
                if session.is_deleted:  # while it was written
                    await asyncio.to_thread(self._kept.delete, session.id)
            except (NearfieldError, OSError) as error:
                why = error.message if isinstance(error, NearfieldError) else error.strerror
                log.warning("a chat could not be kept: %s", type(error).__name__)
                reply.notes.append(f"This chat is not kept: {why}")
        await asyncio.to_thread(self._store.close)

    def _keep_state(self, session: ChatSession, ask: Ask, reply: Reply) -> None:
        """Keep what the model has evaluated of the chat when nothing is asked for a while."""
        providers = self._brains.router.providers if self._brains.router is not None else {}
        keeper, limit = providers.get(reply.provider), self._state_limit(ask)
        if limit and isinstance(keeper, KeepsChats):
            self._last = session, keeper, limit
            self._keeping = run_task(self._kept_later(), "keep the state of a chat")

    async def _kept_later(self) -> None:
        await asyncio.sleep(KEEP_SECONDS)
        await self._keep_last()

    async def _keep_last(self) -> None:
        last, self._last = self._last, None
        if last is None or self._kept is None or self._kept.states is None:
            return
        session, keeper, limit = last
        if not session.is_deleted:
            await self._kept.states.keep(keeper, session.id, limit)
            # It may have been deleted while this was written, by another process too.
            if session.is_deleted or await asyncio.to_thread(self._kept.load, session.id) is None:
                await asyncio.to_thread(self._kept.states.remove, session.id)

    async def _recall(self, router: Router, session: ChatSession, ask: Ask) -> None:
        """Give the model that will answer what it had evaluated of a resumed chat."""
        role = ask.role or usual_role(self._brains.configs.user, Task.CHAT)
        keeper = next(iter(router.candidates(role, ask.workspace)), None)
        states, limit = self._kept and self._kept.states, self._state_limit(ask)
        if states is None or not limit or router.is_paused:
            return
        if isinstance(keeper, KeepsChats):
            await states.recall(keeper, session.id, limit)

    def _state_limit(self, ask: Ask) -> int:
        """Return how many bytes states may take, 0 where the folder or the user keeps none."""
        own, user = self._brains.configs.of(ask.workspace), self._brains.configs.user
        return user.engine.keep_prompts_mb << 20 if own.engine.keep_prompts_mb else 0

    async def aclose(self) -> None:
        """Keep the state of the last chat in the time that is left."""
        await stop_task(self._keeping)
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_SECONDS):
                await self._keep_last()

    async def _answer(
        self, router: Router, session: ChatSession, ask: Ask, listener: Listener, reply: Reply
    ) -> None:
        config = self._brains.configs.of(ask.workspace)
        functions = registry.chosen(config.chat.functions, ask.functions)
        served, notes = await self._served(router, session, ask, config)
        functions |= served
        tools = tuple(map(_tool, functions.values()))
        # Asking for it lets features read what has happened, which is for the event loop.
        knowledge = self._knowledge()
        tool_context = await asyncio.to_thread(self._tool_context, ask, config, knowledge)
        tool_context.written = partial(self._written, ask, reply)
        role = ask.role or usual_role(self._brains.configs.user, Task.CHAT)
        user = self._brains.configs.user
        most = session.wishes.context_tokens
        size = room(router, user, role, ask.workspace, ask.max_tokens, tools, most)
        parts, said = await expanded(ask, tool_context, size, reads="readFile" in functions)
        reply.notes += said + notes
        parts += await self._rules(ask, session, config, size, reply)
        looked_up = await self._look_up(ask, tool_context, functions)
        parts += looked_up.parts if looked_up is not None else ()
        parts += [TurnPart(CODE_ONLY)] if ask.code_only else []
        session.turns.append(ChatTurn(Role.USER, parts))
        caller = ToolCaller(
            functions=functions,
            all_names=frozenset((*registry.known(), *served)),
            context=tool_context,
            store=self._store,
            session=session.id,
            workspace=ask.workspace,
            granted=session.granted,
            report=listener.call,
        )
        accepted = ask.accepted or self._brains.offers.take(ask.workspace, Task.CHAT)

        def context(now: ChatSession) -> RequestContext:
            return RequestContext(
                Task.CHAT, ask.workspace, now.sources, (), accepted, self._ask_user
            )

        with RequestMetrics(self._brains.traces, Surface.CHAT, ask.snapshot) as account:
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
                in_words=looked_up is not None and await _is_small(router, role, ask.workspace),
                offered=self._brains.offers.add,
            )
            try:
                await answering.run()
                if looked_up is not None:
                    await _cite(reply, tool_context, looked_up, listener)
            finally:
                _settle(session, ask, reply)
                account.provider, account.model = reply.provider, reply.model
            account.situation = reply.finish.value
            is_empty = reply.finish is ChatFinish.EMPTY or not reply.text.strip()
            account.reason = Reason.EMPTY if is_empty else Reason.SHOWN

    async def _served(
        self, router: Router, session: ChatSession, ask: Ask, config: Config
    ) -> tuple[dict[str, ChatFunction], list[str]]:
        """Return the tools of `chat.mcp` that may be called, and why others may not."""
        if not config.chat.mcp:
            return {}, []
        names = [
            name for name in config.chat.functions if ask.functions is None or name in ask.functions
        ]
        return await self._brains.tool_servers.functions(
            config, names, router.guard, ask.workspace, lambda: session.sources
        )

    async def _rules(
        self, ask: Ask, session: ChatSession, config: Config, size: int, reply: Reply
    ) -> list[TurnPart]:
        """Return what the repository says about its style, unless the conversation has it."""
        path = ask.snapshot.path if ask.snapshot is not None else None
        room = int(size * CHARS_PER_TOKEN)
        rules = await asyncio.to_thread(project_rules, ask.workspace, path, config, room)
        if rules is None or rules.name in session.paths:
            return []
        reply.notes.append(rules.note)
        said = TurnPart(rules.text, rules.name, pinned=True)
        return [TurnPart(f"\n\n{rules.head}\n```\n"), said, TurnPart("\n```")]

    async def _look_up(
        self, ask: Ask, tool_context: ToolContext, functions: Mapping[str, ChatFunction]
    ) -> LookedUp | None:
        """Look up what a question about the workspace asks for, where the model might too."""
        if "semanticSearch" not in functions or references(ask.message) or ask.selection:
            return None
        if not is_question(ask.message):
            return None
        try:
            return await look_up(tool_context, ask.message)
        except NearfieldError as error:
            log.warning("nothing was looked up: %s", type(error).__name__)
            return None

    async def _session(self, ask: Ask) -> ChatSession:
        """Return the conversation of a message: one that is open, a kept one, or a new one. Raises
        `ToolRefused` for a kept one of another folder."""
        name = ask.session or uuid.uuid4().hex
        if name not in self._sessions:
            loaded = await self._resumed(name, ask.workspace) if ask.session else None
            begun = loaded or ChatSession(name, workspace=ask.workspace)
            self._sessions.setdefault(name, begun)
        self._sessions.move_to_end(name)
        found = self._sessions[name]
        found.is_mixed = found.is_mixed or found.workspace != ask.workspace
        found.used = time.monotonic()
        for other in list(self._sessions):
            if len(self._sessions) <= SESSIONS:
                break
            if not self._sessions[other].lock.locked() and other != name:
                del self._sessions[other]
        return found

    async def _resumed(self, name: str, workspace: str) -> ChatSession | None:
        kept = await asyncio.to_thread(self._kept.load, name) if self._kept is not None else None
        if kept is None:
            return None
        if kept.workspace != await asyncio.to_thread(real, workspace):
            raise ToolRefused(
                f"This chat is about {kept.workspace or 'no folder'}, not about"
                f" {workspace or 'no folder'}.",
                "Open that folder, or begin a new chat.",
            )
        return kept.session(workspace)

    def _written(self, ask: Ask, reply: Reply, path: str, before: str | None, after: str) -> None:
        """Tell of a change that the user has let the model make."""
        origin = Origin(reply.provider, reply.model)
        root = ask.workspace or None
        self._brains.applied.tell(
            Accepted("", "chat", path, root, after, time.time(), None, before or "", origin)
        )

    def _tool_context(self, ask: Ask, config: Config, knowledge: Knows | None) -> ToolContext:
        return ToolContext(
            limits=config.chat,
            host=self._host,
            knowledge=knowledge,
            inside=Folder(ask.workspace, config.files.exclude) if ask.workspace else None,
            snapshot=ask.snapshot,
        )


async def _is_small(router: Router, role: str, workspace: str) -> bool:
    """Return whether the model that would be asked first is a small one."""
    first = next(iter(router.candidates(role, workspace)), None)
    return first is not None and await asyncio.to_thread(is_small, first.model)


async def _cite(
    reply: Reply, tool_context: ToolContext, looked_up: LookedUp, listener: Listener
) -> None:
    """Name the places below an answer, and the files in it that are none."""
    unknown = await unknown_files(tool_context, reply.text)
    reply.notes += [
        f"The answer names {name}, which the workspace does not have." for name in unknown
    ]
    if reply.finish in (ChatFinish.STOP, ChatFinish.LENGTH, ChatFinish.EMPTY):
        said = f"\n\n{looked_up.said(await places_of(tool_context, reply.text))}"
        listener.text(said)
        reply.text += said


def _settle(session: ChatSession, ask: Ask, reply: Reply) -> None:
    """Leave whole exchanges: an unanswered message is removed, so that it can be sent again, and
    unused results are followed by words.
    """
    last = session.turns[-1].role if session.turns else None
    if last is Role.USER:
        session.turns.pop()
        return
    if last is Role.TOOL:
        session.turns.append(ChatTurn(Role.ASSISTANT, [TurnPart("(I was stopped here.)")]))
    calls = [(report.name, report.state.value) for report in reply.calls]
    answer = reply.text or session.last_answer
    session.exchanges.append(Exchange(ask.message, answer, reply.model, calls))


def _tool(function: ChatFunction) -> Tool:
    return Tool(
        function.name,
        function.description,
        function.parameters,
        is_general=function in registry.OWN,
    )
