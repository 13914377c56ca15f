"""Review in the editor: findings as diagnostics, a fix each as a code action.

* `nearfield.review` `[{uri, range?, provider?}]` or `[{scope: "diff", workspace?, ref?}]` →
  `{findings, pieces, failed, leftOut, error, provider, model}`; findings appear as they are found.
* `nearfield.clearReview` `[{uri?, finding?}]` → `{cleared}`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from lsprotocol import types
from pygls.exceptions import JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer

from nearfield.features.diagnostics import OWN_SOURCE
from nearfield.features.offered_edits import REVIEW_FIX, offer_proposal
from nearfield.files.lines import line_number
from nearfield.files.uris import path_of
from nearfield.lsp import wire
from nearfield.lsp.action_commands import edit_of
from nearfield.lsp.documents import LineTable, TextDocument, range_of
from nearfield.lsp.explain import (
    WireRange,
    document_of,
    elsewhere_of,
    offer,
    offer_elsewhere,
    span_of,
    wire_range,
)
from nearfield.lsp.session import Session
from nearfield.lsp.work import Report, shown_work
from nearfield.terminal import printable
from nearfield.types import Edit, Snapshot, Span

if TYPE_CHECKING:
    from nearfield.features.review.findings import ReviewFinding
    from nearfield.features.review.pieces import ReviewPiece
    from nearfield.features.review.reviewer import Review
    from nearfield.features.service import Service

REVIEW = "nearfield.review"
CLEAR = "nearfield.clearReview"
TITLE_CHARS = 72

_SEVERITIES = {
    "error": types.DiagnosticSeverity.Error,
    "warning": types.DiagnosticSeverity.Warning,
    "information": types.DiagnosticSeverity.Information,
    "hint": types.DiagnosticSeverity.Hint,
}


class ReviewParams(msgspec.Struct, frozen=True):
    """The subject of a review: a document, a range of it, or the changes that git reports.
    `provider` names one outside this machine that should do it.
    """

    uri: str = ""
    range: WireRange | None = None
    scope: Literal["", "document", "diff"] = ""
    workspace: str = ""
    ref: str = "HEAD"
    provider: str = ""


class ClearParams(msgspec.Struct, frozen=True):
    """The findings to clear: all, a document's, or one of them."""

    uri: str | None = None
    finding: str = ""


def register(server: LanguageServer, session: Session) -> None:
    """Offer the commands, publish findings, and contribute their fixes."""
    shown = Findings(session)

    async def review(what: Any) -> dict[str, Any]:
        params = wire.read(ReviewParams, what)
        service = await session.built_service()
        async with shown_work(session.protocol, "Nearfield: reviewing") as report:
            if params.scope == "diff":
                found = await _review_diff(session, service, params, report)
            else:
                found = await _review_document(session, service, params, report)
        return {
            "findings": len(found.findings),
            "pieces": found.pieces,
            "failed": found.failed,
            "leftOut": found.left_out,
            "error": found.error,
            "provider": found.provider,
            "model": found.model,
        }

    async def clear(what: Any = None) -> dict[str, Any]:
        params = wire.read(ClearParams, what)
        service = await session.service()
        return {"cleared": service.reviewer.board.clear(params.uri, params.finding)}

    def started(service: Service) -> None:
        service.reviewer.board.changes.add(shown.publish)

    session.when_started.add(started)
    session.code_actions.append(shown.actions)
    server.command(REVIEW)(review)
    server.command(CLEAR)(clear)


class Findings:
    """The findings on the wire."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._published: dict[str, list[types.Diagnostic]] = {}

    def publish(self, uri: str) -> None:
        """Tell the client the findings of `uri`, where it does not have them so already."""
        document = self._session.documents.get(uri)
        found = [diagnostic for _, diagnostic in self._found(uri)]
        if found == self._published.get(uri, []):
            return
        if found:
            self._published[uri] = found
        else:
            del self._published[uri]
        version = document.wire_version if document is not None else None
        self._session.protocol.notify(
            types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS,
            types.PublishDiagnosticsParams(uri, found, version),
        )

    async def actions(self, params: types.CodeActionParams) -> list[types.CodeAction]:
        """The fixes of the findings that the range touches, how to be rid of them, and reviews."""
        document = self._session.documents.get(params.text_document.uri)
        service = self._session.running_service
        if document is None or not document.followed or service is None:
            return []
        actions: list[types.CodeAction] = []
        for finding, diagnostic in self._found(document.uri):
            if not _meets(diagnostic.range, params.range):
                continue
            if finding.replacement is not None:
                actions.append(self._fix(document, finding, diagnostic))
            dismiss = [{"uri": document.uri, "finding": finding.id}]
            actions.append(
                types.CodeAction(
                    f"Dismiss this finding of {finding.model}",
                    kind=types.CodeActionKind.QuickFix,
                    diagnostics=[diagnostic],
                    command=types.Command("Dismiss this finding", CLEAR, arguments=dismiss),
                )
            )
        others = await service.consents.clouds("review", document.root)
        return [*actions, *self._reviews(document, params.range, service, others)]

    def _reviews(
        self,
        document: TextDocument,
        where: types.Range,
        service: Service,
        others: Sequence[tuple[str, str]],
    ) -> list[types.CodeAction]:
        model, unsuited = service.reviewer.model, service.reviewer.why_unsuited
        here: list[tuple[str, dict[str, Any]]] = [
            ("Review this function", {"uri": document.uri, "range": wire_range(where)}),
            ("Review this file", {"uri": document.uri}),
        ]
        if document.root is not None:
            diff = {"scope": "diff", "workspace": document.root}
            here.append(("Review what has changed since the last commit", diff))
        actions: list[types.CodeAction] = []
        for title, arguments in here:
            command = types.Command(title, REVIEW, arguments=[arguments])
            told = f"{title} ({model})"
            actions += offer(self._session, told, "source.review", model, command, unsuited)
            actions += offer_elsewhere(others, title, "source.review", REVIEW, arguments)
        if service.reviewer.board.uris:
            command = types.Command("Clear the review", CLEAR)
            actions.append(
                types.CodeAction("Clear the review", kind="source.review", command=command)
            )
        return actions

    def _found(self, uri: str) -> list[tuple[ReviewFinding, types.Diagnostic]]:
        service = self._session.running_service
        if service is None:
            return []
        board = service.reviewer.board
        text = board.text(uri)
        lines = LineTable(text)
        encoding = self._session.protocol.encoding
        return [
            (one, diagnostic_of(one, range_of(text, lines, one.span, encoding)))
            for one in board.at(uri)
        ]

    def _fix(
        self, document: TextDocument, finding: ReviewFinding, diagnostic: types.Diagnostic
    ) -> types.CodeAction:
        """The edits that put the finding's replacement in, no larger than what changes."""
        from nearfield.features.code_actions.hunks import hunks
        from nearfield.features.code_actions.proposal import FileChange, Proposal, ProposedEdit

        at = finding.span.start
        changes = tuple(
            ProposedEdit(Edit(Span(at + edit.span.start, at + edit.span.end), edit.text))
            for edit in hunks(document.text[at : finding.span.end], finding.replacement or "")
        )
        what = finding.suggestion or finding.message
        short = what if len(what) <= TITLE_CHARS else what[: TITLE_CHARS - 1] + "…"
        title = f"Take the review's fix ({finding.model}): {short}"
        file = FileChange(document.uri, document.path, document.version, document.text, changes)
        proposal = Proposal(title, (file,), finding.provider, finding.model)
        if (service := self._session.running_service) is not None:
            offer_proposal(service, proposal, REVIEW_FIX)
        return types.CodeAction(
            title,
            kind=types.CodeActionKind.QuickFix,
            diagnostics=[diagnostic],
            edit=edit_of(self._session, proposal),
        )


def diagnostic_of(finding: ReviewFinding, where: types.Range) -> types.Diagnostic:
    """A finding as a diagnostic; its id is in `data`."""
    suggestion = f"\n{finding.suggestion}" if finding.suggestion else ""
    return types.Diagnostic(
        where,
        printable(finding.message + suggestion),
        severity=_SEVERITIES[finding.severity.value],
        source=OWN_SOURCE,
        data={"finding": finding.id},
    )


async def _review_document(
    session: Session, service: Service, params: ReviewParams, report: Report
) -> Review:
    document = document_of(session, params.uri)
    snapshot = document.snapshot()
    rows: range | None = None
    if params.range is not None:
        span = span_of(document, params.range, None, session.protocol.encoding)
        first = line_number(snapshot.text, span.start)
        rows = range(first, line_number(snapshot.text, span.end) + 1)
    else:
        service.reviewer.board.clear(snapshot.uri)

    def progress(done: int, total: int, name: str) -> None:
        report(name, done / total)

    shown = partial(_put, session, service)
    elsewhere = elsewhere_of(session, params.provider)
    return await service.reviewer.review(
        snapshot, rows, on_found=shown, on_piece=progress, elsewhere=elsewhere
    )


async def _review_diff(
    session: Session, service: Service, params: ReviewParams, report: Report
) -> Review:
    from nearfield.files.git_diff import changed_files

    folder = _folder(session, params.workspace)
    report("asking git", None)
    files = await changed_files(folder, params.ref)

    def is_unsaved(snapshot: Snapshot) -> bool:
        document = session.documents.get(snapshot.uri)
        return document is not None and document.text != snapshot.text

    return await service.reviewer.review_files(
        files,
        folder,
        on_found=partial(_put, session, service),
        on_file=lambda number, path: report(path.name, number / len(files)),
        is_unsaved=is_unsaved,
        elsewhere=elsewhere_of(session, params.provider),
    )


def _put(
    session: Session,
    service: Service,
    snapshot: Snapshot,
    piece: ReviewPiece,
    fresh: list[ReviewFinding],
) -> None:
    """Show what was found in a piece, where it is now."""
    document = session.documents.get(snapshot.uri)
    now = document.snapshot() if document is not None else None
    if document is None and snapshot.version is not None:
        return  # it was open, and has been closed meanwhile
    service.reviewer.board.put(snapshot, range(piece.first, piece.last), fresh, now)


def _folder(session: Session, workspace: str) -> Path:
    """The workspace folder that is meant: the first one, or the one of that path or URI."""
    roots = session.documents.roots
    if not workspace:
        if not roots:
            raise JsonRpcInvalidParams("There is no workspace folder; open one.")
        return Path(roots[0])
    for root in roots:
        if root in (workspace, path_of(workspace)):
            return Path(root)
    raise JsonRpcInvalidParams("The workspace is none of the client's folders.")


def _meets(one: types.Range, other: types.Range) -> bool:
    """Return whether they share a line: a finding is about its line, wherever the
    cursor is on it.
    """
    return one.start.line <= other.end.line and other.start.line <= one.end.line
