"""The view "Chats": the kept chats with their calls; opened, continued, exported, deleted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from nearfield.config.folders import FolderConfigs
from nearfield.config.load import load_folders
from nearfield.errors import NearfieldError
from nearfield.features.chat.audit_store import CallStore
from nearfield.features.chat.kept_chats import KeptChat, KeptChats, markdown
from nearfield.features.running.listener import ServerListener
from nearfield.features.status import until_loaded
from nearfield.http import wire
from nearfield.http.exchange import HttpExchange
from nearfield.http.wire import CHAT_TOKENS, BadRequest
from nearfield.panel.view import Query, Read, ViewAction, plain
from nearfield.tasks import run_task, stop_task

if TYPE_CHECKING:
    from nearfield.features.chat.chat import ChatService
    from nearfield.features.chat.protocol import CallReport
    from nearfield.features.service import Service

MAX_CALLS = 200
MAX_MESSAGE_CHARS = 200_000


class ChatName(msgspec.Struct, frozen=True):
    """A kept chat by its id."""

    id: str


class NextMessage(msgspec.Struct, frozen=True):
    """A message that continues a kept chat."""

    id: str
    message: str


class ChatsView:
    """See the module. `service` is that of this process; without one, it is made for the first
    message, and with it the models of the settings."""

    def __init__(self, service: Service | None) -> None:
        self._kept = KeptChats()
        self._service = service
        self._own: tuple[Service, ServerListener] | None = None
        self._chats: ChatService | None = None
        self._starting = asyncio.Lock()

    def reads(self) -> Mapping[str, Read]:
        """See `View`."""
        return {"chats": self._heads, "chats/chat": self._chat, "chats/markdown": self._markdown}

    def actions(self) -> Mapping[str, ViewAction]:
        """See `View`."""
        return {"chats/delete": ViewAction(ChatName, self._delete)}

    async def say(self, exchange: HttpExchange, body: bytes) -> None:
        """Answer a message as it is written. Closing the connection ends it."""
        said = wire.read(NextMessage, body)
        if not said.message.strip() or len(said.message) > MAX_MESSAGE_CHARS:
            raise BadRequest(f"Write up to {MAX_MESSAGE_CHARS} characters.", "message")
        chat = await asyncio.to_thread(self._loaded, said.id)
        chats = await self._running(chat.workspace)
        # What answers may have had to start, and the chat may have been deleted meanwhile.
        chat = await asyncio.to_thread(self._loaded, said.id)
        await exchange.stream(_answer(chats, chat, said.message))

    async def aclose(self) -> None:
        """Free the service that was made here."""
        if self._own is not None:
            service, listener = self._own
            await listener.aclose()
            await service.aclose()

    async def _heads(self, query: Query) -> dict[str, Any]:
        return {"chats": await asyncio.to_thread(self._kept.heads, query.get("workspace"))}

    async def _chat(self, query: Query) -> dict[str, Any]:
        def read() -> dict[str, Any]:
            chat = self._loaded(query.get("id", ""))
            calls = CallStore()
            try:
                found = calls.calls(session=chat.id, limit=MAX_CALLS)
            finally:
                calls.close()
            head = ("id", "title", "workspace", "begun", "changed", "count", "keep_days")
            return {
                **{name: getattr(chat, name) for name in head},
                "exchanges": chat.exchanges,
                "calls": [
                    {
                        "at": one.at,
                        "function": one.name,
                        "arguments": one.arguments,
                        "allowed": one.decision,
                        "outcome": one.outcome,
                        "bytes": one.bytes,
                    }
                    for one in reversed(found)
                ],
            }

        return await asyncio.to_thread(read)

    async def _markdown(self, query: Query) -> dict[str, str]:
        chat = await asyncio.to_thread(self._loaded, query.get("id", ""))
        return {"text": markdown(chat)}

    async def _delete(self, body: ChatName) -> dict[str, bool]:
        if self._chats is not None:
            return {"deleted": await self._chats.delete(body.id)}
        return {"deleted": await asyncio.to_thread(self._kept.delete, body.id)}

    def _loaded(self, name: str) -> KeptChat:
        chat = self._kept.load(name)
        if chat is None:
            raise BadRequest("There is no kept chat of that id.", "id", status=404)
        return chat

    async def _running(self, workspace: str) -> ChatService:
        """Return what answers, by the settings of the chat's folder too."""
        from nearfield.features.chat.chat import ChatService
        from nearfield.features.chat.protocol import Unattended

        async with self._starting:
            service = self._service or await self._made(workspace)
            if self._chats is None:
                self._chats = ChatService(
                    service,
                    Unattended("chats of the panel change nothing"),
                    knowledge=lambda: service.knowledge,
                    kept=self._kept,
                )
            return self._chats

    async def _made(self, workspace: str) -> Service:
        from nearfield.features.service import Service

        folders = [workspace] if workspace else []
        user, found = await asyncio.to_thread(load_folders, folders, None)
        configs = FolderConfigs(user.config, {root: one.config for root, one in found.items()})
        if self._own is None:
            service = Service(configs)
            listener = ServerListener(service)
            await service.start()
            listener.begin("panel")
            self._own = service, listener
            await until_loaded(service)
        else:
            service = self._own[0]
            held = {**service.configs.folders, **configs.folders}
            await service.configure(FolderConfigs(user.config, held))
        return service


async def _answer(
    chats: ChatService, chat: KeptChat, message: str
) -> AsyncGenerator[dict[str, Any]]:
    """Yield the events of one answer."""
    from nearfield.features.chat.protocol import Ask

    queue = asyncio.Queue[dict[str, Any] | None]()

    def tell(name: str, data: Any) -> None:
        queue.put_nowait({"event": name, "data": data})

    async def work() -> None:
        ask = Ask(
            message,
            session=chat.id,
            workspace=chat.workspace,
            functions=(),
            max_tokens=CHAT_TOKENS,
        )
        try:
            reply = await chats.say(ask, _Told(tell))
            tell(
                "done",
                {
                    "model": reply.model,
                    "provider": reply.provider,
                    "finish": reply.finish.value,
                    "notes": plain(reply.notes),
                },
            )
        except NearfieldError as error:
            tell("error", {"message": error.message, "hint": error.hint})
        finally:
            queue.put_nowait(None)

    task = run_task(work(), "continue a chat")
    try:
        while (event := await queue.get()) is not None:
            yield event
    finally:
        await stop_task(task)


class _Told:
    """Implements `features.chat.protocol.Listener` for a page."""

    def __init__(self, tell: Callable[[str, Any], None]) -> None:
        self._tell = tell

    def text(self, text: str) -> None:
        """See `Listener`."""
        self._tell("text", {"text": text})

    def thinking(self, text: str) -> None:
        """See `Listener`."""
        self._tell("thinking", {"text": text})

    def restart(self) -> None:
        """See `Listener`."""
        self._tell("restart", {})

    def call(self, report: CallReport) -> None:
        """See `Listener`."""
