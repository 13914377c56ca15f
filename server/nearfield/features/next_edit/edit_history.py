"""The user's changes of a document, place by place, and where other places have moved to.

A burst is what was typed at one place without leaving it: `was` of the text before became `now`. No
tree is needed for this, and no text is copied: it is done for every keystroke.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from nearfield.features.next_edit.imported import ExportedName, Sources
from nearfield.types import Edit, Span

__all__ = [
    "EditGroup",
    "EditTarget",
    "Followed",
    "Group",
    "OtherFile",
    "follow",
    "is_word",
    "word_around",
]

MAX_BURSTS = 12
"""Places changed last, of which a line that is rewritten takes three or four; each refers to the
whole text as it was before."""
MAX_EDITS = 400
"""Keystrokes that a burst is followed through before its sites are known; a request is sooner."""
MAX_EDIT_CHARS = 200
"""Characters put in at once; more is pasted code or a formatter, not a name or a parameter."""
MAX_EDITS_AT_ONCE = 50
"""Edits in one change; more is a formatter or a rename by another server."""
_WORD = re.compile(r"\w+")


@dataclass(slots=True)
class EditTarget:
    """A place that may have to change too. `span` is its current position. It is closed once the
    user has changed it, by hand or by accepting, or has dismissed its offer."""

    id: str
    span: Span
    open: bool = True

    def follow(self, edit: Edit) -> bool:
        """Move along with `edit`; return whether it changed the site itself."""
        moved = follow(self.span, edit)
        if moved is None:
            self.open = False
            start = min(self.span.start, edit.span.start)
            end = max(self.span.end, edit.span.end)
            self.span = Span(start, end + len(edit.text) - (edit.span.end - edit.span.start))
        else:
            self.span = moved
        return moved is None


@dataclass(slots=True)
class OtherFile:
    """The places in another file that depend on a group. They are counted in `text`, None where
    that is not the file's any longer, so that they have to be found again. `uri` is that
    of the open document, "" where it is not open; `place` is the path in the workspace folder."""

    id: str
    path: str
    place: str
    sources: Sources
    text: str | None
    sites: list[EditTarget]
    uri: str = ""
    is_refused: bool = False

    def change(self, before: str, after: str, edits: Sequence[Edit]) -> None:
        """Follow an edit of the open document."""
        if self.text == before:
            for site in self.sites:
                for edit in edits:
                    site.follow(edit)
        self.text = after if self.text == before else None


@dataclass(slots=True)
class Group:
    """Sites that depend on a burst, or on several, for one reason (see dependents.py,
    series.py)."""

    cause: object
    sites: list[EditTarget]
    exported: ExportedName | None = None
    """The part of it that other files can use, None for nothing."""
    others: list[OtherFile] | None = None
    """The files that use it, the nearest first; None until they were looked up."""
    asked: tuple[list[str], list[str], list[str]] | None = None
    """What the index said when they were looked up."""
    is_searched: bool = False
    """Whether it had all files of the folder then; otherwise it is asked again."""


@dataclass(slots=True)
class EditGroup:
    """A burst (see the module). `edits` are all of the document since `before`; `groups` is what
    depends on it, None until that was looked up; `at` is the time of its last edit, in seconds."""

    before: str
    was: Span
    now: Span
    at: float
    edits: list[Edit] = field(default_factory=list[Edit])
    groups: list[Group] | None = None
    lost: bool = False

    def extend(self, edit: Edit, at: float) -> None:
        """Add `edit`, which is at this place, to the burst."""
        left = max(self.now.start - edit.span.start, 0)
        right = max(edit.span.end - self.now.end, 0)
        if left or right:  # it takes in more of the text before: other sites may be meant
            self.was = Span(self.was.start - left, self.was.end + right)
            self.groups = None if len(self.edits) <= MAX_EDITS else []
        grown = len(edit.text) - (edit.span.end - edit.span.start)
        start = min(self.now.start, edit.span.start)
        self.now = Span(start, max(self.now.end, edit.span.end) + grown)
        self.at = at

    @property
    def is_partly_done(self) -> bool:
        """Return whether some of its sites were changed already."""
        return any(not site.open for group in self.groups or () for site in group.sites)

    def is_undone(self, text: str) -> bool:
        """Return whether `text` has at this place what was there before."""
        was, now = self.was, self.now
        return self.before[was.start : was.end] == text[now.start : now.end]

    def touches(self, edit: Edit) -> bool:
        """Return whether `edit` is at this place, or at its very end."""
        return edit.span.start <= self.now.end and self.now.start <= edit.span.end

    def holds(self, edit: Edit) -> bool:
        """Return whether `edit` changes nothing besides this place."""
        return self.now.start <= edit.span.start and edit.span.end <= self.now.end

    def record(self, edit: Edit) -> bool:
        """Let the sites follow `edit`; return whether it changed one of them."""
        if len(self.edits) <= MAX_EDITS:
            self.edits.append(edit)
        elif self.groups is None:
            self.lost = True
        changed = [site.follow(edit) for group in self.groups or () for site in group.sites]
        return any(changed)

    def mapped(self, span: Span) -> Span | None:
        """Return the position of `span` of the text before; None when it was changed."""
        found: Span | None = span
        for edit in self.edits:
            found = follow(found, edit) if found is not None else None
        return found


@dataclass(slots=True)
class Followed:
    """A document: its text, and what was changed in it, the last place last."""

    text: str
    version: int | None
    bursts: list[EditGroup] = field(default_factory=list[EditGroup])
    last: int = -1
    """The end of the last edit, an offset."""
    series: list[Group] = field(default_factory=list[Group])
    """Groups that depend on no single burst."""
    refused: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    """Old and new names of renamings that the user does not want."""

    def change(self, text: str, version: int | None, edits: Sequence[Edit], at: float) -> None:
        """Follow `edits`, each counted in the text after the one before, which have led to
        `text`."""
        if len(edits) > MAX_EDITS_AT_ONCE:
            self.bursts.clear()
            self.series.clear()
        else:
            before = self.text
            for edit in edits:
                before = self._edit(before, edit, at)
        self.text, self.version = text, version

    def _edit(self, before: str, edit: Edit, at: float) -> str:
        """Follow one edit of `before`, and return the text after it. What is undone is forgotten:
        the same place may be changed otherwise then."""
        self.last = edit.span.start + len(edit.text)
        small = len(edit.text) <= MAX_EDIT_CHARS and "\n" not in edit.text
        small = small and "\n" not in before[edit.span.start : edit.span.end]
        after = before[: edit.span.start] + edit.text + before[edit.span.end :]
        followed = [site.follow(edit) for group in self.series for site in group.sites]
        at_site, begun, undone = any(followed), False, False
        for burst in self.bursts:
            at_site = burst.record(edit) or at_site
            here = burst.holds(edit) or (burst is self.bursts[-1] and burst.touches(edit))
            if small and here and not _ends(burst, before, edit):
                burst.extend(edit, at)
                # With it goes what was begun at the same place meanwhile.
                undone = undone or burst.is_undone(after)
                burst.lost = burst.lost or undone
                # What was accepted fits what this read until now, and has to go on from there.
                begun = begun or undone or not burst.is_partly_done
            else:
                moved = follow(burst.now, edit)
                burst.now, burst.lost = moved or burst.now, burst.lost or moved is None
        if small and not at_site and not begun:
            now = Span(edit.span.start, edit.span.start + len(edit.text))
            self.bursts.append(EditGroup(before, edit.span, now, at, [edit]))
        self.bursts = [one for one in self.bursts if not one.lost][-MAX_BURSTS:]
        return after


def follow(span: Span, edit: Edit) -> Span | None:
    """Return the position of `span` after `edit`; None when the edit changed it."""
    if edit.span.end <= span.start:
        grown = len(edit.text) - (edit.span.end - edit.span.start)
        return Span(span.start + grown, span.end + grown)
    return span if edit.span.start >= span.end else None


def word_around(text: str, span: Span) -> Span:
    """Return `span` extended by the letters, digits and underscores at either end."""
    start, end = span.start, span.end
    while start and _is_part(text[start - 1]):
        start -= 1
    while end < len(text) and _is_part(text[end]):
        end += 1
    return Span(start, end)


def is_word(text: str) -> bool:
    """Return whether `text` is one word, as names are."""
    return _WORD.fullmatch(text) is not None


def _ends(burst: EditGroup, before: str, edit: Edit) -> bool:
    """Return whether the burst changed a name, and `edit` adds something after it that is no part
    of the name: then the name is complete."""
    if edit.span != Span(burst.now.end, burst.now.end) or not edit.text or _is_part(edit.text[0]):
        return False
    old, new = word_around(burst.before, burst.was), word_around(before, burst.now)
    was, now = burst.before[old.start : old.end], before[new.start : new.end]
    return was != now and new.end == burst.now.end and is_word(was) and is_word(now)


def _is_part(char: str) -> bool:
    return char == "_" or char.isalnum()
