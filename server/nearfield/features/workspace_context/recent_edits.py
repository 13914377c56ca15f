"""Where the user has edited lately: what was just written is often needed again elsewhere.

Held are places, not texts: the text is taken when it is asked for, from the document as it is then.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from nearfield.files.ignore import holds_keys
from nearfield.types import Edit, Snapshot

REGIONS_KEPT = 8
SAME_CHARS = 800
"""Edits nearer than this to each other belong to one region."""
LINES_AROUND = 6
AGE_SECONDS = 900.0
"""What was written a quarter of an hour ago is no longer what the user is at."""
TOUCHED_CHARS = 20
"""A region counts from so many characters written: a fixed typo tells nothing."""


@dataclass(slots=True)
class _Place:
    uri: str
    at: int
    written: int
    when: float


@dataclass(frozen=True, slots=True)
class Region:
    """A piece of `snapshot` that was edited: rows from 0, `last` not included."""

    snapshot: Snapshot
    first: int
    last: int
    text: str


class Recent:
    """The regions of a session that were edited last."""

    def __init__(self) -> None:
        self._places: OrderedDict[int, _Place] = OrderedDict()
        self._next = 0

    def edited(self, snapshot: Snapshot, edits: Iterable[Edit]) -> None:
        """`edits` have led to `snapshot`."""
        for edit in edits:
            self._note(snapshot.uri, edit)

    def _note(self, uri: str, edit: Edit) -> None:
        start, grown = edit.span.start, len(edit.text) - (edit.span.end - edit.span.start)
        near: int | None = None
        for key, place in self._places.items():
            if place.uri != uri:
                continue
            if abs(place.at - start) <= SAME_CHARS:
                near = key
            elif place.at > start:
                place.at += grown
        if near is None:
            near, self._next = self._next, self._next + 1
            self._places[near] = _Place(uri, start, 0, 0.0)
        place = self._places[near]
        place.at, place.when = start + len(edit.text), time.monotonic()
        place.written += len(edit.text)
        self._places.move_to_end(near)
        while len(self._places) > REGIONS_KEPT:
            self._places.popitem(last=False)

    def regions(
        self, here: Snapshot, offset: int, documents: Mapping[str, Snapshot]
    ) -> list[Region]:
        """The regions elsewhere than at `offset` of `here`, the latest first; those of a file that
        holds keys, or of another workspace, are left out."""
        found: list[Region] = []
        oldest = time.monotonic() - AGE_SECONDS
        for place in reversed(self._places.values()):
            snapshot = documents.get(place.uri)
            near = place.uri == here.uri and abs(place.at - offset) <= 4 * SAME_CHARS
            if snapshot is None or near or place.when < oldest or place.written < TOUCHED_CHARS:
                continue
            if snapshot.is_cell and here.is_cell and snapshot.path == here.path:
                continue  # The cells above are shown anyway.
            if snapshot.root != here.root or not snapshot.path or holds_keys(snapshot.path):
                continue
            found.append(_region(snapshot, min(place.at, len(snapshot.text))))
        return found


def _region(snapshot: Snapshot, at: int) -> Region:
    """The lines around the offset `at`."""
    lines = snapshot.text.split("\n")
    row = snapshot.text.count("\n", 0, at)
    first, last = max(row - LINES_AROUND, 0), min(row + LINES_AROUND + 1, len(lines))
    return Region(snapshot, first, last, "\n".join(lines[first:last]))
