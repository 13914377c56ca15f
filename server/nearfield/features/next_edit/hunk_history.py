"""The user's latest changes, in all documents, as hunks of whole lines: what a model is shown.

Edits at one place make one hunk, whatever keys it took. Nothing is parsed, and texts are shared,
not copied: this is done for every keystroke.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nearfield.features.next_edit.edit_prompt import HUNK_STEP, MAX_HUNKS, Hunk
from nearfield.syntax.differences import changed_span, unspaced
from nearfield.types import Edit, Snapshot

__all__ = ["HunkHistory"]

MAX_PLACES = 2 * MAX_HUNKS
NEAR_ROWS = 1
"""An edit this close to the latest one continues it."""
PAUSE_SECONDS = 60.0
"""After a longer pause an edit at the same place is another one: it may take back the first."""
MAX_HUNK_LINES = 60
"""A longer hunk is pasted code or a formatter's work."""
WITHIN_SECONDS = 1800.0
"""Older edits explain nothing."""


@dataclass(slots=True)
class _EditPlace:
    """Edits of one place: the document before the first and after the last of them; `rows` is what
    they changed of the text after, end exclusive; `cursor` is where the last one ended. Places are
    numbered in their order."""

    before: Snapshot
    after: Snapshot
    rows: tuple[int, int]
    at: float
    cursor: int
    number: int


class HunkHistory:
    """See the module. One for all documents; the last place is the latest."""

    def __init__(self) -> None:
        self._places: list[_EditPlace] = []
        self._count = 0

    def change(self, before: Snapshot, after: Snapshot, edits: Sequence[Edit], at: float) -> None:
        """Follow a change of a document; `at` is the time in seconds."""
        if not edits or before.text == after.text:
            return
        rows, cursor = _rows(before.text, edits), edits[-1].span.start + len(edits[-1].text)
        shift = after.text.count("\n") - before.text.count("\n")
        last = self._places[-1] if self._places else None
        if last is not None and _goes_on(last, before, rows, at):
            start, end = min(last.rows[0], rows[0]), max(last.rows[1], rows[1]) + shift
            last.after, last.rows, last.at = after, (start, max(end, start + 1)), at
            last.cursor = cursor
            if last.before.text == after.text:
                self._places.pop()  # undone
            return
        made = (rows[0], max(rows[1] + shift, rows[0] + 1))
        self._places.append(_EditPlace(before, after, made, at, cursor, self._count))
        self._count += 1
        self._places = [one for one in self._places[-MAX_PLACES:] if at - one.at < WITHIN_SECONDS]

    def forget(self, uri: str) -> None:
        """Drop what is known of a document that was replaced as a whole."""
        self._places = [one for one in self._places if one.after.uri != uri]

    def has(self, snapshot: Snapshot) -> bool:
        """Return whether the latest text of the document is `snapshot`, and an edit led to it."""
        last = self._last(snapshot.uri)
        return last is not None and last.after.text == snapshot.text

    def at(self, uri: str) -> float:
        """Return the time of the latest edit of a document in seconds, minus infinity for none."""
        last = self._last(uri)
        return last.at if last is not None else float("-inf")

    def cursor(self, uri: str) -> int:
        """Return the offset at which the latest edit of a document ended, 0 for none."""
        last = self._last(uri)
        return last.cursor if last is not None else 0

    def hunks(self, snapshot: Snapshot) -> list[tuple[Snapshot, Hunk]]:
        """Return the hunks of the document's folder, oldest first, each with its document."""
        return [
            (place.after, hunk)
            for place in self._shown(snapshot)
            if (hunk := _hunk(place, place.after.shown_path)) is not None
        ]

    def _shown(self, snapshot: Snapshot) -> list[_EditPlace]:
        """The latest places of the document's folder, at most `MAX_HUNKS`."""
        found = [place for place in self._places if place.after.root == snapshot.root]
        first = found[-1].number - MAX_HUNKS + 1 if found else 0
        return [place for place in found if place.number >= -(-first // HUNK_STEP) * HUNK_STEP]

    def states(self, uri: str) -> list[str]:
        """Return the earlier texts of a document, oldest first."""
        return [place.before.text for place in self._places if place.after.uri == uri]

    def before(self, snapshot: Snapshot, since: int = 0) -> tuple[int, str]:
        """Return the number of the document's first change from number `since` on, and its text
        before that, but not from before a change that is too large for a hunk; its text now for
        none."""
        first = self._count, snapshot.text
        for one in reversed(self._places):
            if one.after.uri != snapshot.uri:
                continue
            _, gone, made = _lines(one)
            if one.number < since or max(len(gone), len(made)) > MAX_HUNK_LINES:
                break
            first = one.number, one.before.text
        return first

    def _last(self, uri: str) -> _EditPlace | None:
        return next((one for one in reversed(self._places) if one.after.uri == uri), None)


def _rows(text: str, edits: Sequence[Edit]) -> tuple[int, int]:
    """The rows of `text` that the edits change, end exclusive; as if each were of that text."""
    start = min(edit.span.start for edit in edits)
    end = max(edit.span.end for edit in edits)
    first = text.count("\n", 0, start)
    whole_lines = end > start and text[end - 1] == "\n"
    return first, first + text.count("\n", start, end) + (not whole_lines)


def _goes_on(last: _EditPlace, before: Snapshot, rows: tuple[int, int], at: float) -> bool:
    if last.after.uri != before.uri or last.after.text != before.text:
        return False
    near = rows[0] <= last.rows[1] + NEAR_ROWS and last.rows[0] - NEAR_ROWS <= rows[1]
    height = max(last.rows[1], rows[1]) - min(last.rows[0], rows[0])
    return near and height <= MAX_HUNK_LINES and at - last.at <= PAUSE_SECONDS


def _lines(place: _EditPlace) -> tuple[int, list[str], list[str]]:
    """The row of the first line that differs, the deleted lines, and those in their place."""
    old, new = place.before.text.split("\n"), place.after.text.split("\n")
    span, put = changed_span(old, new)
    return span.start, old[span.start : span.end], new[span.start : span.start + put]


def _hunk(place: _EditPlace, path: str) -> Hunk | None:
    """The lines that differ; None for white space alone, and for too many."""
    first, gone, made = _lines(place)
    if max(len(gone), len(made)) > MAX_HUNK_LINES:
        return None
    if unspaced("".join(gone)) == unspaced("".join(made)):
        return None
    return Hunk(path, "\n".join(gone), "\n".join(made), first + 1, place.number)
