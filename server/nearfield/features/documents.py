"""The state of each open document between two requests, and the situation that it implies.

An editor sends the cursor with a request only. Until the next one it moves along with the edits
that touch it, which is enough to tell typing from jumping.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from nearfield.features.sent_prompt import SentPrompt
from nearfield.syntax.differences import changed_span
from nearfield.types import Edit, Situation, Snapshot, Span, Window

T = TypeVar("T")

MAX_DOCUMENTS = 256
"""More than an editor keeps open; a frontend that never calls `closed` cannot fill the memory."""

MAX_PROMPTS = 4
"""Prompts of one document. The engine holds two at most; others are of interrupted requests or
older.
"""


@dataclass(slots=True)
class Document:
    """An open document.

    `cursor` is where the last request was, moved along with the edits since (None before the
    first). `touched` spans what those edits wrote around the cursor; `elsewhere` says that one was
    not at the cursor. `accepted` says that the last edit inserted a suggestion. `prompts` are those
    that providers were sent, the last one last. `window` is what the last slice showed (see
    context/slice.py). `asked_at` is when the last request came, on the monotonic clock, `gap` the
    seconds between it and the one before. `focus` is where the last edit ended or the last request
    was. `states` is what features keep for the document (`PerDocument`).
    """

    snapshot: Snapshot
    cursor: int | None = None
    focus: int | None = None
    states: dict[Any, Any] = field(default_factory=dict[Any, Any])
    touched: Span | None = None
    new_line: bool = False
    elsewhere: bool = False
    accepted: bool = False
    prompts: list[SentPrompt] = field(default_factory=list[SentPrompt])
    window: Window | None = None
    asked_at: float = -math.inf
    gap: float = math.inf

    def apply(self, snapshot: Snapshot, edits: Sequence[Edit], accepted: bool = False) -> None:
        """Replace the text by that of `snapshot`. `edits` lead to it, each counted in the text
        after the one before."""
        self.snapshot = snapshot
        for edit in edits:
            self.focus = edit.span.start + len(edit.text)
            self._follow(edit)
            for sent in self.prompts:
                sent.follow(edit)
        self.accepted = accepted

    def asked(self, offset: int) -> Situation:
        """Note a request at `offset`; return what the user has done since the last one."""
        found = self._situation(offset)
        now = time.monotonic()
        self.gap, self.asked_at = now - self.asked_at, now
        self.cursor = self.focus = offset
        self.touched = Span(offset, offset)
        self.new_line = self.elsewhere = self.accepted = False
        return found

    def sent(self, prompt: SentPrompt) -> None:
        """Note that a provider has evaluated `prompt`. It replaces an earlier one with the same
        beginning."""
        prompt.is_evaluated = True
        others = [one for one in self.prompts if not one.text.begins_as(prompt.text)]
        self.prompts = [*others, prompt][-MAX_PROMPTS:]

    def begun(self, prompt: SentPrompt) -> None:
        """Note that a provider begins to evaluate `prompt`, and may be interrupted."""
        if not any(one.text.begins_as(prompt.text) for one in self.prompts):
            self.prompts = [prompt, *self.prompts[-MAX_PROMPTS + 1 :]]

    def _follow(self, edit: Edit) -> None:
        if self.cursor is None or self.touched is None:
            return
        start, end, grown = edit.span.start, edit.span.end, len(edit.text)
        written = Span(start, start + grown)
        if end < self.touched.start:
            self.elsewhere = True
            self.cursor += grown - (end - start)
            self.touched = _moved(self.touched, grown - (end - start))
        elif start > self.touched.end:
            self.elsewhere = True
        else:
            self.new_line = self.new_line or "\n" in edit.text or "\r" in edit.text
            self.cursor = written.end
            left = min(start, self.touched.start)
            right = max(written.end, self.touched.end + grown - (end - start))
            self.touched = Span(left, right)

    def _situation(self, offset: int) -> Situation:
        if not self.prompts:
            return Situation.COLD
        if self.touched is None or self.elsewhere:
            return Situation.MOVED
        if not self.touched.start <= offset <= self.touched.end:
            return Situation.MOVED
        if self.accepted:
            return Situation.ACCEPTED
        return Situation.NEW_LINE if self.new_line else Situation.TYPING


def difference(before: str, after: str) -> list[Edit]:
    """Return the edit that leads from `before` to `after`, for a frontend that keeps no edits; none
    if they are equal."""
    if before == after:
        return []
    span, length = changed_span(before, after)
    return [Edit(span, after[span.start : span.start + length])]


def _moved(span: Span, by: int) -> Span:
    return Span(span.start + by, span.end + by)


class Documents:
    """The store of open documents: those that the client has opened, and those that only a request
    has shown. Features follow it by their hooks and keep their own state in `PerDocument`."""

    def __init__(self, kept: int = MAX_DOCUMENTS) -> None:
        self._kept = kept
        self._documents: OrderedDict[str, Document] = OrderedDict()

    def __iter__(self) -> Iterator[Document]:
        return iter(tuple(self._documents.values()))

    def get(self, uri: str) -> Document | None:
        """Return the document, None if it is not open."""
        return self._documents.get(uri)

    def opened(self, snapshot: Snapshot) -> Document:
        """Add a document, or replace all that was known of its uri."""
        document = self._documents[snapshot.uri] = Document(snapshot)
        self._documents.move_to_end(snapshot.uri)
        while len(self._documents) > self._kept:
            self._documents.popitem(last=False)
        return document

    def changed(self, snapshot: Snapshot, edits: Sequence[Edit], accepted: bool) -> None:
        """See `Document.apply`."""
        document = self._documents.get(snapshot.uri)
        if document is None:
            self.opened(snapshot)
        else:
            document.apply(snapshot, edits, accepted)

    def closed(self, uri: str) -> None:
        """Forget the document."""
        self._documents.pop(uri, None)

    def at(self, snapshot: Snapshot) -> Document:
        """Return the document of `snapshot`, updated to it if the frontend sends no edits."""
        document = self._documents.get(snapshot.uri)
        if document is None:
            return self.opened(snapshot)
        self._documents.move_to_end(snapshot.uri)
        if not is_older(snapshot, document.snapshot):
            edits = difference(document.snapshot.text, snapshot.text)
            before = document.snapshot
            if edits or (snapshot.version, snapshot.above) != (before.version, before.above):
                document.apply(snapshot, edits)
        return document

    def is_stale(self, snapshot: Snapshot) -> bool:
        """Return whether the document was changed since `snapshot`, or closed."""
        document = self._documents.get(snapshot.uri)
        return document is None or document.snapshot.text != snapshot.text

    def recent(self, count: int) -> list[Document]:
        """Return the documents that were opened or named by a request last, the last one first."""
        return list(self._documents.values())[: -count - 1 : -1]


class PerDocument(Generic[T]):
    """A feature's state of type `T` for each open document. It is dropped with the document, and
    when the document is opened again."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def get(self, uri: str) -> T | None:
        """Return the state of a document, None if it has none."""
        document = self._documents.get(uri)
        return document.states.get(self) if document is not None else None

    def set(self, uri: str, state: T) -> None:
        """Keep `state` for a document; no-op for one that is not open."""
        if (document := self._documents.get(uri)) is not None:
            document.states[self] = state

    def drop(self, uri: str) -> None:
        """Drop the state of a document."""
        if (document := self._documents.get(uri)) is not None:
            document.states.pop(self, None)

    def values(self) -> list[T]:
        """Return the states of all documents."""
        return [one.states[self] for one in self._documents if self in one.states]


def is_older(snapshot: Snapshot, than: Snapshot) -> bool:
    """Return whether `snapshot` was made before `than`. Versions only grow; None is no older."""
    if snapshot.version is None or than.version is None:
        return False
    return snapshot.version < than.version
