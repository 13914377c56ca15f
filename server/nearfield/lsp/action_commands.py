"""`nearfield.action` and `nearfield.rewrite`: perform an action, with progress and cancel.

    nearfield.action   [{action, uri, range, version?, diagnostics?, instruction?, provider?,
                         preview?}]
    nearfield.rewrite  [{uri, range, instruction, version?, preview?}]

The edit is sent to the client with `workspace/applyEdit`, and the command answers `{applied, title,
provider, model}`. With `preview` nothing is applied and it answers `{edit, diff, …}` as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from lsprotocol import types
from pygls.exceptions import JsonRpcException, JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer

from nearfield.errors import EditRefused
from nearfield.features.offered_edits import offer_proposal
from nearfield.lsp import wire
from nearfield.lsp.abilities import applies_edits
from nearfield.lsp.documents import LineTable, span_of
from nearfield.lsp.explain import WireRange, document_of
from nearfield.lsp.offers import asker
from nearfield.lsp.questions import ask_client
from nearfield.lsp.session import Session
from nearfield.lsp.work import Report, shown_work

if TYPE_CHECKING:
    from nearfield.features.code_actions.proposal import ActionRequest, FileChange, Proposal
    from nearfield.features.service import Service
    from nearfield.types import Snapshot, Span

ACTION = "nearfield.action"
REWRITE = "nearfield.rewrite"


class WireProblem(msgspec.Struct, frozen=True):
    """The fields of a diagnostic that an action needs; all others are ignored."""

    range: WireRange
    message: Any = ""
    source: str | None = None


class ActionParams(msgspec.Struct, frozen=True):
    """An action and its place. `version` is the one that `range` was counted in."""

    uri: str
    range: WireRange
    action: str = "rewrite"
    version: int | None = None
    diagnostic: WireProblem | None = None
    diagnostics: list[WireProblem] = msgspec.field(default_factory=list[WireProblem])
    instruction: str = ""
    provider: str = ""
    preview: bool = False


def register(server: LanguageServer, session: Session) -> None:
    """Offer the commands."""

    async def action(what: Any) -> dict[str, Any]:
        params = wire.read(ActionParams, what)
        proposal = await work(session, params)
        return await _answer(session, params, proposal)

    async def rewrite(what: Any) -> dict[str, Any]:
        params = wire.read(ActionParams, what)
        if not params.instruction.strip():
            raise JsonRpcInvalidParams(f"{REWRITE} needs an instruction that says what to do.")
        params = msgspec.structs.replace(params, action="rewrite")
        return await _answer(session, params, await work(session, params))

    server.command(ACTION)(action)
    server.command(REWRITE)(rewrite)


async def work(session: Session, params: ActionParams) -> Proposal:
    """Return the requested proposal, counted in the current documents. Raises `EditRefused`."""
    wish = wish_of(session, params)
    service = await session.built_service()
    async with shown_work(session.protocol, "Nearfield") as report:
        proposal = await service.actions.propose(
            wish, _reporter(report), asker(session), _holder(session)
        )
        proposal = await _of_now(session, service, proposal)
        offer_proposal(service, proposal)
        return proposal


def wish_of(session: Session, params: ActionParams) -> ActionRequest:
    """The params in the inside's words. Raises `JsonRpcInvalidParams` and `EditRefused`."""
    from nearfield.features.code_actions.proposal import ActionRequest
    from nearfield.features.diagnostics import Diagnostic

    spans = _Spans(session, params)
    problems = [*params.diagnostics, *([params.diagnostic] if params.diagnostic else [])]
    found = tuple(
        Diagnostic(spans.of(one.range), _words(one.message), one.source or "") for one in problems
    )
    return ActionRequest(
        params.action,
        spans.now,
        spans.of(params.range),
        found,
        params.instruction,
        params.provider,
    )


class _Spans:
    """Ranges of the version that the params name, converted to the current document."""

    def __init__(self, session: Session, params: ActionParams) -> None:
        """Raise `EditRefused` if that version is no longer known."""
        self._encoding = session.protocol.encoding
        document = document_of(session, params.uri)
        self.now = self._then = document.snapshot()
        # Also asked for the current version: a client may send one twice.
        then = session.offered.get((params.uri, params.version))
        if then is not None and params.version is not None:
            self._then = then
        elif params.version not in (None, self.now.version):
            raise EditRefused("The document has changed meanwhile.", "Ask again.")
        if self._then.text == self.now.text:
            self._lines = document.lines
            return
        self._lines = LineTable(self._then.text)

    def of(self, where: WireRange) -> Span:
        """The offsets of `where` now. Raises `EditRefused` when its lines have changed."""
        from nearfield.features.code_actions.proposal import rebased_span

        start, end = (types.Position(p.line, p.character) for p in (where.start, where.end))
        text = self._then.text
        span = span_of(text, self._lines, types.Range(start, end), self._encoding)
        return span if text == self.now.text else rebased_span(span, text, self.now.text)


def edit_of(session: Session, proposal: Proposal) -> types.WorkspaceEdit:
    """`proposal` as this client takes it, with the versions that it knows."""
    # Not at the start of the server: it loads the parser.
    from nearfield.lsp.workspace_edit import workspace_edit

    def known(file: FileChange) -> FileChange:
        document = session.documents.get(file.uri)
        if document is None or document.version_known:
            return file
        return replace(file, version=None)

    told = replace(proposal, files=tuple(map(known, proposal.files)))
    return workspace_edit(told, session.protocol.client_capabilities, session.protocol.encoding)


async def _of_now(session: Session, service: Service, proposal: Proposal) -> Proposal:
    """`proposal` with each file counted in what the client holds now."""
    files: list[FileChange] = []
    for file in proposal.files:
        moved = file
        # It may change again while the change is looked at.
        while (now := _now(session, moved)) is not None and now.text != moved.before:
            moved = await service.actions.rebase(moved, now)
        if now is not None:
            moved = replace(moved, version=now.version)
        files.append(moved)
    return replace(proposal, files=tuple(files))


def _now(session: Session, file: FileChange) -> Snapshot | None:
    document = session.documents.get(file.uri)
    if document is None and file.version is not None:
        raise EditRefused("The document was closed meanwhile.")
    return document.snapshot() if document is not None and document.followed else None


async def _answer(session: Session, params: ActionParams, proposal: Proposal) -> dict[str, Any]:
    """Apply `proposal`, or show it; what the command answers."""
    edit = await asyncio.to_thread(edit_of, session, proposal)
    told: dict[str, Any] = {
        "title": proposal.title,
        "provider": proposal.provider,
        "model": proposal.model,
        "wrong": proposal.wrong,
    }
    if params.preview:
        root = next(iter(session.documents.roots), "")
        files = [(file, _shown(file, root)) for file in proposal.files]
        diff = await asyncio.to_thread(lambda: "".join(one.diff(shown) for one, shown in files))
        return {**told, "applied": False, "edit": edit, "diff": diff}
    if not applies_edits(session.protocol.client_capabilities):
        raise EditRefused(
            "This editor takes no edits from a server.", "Ask with preview: true instead."
        )
    try:
        applied = await ask_client(
            session.protocol,
            types.WORKSPACE_APPLY_EDIT,
            types.ApplyWorkspaceEditParams(edit, proposal.title),
        )
    except JsonRpcException as error:
        raise EditRefused("The editor did not take the edit.") from error
    return {**told, "applied": bool(getattr(applied, "applied", False))}


def _shown(file: FileChange, root: str) -> str:
    path = Path(file.path) if file.path else None
    if path is None:
        return file.uri.rpartition("/")[2]
    return path.relative_to(root).as_posix() if root and path.is_relative_to(root) else path.name


def _reporter(report: Report) -> Callable[[str], None]:
    def said(message: str) -> None:
        report(message, None)

    return said


def _holder(session: Session) -> Any:
    """Return a function from a path to the editor's text of it."""

    def held(path: str) -> Snapshot | None:
        for document in session.documents:
            if document.file == path and document.followed:
                return document.snapshot()
        return None

    return held


def _words(message: Any) -> str:
    """A diagnostic's message, which may be marked up."""
    if isinstance(message, dict):
        return str(message.get("value", ""))
    return str(message)
