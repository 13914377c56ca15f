"""What the user did to two lines, done to others that are as those were.

Needs no model, and no tree to find the places; what is offered must not break the document's tree.
Two changes that one rule explains are taken for the beginning of a series, unless the user has
passed a line over for which the rule would have been.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nearfield.features.next_edit.calls import is_known
from nearfield.features.next_edit.derive import Change, rewrite_of
from nearfield.features.next_edit.edit_history import EditGroup, EditTarget
from nearfield.features.next_edit.rewrite import Rewrite
from nearfield.features.next_edit.uses import named
from nearfield.syntax.differences import changed_span
from nearfield.syntax.parser import Parsed
from nearfield.syntax.scopes import binds, function_at, is_member, scope_of
from nearfield.types import Edit, Span

__all__ = [
    "Changed",
    "changed_lines",
    "is_no_worse",
    "least",
    "line_span",
    "repeated",
    "rule_of",
    "single_changes",
    "sites_of",
]

MOST_SITES = 40
"""Places of one series; who has more of them replaces by a pattern."""
AGE_SECONDS = 600.0
"""What was changed ten minutes before is another story."""
_WORDS = re.compile(r"\w+|\s+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Changed:
    """A line that the user has changed, and which it is now, from 0."""

    row: int
    indent: str
    change: Change
    at: float


def line_span(text: str, offset: int) -> Span:
    """The line around `offset`, without its end."""
    end = text.find("\n", offset)
    return Span(text.rfind("\n", 0, offset) + 1, len(text) if end < 0 else end)


def changed_lines(text: str, bursts: Sequence[EditGroup]) -> list[Changed]:
    """The lines of `text` that `bursts` have changed and that were not empty before, the last one
    last; of a line that was changed at several places what all of them made of it."""
    found: dict[int, Changed] = {}
    for burst in bursts:
        now = line_span(text, burst.now.start)
        row = text.count("\n", 0, now.start)
        was = line_span(burst.before, burst.was.start)
        first = found.pop(row, None)
        old = first.change.old if first is not None else burst.before[was.start : was.end].strip()
        line = text[now.start : now.end]
        indent = line[: len(line) - len(line.lstrip())]
        found[row] = Changed(row, indent, Change(old, line.strip()), burst.at)
    return [
        one
        for one in found.values()
        if one.change.old and one.change.new and one.change.old != one.change.new
    ]


def single_changes(text: str, bursts: Sequence[EditGroup]) -> list[Changed]:
    """What each of `bursts` alone has made of its line, with the rows of `text`."""
    found: list[Changed] = []
    for burst in bursts:
        was = line_span(burst.before, burst.was.start)
        old = burst.before[was.start : was.end]
        put = text[burst.now.start : burst.now.end]
        new = (
            burst.before[was.start : burst.was.start] + put + burst.before[burst.was.end : was.end]
        )
        row = text.count("\n", 0, burst.now.start)
        if old.strip() and new.strip() and old != new and "\n" not in put:
            found.append(Changed(row, "", Change(old.strip(), new.strip()), burst.at))
    return found


def rule_of(changes: Sequence[Changed]) -> tuple[Rewrite, Changed, Changed] | None:
    """The rule behind the last change and one before it, and these two."""
    if not changes:
        return None
    last = changes[-1]
    for one in reversed(changes[:-1]):
        if last.at - one.at > AGE_SECONDS:
            break
        rule = rewrite_of(one.change, last.change)
        if rule is not None:
            return rule, one, last
    return None


def sites_of(
    now: Parsed, rule: Rewrite, first: Changed, last: Changed, new_id: Callable[[], str]
) -> list[EditTarget]:
    """Where else in the text the rule is to be followed; nowhere where the user has passed a place
    over. `new_id` gives each an id."""
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
    return found if len(found) <= MOST_SITES else []


def repeated(text: str, rule: Rewrite, site: EditTarget) -> Edit | None:
    """What `site` has to become now; None where the rule no longer fits."""
    line = line_span(text, site.span.start)
    if not site.open or site.span.end > line.end:
        return None
    for match in rule.matches(text[line.start : line.end]):
        at = line.start + match.span.start
        if Span(at, line.start + match.span.end) == site.span:
            return least(at, text[at : site.span.end], match.new)
    return None


def least(at: int, old: str, new: str) -> Edit:
    """What makes `new` of `old`, which is at `at`, in whole words."""
    one, two = _WORDS.findall(old), _WORDS.findall(new)
    gone, put = changed_span(one, two)
    start = at + len("".join(one[: gone.start]))
    end = at + len(old) - len("".join(one[gone.end :]))
    return Edit(Span(start, end), "".join(two[gone.start : gone.start + put]))


def is_no_worse(now: Parsed, edit: Edit) -> bool:
    """Return whether the text has no more errors with `edit` than without."""
    after = now.edited(edit)
    return after is not None and after.all_errors <= now.all_errors


def _list_around(
    now: Parsed,
    lines: Sequence[str],
    starts: Sequence[int],
    rule: Rewrite,
    first: Changed,
    last: Changed,
) -> list[int]:
    """The rows of the list that both lines are in: of what follows one another in the tree, or line
    by line, that which the rule is for, and these two. None where they are not neighbours in it.
    `starts` says where each of `lines` begins."""
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
        while len(found) <= MOST_SITES:
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
    """The row of what follows, or precedes, what begins at `start` in `row`."""
    for node in now.path_to(start):
        if node.start_point[0] != row:
            continue
        other = node.next_named_sibling if forward else node.prev_named_sibling
        return other.start_point[0] if other is not None else None
    return None


def _variables(now: Parsed, rule: Rewrite, line: Span) -> list[str]:
    """The variables of one function that the rule puts into the code of `line`, where they are not
    given a value: what it took out of another expression, mostly."""
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
    """Whether there is no comment at `span`, and no string around it unless the rule is of such;
    one of several lines is a text."""
    for node in now.path_to(span.start):
        if node.type in now.language.comments:
            return False
        within = now.span(node)
        if "string" in node.type and within.start < span.start and span.end < within.end:
            long = node.start_point[0] != node.end_point[0]
            if long or not rule.in_strings:
                return False
    return True
