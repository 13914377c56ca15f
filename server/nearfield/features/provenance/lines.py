"""Lines by keyed hashes: which lines of a file a record is about, without the record's code.

A line counts without the white space around it, so moving or indenting it again changes nothing.
Without the key no line can be guessed from its hash; with it, anybody who guesses a line can check
the guess. An empty line has the hash "".
"""

from __future__ import annotations

import hmac
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from nearfield.features.accepted import Accepted
from nearfield.files.lines import line_number, split_lines
from nearfield.syntax.differences import changed_span

HASH_CHARS = 16
"""Hexadecimal digits of a line's hash: enough to tell the lines of one user apart."""
MAX_LINES = 1_000
"""Lines of one record; further ones are not found again."""
SLACK_ROWS = 20
"""Rows beside a part that was found again in which the rest of the record is looked for, besides
as many as the rest has."""

MAX_SAME = 200
"""Rows of a file that have a record's line: of more, those nearest to its place are looked at."""


def keyed(secret: bytes, text: str) -> str:
    """Return the keyed SHA-256 of a text, in hexadecimal."""
    return hmac.new(secret, text.encode("utf-8", "surrogatepass"), "sha256").hexdigest()


def line_hash(secret: bytes, line: str) -> str:
    """Return the keyed hash of a line without the white space around it."""
    bare = line.strip()
    return keyed(secret, bare)[:HASH_CHARS] if bare else ""


def accepted_rows(accepted: Accepted) -> list[int]:
    """Return the rows of the text after it that an acceptance has written, in order."""
    after = split_lines(accepted.after)
    if accepted.span is not None:
        start, end = accepted.span.start, accepted.span.end
        first = line_number(accepted.after, start)
        # White space at the ends of a suggestion begins or ends a line that the user wrote.
        text = accepted.after[start:end]
        first += line_number(text, len(text) - len(text.lstrip()))
        last = line_number(accepted.after, start + len(text.rstrip()))
        return [row for row in range(first, last + 1) if row < len(after)]
    before = split_lines(accepted.before)
    # Equal ends first: the comparison is quadratic.
    gone, count = changed_span(before, after)
    top = gone.start
    old, new = before[top : gone.end], after[top : top + count]
    matched = SequenceMatcher(None, old, new, autojunk=False)
    return [
        top + row
        for tag, _, _, start, end in matched.get_opcodes()
        if tag in ("insert", "replace")
        for row in range(start, end)
    ]


@dataclass(frozen=True, slots=True)
class Found:
    """The lines of a record in the current file, as rows: those that are `unchanged`, and counts of
    those that were `changed` in place, and of those that are `gone`. Empty lines do not count."""

    unchanged: tuple[int, ...]
    changed: int
    gone: int


class FileLines:
    """The lines of the current file. Each is given to the first record that takes it."""

    def __init__(self, secret: bytes, text: str) -> None:
        lines = split_lines(text)
        self.count = len(lines)
        self._hashes = [line_hash(secret, line) for line in lines]
        # Brackets alone are on many lines: they count with others only.
        self._telling = [any(map(str.isalnum, line)) for line in lines]
        self._taken = [False] * len(lines)
        self._rows: defaultdict[str, list[int]] = defaultdict(list)
        for row, one in enumerate(self._hashes):
            if one:
                self._rows[one].append(row)

    def take(self, lines: Sequence[str], row: int) -> Found:
        """Find a record's lines, which began at `row`, and take them."""
        places: list[int | None] = [None] * len(lines)
        self._place(lines, places, (0, len(lines)), (0, self.count), row)
        found = [
            place for place, one in zip(places, lines, strict=True) if one and place is not None
        ]
        for place in places:
            if place is not None:
                self._taken[place] = True
        missing = sum(1 for place, one in zip(places, lines, strict=True) if one and place is None)
        changed = min(missing, self._changed(lines, places))
        return Found(tuple(found), changed, missing - changed)

    def _place(
        self,
        lines: Sequence[str],
        places: list[int | None],
        part: tuple[int, int],
        rows: tuple[int, int],
        near: int,
    ) -> None:
        """Place the longest run of the lines `part` that is in `rows`, then what is around it."""
        waiting = [(part, rows, near)]
        while waiting:
            part, rows, near = waiting.pop()
            at, row, length = self._longest(lines, part, rows, near)
            if not length:
                continue
            places[at : at + length] = range(row, row + length)
            below, rest = at + length, len(lines) - at - length
            # A part with a run on both sides lies between them. The limit of another one moves with
            # each run, as lines may have been put in after all of them.
            top = rows[0] if part[0] else max(0, row - at - SLACK_ROWS)
            end = rows[1] if part[1] < len(lines) else row + length + rest + SLACK_ROWS
            waiting.append(((part[0], at), (top, row), row - at))
            waiting.append(((below, part[1]), (row + length, min(self.count, end)), row - at))

    def _longest(
        self, lines: Sequence[str], part: tuple[int, int], rows: tuple[int, int], near: int
    ) -> tuple[int, int, int]:
        """Return the longest run of the lines `part` in `rows`: its first line, its row, and its
        length, 0 for none."""
        best, score = (0, 0, 0), (0, 0, 0)
        last: Sequence[int] = ()
        for at in range(*part):
            found = self._candidates(lines[at], at + near, rows)
            for row in found:
                is_near = bool(last) and last[0] < row <= last[-1] + 1
                # A run that began a line before is longer.
                if self._taken[row] or (is_near and self._fits(row - 1, lines[at - 1])):
                    continue
                length, telling = self._run(lines, at, row, part[1], rows[1])
                new = (telling, length, -abs(row - at - near))
                if telling and new > score:
                    best, score = (at, row, length), new
            last = found
        return best

    def _candidates(self, line: str, near: int, rows: tuple[int, int]) -> Sequence[int]:
        """Return the rows of a line in `rows`; of very many those nearest to the row `near`."""
        found = self._rows.get(line, ())
        first, end = bisect_left(found, rows[0]), bisect_left(found, rows[1])
        if end - first > MAX_SAME:
            middle = bisect_left(found, near, first, end)
            first = max(first, min(middle - MAX_SAME // 2, end - MAX_SAME))
            end = first + MAX_SAME
        return found[first:end]

    def _fits(self, row: int, line: str) -> bool:
        return not self._taken[row] and self._hashes[row] == line

    def _run(
        self, lines: Sequence[str], at: int, row: int, end: int, end_row: int
    ) -> tuple[int, int]:
        """Return how many lines from `at` are those from `row`, and how many of these tell it."""
        length = telling = 0
        while at + length < end and row + length < end_row:
            here = row + length
            if self._taken[here] or self._hashes[here] != lines[at + length]:
                break
            telling += self._telling[here]
            length += 1
        return length, telling

    def _changed(self, lines: Sequence[str], places: Sequence[int | None]) -> int:
        """Return how many missing lines stand between two that were found, where the file has
        others."""
        changed, gap, last = 0, 0, None
        for one, place in zip(lines, places, strict=True):
            if place is None:
                gap += bool(one)
                continue
            if last is not None and gap:
                between = range(last + 1, place)
                free = sum(1 for row in between if self._hashes[row] and not self._taken[row])
                changed += min(gap, free)
            gap, last = 0, place
        return changed
