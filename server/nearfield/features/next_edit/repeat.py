"""Does to other lines what the user did to two.

This needs no model, and no tree to find the places; an offer must not break the document's tree.
Two changes that one rule explains are taken for the beginning of a series, unless the user has
skipped a line that the rule matches.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nearfield.features.next_edit.calls import is_known
from nearfield.features.next_edit.derive import LineChange, rewrite_of
from nearfield.features.next_edit.edit_history import EditGroup, EditTarget
from nearfield.features.next_edit.no_change import changes_nothing
from nearfield.features.next_edit.rewrite import Rewrite
from nearfield.features.next_edit.uses import named
from nearfield.syntax.differences import changed_span
from nearfield.syntax.parser import Parsed
from nearfield.syntax.scopes import binds, function_at, is_member, scope_of
from nearfield.types import Edit, Span

__all__ = [
    "ChangedLine",
    "changed_lines",
    "is_no_worse",
    "least",
    "line_span",
    "repeated",
    "rule_of",
    "single_changes",
    "sites_of",
]

MAX_SITES = 40
"""Maximum number of places of one series; with more a user replaces by a pattern."""
MAX_AGE_SECONDS = 600.0
"""An older change begins no series with a new one."""
_WORDS = re.compile(r"\w+|\s+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class ChangedLine:
    """A line that the user has changed, and its current row, from 0."""

    row: int
    indent: str
    change: LineChange
    at: float


def line_span(text: str, offset: int) -> Span:
    """Return the line around `offset`, without its end."""
    end = text.find("\n", offset)
    return Span(text.rfind("\n", 0, offset) + 1, len(text) if end < 0 else end)


def changed_lines(text: str, bursts: Sequence[EditGroup]) -> list[ChangedLine]:
    """Return the lines of `text` that `bursts` have changed and that were not empty before, the
    last one last; a line that was changed at several places once."""
    found: dict[int, ChangedLine] = {}
    for burst in bursts:
        now = line_span(text, burst.now.start)
        row = text.count("\n", 0, now.start)
        was = line_span(burst.before, burst.was.start)
        first = found.pop(row, None)
        old = first.change.old if first is not None else burst.before[was.start : was.end].strip()
        line = text[now.start : now.end]
        indent = line[: len(line) - len(line.lstrip())]
        found[row] = ChangedLine(row, indent, LineChange(old, line.strip()), burst.at)
    return [
        one
        for one in found.values()
        if one.change.old and one.change.new and one.change.old != one.change.new
    ]


def single_changes(text: str, bursts: Sequence[EditGroup]) -> list[ChangedLine]:
    """Return what each of `bursts` alone has made of its line, with the rows of `text`."""
    found: list[ChangedLine] = []
    for burst in bursts:
        was = line_span(burst.before, burst.was.start)
        old = burst.before[was.start : was.end]
        put = text[burst.now.start : burst.now.end]
        new = (
            burst.before[was.start : burst.was.start] + put + burst.before[burst.was.end : was.end]
        )
        row = text.count("\n", 0, burst.now.start)
        if old.strip() and new.strip() and old != new and "\n" not in put:
            found.append(ChangedLine(row, "", LineChange(old.strip(), new.strip()), burst.at))
    return found


def rule_of(changes: Sequence[ChangedLine]) -> tuple[Rewrite, ChangedLine, ChangedLine] | None:
    """Return the rule behind the last change and one before it, and these two."""
    if not changes:
        return None
    last = changes[-1]
    for one in reversed(changes[:-1]):
        if last.at - one.at > MAX_AGE_SECONDS:
            break
        rule = rewrite_of(one.change, last.change)
        if rule is not None:
            return rule, one, last
    return None


def sites_of(
    now: Parsed, rule: Rewrite, first: ChangedLine, last: ChangedLine, new_id: Callable[[], str]
) -> list[EditTarget]:
    """Return the other places that the rule matches; none where the user has skipped one. `new_id`
    gives each an identifier."""
    lines = now.text.split("\n")
    done = (first.row, last.row)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    rows = [
        row
        for row in (
            range(len(lines))
            if rule.certain
            else _list_around(now, lines, starts, rule, first, last)
        )
        if row not in done and rule.matches(lines[row])
    ]
    passed = range(min(done) + 1, max(done))
    if any(row in passed for row in rows):
        return []
    if not rule.certain and any((row < first.row) is (first.row < last.row) for row in rows):
        return []  # the list begins before the first line that was changed
    variables = _variables(now, rule, line_span(now.text, starts[last.row]))
    found: list[EditTarget] = []
    for row in rows:
        for match in rule.matches(lines[row]):
            span = Span(starts[row] + match.span.start, starts[row] + match.span.end)
            if _is_code(now, rule, span) and _has(now, variables, span):
                found.append(EditTarget(new_id(), span))
    return found if len(found) <= MAX_SITES else []


def repeated(text: str, rule: Rewrite, site: EditTarget) -> Edit | None:
    """Return the edit of `site`; None where the rule no longer fits."""
    line = line_span(text, site.span.start)
    if not site.open or site.span.end > line.end:
        return None
    for match in rule.matches(text[line.start : line.end]):
        at = line.start + match.span.start
        if Span(at, line.start + match.span.end) == site.span:
            return least(at, text[at : site.span.end], match.new)
    return None


def least(at: int, old: str, new: str) -> Edit:
    """Return the smallest edit in whole words that makes `new` of `old`, which is at `at`."""
    one, two = _WORDS.findall(old), _WORDS.findall(new)
    gone, put = changed_span(one, two)
    start = at + len("".join(one[: gone.start]))
    end = at + len(old) - len("".join(one[gone.end :]))
    return Edit(Span(start, end), "".join(two[gone.start : gone.start + put]))


def is_no_worse(now: Parsed, edit: Edit) -> bool:
    """Return whether `edit` changes something, and the text has no more errors with it."""
    if changes_nothing(now, edit):
        return False
    after = now.edited(edit)
    return after is not None and after.all_errors <= now.all_errors


def _list_around(
    now: Parsed,
    lines: Sequence[str],
    starts: Sequence[int],
    rule: Rewrite,
    first: ChangedLine,
    last: ChangedLine,
) -> list[int]:
    """Return the rows of the list that both lines are in: siblings in the tree, or adjacent lines,
    that the rule matches, and these two. Empty where they are not neighbours in it. `starts` are
    the offsets of `lines`."""
    if first.indent != last.indent:
        return []

    def is_in(row: int) -> bool:
        if row in (first.row, last.row):
            return True
        line = lines[row] if 0 <= row < len(lines) else ""
        same = line[: len(line) - len(line.lstrip())] == last.indent
        return same and bool(rule.matches(line.strip()))

    found = [last.row]
    for forward in (False, True):
        row = last.row
        while len(found) <= MAX_SITES:
            beside = row + (1 if forward else -1)
            step = beside
            if not is_in(beside):
                indent = len(lines[row]) - len(lines[row].lstrip())
                step = _sibling(now, row, starts[row] + indent, forward)
            if step is None or not is_in(step):
                break
            row = step
            found.append(row)
    return sorted(found) if first.row in found else []


def _sibling(now: Parsed, row: int, start: int, forward: bool) -> int | None:
    """Return the row of the node after, or before, the one that begins at `start` in `row`."""
    for node in now.path_to(start):
        if node.start_point[0] != row:
            continue
        other = node.next_named_sibling if forward else node.prev_named_sibling
        return other.start_point[0] if other is not None else None
    return None


def _variables(now: Parsed, rule: Rewrite, line: Span) -> list[str]:
    """Return the variables of one function that the rule puts into the code of `line`, where that
    is no assignment to them; mostly they come out of another expression."""
    fresh = {one for one in rule.new if isinstance(one, str) and one.isidentifier()} - set(rule.old)
    found: list[str] = []
    for name in fresh:
        uses = [node for node in named(now, name, line) if node.type == "identifier"]
        scopes = [scope_of(now, node) for node in uses if not is_member(node)]
        if scopes and all(
            scope is not None and not any(node in scope.bindings for node in uses)
            for scope in scopes
        ):
            found.append(name)
    return found


def _has(now: Parsed, variables: Sequence[str], span: Span) -> bool:
    """Return whether all of these have a value at `span`, and are not just given one there."""
    path = now.path_to(span.start)
    if not path:
        return False
    line = line_span(now.text, span.start)
    for name in variables:
        function = function_at(now, path[-1])
        given = (binds(one, function) for one in named(now, name, line)) if function else ()
        if not is_known(now, path[-1], name) or any(given):
            return False
    return True


def _is_code(now: Parsed, rule: Rewrite, span: Span) -> bool:
    """Return whether no comment is at `span`, and no string unless the rule is for strings; a
    string of several lines is a text."""
    for node in now.path_to(span.start):
        if node.type in now.language.comments:
            return False
        within = now.span(node)
        if "string" in node.type and within.start < span.start and span.end < within.end:
            long = node.start_point[0] != node.end_point[0]
            if long or not rule.in_strings:
                return False
    return True
