"""A next edit as ghost text, where the cursor has come to the place."""

from __future__ import annotations

from nearfield.features.next_edit.edits import NextEdit, NextEdits
from nearfield.types import CompletionRequest, Span, Suggestion, Surface

__all__ = ["suggestion_for", "suggestion_of"]


async def suggestion_for(edits: NextEdits, ask: CompletionRequest) -> Suggestion | None:
    """Return the next edit on the cursor's line, if the client can show one; None while the user
    types there, as a completion is wanted then.
    """
    at, snapshot = ask.offset, ask.snapshot
    if not edits.is_ghost_text:
        return None
    if (
        ask.surface is not Surface.GHOST_TEXT
        or ask.selected is not None
        or edits.is_typing(snapshot, at)
    ):
        return None
    if edits.settle_seconds(snapshot, at) > 0:
        return None
    for edit in await edits.offered(snapshot, at):
        if (found := suggestion_of(edit, snapshot.text, at)) is not None:
            return found
    return None


def suggestion_of(edit: NextEdit, text: str, offset: int) -> Suggestion | None:
    """`edit` as a replacement that holds the cursor, on one line; None where it is elsewhere."""
    whole = Span(min(edit.span.start, offset), max(edit.span.end, offset))
    below = edit.span == Span(offset, offset)  # a line inserted after the cursor's
    if "\n" in text[whole.start : whole.end] or ("\n" in edit.new and not below):
        return None
    new = text[whole.start : edit.span.start] + edit.new + text[edit.span.end : whole.end]
    origin = edit.origin
    return Suggestion(edit.id, new, whole, None, origin.provider, origin.model, origin.prompt)
