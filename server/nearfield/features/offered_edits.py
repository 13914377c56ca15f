"""Edits that a client may apply, told to the provenance, which recognises them in the document."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nearfield.features.accepted import Accepted, Origin

if TYPE_CHECKING:
    # These parse, and the server's start must not wait for a parser.
    from nearfield.features.code_actions.proposal import FileChange, Proposal
    from nearfield.features.next_edit.edits import NextEdit
    from nearfield.features.service import Service
    from nearfield.types import Snapshot

ACTION = "action"
NEXT_EDIT = "next edit"
REVIEW_FIX = "review"


def offer_next_edits(service: Service, snapshot: Snapshot, edits: Sequence[NextEdit]) -> None:
    """Note next edits of a document, each of which may be applied by itself."""
    if snapshot.is_cell or not snapshot.path:
        return
    text = snapshot.text
    for edit in edits:
        after = text[: edit.span.start] + edit.new + text[edit.span.end :]
        one = Accepted(
            "", NEXT_EDIT, snapshot.path, snapshot.root, after, 0.0, None, text, edit.origin
        )
        service.provenance.offered(snapshot.uri, one)


def offer_proposal(service: Service, proposal: Proposal, kind: str = ACTION) -> None:
    """Note the edits of a proposal, all of one file together."""
    for file in proposal.files:
        root = folder_of(service, file.path or "")
        service.provenance.offered(file.uri, _accepted(proposal, file, kind, root))


def proposal_applied(service: Service, proposal: Proposal, at: float, root: str | None) -> None:
    """Record a proposal that was written to its files in the folder `root` at that time."""
    for file in proposal.files:
        service.provenance.edited(_accepted(proposal, file, ACTION, root, at))


def _accepted(
    proposal: Proposal, file: FileChange, kind: str, root: str | None, at: float = 0.0
) -> Accepted:
    origin = Origin(proposal.provider, proposal.model, proposal.prompt)
    path = file.path or ""
    return Accepted("", kind, path, root, file.after, at, None, file.before, origin)


def folder_of(service: Service, path: str) -> str | None:
    """Return the innermost workspace folder that holds a file, None for none."""
    holding = [one for one in service.configs.folders if Path(path).is_relative_to(one)]
    return max(holding, key=len, default=None)
