"""Convert a proposal into a `WorkspaceEdit`, in the form that the client understands.

With `documentChanges` an edit names the version it was made for, and new files are created first.
Changes beyond the unit that the user pointed at are annotated as to be confirmed. A client without
these gets the plain `changes`.
"""

from __future__ import annotations

from collections.abc import Sequence

from lsprotocol import types

from nearfield.features.code_actions.proposal import FileChange, Proposal, ProposedEdit
from nearfield.lsp.documents import LineTable, range_of

BEYOND = "nearfield.beyond"
NEW_FILE = "nearfield.newFile"


def workspace_edit(
    proposal: Proposal, capabilities: types.ClientCapabilities, encoding: str
) -> types.WorkspaceEdit:
    """`proposal` for a client with `capabilities`; columns count in `encoding`."""
    can = _can(capabilities)
    if not can.document_changes:
        plain = {
            file.uri: [_plain(edit, file, lines, encoding) for edit in file.changes]
            for file, lines in _with_lines(proposal.files)
        }
        return types.WorkspaceEdit(changes=plain)
    annotates = can.change_annotation_support is not None
    creates = types.ResourceOperationKind.Create in (can.resource_operations or ())
    changes: list[types.CreateFile | types.TextDocumentEdit] = []
    for file, lines in _with_lines(proposal.files):
        if file.new and creates:
            options = types.CreateFileOptions(overwrite=False, ignore_if_exists=False)
            note = NEW_FILE if annotates else None
            changes.append(types.CreateFile(file.uri, options=options, annotation_id=note))
        document = types.OptionalVersionedTextDocumentIdentifier(file.uri, file.version)
        changes.append(
            types.TextDocumentEdit(
                document, [_edit(one, file, lines, encoding, annotates) for one in file.changes]
            )
        )
    notes = _notes(proposal) if annotates else None
    return types.WorkspaceEdit(document_changes=changes, change_annotations=notes or None)


def shows_edits(capabilities: types.ClientCapabilities) -> bool:
    """Return whether the client lets its user see and confirm an edit before it is made."""
    can = _can(capabilities)
    return bool(can.document_changes and can.change_annotation_support is not None)


def _can(capabilities: types.ClientCapabilities) -> types.WorkspaceEditClientCapabilities:
    workspace = capabilities.workspace
    found = workspace.workspace_edit if workspace else None
    return found or types.WorkspaceEditClientCapabilities()


def _with_lines(files: Sequence[FileChange]) -> list[tuple[FileChange, LineTable]]:
    return [(file, LineTable(file.before)) for file in files]


def _plain(
    change: ProposedEdit, file: FileChange, lines: LineTable, encoding: str
) -> types.TextEdit:
    where = range_of(file.before, lines, change.edit.span, encoding)
    return types.TextEdit(where, change.edit.text)


def _edit(
    change: ProposedEdit, file: FileChange, lines: LineTable, encoding: str, annotates: bool
) -> types.TextEdit | types.AnnotatedTextEdit:
    plain = _plain(change, file, lines, encoding)
    if not (annotates and change.confirm):
        return plain
    note = NEW_FILE if file.new else BEYOND
    return types.AnnotatedTextEdit(note, plain.range, plain.new_text)


def _notes(proposal: Proposal) -> dict[str, types.ChangeAnnotation]:
    """The annotations that the edits name."""
    confirmed = [file for file in proposal.files if any(c.confirm for c in file.changes)]
    notes: dict[str, types.ChangeAnnotation] = {}
    if any(file.new for file in confirmed):
        notes[NEW_FILE] = types.ChangeAnnotation(
            f"{proposal.title}: new file",
            needs_confirmation=True,
            description="Nearfield writes a file that does not exist yet",
        )
    if any(not file.new for file in confirmed):
        notes[BEYOND] = types.ChangeAnnotation(
            f"{proposal.title}: elsewhere in the file",
            needs_confirmation=True,
            description="beyond the code at the cursor",
        )
    return notes
