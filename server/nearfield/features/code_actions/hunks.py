"""Minimal edits: what changes between two texts, and nothing else.

A hunk covers whole lines, or a part of one line where only that part changes. Lines that are the
same in both texts are in no hunk, so they stay as they are to the byte, line ends included. No hunk
begins or ends between a carriage return and its line feed, where clients have no position.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence

from nearfield.files.lines import split_lines
from nearfield.syntax.differences import changed_span
from nearfield.types import Edit, Span

__all__ = ["applied", "hunks", "rebased", "unified"]

MOST_LINES = 4_000
"""Between texts that differ over more lines than this, one hunk is as good as many: finding the
least takes time that grows with the square."""
CONTEXT_LINES = 3
ALIKE_LINES = 50
"""So many lines around what differs are compared as well: a line of it may be one of these."""


def hunks(before: str, after: str) -> tuple[Edit, ...]:
    """The edits that make `after` of `before`: in order, apart from each other, each counted in
    `before`."""
    old, new = split_lines(before, keepends=True), split_lines(after, keepends=True)
    first, last = _same_ends(old, new)
    a, b = old[first : len(old) - last], new[first : len(new) - last]
    offset = sum(map(len, old[:first]))
    if not a and not b:
        return ()
    if len(a) + len(b) > MOST_LINES:
        return (Edit(Span(offset, offset + sum(map(len, a))), "".join(b)),)
    found: list[Edit] = []
    starts = [offset]
    for line in a:
        starts.append(starts[-1] + len(line))
    matcher = difflib.SequenceMatcher(None, a, b, autojunk=False)
    for tag, i, j, k, n in matcher.get_opcodes():
        if tag == "equal":
            continue
        if tag == "replace" and j - i == n - k:
            pairs = zip(starts[i:j], a[i:j], b[k:n], strict=True)
            found.extend(_within(start, one, other) for start, one, other in pairs)
        else:
            found.append(Edit(Span(starts[i], starts[j]), "".join(b[k:n])))
    return tuple(_joined(found))


def applied(text: str, edits: Sequence[Edit]) -> str:
    """`text` after `edits`, which are in order, apart from each other, and counted in `text`."""
    pieces: list[str] = []
    position = 0
    for edit in edits:
        pieces += (text[position : edit.span.start], edit.text)
        position = edit.span.end
    return "".join((*pieces, text[position:]))


def rebased(edits: Sequence[Edit], before: str, now: str) -> tuple[Edit, ...] | None:
    """`edits` of `before`, counted in `now`; None when one of their lines has changed meanwhile, or
    when both have put lines in at the same place."""
    changes = hunks(before, now)
    moved: list[Edit] = []
    for edit in edits:
        shift = 0
        lines = _whole_lines(before, edit.span)
        for change in changes:
            changed = _whole_lines(before, change.span)
            if _meet(lines, changed):
                return None
            if changed.end <= lines.start:
                shift += len(change.text) - (change.span.end - change.span.start)
        moved.append(Edit(Span(edit.span.start + shift, edit.span.end + shift), edit.text))
    return tuple(moved)


def unified(before: str, after: str, path: str, new: bool = False) -> str:
    """The unified diff of a file, as `patch` and git read it."""
    old, fresh = split_lines(before, keepends=True), split_lines(after, keepends=True)
    groups = list(_groups(old, fresh))
    if not groups:
        return ""
    rows = [f"--- {'/dev/null' if new else f'a/{path}'}\n", f"+++ b/{path}\n"]
    for group in groups:
        (_, i, _, k, _), (_, _, j, _, n) = group[0], group[-1]
        rows.append(f"@@ -{_counted(i, j)} +{_counted(k, n)} @@\n")
        for tag, i, j, k, n in group:
            if tag == "equal":
                rows += [f" {row}" for row in old[i:j]]
                continue
            rows += [f"-{row}" for row in old[i:j]]
            rows += [f"+{row}" for row in fresh[k:n]]
    return "".join(
        row if row.endswith(("\n", "\r")) else f"{row}\n\\ No newline at end of file\n"
        for row in rows
    )


def _groups(old: list[str], new: list[str]) -> Iterator[list[tuple[str, int, int, int, int]]]:
    """What differs, as `difflib` groups it with lines around it. Only lines between the first and
    the last difference are compared, and a few around them; many of those are one difference."""
    if old == new:
        return
    first, last = _same_ends(old, new)
    many = len(old) + len(new) - 2 * (first + last) > MOST_LINES
    around = CONTEXT_LINES if many else ALIKE_LINES
    start, rest = max(first - around, 0), max(last - around, 0)
    a, b = old[start : len(old) - rest], new[start : len(new) - rest]
    if many:
        head, i, k = first - start, len(a) - (last - rest), len(b) - (last - rest)
        changed = ("replace", head, i, head, k)
        groups = [[("equal", 0, head, 0, head), changed, ("equal", i, len(a), k, len(b))]]
    else:
        matcher = difflib.SequenceMatcher(None, a, b, autojunk=False)
        groups = matcher.get_grouped_opcodes(CONTEXT_LINES)
    for group in groups:
        yield [(tag, i + start, j + start, k + start, n + start) for tag, i, j, k, n in group]


def _counted(first: int, last: int) -> str:
    """The rows `first:last` as a diff's head names them."""
    if last - first == 1:
        return f"{first + 1}"
    return f"{first + (last > first)},{last - first}"


def _same_ends(old: list[str], new: list[str]) -> tuple[int, int]:
    """How many first and last lines are the same."""
    most = min(len(old), len(new))
    first = next((i for i in range(most) if old[i] != new[i]), most)
    rest = most - first
    last = next((i for i in range(rest) if old[-1 - i] != new[-1 - i]), rest)
    return first, last


def _within(start: int, line: str, other: str) -> Edit:
    """The edit from one line to another. Line ends are never cut."""
    content, fresh = line.rstrip("\r\n"), other.rstrip("\r\n")
    if line[len(content) :] != other[len(fresh) :]:
        return Edit(Span(start, start + len(line)), other)
    span, length = changed_span(content, fresh)
    text = fresh[span.start : span.start + length]
    return Edit(Span(start + span.start, start + span.end), text)


def _joined(edits: list[Edit]) -> list[Edit]:
    """`edits` without empty ones; those that touch become one."""
    kept: list[Edit] = []
    for edit in edits:
        if edit.span.start == edit.span.end and not edit.text:
            continue
        if kept and kept[-1].span.end == edit.span.start:
            last = kept.pop()
            kept.append(Edit(Span(last.span.start, edit.span.end), last.text + edit.text))
        else:
            kept.append(edit)
    return kept


def _whole_lines(text: str, span: Span) -> Span:
    """The lines that `span` touches; an empty span between two lines stays empty."""
    start = _line_start(text, span.start)
    if start == span.start and (span.end == span.start or _line_start(text, span.end) == span.end):
        return span
    end = next((m.end() for m in re.finditer(r"\r\n|\r|\n", text[span.end :])), None)
    return Span(start, len(text) if end is None else span.end + end)


def _line_start(text: str, offset: int) -> int:
    return max(text.rfind("\n", 0, offset), text.rfind("\r", 0, offset)) + 1


def _meet(one: Span, other: Span) -> bool:
    """Return whether two spans have a character in common, or are the same empty place."""
    return one == other or (one.start < other.end and other.start < one.end)
