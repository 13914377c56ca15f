"""The user's recent edits: code that was just written is often needed again elsewhere.

Positions are kept, not text: the text is taken from the current document when it is requested.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from nearfield.files.ignore import holds_keys
from nearfield.types import Edit, Snapshot

MAX_REGIONS = 8
NEAR_CHARS = 800
"""Maximum distance of edits in one region."""
LINES_AROUND = 6
MAX_AGE_SECONDS = 900.0
"""Code written longer ago is no longer what the user works on."""
MIN_WRITTEN_CHARS = 20
"""A region with fewer characters written does not count: a fixed typo tells nothing."""


@dataclass(slots=True)
class _EditedPosition:
    """A position in a document, with the characters written there and the time of the last edit."""

    uri: str
    at: int
    written: int
    when: float


@dataclass(frozen=True, slots=True)
class EditedRegion:
    """Edited lines of `snapshot`; rows count from 0, `last` is not included."""

    snapshot: Snapshot
    first: int
    last: int
    text: str


class RecentEdits:
    """The regions that were edited last in this session."""

    def __init__(self) -> None:
        self._positions: OrderedDict[int, _EditedPosition] = OrderedDict()
        self._next = 0

    def edited(self, snapshot: Snapshot, edits: Iterable[Edit], at: float) -> None:
        """Note edits that have led to `snapshot`, made at `at` (`time.monotonic()`)."""
        for edit in edits:
            self._note(snapshot.uri, edit, at)

    def _note(self, uri: str, edit: Edit, at: float) -> None:
        start, grown = edit.span.start, len(edit.text) - (edit.span.end - edit.span.start)
        near: int | None = None
        for key, position in self._positions.items():
            if position.uri != uri:
                continue
            if abs(position.at - start) <= NEAR_CHARS:
                near = key
            elif position.at > start:
                position.at += grown
        if near is None:
            near, self._next = self._next, self._next + 1
            self._positions[near] = _EditedPosition(uri, start, 0, 0.0)
        position = self._positions[near]
        position.at, position.when = start + len(edit.text), at
        position.written += len(edit.text)
        self._positions.move_to_end(near)
        while len(self._positions) > MAX_REGIONS:
            self._positions.popitem(last=False)

    def regions(
        self, here: Snapshot, offset: int, documents: Mapping[str, Snapshot]
    ) -> list[EditedRegion]:
        """Return the regions away from `offset` of `here`, the latest first, without those in files
        that hold keys or in other workspaces."""
        found: list[EditedRegion] = []
        oldest = time.monotonic() - MAX_AGE_SECONDS
        for position in reversed(self._positions.values()):
            snapshot = documents.get(position.uri)
            near = position.uri == here.uri and abs(position.at - offset) <= 4 * NEAR_CHARS
            if (
                snapshot is None
                or near
                or position.when < oldest
                or position.written < MIN_WRITTEN_CHARS
            ):
                continue
            if snapshot.is_cell and here.is_cell and snapshot.path == here.path:
                continue  # The cells above are shown anyway.
            if snapshot.root != here.root or not snapshot.path or holds_keys(snapshot.path):
                continue
            found.append(_region(snapshot, min(position.at, len(snapshot.text))))
        return found


def _region(snapshot: Snapshot, at: int) -> EditedRegion:
    """Return the lines around the offset `at`."""
    lines = snapshot.text.split("\n")
    row = snapshot.text.count("\n", 0, at)
    first, last = max(row - LINES_AROUND, 0), min(row + LINES_AROUND + 1, len(lines))
    return EditedRegion(snapshot, first, last, "\n".join(lines[first:last]))
