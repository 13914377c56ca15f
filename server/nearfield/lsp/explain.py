"""`nearfield.explain` `[{uri, position | range, show?}]` → `{markdown, provider, model, wrong}`.

With `show` the answer is opened as a Markdown document, for clients that do nothing with a
command's result; those that do (an extension with a panel of its own) leave it out.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
from lsprotocol import types
from pygls.exceptions import JsonRpcException, JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer

from nearfield.lsp import wire
from nearfield.lsp.documents import Document
from nearfield.lsp.session import Session
from nearfield.lsp.work import shown_work
from nearfield.types import Span

EXPLAIN = "nearfield.explain"
SHOWN_FILE = "explanation.md"


class WirePosition(msgspec.Struct, frozen=True):
    """A position as LSP has it."""

    line: int
    character: int


class WireRange(msgspec.Struct, frozen=True):
    """A range as LSP has it."""

    start: WirePosition
    end: WirePosition


class ExplainParams(msgspec.Struct, frozen=True):
    """What to explain: what is selected, or what is at a place."""

    uri: str
    position: WirePosition | None = None
    range: WireRange | None = None
    show: bool = False


def register(server: LanguageServer, session: Session) -> None:
    """Offer the command."""

    async def explain(what: Any) -> dict[str, Any]:
        params = wire.read(ExplainParams, what)
        document = document_of(session, params.uri)
        span = span_of(document, params.range, params.position, session.protocol.encoding)
        snapshot = document.snapshot()
        service = await session.service()
        async with shown_work(session.protocol, "Nearfield: explaining") as report:
            heard: list[str] = []

            def said(text: str) -> None:
                heard.append(text)
                report(f"{sum(map(len, heard))} characters", None)

            explained = await service.explainer.explain(snapshot, span, said, heard.clear)
        if params.show:
            await _show(session, explained.markdown)
        told = explained.explanation
        return {
            "markdown": explained.markdown,
            "provider": told.provider,
            "model": told.model,
            "wrong": told.wrong,
        }

    server.command(EXPLAIN)(explain)


def document_of(session: Session, uri: str) -> Document:
    """The open document, or `JsonRpcInvalidParams`."""
    document = session.documents.get(uri)
    if document is None or not document.followed:
        raise JsonRpcInvalidParams("The document is not open; send textDocument/didOpen first.")
    return document


def span_of(
    document: Document, where: WireRange | None, place: WirePosition | None, encoding: str
) -> Span:
    """The offsets that a command's arguments mean, or `JsonRpcInvalidParams`."""
    if where is not None:
        return document.span_of(
            types.Range(
                types.Position(where.start.line, where.start.character),
                types.Position(where.end.line, where.end.character),
            ),
            encoding,
        )
    if place is None:
        raise JsonRpcInvalidParams("The command takes a position or a range.")
    offset = document.offset_at(types.Position(place.line, place.character), encoding)
    return Span(offset, offset)


async def _show(session: Session, markdown: str) -> None:
    """Open `markdown` in the editor; as a message where it cannot."""
    window = session.protocol.client_capabilities.window
    if window is not None and window.show_document is not None and window.show_document.support:
        try:
            path = await asyncio.to_thread(_written, markdown)
            await session.protocol.send_request_async(
                types.WINDOW_SHOW_DOCUMENT, types.ShowDocumentParams(path.as_uri(), take_focus=True)
            )
        except (JsonRpcException, OSError):
            pass
        else:
            return
    session.protocol.notify(
        types.WINDOW_SHOW_MESSAGE, types.ShowMessageParams(types.MessageType.Info, markdown)
    )


def _written(markdown: str) -> Path:
    """The one file of the user's cache that holds the last explanation."""
    from nearfield.catalog.disk import cache_dir

    path = cache_dir() / SHOWN_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(markdown, "utf-8", errors="replace")
    return path
