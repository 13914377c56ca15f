"""A line that was added to one of two lists that run in parallel: the other one lacks it.

    RED = 1                    Color.RED: "red",
    GREEN = 2                  Color.GREEN: "green",
    BLUE = 3       <- added                             <- Color.BLUE: "blue",

The last two lines before the new one name two things, and somewhere else the second line is the
first one with the other name in it: then the third follows. What it cannot know (a number of its
own, another text) it does not offer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from nearfield.features.next_edit.edit_history import EditGroup
from nearfield.features.next_edit.repeat import line_span
from nearfield.features.next_edit.tokens import Kind, tokens_of
from nearfield.types import Edit, Span

__all__ = ["Added", "added_line", "added_to", "counterparts"]

LEAST_WORD = 2
"""A shorter name is in too many lines."""
MOST = 10
"""Other lists; more is a coincidence of a common word."""


@dataclass(frozen=True, slots=True)
class Added:
    """The names of the line that was added, of the one before, and of the one before that."""

    first: str
    second: str
    third: str


def added_line(text: str, burst: EditGroup) -> Added | None:
    """What `burst` has added to a list; None where it is no new line of one."""
    was = line_span(burst.before, burst.was.start)
    if burst.before[was.start : was.end].strip():
        return None
    spans = [line_span(text, burst.now.start)]
    while len(spans) < 3 and spans[0].start:
        spans.insert(0, line_span(text, spans[0].start - 1))
    if len(spans) < 3:
        return None
    rows = [text[span.start : span.end] for span in spans]
    indents = {row[: len(row) - len(row.lstrip())] for row in rows}
    tokens = [tokens_of(row) for row in rows]
    kinds = {tuple(token.kind for token in row) for row in tokens}
    if len(indents) != 1 or len(kinds) != 1:
        return None
    for one, two, three in zip(*tokens, strict=True):
        names = {one.text, two.text, three.text}
        if one.kind is Kind.WORD and len(names) > 1:
            good = len(names) == 3 and min(map(len, names)) >= LEAST_WORD
            return Added(one.text, two.text, three.text) if good else None
    return None


def counterparts(text: str, burst: EditGroup, added: Added) -> list[Span]:
    """The lines of other lists behind which one for the third name is missing."""
    lines = text.split("\n")
    own = text.count("\n", 0, burst.now.start)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    found: list[Span] = []
    for row in range(1, len(lines)):
        if abs(row - own) <= 2 or not _is_second(lines[row - 1], lines[row], added):
            continue
        if all(line.strip() != _next(lines[row], added).strip() for line in lines):
            found.append(Span(starts[row], starts[row] + len(lines[row])))
    return found if len(found) <= MOST else []


def added_to(text: str, added: Added, span: Span) -> Edit | None:
    """What has to be put behind the line at `span`; None where that is no longer so."""
    line = text[span.start : span.end]
    above = line_span(text, max(span.start - 1, 0))
    if not _is_second(text[above.start : above.end], line, added):
        return None
    new = _next(line, added)
    below = line_span(text, min(span.end + 1, len(text)))
    if _named(text[below.start : below.end], added.third) or new.strip() in text:
        return None
    return Edit(Span(span.end, span.end), "\n" + new)


def _is_second(above: str, line: str, added: Added) -> bool:
    """Return whether `line` is `above` with the second name in the place of the first."""
    if not _named(above, added.first) or not _named(line, added.second):
        return False
    return _plain(_with(above, added.first, added.second)) == _plain(line)


def _next(line: str, added: Added) -> str:
    return _with(line, added.second, added.third)


def _with(line: str, old: str, new: str) -> str:
    """`line` with one name in the place of the other, be it written in capitals or not."""
    forms = {old: new, old.lower(): new.lower(), old.upper(): new.upper()}
    forms.setdefault(old[0].upper() + old[1:], new[0].upper() + new[1:])
    forms.setdefault(old[0].lower() + old[1:], new[0].lower() + new[1:])
    forms[old] = new
    pattern = "|".join(re.escape(form) for form in forms)
    return re.sub(rf"(?<![^\W_])(?:{pattern})(?![^\W_])", lambda match: forms[match[0]], line)


def _named(line: str, name: str) -> bool:
    return name.lower() in line.lower()


def _plain(line: str) -> str:
    return "".join(line.split())
