"""What a face asks of the completion feature, and what it gets back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nearfield.types import Cell, Reason, Selected, Snapshot, Suggestion

ABOVE_CHARS = 1000
"""So much of the cells above decides what is remembered below them, as within a document."""


@dataclass(frozen=True, slots=True)
class CompletionAsk:
    """One request. `offset` is the cursor in `snapshot`. `invoked`: the user pressed a key for it.
    `client_waits`: the client has waited for a pause in typing itself. `id` is unique in a run.
    `late` tells whether the client has been answered meanwhile: what comes then is only cached.
    `again`: the user has asked a second time at this place, and may want others."""

    id: str
    method: str
    snapshot: Snapshot
    offset: int
    invoked: bool = False
    selected: Selected | None = None
    client_waits: bool = False
    late: Callable[[], bool] | None = None
    again: bool = False

    @property
    def item_length(self) -> int:
        """How long the selected item's text is."""
        return len(self.selected.text) if self.selected else 0

    def place(self) -> tuple[str, int]:
        """The text and the cursor as if the selected item were in."""
        text = self.snapshot.text
        if self.selected is None:
            return text, self.offset
        span, item = self.selected.span, self.selected.text
        right = max(self.offset, span.end)
        return text[: span.start] + item + text[right:], span.start + len(item)

    def remembered_by(self) -> tuple[str, int]:
        """`place`, in a notebook with the end of the cells above in front of the text: what was
        said below others is no answer here."""
        text, offset = self.place()
        above = "\0".join(cell.text for cell in (*(self.snapshot.above or ()), Cell("", "")))
        above = above[-ABOVE_CHARS:]
        return above + text, len(above) + offset


@dataclass(frozen=True, slots=True)
class CompletionAnswer:
    """`reason` says why there is nothing."""

    suggestions: tuple[Suggestion, ...] = ()
    reason: Reason = Reason.SHOWN
