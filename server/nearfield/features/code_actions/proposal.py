"""The data of actions: the request, and the proposed edits, which can follow a document that has
changed since."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from nearfield.errors import EditRefused
from nearfield.features.code_actions.hunks import applied, rebased, unified
from nearfield.features.diagnostics import Diagnostic
from nearfield.syntax.parser import Parsed
from nearfield.types import Edit, Snapshot, Span


@dataclass(frozen=True, slots=True)
class ActionRequest:
    """A request to do `action` at `span` of `snapshot`. `instruction` says what a rewrite is to do,
    or the new name. `provider` names one outside this machine that the user chose."""

    action: str
    snapshot: Snapshot
    span: Span
    problems: tuple[Diagnostic, ...] = ()
    instruction: str = ""
    provider: str = ""


@dataclass(frozen=True, slots=True)
class ProposedEdit:
    """An edit. The client should let the user `confirm` one outside the code that was pointed
    at."""

    edit: Edit
    confirm: bool = False


@dataclass(frozen=True, slots=True)
class FileChange:
    """The edits of one file, in order, counted in `before`. `version` is that of the document, None
    for a file that is not open. A `new` file does not exist yet; its `before` is ""."""

    uri: str
    path: str | None
    version: int | None
    before: str
    changes: tuple[ProposedEdit, ...]
    new: bool = False

    @property
    def after(self) -> str:
        """The file with the edits."""
        return applied(self.before, [change.edit for change in self.changes])

    def diff(self, shown: str) -> str:
        """Return the unified diff, with `shown` as the file's name."""
        return unified(self.before, self.after, shown, self.new)


@dataclass(frozen=True, slots=True)
class Proposal:
    """The result of an action. `provider` and `model` are "" if none was asked; `wrong` is the
    objection of the quality gate ("" for none), `prompt` the SHA-256 of what was asked."""

    title: str
    files: tuple[FileChange, ...]
    provider: str = ""
    model: str = ""
    wrong: str = ""
    prompt: str = ""


Report = Callable[[str], None]
"""Tells the user about the progress, in a few words."""


def rebased_file(file: FileChange, now: Snapshot, parsed: Parsed | None) -> FileChange:
    """Return `file` for the document as it is `now`, whose tree is `parsed`. Raises `EditRefused`
    if a line of an edit has changed, or if the result does not parse."""
    edits = rebased([change.edit for change in file.changes], file.before, now.text)
    if edits is None:
        raise _changed()
    after = parsed
    for edit in reversed(edits):
        after = after.edited(edit) if after is not None else None
    if parsed is not None and (after is None or after.all_errors > parsed.all_errors):
        raise _changed()
    changes = tuple(
        replace(change, edit=edit) for edit, change in zip(edits, file.changes, strict=True)
    )
    return replace(file, before=now.text, version=now.version, changes=changes)


def rebased_span(span: Span, before: str, now: str) -> Span:
    """Return `span` of the text `before` in the text `now`. Raises `EditRefused` if its lines have
    changed."""
    moved = rebased([Edit(span, before[span.start : span.end])], before, now)
    if moved is None:
        raise _changed()
    return moved[0].span


def _changed() -> EditRefused:
    return EditRefused("The document has changed there meanwhile.", "Ask again.")
