"""What is remembered of each open document between two requests, and the situation it tells.

The cursor is never sent to a server; it is known at a request, and moves along with the edits that
touch it until the next one. That is enough to tell typing from jumping.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from nearfield.context.slice import Window
from nearfield.syntax.parser import changed_span
from nearfield.types import Edit, Situation, Snapshot, Snippet, Span

PROMPTS_KEPT = 2
"""Evaluated prompts remembered of a document: the small one of a first answer and the large one
that idle prefill makes beside it. The engine holds no more than this of one document either."""


DOCUMENTS_KEPT = 256
"""More than an editor keeps open; a face that never says `closed` cannot fill the memory."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a model has been shown: the prefix up to the cursor's line, the typed part, the
    suffix; and before all of it the snippets."""

    head: str
    typed: str
    suffix: str
    snippets: tuple[Snippet, ...] = ()

    @property
    def snippet_chars(self) -> int:
        """The length of what stands before the document's own text."""
        return chars_of(self.snippets)

    def fresh_chars(self, held: Prompt) -> int:
        """How many characters of this one have to be evaluated by a model that holds `held`."""
        if self.snippets != held.snippets:
            same = len(common_start(self.snippets, held.snippets))
            fresh = chars_of(self.snippets[same:])
            return fresh + len(self.head) + len(self.typed) + len(self.suffix)
        shared = common_prefix(self.head, held.head)
        if shared == len(self.head) == len(held.head) and self.suffix == held.suffix:
            return len(self.typed) - common_prefix(self.typed, held.typed)
        return len(self.head) - shared + len(self.typed) + len(self.suffix)


@dataclass(slots=True)
class Document:
    """One document.

    `cursor` is where the last request was, moved along with the edits since (None before the
    first). `touched` spans what those edits wrote around the cursor; `elsewhere` tells that one was
    not at the cursor. `accepted` tells that the last edit put a suggestion in. `held` are the
    prompts of this document that the provider has evaluated, the last one last. `window` is what of
    the document the last prompt showed and `suffix_tokens` how long its suffix was to be
    (see context/slice.py and prompting.py).
    """

    snapshot: Snapshot
    cursor: int | None = None
    touched: Span | None = None
    new_line: bool = False
    elsewhere: bool = False
    accepted: bool = False
    held: list[Prompt] = field(default_factory=list[Prompt])
    window: Window | None = None
    suffix_tokens: float = 0.0

    def apply(self, snapshot: Snapshot, edits: Sequence[Edit], accepted: bool = False) -> None:
        """Go to `snapshot`, which `edits` lead to, each counted in the text after the one
        before."""
        self.snapshot = snapshot
        for edit in edits:
            self._follow(edit)
        self.accepted = accepted

    def asked(self, offset: int) -> Situation:
        """A request came at `offset`: what had the user done since the last one?"""
        found = self._situation(offset)
        self.cursor, self.touched = offset, Span(offset, offset)
        self.new_line = self.elsewhere = self.accepted = False
        return found

    def fresh_chars(self, prompt: Prompt) -> int:
        """How many characters of `prompt` the provider would have to evaluate now."""
        cold = prompt.snippet_chars + len(prompt.head) + len(prompt.typed) + len(prompt.suffix)
        return min((prompt.fresh_chars(held) for held in self.held), default=cold)

    def evaluated(self, prompt: Prompt) -> None:
        """The provider has evaluated `prompt`."""
        self.held = [*(p for p in self.held if p != prompt), prompt][-PROMPTS_KEPT:]

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


def common_prefix(a: str, b: str) -> int:
    """How many characters the beginnings of `a` and `b` share, by bisection over slices."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _moved(span: Span, by: int) -> Span:
    return Span(span.start + by, span.end + by)


class Documents:
    """The documents that the face has opened, and those that only a request has shown."""

    def __init__(self, kept: int = DOCUMENTS_KEPT) -> None:
        self._kept = kept
        self._documents: OrderedDict[str, Document] = OrderedDict()

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
        if not is_older(snapshot, document.snapshot):
            edits = difference(document.snapshot.text, snapshot.text)
            if edits or snapshot.version != document.snapshot.version:
                document.apply(snapshot, edits)
        return document

    def is_stale(self, snapshot: Snapshot) -> bool:
        """Whether the document has gone on since `snapshot`, or is gone."""
        document = self._documents.get(snapshot.uri)
        return document is None or document.snapshot.text != snapshot.text

    def cooled(self) -> None:
        """No provider holds anything any longer: it died, or another one is used."""
        for document in self._documents.values():
            document.held = []


def is_older(snapshot: Snapshot, than: Snapshot) -> bool:
    """Whether `snapshot` was made before `than`; versions only grow, None says nothing."""
    if snapshot.version is None or than.version is None:
        return False
    return snapshot.version < than.version
