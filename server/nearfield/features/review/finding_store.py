"""The findings that are shown, by document. They move with their lines, and are dropped when these
are edited."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from nearfield.features.documents import difference
from nearfield.features.review.findings import ReviewFinding
from nearfield.features.spans import moved
from nearfield.files.lines import line_number
from nearfield.listeners import Listeners
from nearfield.types import Edit, Snapshot, Span

__all__ = ["FindingStore"]


@dataclass(frozen=True, slots=True)
class _Shown:
    """The findings of one document, and the `text` that they are about."""

    text: str
    findings: tuple[ReviewFinding, ...]


class FindingStore:
    """See the module. One event loop. `changes` tells the URI of each document whose findings are
    others, or elsewhere."""

    def __init__(self) -> None:
        self._shown: dict[str, _Shown] = {}
        self.changes = Listeners[str]()

    @property
    def uris(self) -> tuple[str, ...]:
        """The documents with findings."""
        return tuple(self._shown)

    def at(self, uri: str) -> tuple[ReviewFinding, ...]:
        """The findings of a document."""
        shown = self._shown.get(uri)
        return shown.findings if shown is not None else ()

    def text(self, uri: str) -> str:
        """The text that the findings of a document are about; "" without any."""
        shown = self._shown.get(uri)
        return shown.text if shown is not None else ""

    def put(
        self,
        snapshot: Snapshot,
        within: range,
        findings: Iterable[ReviewFinding],
        now: Snapshot | None = None,
    ) -> None:
        """Replace the findings shown for the rows `within` of `snapshot`. `now` is the current
        document if it has changed since; findings on lines that have changed are dropped.
        """
        now = now or snapshot
        edits = difference(snapshot.text, now.text)
        fresh = list(_moved(findings, edits, now))
        before = self._shown.get(snapshot.uri)
        kept: tuple[ReviewFinding, ...] = ()
        if before is not None and before.text == now.text:
            kept = before.findings
            if not edits:
                kept = tuple(one for one in kept if one.row not in within)
        self._set(snapshot.uri, now.text, (*kept, *fresh))

    def changed(self, snapshot: Snapshot, edits: Sequence[Edit]) -> None:
        """The document is `snapshot` now."""
        shown = self._shown.get(snapshot.uri)
        if shown is None:
            return
        followed = tuple(_moved(shown.findings, edits, snapshot))
        self._set(snapshot.uri, snapshot.text, followed)

    def opened(self, snapshot: Snapshot) -> None:
        """The document is open; findings about another text go."""
        shown = self._shown.get(snapshot.uri)
        if shown is not None and shown.text != snapshot.text:
            self._set(snapshot.uri, "", ())

    def clear(self, uri: str | None = None, finding: str = "") -> int:
        """Clear one finding, the findings of one document, or all; returns how many."""
        gone = 0
        for one in self.uris if uri is None else (uri,):
            before = self.at(one)
            kept = tuple(found for found in before if finding and found.id != finding)
            gone += len(before) - len(kept)
            self._set(one, self.text(one), kept)
        return gone

    def _set(self, uri: str, text: str, findings: tuple[ReviewFinding, ...]) -> None:
        before = self.at(uri)
        if findings:
            ordered = sorted(findings, key=lambda one: (one.span.start, one.id))
            self._shown[uri] = _Shown(text, tuple(ordered))
        else:
            self._shown.pop(uri, None)
        if before != self.at(uri):
            self.changes.tell(uri)


def _moved(
    findings: Iterable[ReviewFinding], edits: Sequence[Edit], now: Snapshot
) -> Iterator[ReviewFinding]:
    """Yield the `findings` whose lines have not changed, moved with `edits`."""
    for one in findings:
        if (span := _followed(one.span, edits)) is not None:
            yield replace(one, span=span, row=line_number(now.text, span.start))


def _followed(span: Span, edits: Iterable[Edit]) -> Span | None:
    """Return the span after `edits`; None if the line was edited, its ends included."""
    now: Span | None = span
    for edit in edits:
        if now is None:
            return None
        touches = edit.span.start <= now.end and now.start <= edit.span.end
        breaks = edit.text.startswith(("\n", "\r")) or edit.text.endswith("\n")
        inside = edit.span.start < now.end and now.start < edit.span.end
        if touches and (inside or not breaks or edit.span.start != edit.span.end):
            return None
        now = moved(now, (edit,))
    return now
