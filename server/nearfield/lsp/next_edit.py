"""Offers of what else has to change after an edit: `textDocument/copilotInlineEdit`, in the shape
that clients of Copilot's server know, the commands `nearfield.nextEdit`, `nearfield.goToEdit` and
`nearfield.dismissEdit` for a key of an editor, and a code action for every other one.
"""

from __future__ import annotations

import asyncio
import posixpath
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from lsprotocol import types
from pygls.exceptions import JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer

from nearfield.features.offered_edits import NEXT_EDIT as NEXT_EDIT_KIND
from nearfield.features.offered_edits import offer_next_edits, offer_proposal
from nearfield.lsp import commands, wire
from nearfield.lsp.documents import LineTable, TextDocument, range_of
from nearfield.lsp.events import ItemParams
from nearfield.lsp.explain import WirePosition, can_show, document_of, wire_range
from nearfield.lsp.offers import experimental, has_opted_in
from nearfield.lsp.session import Session
from nearfield.types import Edit, Snapshot

if TYPE_CHECKING:
    # These parse, and the server's start must not wait for a parser.
    from nearfield.features.code_actions.proposal import FileChange
    from nearfield.features.next_edit.edits import NextEdit
    from nearfield.features.next_edit.other_files import Jump
    from nearfield.features.service import Service

INLINE_EDIT = "textDocument/copilotInlineEdit"
DID_SHOW = "textDocument/didShowInlineEdit"
NEXT_EDIT = "nearfield.nextEdit"
DISMISS = "nearfield.dismissEdit"
SHOWS = "nearfieldNextEdits"
"""What a client says under `experimental` when it shows next edits itself, also at the cursor."""
GO_TO = "nearfield.goToEdit"
SERVED = "nearfieldServedLanguages"
"""The languages for which another server is at work, as a client says under `experimental`."""
TITLE = "Next edit"
MAX_TITLE_CHARS = 40
"""Of what is put in, as a title shows it."""
BEHIND_SECONDS = 0.5
"""A client may ask about a version whose change it has not sent yet; Neovim sends it after 0.15."""
CHECK_SECONDS = 0.025
MODEL_SECONDS = 5.0
"""Longest wait for a model where no rule has an offer. The model is asked on: the next request has
its answer, unless the user types."""


class WireVersionedDocument(msgspec.Struct, frozen=True):
    """A document as it was when the client asked."""

    uri: str
    version: int | None = None


class InlineEditParams(msgspec.Struct, frozen=True):
    """A document and a cursor in it."""

    document: WireVersionedDocument = msgspec.field(name="textDocument")
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
        edits, jump = await _offers(session, asked.document, asked.position)
        return {"edits": edits[:1]} if jump is None else {"edits": edits[:1], "jump": jump}

    async def next_edit(what: Any) -> dict[str, Any]:
        asked = wire.read(NextEditParams, what)
        document = WireVersionedDocument(asked.uri, asked.version)
        edits, jump = await _offers(session, document, asked.position)
        return {"edit": edits[0] if edits else None, "others": len(edits[1:]), "jump": jump}

    async def go_to(jump: Any) -> dict[str, Any]:
        if not isinstance(jump, str):
            raise JsonRpcInvalidParams(f"{GO_TO} takes the id of a jump.")
        return {"shown": await _show(session, jump)}

    async def dismiss(edit: Any) -> dict[str, Any]:
        if not isinstance(edit, str):
            raise JsonRpcInvalidParams(f"{DISMISS} takes the id of an edit.")
        return {"dismissed": (await session.service()).next_edits.dismiss(edit)}

    def shown(params: Any) -> None:
        """Only read: what is shown stays on offer until it is taken or dismissed."""
        wire.read(ItemParams, params)

    async def actions(params: types.CodeActionParams) -> Sequence[types.CodeAction]:
        return await _actions(session, params)

    def started(service: Service) -> None:
        service.next_edits.is_ghost_text = not has_opted_in(
            session.protocol.client_capabilities, SHOWS
        )
        said = experimental(session.protocol.client_capabilities, SERVED)
        if isinstance(said, (list, tuple)):
            service.language_servers.add(one for one in said if isinstance(one, str))

    server.feature(INLINE_EDIT)(inline_edit)
    server.feature(DID_SHOW)(shown)
    server.command(NEXT_EDIT)(next_edit)
    server.command(GO_TO)(go_to)
    server.command(DISMISS)(dismiss)
    session.code_actions.append(actions)
    session.when_started.add(started)


async def _offers(
    session: Session, asked: WireVersionedDocument, position: WirePosition
) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """Return the next edits of a document, the nearest first, and the jump to another document;
    nothing for an outdated version.
    """
    document = document_of(session, asked.uri)
    version = asked.version if document.version_known else None
    for _ in range(round(BEHIND_SECONDS / CHECK_SECONDS)):
        # Neovim holds changes back for a moment, and not only those before a completion.
        if version is None or document.version >= version:
            break
        await asyncio.sleep(CHECK_SECONDS)
    snapshot = document.snapshot()
    if version is not None and version != snapshot.version:
        return [], None
    encoding = session.protocol.encoding
    offset = document.offset_at(types.Position(position.line, position.character), encoding)
    service = await session.service()
    if service.is_paused:
        return [], None
    found, jump = await _found(session, service, document, snapshot, offset, MODEL_SECONDS)
    edits = [_on_the_wire(edit, document, encoding) for edit in found]
    return edits, _jump_on_the_wire(session, jump) if jump is not None else None


async def _found(
    session: Session,
    service: Service,
    document: TextDocument,
    snapshot: Snapshot,
    offset: int,
    seconds: float = 0.0,
) -> tuple[Sequence[NextEdit], Jump | None]:
    """Return the next edits for a cursor at `offset`, and the jump to another document; nothing
    if the document has changed meanwhile. A model is waited for at most `seconds`."""
    edits, jump = await service.next_edits.offers(snapshot, offset, seconds)
    if not session.documents.is_current(document, snapshot):
        return (), None
    offer_next_edits(service, snapshot, edits)
    return edits, jump


def _on_the_wire(edit: NextEdit, document: TextDocument, encoding: str) -> dict[str, Any]:
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


def _jump_on_the_wire(session: Session, jump: Jump) -> dict[str, Any] | None:
    """`jump` for the client; None where its document has changed meanwhile."""
    file = _file(session, jump)
    if file is None:
        return None
    first = jump.edits[0]
    lines = LineTable(jump.text)
    where = range_of(jump.text, lines, first.span, session.protocol.encoding)
    command = {
        "title": f"Go to {posixpath.basename(jump.path)}",
        "command": GO_TO,
        "arguments": [jump.id],
    }
    return {
        "id": jump.id,
        "title": jump.title,
        "advice": jump.advice,
        "uri": file.uri,
        "version": file.version,
        "range": wire_range(where),
        "text": first.text,
        "count": len(jump.edits),
        "files": jump.files,
        "edit": None if jump.advice else _edit_elsewhere(session, file),
        "command": None if jump.advice else command,
    }


def _file(session: Session, jump: Jump) -> FileChange | None:
    """The edits of a jump as those of a file; to be confirmed, as it may not be on the screen."""
    document = session.documents.get(jump.uri) if jump.uri else None
    if jump.uri and (document is None or document.text != jump.text):
        return None
    uri = document.uri if document is not None else session.documents.uri_of(jump.path)
    version = document.wire_version if document is not None else None
    return _change(uri, jump.path, version, jump.text, jump.edits, is_elsewhere=True)


def _change(
    uri: str,
    path: str | None,
    version: int | None,
    text: str,
    edits: Sequence[Edit],
    *,
    is_elsewhere: bool,
) -> FileChange:
    from nearfield.features.code_actions.proposal import FileChange, ProposedEdit

    changes = tuple(ProposedEdit(edit, is_elsewhere) for edit in edits)
    return FileChange(uri, path, version, text, changes)


def _workspace_edit(session: Session, file: FileChange) -> types.WorkspaceEdit:
    from nearfield.features.code_actions.proposal import Proposal
    from nearfield.lsp.workspace_edit import workspace_edit

    proposal = Proposal(TITLE, (file,))
    protocol = session.protocol
    return workspace_edit(proposal, protocol.client_capabilities, protocol.encoding)


def _edit_elsewhere(session: Session, file: FileChange) -> types.WorkspaceEdit:
    """The edits of a jump, which the client may apply without going there."""
    from nearfield.features.code_actions.proposal import Proposal

    if (service := session.running_service) is not None:
        offer_proposal(service, Proposal(TITLE, (file,)), NEXT_EDIT_KIND)
    return _workspace_edit(session, file)


async def _show(session: Session, jump_id: str) -> bool:
    """Go to the first place of a jump; whether the client has."""
    service = await session.service()
    file = service.next_edits.file_of(jump_id)
    place = next((site.span for site in file.sites if site.open), None) if file else None
    if file is None or place is None or file.text is None or not can_show(session.protocol):
        return False
    lines = LineTable(file.text)
    where = range_of(file.text, lines, place, session.protocol.encoding)
    here = types.Range(where.start, where.start)
    uri = file.uri or session.documents.uri_of(file.path)
    params = types.ShowDocumentParams(uri, take_focus=True, selection=here)
    answer = await session.protocol.send_request_async(types.WINDOW_SHOW_DOCUMENT, params)
    return bool(getattr(answer, "success", False))


async def _actions(session: Session, params: types.CodeActionParams) -> Sequence[types.CodeAction]:
    """The next edit as a code action, where one is held: nothing is waited for, and no model is
    asked."""
    document = session.documents.get(params.text_document.uri)
    service = session.running_service
    if document is None or not document.followed or service is None or service.is_paused:
        return []
    snapshot, encoding = document.snapshot(), session.protocol.encoding
    offset = document.offset_at(params.range.start, encoding)
    if service.next_edits.settle_seconds(snapshot, offset) > 0:
        return []
    found, jump = await _found(session, service, document, snapshot, offset)
    actions: list[types.CodeAction] = []
    if found:
        edit = Edit(found[0].span, found[0].new)
        file = _change(
            document.uri, document.path, document.wire_version, snapshot.text, [edit],
            is_elsewhere=False,
        )  # fmt: skip
        line = document.range_of(found[0].span, encoding).start.line + 1
        shown = " ".join(found[0].new.split()) or "delete"
        shown = shown if len(shown) <= MAX_TITLE_CHARS else f"{shown[: MAX_TITLE_CHARS - 1]}…"
        title, kind = f"{TITLE}, line {line}: {shown}", types.CodeActionKind.RefactorRewrite
        actions.append(types.CodeAction(title, kind, edit=_workspace_edit(session, file)))
    if jump is not None and (action := _jump_action(session, jump)) is not None:
        actions.append(action)
    return actions


def _jump_action(session: Session, jump: Jump) -> types.CodeAction | None:
    """The jump as an action: edits that the client shows before it applies them, or else the way
    there."""
    from nearfield.lsp.workspace_edit import shows_edits

    capabilities = session.protocol.client_capabilities
    kind, title = types.CodeActionKind.RefactorRewrite, f"{TITLE}: {jump.title}"
    document = capabilities.text_document
    actions = document.code_action if document else None
    if jump.advice:
        if not (actions and actions.disabled_support):
            return None
        return types.CodeAction(title, kind, disabled=types.CodeActionDisabled(jump.advice))
    file = _file(session, jump)
    if file is None:
        return None
    if shows_edits(capabilities):
        return types.CodeAction(title, kind, edit=_edit_elsewhere(session, file))
    if can_show(session.protocol):
        command = types.Command(title, GO_TO, arguments=[jump.id])
        return types.CodeAction(title, kind, command=command)
    return None
