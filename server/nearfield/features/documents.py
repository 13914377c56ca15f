"""What is remembered of each open document between two requests, and the situation it tells.

The cursor is never sent to a server; it is known at a request, and moves along with the edits that
touch it until the next one. That is enough to tell typing from jumping.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from nearfield.context.slice import Window
from nearfield.features.completion.cached_prompt import CachedPrompt, Prompt
from nearfield.syntax.differences import changed_span
from nearfield.types import PROMPTS_KEPT, Edit, Situation, Snapshot, Span

DOCUMENTS_KEPT = 256
"""More than an editor keeps open; a face that never says `closed` cannot fill the memory."""


@dataclass(slots=True)
class Document:
    """One document.

    `cursor` is where the last request was, moved along with the edits since (None before the
    first). `touched` spans what those edits wrote around the cursor; `elsewhere` tells that one was
    not at the cursor. `accepted` tells that the last edit put a suggestion in. `held` are the
    prompts of this document that the provider has evaluated, the last one last (see held.py).
    `window` is what of the document the last prompt showed (see context/slice.py). `begun` is the
    prompt that idle prefill has evaluated the beginning of, with its window. `asked_at` is
    when the last request came, on the monotonic clock, `gap` the seconds between it and the one
    before.
    """

    snapshot: Snapshot
    cursor: int | None = None
    touched: Span | None = None
    new_line: bool = False
    elsewhere: bool = False
    accepted: bool = False
    held: list[CachedPrompt] = field(default_factory=list[CachedPrompt])
    window: Window | None = None
    begun: tuple[CachedPrompt, Window] | None = None
    asked_at: float = -math.inf
    gap: float = math.inf

    def apply(self, snapshot: Snapshot, edits: Sequence[Edit], accepted: bool = False) -> None:
        """Go to `snapshot`, which `edits` lead to, each counted in the text after the one
        before."""
        self.snapshot = snapshot
        prompts = self.held if self.begun is None else [*self.held, self.begun[0]]
        for edit in edits:
            self._follow(edit)
            for held in prompts:
                held.follow(edit)
        self.accepted = accepted

    def asked(self, offset: int) -> Situation:
        """A request came at `offset`: what had the user done since the last one?"""
        found = self._situation(offset)
        now = time.monotonic()
        self.gap, self.asked_at = now - self.asked_at, now
        self.cursor, self.touched = offset, Span(offset, offset)
        self.new_line = self.elsewhere = self.accepted = False
        return found

    def fresh_chars(self, prompt: Prompt) -> int:
        """How many characters of `prompt` the provider would have to evaluate now."""
        return min((prompt.fresh_chars(one.prompt) for one in self.held), default=prompt.chars)

    def evaluated(self, held: CachedPrompt) -> None:
        """The provider has evaluated this. A later prompt with the same beginning replaces the
        earlier one."""
        others = [one for one in self.held if not one.prompt.begins_as(held.prompt)]
        self.held = [*others, held][-PROMPTS_KEPT:]

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
        if not self.held:
            return Situation.COLD
        if self.touched is None or self.elsewhere:
            return Situation.MOVED
        if not self.touched.start <= offset <= self.touched.end:
            return Situation.MOVED
        if self.accepted:
            return Situation.ACCEPTED
        return Situation.NEW_LINE if self.new_line else Situation.TYPING


def difference(before: str, after: str) -> list[Edit]:
    """The one edit that leads from `before` to `after`, for a face that keeps no edits; none when
    they are equal."""
    if before == after:
        return []
    span, length = changed_span(before, after)
    return [Edit(span, after[span.start : span.start + length])]


def _moved(span: Span, by: int) -> Span:
    return Span(span.start + by, span.end + by)


class Documents:
    """The documents that the face has opened, and those that only a request has shown."""

    def __init__(self, kept: int = DOCUMENTS_KEPT) -> None:
        self._kept = kept
        self._documents: OrderedDict[str, Document] = OrderedDict()
        self._clock = 0

    def get(self, uri: str) -> Document | None:
        """What is known of `uri`."""
        return self._documents.get(uri)

    def opened(self, snapshot: Snapshot) -> Document:
        """`snapshot` is new, or replaces all that was known of its uri."""
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
        """The document of `snapshot`, brought up to it when the face has sent no edits."""
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

    def evaluated(self, document: Document, held: CachedPrompt, sequences: int | None) -> None:
        """The provider has evaluated `held` of `document`, and holds the last `sequences` prompts
        of all documents (None: it does not say)."""
        self._clock += 1
        held.used = self._clock
        document.evaluated(held)
        self._forget_but(sequences)

    def displaced(self, sequences: int | None) -> None:
        """The provider, which holds that many prompts, has evaluated one that is of no document."""
        if sequences is not None:
            self._forget_but(max(sequences - 1, 1))

    def _forget_but(self, sequences: int | None) -> None:
        """The prompts but the last so many are gone; None: nobody says."""
        every = [(one.used, other) for other in self._documents.values() for one in other.held]
        for used, other in sorted(every, key=lambda pair: pair[0])[: -(sequences or len(every))]:
            other.held = [one for one in other.held if one.used != used]

    def is_stale(self, snapshot: Snapshot) -> bool:
        """Return whether the document has gone on since `snapshot`, or is gone."""
        document = self._documents.get(snapshot.uri)
        return document is None or document.snapshot.text != snapshot.text

    def recent(self, count: int) -> list[Document]:
        """The documents that were opened or asked about last, the last one first."""
        return list(self._documents.values())[: -count - 1 : -1]

    def cooled(self) -> None:
        """No provider holds anything any longer: it died, or another one is used."""
        for document in self._documents.values():
            document.held, document.begun = [], None


def is_older(snapshot: Snapshot, than: Snapshot) -> bool:
    """Return whether `snapshot` was made before `than`; versions only grow, None says nothing."""
    if snapshot.version is None or than.version is None:
        return False
    return snapshot.version < than.version
