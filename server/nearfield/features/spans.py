"""Spans that stay with their text while a document is edited."""

from __future__ import annotations

from collections.abc import Iterable

from nearfield.types import Edit, Span


def moved(span: Span, edits: Iterable[Edit]) -> Span | None:
    """Return `span` after `edits`, each counted in the text after the one before; None when one of
    them has changed its text.
    """
    start, end = span.start, span.end
    for edit in edits:
        if edit.span.end <= start and not (edit.span.start == start == end):
            by = len(edit.text) - (edit.span.end - edit.span.start)
            start, end = start + by, end + by
        elif edit.span.start < end or start == end == edit.span.start:
            return None
    return Span(start, end)
