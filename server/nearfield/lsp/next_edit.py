"""Offers of what else has to change after an edit: `textDocument/copilotInlineEdit`, in the shape
that clients of Copilot's server know, and the commands `nearfield.nextEdit` and
`nearfield.dismissEdit` for a key of an editor.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
from lsprotocol import types
from pygls.exceptions import JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer

from nearfield.lsp import commands, wire
from nearfield.lsp.documents import Document
from nearfield.lsp.events import ItemParams
from nearfield.lsp.explain import WirePosition, document_of, wire_range
from nearfield.lsp.session import Session

if TYPE_CHECKING:
    # It parses, and the server's start must not wait for a parser.
    from nearfield.features.next_edit.edits import NextEdit

INLINE_EDIT = "textDocument/copilotInlineEdit"
DID_SHOW = "textDocument/didShowInlineEdit"
NEXT_EDIT = "nearfield.nextEdit"
DISMISS = "nearfield.dismissEdit"
BEHIND_SECONDS = 0.5
"""A client may ask about a version whose change it has not sent yet; Neovim sends it after 0.15."""
CHECK_SECONDS = 0.025
MODEL_SECONDS = 5.0
"""Longest wait for a model where no rule has an offer. The model is asked on: the next request has
its answer, unless the user types."""


class WireDocument(msgspec.Struct, frozen=True):
    """A document as it was when the client asked."""

    uri: str
    version: int | None = None


class InlineEditParams(msgspec.Struct, frozen=True):
    """A document and a cursor in it."""

    document: WireDocument = msgspec.field(name="textDocument")
    position: WirePosition


class NextEditParams(msgspec.Struct, frozen=True):
    """The same for the command."""

    uri: str
    position: WirePosition
    version: int | None = None


def register(server: LanguageServer, session: Session) -> None:
    """Offer next edits, and take in that one was not wanted."""

    async def inline_edit(params: Any) -> dict[str, Any]:
        asked = wire.read(InlineEditParams, params)
        edits = await _edits(session, asked.document, asked.position)
        return {"edits": edits[:1]}

    async def next_edit(what: Any) -> dict[str, Any]:
        asked = wire.read(NextEditParams, what)
        edits = await _edits(session, WireDocument(asked.uri, asked.version), asked.position)
        return {"edit": edits[0] if edits else None, "others": len(edits[1:])}

    async def dismiss(edit: Any) -> dict[str, Any]:
        if not isinstance(edit, str):
            raise JsonRpcInvalidParams(f"{DISMISS} takes the id of an edit.")
        return {"dismissed": (await session.service()).next_edits.dismiss(edit)}

    def shown(params: Any) -> None:
        """Only read: what is shown stays on offer until it is taken or dismissed."""
        wire.read(ItemParams, params)

    server.feature(INLINE_EDIT)(inline_edit)
    server.feature(DID_SHOW)(shown)
    server.command(NEXT_EDIT)(next_edit)
    server.command(DISMISS)(dismiss)


async def _edits(
    session: Session, asked: WireDocument, position: WirePosition
) -> list[dict[str, Any]]:
    """Return the next edits of a document, the nearest first; none for an outdated version."""
    document = document_of(session, asked.uri)
    version = asked.version if document.version_known else None
    for _ in range(round(BEHIND_SECONDS / CHECK_SECONDS)):
        # Neovim holds changes back for a moment, and not only those before a completion.
        if version is None or document.version >= version:
            break
        await asyncio.sleep(CHECK_SECONDS)
    snapshot = document.snapshot()
    if version is not None and version != snapshot.version:
        return []
    encoding = session.protocol.encoding
    offset = document.offset_at(types.Position(position.line, position.character), encoding)
    service = await session.service()
    if service.paused:
        return []
    found = await service.next_edits.offered(snapshot, offset, MODEL_SECONDS)
    if not document.is_at(snapshot) or session.documents.get(asked.uri) is not document:
        return []
    return [_on_the_wire(edit, document, encoding) for edit in found]


def _on_the_wire(edit: NextEdit, document: Document, encoding: str) -> dict[str, Any]:
    return {
        "text": edit.new,
        "range": wire_range(document.range_of(edit.span, encoding)),
        "textDocument": {"uri": document.uri, "version": document.wire_version},
        "command": {
            "title": "Accept inline edit",
            "command": commands.ACCEPT,
            "arguments": [edit.id],
        },
    }
