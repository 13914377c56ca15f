"""Places that follow from several changes and depend on no single name, and what each becomes.

Used only where the tree has nothing certain to say (dependents.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nearfield.features.next_edit.edit_history import EditGroup, EditTarget, Followed, Group
from nearfield.features.next_edit.repeat import (
    ChangedLine,
    changed_lines,
    is_no_worse,
    repeated,
    rule_of,
    single_changes,
    sites_of,
)
from nearfield.features.next_edit.rewrite import Rewrite
from nearfield.syntax.parser import Parsed
from nearfield.types import Edit

__all__ = [
    "edits_of_series",
    "find_series",
    "goes_further",
    "may_go_on",
]

MAX_CHECKED_SITES = 12
"""Sites whose edits are parsed at a question; the others come up once these are done."""


def changes_of(followed: Followed) -> list[ChangedLine]:
    """Return the changed lines, without those that have led to other changes."""
    return changed_lines(followed.text, _alone(followed))


def _alone(followed: Followed) -> list[EditGroup]:
    return [burst for burst in followed.bursts if not burst.is_partly_done]


def _rule(
    followed: Followed, changes: Sequence[ChangedLine]
) -> tuple[Rewrite, ChangedLine, ChangedLine] | None:
    """Return the rule behind the last changes of whole lines, or of single places."""
    found = rule_of(changes)
    if found is None:
        found = rule_of(single_changes(followed.text, _alone(followed)))
        return found if found is not None and found[0].certain else None
    return found


def may_go_on(followed: Followed) -> bool:
    """Return whether there can be a series, by a look at the text alone."""
    return bool(changes_of(followed))


def find_series(now: Parsed, followed: Followed, named: Callable[[], str]) -> None:
    """Update `followed.series` to the series of the current changes. A series that was found before
    stays, with its accepted and dismissed places.
    """
    found = _rule(followed, changes_of(followed))
    if found is None:
        followed.series = []
        return
    rule, first, last = found
    followed.series = [one for one in followed.series if one.cause == rule] or [
        Group(rule, sites_of(now, rule, first, last, named))
    ]


def goes_further(followed: Followed) -> bool:
    """Return whether there is a rule that changes more than a name."""
    rules = [group.cause for group in followed.series if isinstance(group.cause, Rewrite)]
    return any(len(rule.new) > 1 and not rule.is_renaming for rule in rules)


def edits_of_series(now: Parsed, followed: Followed) -> list[tuple[str, EditTarget, Edit]]:
    """Return the edits of the open sites in the text of `now`, each with its source; none adds a
    syntax error."""
    found: list[tuple[str, EditTarget, Edit]] = []
    for group in followed.series:
        for site in group.sites:
            cause = group.cause
            edit = repeated(now.text, cause, site) if isinstance(cause, Rewrite) else None
            if edit is not None and is_no_worse(now, edit):
                found.append(("series", site, edit))
            if len(found) >= MAX_CHECKED_SITES:
                return found
    return found
