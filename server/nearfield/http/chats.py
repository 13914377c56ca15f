"""Chats that are kept, over HTTP: talk, list, read, delete; Nearfield's own paths.

A chat here has no functions and no user to ask, so nothing is changed by it. Its `@file:`
references are read by the rules of the workspace that the server was started with. Each person of a
team has chats of their own, in a folder of their own.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from nearfield.config.paths import data_dir
from nearfield.features.team.people import FOLDER as TEAM
from nearfield.http import wire
from nearfield.http.asking import Asking
from nearfield.http.exchange import HttpExchange
from nearfield.http.wire import CHAT_TOKENS, BadRequest
from nearfield.routing.request_context import Task
from nearfield.types import MAX_ANSWER_TOKENS, ChatRequest, Message, Role

if TYPE_CHECKING:
    from nearfield.features.chat.chat import ChatService
    from nearfield.features.chat.kept_chats import KeptChat, KeptChats
    from nearfield.features.chat.protocol import CallReport


class SayBody(msgspec.Struct, frozen=True):
    """A message; without `session` it begins a new chat. The last three hold for the whole chat,
    from this message on."""

    message: str
    session: str = ""
    max_tokens: int = CHAT_TOKENS
    code_only: bool = False
    instructions: str = ""
    temperature: float | None = None
    context_tokens: int = 0


class KeptChatBody(msgspec.Struct, frozen=True):
    """A kept chat; `format` is "json" or "markdown"."""

    session: str
    format: str = "json"


class ChatsApi:
    """The paths below `/nearfield/chats`, for the folder of the server."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking
        self._made: dict[str, ChatService] = {}

    async def say(self, exchange: HttpExchange, body: bytes) -> None:
        """Answer a message of a chat: a new one, one that is open, or a kept one."""
        from nearfield.features.chat.protocol import Ask, ChatWishes

        said = wire.read(SayBody, body)
        exchange.member.check_use("chat")
        request = ChatRequest((Message(Role.USER, said.message),))
        context = self._asking.context(exchange, Task.CHAT)
        ask = Ask(
            said.message,
            session=said.session,
            workspace=self._asking.workspace,
            functions=(),
            role=self._asking.permitted(exchange, request, "", context),
            max_tokens=max(1, min(said.max_tokens, MAX_ANSWER_TOKENS)),
            wishes=ChatWishes(said.instructions, said.temperature, said.context_tokens),
            code_only=said.code_only,
            goes_on=bool(said.session),
        )
        async with self._asking.place(exchange, "chats"):
            reply = await self._chats(exchange).say(ask, _Nowhere())
        await exchange.json(
            {
                "session": reply.session,
                "text": reply.text,
                "provider": reply.provider,
                "model": reply.model,
                "finish": reply.finish.value,
                "wrong": reply.wrong,
                "notes": reply.notes,
            }
        )

    async def heads(self, exchange: HttpExchange, _body: bytes) -> None:
        """List the kept chats of the folder."""
        found = await asyncio.to_thread(_kept(exchange).heads, self._asking.workspace)
        await exchange.json({"chats": msgspec.to_builtins(found)})

    async def history(self, exchange: HttpExchange, body: bytes) -> None:
        """Tell what was said in a kept chat of the folder."""
        from nearfield.features.chat.kept_chats import markdown

        wanted = wire.read(KeptChatBody, body)
        if wanted.format not in ("json", "markdown"):
            raise BadRequest("The format is 'json' or 'markdown'.", "format")
        chat = await self._chat(exchange, wanted.session)
        if chat is None:
            raise _no_such_chat()
        if wanted.format == "markdown":
            await exchange.json({"text": markdown(chat)})
            return
        about = {"session": chat.id, "title": chat.title, "workspace": chat.workspace}
        await exchange.json({**about, "exchanges": msgspec.to_builtins(chat.exchanges)})

    async def delete(self, exchange: HttpExchange, body: bytes) -> None:
        """Forget a chat of the folder and delete what is kept of it."""
        name = wire.read(KeptChatBody, body).session
        await self._chat(exchange, name)
        await exchange.json({"deleted": await self._chats(exchange).delete(name)})

    async def _chat(self, exchange: HttpExchange, name: str) -> KeptChat | None:
        """Return a kept chat, None where there is none. Raises `BadRequest` for one of another
        folder, as if there were none."""
        from nearfield.features.chat.kept_chats import real

        chat = await asyncio.to_thread(_kept(exchange).load, name)
        here = await asyncio.to_thread(real, self._asking.workspace)
        if chat is not None and chat.workspace != here:
            raise _no_such_chat()
        return chat

    def _chats(self, exchange: HttpExchange) -> ChatService:
        """Return the person's conversations; an id of another's is not known there."""
        owner = exchange.member.owner
        if owner not in self._made:
            from nearfield.features.chat.chat import ChatService
            from nearfield.features.chat.protocol import Unattended

            service, host = self._asking.service, Unattended("chats over HTTP change nothing")
            self._made[owner] = ChatService(
                service, host, knowledge=lambda: service.knowledge, kept=_kept(exchange)
            )
        return self._made[owner]


def _kept(exchange: HttpExchange) -> KeptChats:
    """Return the person's kept chats."""
    from nearfield.features.chat.kept_chats import FOLDER, KeptChats

    owner = exchange.member.owner
    return KeptChats(data_dir() / TEAM / FOLDER / owner) if owner else KeptChats()


def _no_such_chat() -> BadRequest:
    return BadRequest("There is no kept chat of that id here.", "session", status=404)


class _Nowhere:
    """Implements `features.chat.protocol.Listener` for an answer that is sent as a whole."""

    def text(self, text: str) -> None:
        """See `Listener`."""

    def thinking(self, text: str) -> None:
        """See `Listener`."""

    def restart(self) -> None:
        """See `Listener`."""

    def call(self, report: CallReport) -> None:
        """See `Listener`."""
