"""A prompt that was sent for a document, and whether one at another cursor can continue it.

The order within a prompt puts what changes least first: snippets of other files, the lines above,
the suffix, and then, after the middle token, what was written last. As long as only that grows,
nothing else has to be evaluated: not at a keystroke, not at a new line, not after a suggestion was
accepted. It also helps the model, which continues lines better than it begins them.

Which prompts the KV cache still holds is known to the engine alone; it chooses among those that are
offered to it (see prompting.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from nearfield.files.lines import plain_breaks
from nearfield.syntax.brackets import continues_with
from nearfield.types import Cell, Edit, Snippet, Window

MAX_WRITTEN_LINES = 12
"""Lines after the middle token before a new prompt is made."""

MAX_WRITTEN_CHARS = 800


@dataclass(frozen=True, slots=True)
class PromptText:
    """The parts of a prompt: snippets, the prefix up to `written`, the suffix, and what was written
    last, which ends at the cursor."""

    head: str
    written: str
    suffix: str
    snippets: tuple[Snippet, ...] = ()

    @property
    def chars(self) -> int:
        """Its length in characters."""
        return snippet_chars(self.snippets) + len(self.head) + len(self.written) + len(self.suffix)

    def begins_as(self, other: PromptText) -> bool:
        """Return whether they differ at most in what was written last."""
        same = self.head == other.head and self.suffix == other.suffix
        return same and self.snippets == other.snippets


@dataclass(slots=True)
class SentPrompt:
    """A prompt, and the place in the document that it was taken from.

    `anchor` is the offset where `text.written` began, `top` the one where `above` began; both move
    with edits before them. `above` and `below` are the document's text before and after the anchor
    at that time. (`text` has other line breaks if these are CR LF, and
    imports and signatures before `above`.) `to_end` says that `below` reached to the end.
    `window` is passed to the next slice. `full` says that idle prefill would show no more,
    `is_evaluated` that a provider has once evaluated all of it, `stale` that something above
    `above` has changed. `cells` are the notebook cells above at that time, of which `head` has
    `cell_chars` characters; with other cells it cannot be continued.
    """

    text: PromptText
    top: int
    anchor: int
    above: str
    below: str
    to_end: bool
    full: bool = False
    is_evaluated: bool = False
    stale: bool = False
    window: Window = field(default_factory=lambda: Window(0))
    cells: tuple[Cell, ...] | None = None
    cell_chars: int = 0

    def follow(self, edit: Edit) -> None:
        """Move with an edit of the document."""
        if edit.span.start <= self.top:
            self.stale = True
        if edit.span.start >= self.anchor:
            return
        grown = len(edit.text) - (edit.span.end - edit.span.start)
        if edit.span.end <= self.top:
            self.top += grown
        if edit.span.end <= self.anchor:
            self.anchor += grown

    def written(self, before: str, after: str) -> str | None:
        """Return what was written since, if a cursor between `before` and `after` can continue this
        prompt, else None. What is above `above` may have changed (`stale`): a missing import lasts
        until the next idle prefill."""
        if self.anchor > len(before):
            return None
        new = before[self.anchor :]
        if len(new) > MAX_WRITTEN_CHARS or new.count("\n") > MAX_WRITTEN_LINES:
            return None
        if before[self.top : self.anchor] != self.above or not continues_with(
            after, 0, self.below, to_end=self.to_end
        ):
            return None
        if new.startswith("\n") and self.above.endswith("\r"):
            return None  # they are one line break now
        return plain_breaks(new)


def snippet_chars(snippets: Sequence[Snippet]) -> int:
    """Return how many characters snippets take in a prompt, with their paths."""
    return sum(len(snippet.path) + len(snippet.text) for snippet in snippets)
