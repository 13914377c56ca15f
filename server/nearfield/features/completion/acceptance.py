"""Which suggestions the user accepted, and how much of them survived.

Some clients report what was shown and accepted; others only send the edit. An edit counts as an
acceptance if it inserts, where the suggestion was offered, the whole suggestion or a beginning that
no single keystroke types.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher

from nearfield.features.accepted import Accepted, Origin
from nearfield.features.documents import Answered, DocumentChange, Documents
from nearfield.features.feature import Feature
from nearfield.features.idle import REST_SECONDS
from nearfield.features.suggestion_record import SuggestionRecord, Taken
from nearfield.syntax.differences import unspaced
from nearfield.types import Edit, Snapshot, Span, Suggestion, Trace

__all__ = ["Acceptance", "SurvivalWatch", "Taken"]

MAX_OFFERED = 200
"""Suggestions that can still be reported on; a client reports within seconds."""

PARTIAL_CHARS = 2
"""The shortest insertion that counts as a partial acceptance: one character is a keystroke."""

SURVIVAL_SECONDS = 30.0
"""A user who did not want the suggestion has changed it by then."""

COMPARED_CHARS = 2000
"""Maximum part of a suggestion that is compared: the comparison is quadratic."""

MAX_UNSEEN = 8
"""Accepted suggestions, whose edits are still to come, that are looked for."""

_ORDER = list(Taken)

Recorded = Callable[[str, Trace], SuggestionRecord | None]
"""Takes the language and the trace of a request; None if nothing is recorded of it."""


@dataclass(slots=True)
class SurvivalWatch:
    """A `text` that was inserted at `span`, which moves with later edits."""

    text: str
    span: Span

    def follow(self, edit: Edit) -> None:
        """Move the span with an edit. Text written at its ends is not part of it."""
        start, end = self.span.start, self.span.end
        grown = len(edit.text) - (edit.span.end - edit.span.start)
        if edit.span.end <= start:
            self.span = Span(start + grown, end + grown)
        elif edit.span.start < end:
            # If an edit crosses an end, its text is compared as well.
            first = min(start, edit.span.start)
            self.span = Span(first, max(first, max(end, edit.span.end) + grown))

    def survived(self, text: str) -> float:
        """Return the share of its characters (0..1), without white space, that are still in the
        span of the document `text`, in order."""
        before = unspaced(self.text[:COMPARED_CHARS])
        now = unspaced(text[self.span.start : self.span.end][: 2 * COMPARED_CHARS])
        if not before:
            return 1.0
        same = SequenceMatcher(None, before, now, autojunk=False).get_matching_blocks()
        return sum(block.size for block in same) / len(before)


@dataclass(slots=True)
class _Offered:
    """A suggestion given to a client for the document `uri`. Its text begins at `begin`; edits have
    inserted `inserted` characters of it. `watch` and `timer` are set once it was accepted."""

    uri: str
    begin: int
    suggestion: Suggestion
    record: SuggestionRecord
    taken: Taken = Taken.OFFERED
    inserted: int = 0
    watch: SurvivalWatch = field(default_factory=lambda: SurvivalWatch("", Span(0, 0)))
    timer: asyncio.TimerHandle | None = None


class Acceptance(Feature):
    """The recent suggestions; `counts` says how many reached which stage.

    `recorded` returns the record of an answered request, by its language, None if nothing is
    recorded of it; `on_change` is called with every record that has changed, `on_accepted` with
    the text that has entered a document.
    """

    def __init__(
        self,
        documents: Documents,
        recorded: Recorded = lambda language, trace: None,
        on_change: Callable[[SuggestionRecord], None] = lambda record: None,
        on_accepted: Callable[[Accepted], None] = lambda accepted: None,
    ) -> None:
        self._documents = documents
        self._recorded = recorded
        self.survival_seconds = SURVIVAL_SECONDS
        self.counts: Counter[Taken] = Counter()
        self._on_change = on_change
        self._on_accepted = on_accepted
        self._entered: list[_Offered] = []
        self._unseen: deque[_Offered] = deque(maxlen=MAX_UNSEEN)
        self._offered: OrderedDict[str, _Offered] = OrderedDict()
        self._open: dict[str, list[_Offered]] = {}
        self._watched: list[_Offered] = []

    def offered(
        self,
        uri: str,
        suggestions: Sequence[Suggestion],
        record: SuggestionRecord | None = None,
    ) -> None:
        """Note the suggestions given to the client; they replace those open for the document."""
        record = record or SuggestionRecord(0.0)
        newer = [_Offered(uri, one.replace.start, one, record) for one in suggestions]
        for older in self._open.get(uri, ()):
            if any(_is_continued(older, one) for one in newer):
                self._advance(older, Taken.CONTINUED)
        self._open[uri] = newer
        for one in newer:
            self._offered[one.suggestion.id] = one
            self.counts[Taken.OFFERED] += 1
        while len(self._offered) > MAX_OFFERED:
            self._offered.popitem(last=False)
        if newer:
            first = newer[0].suggestion.text
            record.taken, record.chars = Taken.OFFERED, len(first)
            record.lines = first.count("\n") + 1
            self._on_change(record)

    def report(self, suggestion_id: str, taken: Taken) -> str | None:
        """Take the client's report; return the document's uri, None for an unknown id."""
        offered = self._offered.get(suggestion_id)
        if offered is None:
            return None
        self._advance(offered, taken)
        if taken is Taken.ACCEPTED and not offered.inserted:
            self._watch(offered, len(offered.suggestion.text))
            self._unseen.append(offered)
            document = self._documents.get(offered.uri)
            if document is not None:
                self._look_for_unseen(document.snapshot)
        return offered.uri

    def infer(self, uri: str, edits: Sequence[Edit]) -> bool:
        """Return whether `edits` of the document insert an open suggestion or a beginning of it.

        Typing along a suggestion keeps it open; any other edit closes it.
        """
        is_found = False
        for edit in edits:
            for watched in self._watched:
                if watched.uri == uri:
                    watched.watch.follow(edit)
            still_open: list[_Offered] = []
            for offered in self._open.get(uri, ()):
                stage = _stage_after(offered, edit)
                if stage is None:
                    continue
                if stage is not Taken.SHOWN:
                    is_found = True
                    self._advance(offered, stage)
                    offered.inserted += len(edit.text)
                    self._watch(offered, edit.span.start - offered.begin + len(edit.text))
                    self._entered.append(offered)
                if stage is not Taken.ACCEPTED:
                    still_open.append(offered)
            self._open[uri] = still_open
        return is_found

    def changed(self, change: DocumentChange) -> None:
        """Tell the document whether its last edit inserted a suggestion."""
        is_accepted = self.infer(change.after.uri, change.edits)
        entered, self._entered = self._entered, []
        for offered in entered:
            self._tell(offered, change.after)
        self._look_for_unseen(change.after)
        document = self._documents.get(change.after.uri)
        if document is not None and document.snapshot is change.after:
            document.accepted = is_accepted

    def answered(self, answer: Answered) -> None:
        """Note what was suggested."""
        record = None
        if answer.trace is not None:
            record = self._recorded(answer.snapshot.language, answer.trace)
        if answer.suggestions:
            self.offered(answer.snapshot.uri, answer.suggestions, record)

    def closed(self, uri: str) -> None:
        """Measure what was accepted in the document; the client may still report on the rest."""
        self._open.pop(uri, None)
        for watched in [one for one in self._watched if one.uri == uri]:
            self._measure(watched)

    async def aclose(self) -> None:
        """Measure everything that would be measured later."""
        for watched in tuple(self._watched):
            self._measure(watched)

    def _tell(self, offered: _Offered, snapshot: Snapshot) -> None:
        """Tell of a suggestion, or the part of it that was taken, in the text of `snapshot`."""
        if offered in self._unseen:
            self._unseen.remove(offered)
        if snapshot.is_cell or not snapshot.path:
            return  # a cell's text is not that of its file
        one = offered.suggestion
        self._on_accepted(
            Accepted(
                id=one.id,
                kind="suggestion",
                path=snapshot.path,
                root=snapshot.root,
                after=snapshot.text,
                at=time.time(),
                span=offered.watch.span,
                origin=Origin(one.provider, one.model, one.prompt),
            )
        )

    def _look_for_unseen(self, snapshot: Snapshot) -> None:
        """Tell of suggestions that the client has reported as accepted, once their text is there:
        before the report or after it, and in whatever edits it came."""
        for offered in [one for one in self._unseen if one.uri == snapshot.uri]:
            text, begin = offered.suggestion.text, offered.begin
            if snapshot.text.startswith(text, begin):
                offered.watch.span = Span(begin, begin + len(text))
                self._tell(offered, snapshot)

    def _advance(self, offered: _Offered, taken: Taken) -> None:
        if _ORDER.index(taken) > _ORDER.index(offered.taken):
            offered.taken = taken
            self.counts[taken] += 1
            if _ORDER.index(taken) > _ORDER.index(offered.record.taken):
                offered.record.taken = taken
            self._on_change(offered.record)

    def _watch(self, offered: _Offered, chars: int) -> None:
        """Measure later how much survives of the first `chars` characters."""
        offered.record.saved = offered.inserted or chars
        self._on_change(offered.record)
        self._forget(offered)
        begin = offered.begin
        offered.watch = SurvivalWatch(offered.suggestion.text[:chars], Span(begin, begin + chars))
        self._watched.append(offered)
        self._measure_later(offered, self.survival_seconds)

    def _measure(self, offered: _Offered) -> None:
        self._forget(offered)
        document = self._documents.get(offered.uri)
        if document is not None:
            offered.record.survived = round(offered.watch.survived(document.snapshot.text), 3)
            self._on_change(offered.record)

    def _measure_later(self, offered: _Offered, seconds: float) -> None:
        """Measure in `seconds`, or once the changes until then have been read."""

        def measure() -> None:
            if self._documents.has_unread:
                self._measure_later(offered, REST_SECONDS)
            else:
                self._measure(offered)

        offered.timer = asyncio.get_running_loop().call_later(seconds, measure)

    def _forget(self, offered: _Offered) -> None:
        if offered.timer is not None:
            offered.timer.cancel()
        self._watched = [one for one in self._watched if one is not offered]


def _is_continued(older: _Offered, newer: _Offered) -> bool:
    """Return whether `newer` is `older` again, or what remains of it after typing."""
    typed = newer.begin - older.begin
    text = older.suggestion.text
    return 0 <= typed < len(text) and text[typed:] == newer.suggestion.text


def _stage_after(offered: _Offered, edit: Edit) -> Taken | None:
    """Return ACCEPTED, PARTIAL, SHOWN (typed along) or None (an unrelated edit)."""
    text = offered.suggestion.text
    at = edit.span.start - offered.begin
    if not 0 <= at < len(text) or not edit.text or not text.startswith(edit.text, at):
        return None
    end = at + len(edit.text)
    if len(edit.text) < min(PARTIAL_CHARS, len(text)) or not any(map(str.isalnum, edit.text)):
        return Taken.ACCEPTED if at == 0 and end == len(text) else Taken.SHOWN
    return Taken.ACCEPTED if end == len(text) else Taken.PARTIAL
