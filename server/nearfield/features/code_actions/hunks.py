"""Minimal edits between two texts.

A hunk covers whole lines, or a part of one line if only that part changes. Lines that are the same
in both texts are in no hunk, so they stay the same to the byte, line ends included. No hunk begins
or ends between a carriage return and its line feed, where clients have no position.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from itertools import accumulate

from nearfield.files.lines import LINE_END, line_start, split_lines
from nearfield.syntax.differences import changed_span
from nearfield.types import Edit, Span

__all__ = ["applied", "hunks", "rebased", "unified"]

MAX_LINES = 4_000
"""Texts that differ over more lines than this get one hunk: the time to find the smallest hunks
grows with the square."""
CONTEXT_LINES = 3
COMPARED_LINES = 50
"""Equal lines around a difference that are compared as well, because a moved line may match
them."""


def hunks(before: str, after: str) -> tuple[Edit, ...]:
    """Return the edits that turn `before` into `after`: in order, not touching, and each counted in
    `before`."""
    old, new = split_lines(before, keepends=True), split_lines(after, keepends=True)
    first, last = _same_ends(old, new)
    a, b = old[first : len(old) - last], new[first : len(new) - last]
    starts = list(accumulate(map(len, a), initial=sum(map(len, old[:first]))))
    if not a and not b:
        return ()
    if len(a) + len(b) > MAX_LINES:
        return (Edit(Span(starts[0], starts[-1]), "".join(b)),)
    found: list[Edit] = []
    matcher = difflib.SequenceMatcher(None, a, b, autojunk=False)
    for tag, i, j, k, n in matcher.get_opcodes():
        if tag == "replace" and j - i == n - k:
            pairs = zip(starts[i:j], a[i:j], b[k:n], strict=True)
            found.extend(_line_edit(start, one, other) for start, one, other in pairs)
        elif tag != "equal":
            found.append(Edit(Span(starts[i], starts[j]), "".join(b[k:n])))
    joined: list[Edit] = []
    for edit in found:
        if edit.span.start == edit.span.end and not edit.text:
            continue
        if joined and joined[-1].span.end == edit.span.start:
            before_it = joined.pop()
            span = Span(before_it.span.start, edit.span.end)
            joined.append(Edit(span, before_it.text + edit.text))
        else:
            joined.append(edit)
    return tuple(joined)


def applied(text: str, edits: Sequence[Edit]) -> str:
    """Return `text` after `edits`, which are in order, not overlapping, and counted in `text`."""
    pieces: list[str] = []
    position = 0
    for edit in edits:
        pieces += (text[position : edit.span.start], edit.text)
        position = edit.span.end
    return "".join((*pieces, text[position:]))


def rebased(edits: Sequence[Edit], before: str, now: str) -> tuple[Edit, ...] | None:
    """Return `edits` of `before` counted in `now`; None if one of their lines has changed, or if
    lines were inserted at the same place."""
    changes = hunks(before, now)
    moved: list[Edit] = []
    for edit in edits:
        shift = 0
        lines = _whole_lines(before, edit.span)
        for change in changes:
            changed = _whole_lines(before, change.span)
            if lines == changed or (lines.start < changed.end and changed.start < lines.end):
                return None
            if changed.end <= lines.start:
                shift += len(change.text) - (change.span.end - change.span.start)
        moved.append(Edit(Span(edit.span.start + shift, edit.span.end + shift), edit.text))
    return tuple(moved)


def unified(before: str, after: str, path: str, new: bool = False) -> str:
    """Return the unified diff of a file, as `patch` and git read it; "" without a difference."""
    old, fresh = split_lines(before, keepends=True), split_lines(after, keepends=True)
    if old == fresh:
        return ""
    rows = [f"--- {'/dev/null' if new else f'a/{path}'}\n", f"+++ b/{path}\n"]
    for start, group in _groups(old, fresh):
        (_, i, _, k, _), (_, _, j, _, n) = group[0], group[-1]
        rows.append(f"@@ -{_counted(start + i, start + j)} +{_counted(start + k, start + n)} @@\n")
        for tag, *places in group:
            i, j, k, n = (start + place for place in places)
            if tag == "equal":
                rows += [f" {row}" for row in old[i:j]]
                continue
            rows += [f"-{row}" for row in old[i:j]]
            rows += [f"+{row}" for row in fresh[k:n]]
    return "".join(
        row if row.endswith(("\n", "\r")) else f"{row}\n\\ No newline at end of file\n"
        for row in rows
    )


def _groups(
    old: list[str], new: list[str]
) -> list[tuple[int, list[tuple[str, int, int, int, int]]]]:
    """Return difflib's groups of opcodes, each with the row that they are counted from. Only the
    lines between the first and the last difference and a few around them are compared; a long
    difference is one group."""
    first, last = _same_ends(old, new)
    is_long = len(old) + len(new) - 2 * (first + last) > MAX_LINES
    around = CONTEXT_LINES if is_long else COMPARED_LINES
    start, rest = max(first - around, 0), max(last - around, 0)
    a, b = old[start : len(old) - rest], new[start : len(new) - rest]
    if not is_long:
        matcher = difflib.SequenceMatcher(None, a, b, autojunk=False)
        return [(start, group) for group in matcher.get_grouped_opcodes(CONTEXT_LINES)]
    head, i, k = first - start, len(a) - (last - rest), len(b) - (last - rest)
    changed = ("replace", head, i, head, k)
    return [(start, [("equal", 0, head, 0, head), changed, ("equal", i, len(a), k, len(b))])]


def _counted(first: int, last: int) -> str:
    """Return the rows `first:last` as the head of a hunk names them."""
    if last - first == 1:
        return f"{first + 1}"
    return f"{first + (last > first)},{last - first}"


def _same_ends(old: list[str], new: list[str]) -> tuple[int, int]:
    """Return how many first and last lines are the same."""
    most = min(len(old), len(new))
    first = next((i for i in range(most) if old[i] != new[i]), most)
    rest = most - first
    last = next((i for i in range(rest) if old[-1 - i] != new[-1 - i]), rest)
    return first, last


def _line_edit(start: int, line: str, other: str) -> Edit:
    """Return the edit from one line to another, which never cuts a line end."""
    content, fresh = line.rstrip("\r\n"), other.rstrip("\r\n")
    if line[len(content) :] != other[len(fresh) :]:
        return Edit(Span(start, start + len(line)), other)
    span, length = changed_span(content, fresh)
    text = fresh[span.start : span.start + length]
    return Edit(Span(start + span.start, start + span.end), text)


def _whole_lines(text: str, span: Span) -> Span:
    """Return the lines that `span` touches; an empty span between two lines stays empty."""
    start = line_start(text, span.start)
    if start == span.start and (span.end == span.start or line_start(text, span.end) == span.end):
        return span
    end = LINE_END.search(text, span.end)
    return Span(start, end.end() if end else len(text))
