"""Serves one client of the Agent Client Protocol over standard input and output.

The library reads and writes the messages and checks them by its schema; it routes no `nes/*` yet,
so those are added to its router.
"""

from __future__ import annotations

import asyncio
import logging
import sys

from acp.agent.router import build_agent_router
from acp.connection import Connection
from acp.meta import AGENT_METHODS
from acp.router import MessageRouter
from acp.schema import (
    AcceptNesNotification,
    CloseNesRequest,
    DidChangeDocumentNotification,
    DidCloseDocumentNotification,
    DidFocusDocumentNotification,
    DidOpenDocumentNotification,
    DidSaveDocumentNotification,
    RejectNesNotification,
    StartNesRequest,
    SuggestNesRequest,
)
from acp.stdio import stdio_streams

from nearfield.acp.agent import Agent
from nearfield.lsp import transport

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
"""The longest line that a client may send: a whole document is one."""
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


def router_for(agent: Agent) -> MessageRouter:
    """Return the routes of all messages to `agent`."""
    router = build_agent_router(agent, use_unstable_protocol=True)  # pyright: ignore[reportArgumentType]
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
    reader, writer = await _streams()
    connection = Connection(router_for(agent), writer, reader, listening=False)
    try:
        await connection.main_loop()
    finally:
        await agent.aclose()
        await connection.close()


def _is_own(record: logging.LogRecord) -> bool:
    return record.name.startswith("nearfield")


async def _streams() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return the client's streams. Where pipes can be taken, a stray print goes elsewhere."""
    if sys.platform == "win32":
        return await stdio_streams(limit=MAX_MESSAGE_BYTES)
    read, write = transport.take_stdio()
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=MAX_MESSAGE_BYTES)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), read)
    sender, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, write)
    return reader, asyncio.StreamWriter(sender, protocol, None, loop)
