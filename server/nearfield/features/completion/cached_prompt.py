"""What a model has evaluated of a document, and whether a cursor can go on from there.

A prompt is written so that its beginning changes seldom: snippets of other files, the lines above,
the suffix, and then, behind the middle token, what was written last. As long as only that grows,
nothing else has to be evaluated: not at a keystroke, not at a new line, not after a suggestion was
taken. It also helps the model, which continues lines better than it begins them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nearfield.files.lines import plain_breaks
from nearfield.syntax.differences import common_prefix
from nearfield.types import Cell, Edit, Snippet

WRITTEN_LINES = 12
"""So many lines may stand behind the middle token before a prompt is made anew."""

WRITTEN_CHARS = 800
"""And so many characters."""

CLOSERS = ")]}>\"'`;,"
"""What editors insert right of the cursor by themselves; the suggestion may repeat it, and is
trimmed then."""

MOST_CLOSERS = 3


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a model has been shown: snippets, the prefix up to `written`, the suffix, and what was
    written last, which ends at the cursor."""

    head: str
    written: str
    suffix: str
    snippets: tuple[Snippet, ...] = ()

    @property
    def chars(self) -> int:
        """The length of all of it."""
        return chars_of(self.snippets) + len(self.head) + len(self.written) + len(self.suffix)

    def begins_as(self, other: Prompt) -> bool:
        """Return whether they differ at most in what was written last."""
        return (self.snippets, self.head, self.suffix) == (
            other.snippets,
            other.head,
            other.suffix,
        )

    def fresh_chars(self, held: Prompt) -> int:
        """How many characters of this one have to be evaluated by a model that holds `held`."""
        if self.begins_as(held):
            return len(self.written) - common_prefix(self.written, held.written)
        if self.snippets != held.snippets:
            return self.chars - chars_of(common_start(self.snippets, held.snippets))
        shared = common_prefix(self.head, held.head)
        return len(self.head) - shared + len(self.written) + len(self.suffix)


@dataclass(slots=True)
class CachedPrompt:
    """An evaluated prompt, and where in the document it was taken from.

    `anchor` is the offset at which `prompt.written` began, `top` the one at which `above` did;
    both move with edits above them. `above` and `below` are the document's text before and behind
    the anchor as they were (`prompt` has other line breaks where these are "\\r\\n", and imports
    and signatures before `above`); `to_end` tells that `below` reached to the end. `full` tells
    that idle prefill would show no more, `used` when it was evaluated last, by a clock of its own,
    `stale` that something above `above` has changed. `cells` are the cells above as they were, of
    which `head` shows `cell_chars` characters; with others nothing goes on from here.
    """

    prompt: Prompt
    top: int
    anchor: int
    above: str
    below: str
    to_end: bool
    full: bool = False
    used: int = 0
    stale: bool = False
    cells: tuple[Cell, ...] | None = None
    cell_chars: int = 0

    def follow(self, edit: Edit) -> None:
        """The document was edited."""
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
        """What has been written since, when a cursor between `before` and `after` can go on from
        here, else None. What stands above `above` may have changed since (`stale`); that an import
        is missing lasts until the next idle prefill."""
        if self.anchor > len(before):
            return None
        new = before[self.anchor :]
        if len(new) > WRITTEN_CHARS or new.count("\n") > WRITTEN_LINES:
            return None
        if before[self.top : self.anchor] != self.above or not self._follows(after):
            return None
        if new.startswith("\n") and self.above.endswith("\r"):
            return None  # they are one line break now
        return plain_breaks(new)

    def _follows(self, after: str) -> bool:
        for closers in range(MOST_CLOSERS + 1):
            if closers and after[closers - 1 : closers] not in tuple(CLOSERS):
                return False
            rest = len(after) - closers
            if after.startswith(self.below, closers) and (
                rest == len(self.below) if self.to_end else rest >= len(self.below)
            ):
                return True
        return False


def chars_of(snippets: Sequence[Snippet]) -> int:
    """How many characters snippets take in a prompt, their paths counted."""
    return sum(len(snippet.path) + len(snippet.text) for snippet in snippets)


def common_start(one: Sequence[Snippet], other: Sequence[Snippet]) -> Sequence[Snippet]:
    """The snippets with which both begin."""
    same = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        same += 1
    return one[:same]
