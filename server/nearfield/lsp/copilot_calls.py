"""Older calls of Copilot's server, for plugins that still make them, such as copilot.lua.

`getCompletions` and its kin answer as `textDocument/inlineCompletion` does, in their own shape:
positions count UTF-16 whatever was agreed, and a suggestion begins with its line. There is no
account: a plugin that asks for one is told that all is well, and goes on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
from lsprotocol import types
from pygls.lsp.server import LanguageServer

from nearfield import __version__
from nearfield.lsp import wire
from nearfield.lsp.documents import TextDocument
from nearfield.lsp.explain import WirePosition, document_of, wire_range
from nearfield.lsp.inline_completion import SuggestionPoint, suggestions_at
from nearfield.lsp.session import Session
from nearfield.types import CompletionRequest, Span, Suggestion, Surface

ENCODING = types.PositionEncodingKind.Utf16
USER = "nearfield"
"""Plugins ask nothing more of an account than that its user has a name."""
SIGNED_IN = {"status": "OK", "user": USER}

GET_COMPLETIONS = "getCompletions"
CYCLING = "getCompletionsCycling"


class CopilotDocument(msgspec.Struct, frozen=True):
    """A document, and the cursor in it."""

    uri: str
    position: WirePosition
    version: int | None = None


class CompletionsParams(msgspec.Struct, frozen=True):
    """The question for completions."""

    doc: CopilotDocument


class CompletionIdParams(msgspec.Struct, frozen=True):
    """The suggestion that was shown or accepted, and in UTF-16 how much of it was."""

    uuid: str
    accepted_length: int | None = msgspec.field(default=None, name="acceptedLength")


@dataclass(frozen=True, slots=True)
class Call:
    """A question of a plugin, about the document as it was then."""

    asked: CopilotDocument
    document: TextDocument
    request: CompletionRequest

    @classmethod
    def of(cls, session: Session, asked: CopilotDocument, *, again: bool) -> Call:
        """Fix the document, its version and the cursor. Raises JsonRpcInvalidParams where it is not
        open."""
        document = document_of(session, asked.uri)
        position = types.Position(asked.position.line, asked.position.character)
        request = CompletionRequest(
            id=str(session.protocol.msg_id),
            surface=Surface.GHOST_TEXT,
            snapshot=document.snapshot(),
            offset=document.offset_at(position, ENCODING),
            invoked=again,
            again=again,
        )
        return cls(asked, document, request)

    @property
    def place(self) -> SuggestionPoint:
        """The cursor, as the completer is asked about it."""
        return SuggestionPoint(self.request.surface, self.asked.uri, self.document, self.request)

    def item(self, suggestion: Suggestion) -> dict[str, Any]:
        """Return a suggestion on the wire: `text` is for `range`, from the line's beginning, and
        `displayText` is what follows the cursor."""
        text, cursor, replaced = self.document.text, self.request.offset, suggestion.replace
        line = text.rfind("\n", 0, cursor) + 1
        typed = text[replaced.start : cursor]
        fits = suggestion.text.startswith(typed)
        shown = suggestion.text[len(typed) :] if fits else suggestion.text
        where = Span(min(line, replaced.start), replaced.end)
        position = self.asked.position
        return {
            "uuid": suggestion.id,
            "text": text[where.start : replaced.start] + suggestion.text,
            "displayText": shown,
            "range": wire_range(self.document.range_of(where, ENCODING)),
            "position": {"line": position.line, "character": position.character},
            "docVersion": self.asked.version,
        }


def register(server: LanguageServer, session: Session) -> None:
    """Answer the calls."""
    sent: dict[str, int] = {}

    async def completions(params: Any) -> dict[str, Any]:
        return await answered(params, again=False)

    async def cycling(params: Any) -> dict[str, Any]:
        return await answered(params, again=True)

    async def answered(params: Any, *, again: bool) -> dict[str, Any]:
        asked = wire.read(CompletionsParams, params).doc
        call = Call.of(session, asked, again=again)
        found = await suggestions_at(session, call.place)
        items = [call.item(one) for one in found]
        sent.clear()
        sent.update((item["uuid"], len(item["text"].encode("utf-16-le")) // 2) for item in items)
        return {"completions": items}

    def shown(params: Any) -> str:
        uuid = wire.read(CompletionIdParams, params).uuid
        if (service := session.running_service) is not None:
            service.shown(uuid)
        return "OK"

    def accepted(params: Any) -> str:
        what = wire.read(CompletionIdParams, params)
        length = what.accepted_length
        is_whole = length is None or length >= sent.get(what.uuid, 0)
        if (service := session.running_service) is not None:
            (service.accepted if is_whole else service.partly_accepted)(what.uuid)
        return "OK"

    def rejected(_: Any) -> str:
        """Only answered: what is not taken is told by the next change."""
        return "OK"

    def version(_: Any) -> dict[str, str]:
        return {"version": __version__}

    def signed_in(_: Any) -> dict[str, str]:
        return SIGNED_IN

    def sign_in(_: Any) -> dict[str, str]:
        return {"status": "AlreadySignedIn", "user": USER}

    def editor_info(_: Any) -> str:
        return "OK"

    server.feature(GET_COMPLETIONS)(completions)
    server.feature(CYCLING)(cycling)
    server.feature("notifyShown")(shown)
    server.feature("notifyAccepted")(accepted)
    server.feature("notifyRejected")(rejected)
    server.feature("getVersion")(version)
    server.feature("setEditorInfo")(editor_info)
    for name in ("checkStatus", "signInConfirm", "signOut"):
        server.feature(name)(signed_in)
    for name in ("signIn", "signInInitiate"):
        server.feature(name)(sign_in)
