"""Putting edits onto a document that has changed since they were made."""

from __future__ import annotations

from dataclasses import replace

from nearfield.errors import EditRefused
from nearfield.features.code_actions.hunks import rebased
from nearfield.features.code_actions.proposal import Change, FileChange
from nearfield.syntax.parser import Parsed
from nearfield.types import Edit, Snapshot, Span

__all__ = ["rebased_file", "rebased_span"]

_CHANGED = "The document has changed there meanwhile."
_AGAIN = "Ask again."


def rebased_file(file: FileChange, now: Snapshot, parsed: Parsed | None) -> FileChange:
    """`file` for the document as it is `now`, whose tree is `parsed`. Raises `EditRefused` when a
    line that it changes has changed, or when the two changes together do not parse."""
    edits = rebased([change.edit for change in file.changes], file.before, now.text)
    if edits is None:
        raise EditRefused(_CHANGED, _AGAIN)
    changes = tuple(
        Change(edit, change.confirm) for edit, change in zip(edits, file.changes, strict=True)
    )
    moved = replace(file, before=now.text, version=now.version, changes=changes)
    if parsed is not None:
        after = parsed
        for edit in reversed(edits):
            following = after.edited(edit)
            if following is None:
                raise EditRefused(_CHANGED, _AGAIN)
            after = following
        if after.all_errors > parsed.all_errors:
            raise EditRefused(_CHANGED, _AGAIN)
    return moved


def rebased_span(span: Span, before: str, now: str) -> Span:
    """Where `span` of the text `before` is in `now`. Raises `EditRefused` when its lines have
    changed."""
    moved = rebased([Edit(span, before[span.start : span.end])], before, now)
    if moved is None:
        raise EditRefused(_CHANGED, _AGAIN)
    return moved[0].span
