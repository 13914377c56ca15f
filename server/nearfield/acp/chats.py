"""Conversations over the Agent Client Protocol: `session/*`, over the same chats as everywhere.

A session of the protocol is a chat by the same id, kept in the same store. In the mode "ask" a
model may only look; in "edit" it may do what `chat.functions` allows, each change after a yes.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from acp import helpers
from acp.connection import Connection
from acp.exceptions import RequestError
from acp.helpers import ContentBlock
from acp.schema import (
    AvailableCommand,
    AvailableCommandInput,
    CloseSessionResponse,
    DeleteSessionResponse,
    FileSystemCapabilities,
    ListSessionsResponse,
    LoadSessionResponse,
    NewSessionResponse,
    PromptResponse,
    ResumeSessionResponse,
    SessionInfo,
    SessionMode,
    SessionModeState,
    SetSessionModeResponse,
    UnstructuredCommandInput,
)

from nearfield.acp.chat_host import ClientHost
from nearfield.acp.commands import COMMANDS, Commands
from nearfield.acp.prompts import Prompt, read_prompt
from nearfield.acp.updates import Updates
from nearfield.errors import NearfieldError
from nearfield.features.chat import tool_registry
from nearfield.features.chat.chat import ChatService
from nearfield.features.chat.kept_chats import KeptChat, KeptChats, real
from nearfield.features.chat.protocol import Access, Ask, ChatFinish
from nearfield.features.offers import words
from nearfield.features.service import Service
from nearfield.listeners import until
from nearfield.routing.request_context import Offer
from nearfield.tasks import run_task

READY_SECONDS = 60.0
"""The longest that a prompt waits for the providers to be built."""
EDIT, ASK = "edit", "ask"
MODES = [
    SessionMode(id=EDIT, name="Edit", description="Changes files, each after you agree."),
    SessionMode(id=ASK, name="Ask", description="Looks and answers; changes nothing."),
]
STOPS = {
    ChatFinish.LENGTH: "max_tokens",
    ChatFinish.ROUNDS: "max_turn_requests",
    ChatFinish.LOOP: "max_turn_requests",
}

ServiceFor = Callable[[str], Awaitable[Service]]
"""Returns the service, once it follows a folder."""


@dataclass(slots=True)
class AcpChat:
    """A conversation of the client."""

    id: str
    root: str
    host: ClientHost
    service: Service
    talk: ChatService
    mode: str = EDIT
    running: set[asyncio.Task[Any]] = field(default_factory=set[asyncio.Task[Any]])


class Chats:
    """See the module. One client, one event loop."""

    def __init__(self, connection: Connection, service_for: ServiceFor) -> None:
        self.files: FileSystemCapabilities | None = None
        """What the client can do with files."""
        self._connection = connection
        self._service_for = service_for
        self._kept = KeptChats()
        self._chats: dict[str, AcpChat] = {}

    # --- sessions ---

    async def new_session(self, cwd: str, **_: Any) -> NewSessionResponse:
        """Begin a conversation about a folder."""
        chat = await self._begin(uuid.uuid4().hex, cwd)
        return NewSessionResponse(session_id=chat.id, modes=_modes(chat))

    async def load_session(self, cwd: str, session_id: str, **_: Any) -> LoadSessionResponse:
        """Continue a kept conversation, and tell the client what was said."""
        kept = await self._found(session_id, cwd)
        chat = await self._begin(session_id, cwd)
        updates = Updates(self._connection, chat.id, chat.root)
        for one in kept.exchanges:
            updates.say(helpers.update_user_message_text(one.question))
            for number, (name, state) in enumerate(one.calls):
                status = "completed" if state == "done" else "failed"
                call_id = f"{session_id}-{number}"
                updates.say(helpers.start_tool_call(call_id, name, status=status))
            updates.say(helpers.update_agent_message_text(one.answer))
        await updates.aclose()
        return LoadSessionResponse(modes=_modes(chat))

    async def resume_session(self, session_id: str, cwd: str, **_: Any) -> ResumeSessionResponse:
        """Continue a kept conversation that the client shows already."""
        await self._found(session_id, cwd)
        return ResumeSessionResponse(modes=_modes(await self._begin(session_id, cwd)))

    async def list_sessions(self, cwd: str | None = None, **_: Any) -> ListSessionsResponse:
        """Return the kept conversations, of a folder where one is named."""
        heads = await asyncio.to_thread(self._kept.heads, cwd or None)
        found = [
            SessionInfo(
                session_id=one.id,
                cwd=one.workspace,
                title=one.title,
                updated_at=datetime.fromtimestamp(one.changed, UTC).isoformat(),
            )
            for one in heads
            if one.workspace
        ]
        return ListSessionsResponse(sessions=found)

    async def delete_session(self, session_id: str, **_: Any) -> DeleteSessionResponse:
        """Forget a conversation and delete what is kept of it."""
        chat = self._chats.get(session_id)
        if chat is not None:
            await self.close_session(session_id)
            await chat.talk.delete(session_id)
        else:
            await asyncio.to_thread(self._kept.delete, session_id)
        return DeleteSessionResponse()

    async def close_session(self, session_id: str, **_: Any) -> CloseSessionResponse:
        """End a conversation; what is kept of it stays."""
        await self.cancel(session_id)
        self._chats.pop(session_id, None)
        return CloseSessionResponse()

    async def set_session_mode(
        self, session_id: str, mode_id: str, **_: Any
    ) -> SetSessionModeResponse:
        """Let the model change files, or only look."""
        chat = self._chat(session_id)
        if mode_id not in (EDIT, ASK):
            raise RequestError.invalid_params({"modeId": "there is no such mode"})
        chat.mode = mode_id
        return SetSessionModeResponse()

    # --- prompts ---

    async def prompt(
        self, session_id: str, prompt: Sequence[ContentBlock], **_: Any
    ) -> PromptResponse:
        """Answer a message. The answer comes as updates; this is how it ended."""
        chat = self._chat(session_id)
        asked = read_prompt(prompt, chat.root)
        updates = chat.host.updates = Updates(self._connection, chat.id, chat.root)
        task = asyncio.ensure_future(self._answer(chat, asked, updates))
        chat.running.add(task)
        try:
            await asyncio.wait({task})
            stop = "cancelled" if task.cancelled() else task.result()
        finally:
            task.cancel()
            chat.running.discard(task)
            with suppress(asyncio.CancelledError, NearfieldError):
                await task
            await updates.aclose()
        return PromptResponse.model_validate({"stopReason": stop})

    async def cancel(self, session_id: str, **_: Any) -> None:
        """End what a conversation is answering: the model, a command, an open question."""
        chat = self._chats.get(session_id)
        for task in tuple(chat.running if chat is not None else ()):
            task.cancel()

    async def aclose(self) -> None:
        """End every answer."""
        for name in tuple(self._chats):
            await self.close_session(name)

    async def _answer(self, chat: AcpChat, asked: Prompt, updates: Updates) -> str:
        """Answer, and return the reason for its end. An error is said in the chat."""
        if asked.refused:
            updates.text(asked.refused)
            return "refusal"
        offered: list[Offer] = []
        unsubscribe = chat.service.offers.subscribe(offered.append)
        try:
            await _ready(chat.service)
            chat.host.exclude = chat.service.configs.of(chat.root).files.exclude
            name, words_after = asked.command
            if name in COMMANDS:
                commands = Commands(chat.service, chat.talk, chat.host, updates, chat.root)
                can_edit = chat.mode == EDIT
                reply = await commands.run(name, words_after, asked, chat.id, can_edit=can_edit)
            else:
                reply = await chat.talk.say(_ask(chat, asked), updates)
        except NearfieldError as error:
            updates.text(f"\n\n{error}")
            return "end_turn"
        finally:
            unsubscribe()
        notes = [*asked.notes, *reply.notes, *([reply.wrong] if reply.wrong else [])]
        notes += [
            f"{words(one)} `nearfield consent allow {one.provider}` lets it." for one in offered
        ]
        if notes:
            updates.text("\n\n" + "\n".join(f"> {note}" for note in notes))
        return STOPS.get(reply.finish, "end_turn")

    # --- inside ---

    async def _begin(self, name: str, cwd: str) -> AcpChat:
        if not Path(cwd).is_absolute() or not await asyncio.to_thread(Path(cwd).is_dir):
            raise RequestError.invalid_params({"cwd": "it is not the absolute path of a folder"})
        root = cwd.rstrip("/") or cwd
        service = await self._service_for(root)
        host = ClientHost(self._connection, name, root, self.files)
        talk = ChatService(
            service,
            host,
            knowledge=lambda: service.knowledge,
            ask_user=host.ask_user,
            kept=self._kept,
        )
        chat = self._chats[name] = AcpChat(name, root, host, service, talk)
        # The client must have the id first, which this handler's answer tells.
        run_task(self._offer_commands(chat), "offer the commands")
        return chat

    async def _offer_commands(self, chat: AcpChat) -> None:
        updates = Updates(self._connection, chat.id, chat.root)
        offered = [
            AvailableCommand(
                name=name,
                description=command.about,
                input=AvailableCommandInput(UnstructuredCommandInput(hint=command.hint)),
            )
            for name, command in COMMANDS.items()
        ]
        updates.say(helpers.update_available_commands(offered))
        await updates.aclose()

    async def _found(self, name: str, cwd: str) -> KeptChat:
        """Return the kept conversation of a folder. Raises `RequestError`."""
        kept = await asyncio.to_thread(self._kept.load, name)
        if kept is None:
            raise RequestError.invalid_params({"sessionId": "there is no such session"})
        if kept.workspace != await asyncio.to_thread(real, cwd):
            raise RequestError.invalid_params({"cwd": "the session is about another folder"})
        return kept

    def _chat(self, name: str) -> AcpChat:
        if name not in self._chats:
            raise RequestError.invalid_params({"sessionId": "there is no such session"})
        return self._chats[name]


def _modes(chat: AcpChat) -> SessionModeState:
    return SessionModeState(current_mode_id=chat.mode, available_modes=MODES)


def _ask(chat: AcpChat, asked: Prompt) -> Ask:
    functions: tuple[str, ...] | None = None
    if chat.mode == ASK:
        known = tool_registry.known().values()
        functions = tuple(one.name for one in known if one.access is Access.READ)
    return Ask(asked.message, session=chat.id, workspace=chat.root, functions=functions)


async def _ready(service: Service) -> None:
    """Wait for the providers, which are built in the background; the chat says if it is too
    early."""
    with suppress(TimeoutError):
        await until(service.subscribe, lambda: service.router is not None, READY_SECONDS)
