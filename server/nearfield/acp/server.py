"""Serves one client of the Agent Client Protocol over standard input and output.

The library reads and writes the messages and checks them by its schema; what it can route is said
here.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from contextlib import suppress
from io import RawIOBase
from typing import Any

from acp.connection import Connection
from acp.meta import AGENT_METHODS
from acp.router import MessageRouter
from acp.schema import (
    AcceptNesNotification,
    CancelNotification,
    CloseNesRequest,
    CloseSessionRequest,
    DeleteSessionRequest,
    DidChangeDocumentNotification,
    DidCloseDocumentNotification,
    DidFocusDocumentNotification,
    DidOpenDocumentNotification,
    DidSaveDocumentNotification,
    InitializeRequest,
    ListSessionsRequest,
    LoadSessionRequest,
    NewSessionRequest,
    PromptRequest,
    RejectNesNotification,
    ResumeSessionRequest,
    SetSessionModeRequest,
    StartNesRequest,
    SuggestNesRequest,
)

from nearfield.acp.agent import Agent
from nearfield.acp.chats import Chats
from nearfield.lsp import transport

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
"""The longest line that a client may send: a whole document is one."""
CHUNK_BYTES = 64 * 1024
CHATS = {
    "session_new": (NewSessionRequest, "new_session"),
    "session_load": (LoadSessionRequest, "load_session"),
    "session_list": (ListSessionsRequest, "list_sessions"),
    "session_resume": (ResumeSessionRequest, "resume_session"),
    "session_delete": (DeleteSessionRequest, "delete_session"),
    "session_close": (CloseSessionRequest, "close_session"),
    "session_set_mode": (SetSessionModeRequest, "set_session_mode"),
    "session_prompt": (PromptRequest, "prompt"),
}
REQUESTS = {
    "nes_start": StartNesRequest,
    "nes_suggest": SuggestNesRequest,
    "nes_close": CloseNesRequest,
}
NOTIFICATIONS = {
    "nes_accept": AcceptNesNotification,
    "nes_reject": RejectNesNotification,
    "document_did_open": DidOpenDocumentNotification,
    "document_did_change": DidChangeDocumentNotification,
    "document_did_close": DidCloseDocumentNotification,
    "document_did_save": DidSaveDocumentNotification,
    "document_did_focus": DidFocusDocumentNotification,
}


def router_for(agent: Agent, chats: Chats) -> MessageRouter:
    """Return the routes of all messages to `agent` and its conversations."""
    router = MessageRouter(use_unstable_protocol=True)
    router.route_request(AGENT_METHODS["initialize"], InitializeRequest, agent, "initialize")
    for name, (model, method) in CHATS.items():
        router.route_request(AGENT_METHODS[name], model, chats, method)
    router.route_notification(AGENT_METHODS["session_cancel"], CancelNotification, chats, "cancel")
    for name, model in REQUESTS.items():
        router.route_request(AGENT_METHODS[name], model, agent, name)
    for name, model in NOTIFICATIONS.items():
        router.route_notification(AGENT_METHODS[name], model, agent, name)
    return router


def run() -> None:
    """Serve until the client closes its end."""
    # The library logs an error with its text, which may quote a document.
    logging.getLogger().addFilter(_is_own)
    asyncio.run(_serve())


async def _serve() -> None:
    agent = Agent()

    async def handle(method: str, params: Any, is_notification: bool) -> Any:
        agent.active.set()
        return await route(method, params, is_notification)

    reader, writer = await _streams()
    connection = Connection(handle, writer, reader, listening=False)
    route = router_for(agent, agent.connect(connection))
    try:
        await connection.main_loop()
    finally:
        await agent.aclose()
        await connection.close()


def _is_own(record: logging.LogRecord) -> bool:
    return record.name.startswith("nearfield")


class _ClientOutput(asyncio.Transport):
    """The client's end of our output, which may be a pipe, a file or a terminal."""

    def __init__(self, write: RawIOBase) -> None:
        super().__init__()
        self._write = write
        self._is_closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write all of `data`; no-op after `close`, and once the client has gone."""
        if self._is_closing:
            return
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._write.write(rest) or 0 :]
        except OSError:
            self._is_closing = True

    def is_closing(self) -> bool:
        """Return whether nothing is written any more."""
        return self._is_closing

    def close(self) -> None:
        """Write nothing more."""
        self._is_closing = True


async def _streams() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return the client's streams. A thread reads, because an event loop waits for no file, and on
    Windows for no pipe.
    """
    read, write = transport.take_stdio()
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=MAX_MESSAGE_BYTES)

    def feed() -> None:
        try:
            while data := read.read(CHUNK_BYTES):
                loop.call_soon_threadsafe(reader.feed_data, data)
        except OSError:
            pass
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(reader.feed_eof)

    threading.Thread(target=feed, name="acp-input", daemon=True).start()
    protocol = asyncio.streams.FlowControlMixin()
    return reader, asyncio.StreamWriter(_ClientOutput(write), protocol, None, loop)
