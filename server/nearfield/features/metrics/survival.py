"""How much of an accepted suggestion is still there after a while."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import SequenceMatcher

from nearfield.types import Edit, Span

COMPARED_CHARS = 2000
"""More of a suggestion is not compared: comparing is quadratic, and nobody takes more at once."""


@dataclass(slots=True)
class Watch:
    """`text` was put at `span`, which moves with the edits since."""

    text: str
    span: Span

    def follow(self, edit: Edit) -> None:
        """The document was edited. What is written at an end of it is not of it."""
        start, end = self.span.start, self.span.end
        grown = len(edit.text) - (edit.span.end - edit.span.start)
        if edit.span.end <= start:
            self.span = Span(start + grown, end + grown)
        elif edit.span.start < end:
            # Where an edit reaches over an end of it, what was written there is compared too.
            first = min(start, edit.span.start)
            last = max(end, edit.span.end) + grown
            self.span = Span(first, max(first, last))

    def survived(self, text: str) -> float:
        """The share of its characters (0..1) that stand, in their order, in that place of `text`,
        white space aside."""
        before = "".join(self.text[:COMPARED_CHARS].split())
        now = "".join(text[self.span.start : self.span.end][: 2 * COMPARED_CHARS].split())
        if not before:
            return 1.0
        same = SequenceMatcher(None, before, now, autojunk=False).get_matching_blocks()
        return sum(block.size for block in same) / len(before)
