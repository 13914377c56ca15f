"""What goes on from several changes, or from one of several records: groups of sites that depend on
no single name, and what each site has to become.

Asked only where the tree has nothing certain to say (work.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nearfield.features.next_edit.counterparts import (
    Added,
    added_line,
    added_to,
    counterparts,
)
from nearfield.features.next_edit.edit_history import EditGroup, EditTarget, Followed, Group
from nearfield.features.next_edit.likely import Guessed, Place
from nearfield.features.next_edit.records import renamed_key, same_keys
from nearfield.features.next_edit.repeat import (
    Changed,
    changed_lines,
    is_no_worse,
    least,
    repeated,
    rule_of,
    single_changes,
    sites_of,
)
from nearfield.features.next_edit.rewrite import Rewrite
from nearfield.syntax.parser import Parsed
from nearfield.types import Edit

__all__ = [
    "changes_of",
    "edits_of_series",
    "find_series",
    "goes_further",
    "may_go_on",
    "take_guess",
]

CHECKED = 12
"""Sites whose edits are parsed at a question; the others come up once these are done."""


@dataclass(frozen=True, slots=True)
class Keyed:
    """A key of records became another one."""

    old: str
    new: str


def changes_of(followed: Followed) -> list[Changed]:
    """The changed lines, without those that have led to other changes."""
    return changed_lines(followed.text, _alone(followed))


def _alone(followed: Followed) -> list[EditGroup]:
    return [burst for burst in followed.bursts if not burst.is_partly_done]


def _rule(
    followed: Followed, changes: Sequence[Changed]
) -> tuple[Rewrite, Changed, Changed] | None:
    """The rule behind the last changes: those of whole lines, else those of single places."""
    found = rule_of(changes)
    if found is None:
        found = rule_of(single_changes(followed.text, _alone(followed)))
        return found if found is not None and found[0].certain else None
    return found


def may_go_on(followed: Followed) -> bool:
    """Return whether there can be a series, by a look at the text alone."""
    if changes_of(followed):
        return True
    return bool(followed.bursts) and added_line(followed.text, followed.bursts[-1]) is not None


def find_series(now: Parsed, followed: Followed, named: Callable[[], str]) -> None:
    """See to it that `followed.series` is what the changes of now lead to. What was found before
    stays, with what of it was done or dismissed."""
    causes: list[object] = []
    fresh: list[Group] = []
    changes = changes_of(followed)
    found = _rule(followed, changes)
    if found is not None:
        rule, first, last = found
        causes.append(rule)
        if not _has(followed, rule):
            fresh.append(Group(rule, sites_of(now, rule, first, last, named)))
    last_burst = followed.bursts[-1] if followed.bursts else None
    if found is None and last_burst is not None and not last_burst.is_partly_done:
        keys = renamed_key(now, last_burst)
        if keys is not None:
            cause = Keyed(*keys)
            causes.append(cause)
            if not _has(followed, cause):
                spans = same_keys(now, last_burst, *keys)
                fresh.append(Group(cause, [EditTarget(named(), span) for span in spans]))
    added = added_line(now.text, last_burst) if last_burst is not None else None
    if added is not None and last_burst is not None:
        causes.append(added)
        if not _has(followed, added):
            spans = counterparts(now.text, last_burst, added)
            fresh.append(Group(added, [EditTarget(named(), span) for span in spans]))
    after = changes[-1].change if changes else None
    followed.series = [
        one
        for one in followed.series
        if one.cause in causes or (isinstance(one.cause, Guessed) and one.cause.after == after)
    ] + fresh


def take_guess(
    now: Parsed, followed: Followed, place: Place, new: str, named: Callable[[], str]
) -> None:
    """A model says that the line at `place` has to become `new`, "" for nothing; it is not asked
    about that again."""
    good = bool(new) and is_no_worse(now, least(place.span.start, place.old, new))
    sites = [EditTarget(named(), place.span)] if good else []
    followed.series.append(Group(Guessed(place.after, place.old, new if good else ""), sites))


def goes_further(followed: Followed) -> bool:
    """Return whether there is a rule that changes more than a name."""
    rules = [group.cause for group in followed.series if isinstance(group.cause, Rewrite)]
    return any(len(rule.new) > 1 and not rule.is_renaming for rule in rules)


def edits_of_series(now: Parsed, followed: Followed) -> list[tuple[str, EditTarget, Edit]]:
    """What the open sites have to become in the text of `now`, and who says so; none that adds an
    error to it."""
    found: list[tuple[str, EditTarget, Edit]] = []
    for group in followed.series:
        by = "model" if isinstance(group.cause, Guessed) else "series"
        for site in group.sites:
            edit = _edit(now, group.cause, site)
            if edit is not None and is_no_worse(now, edit):
                found.append((by, site, edit))
            if len(found) >= CHECKED:
                return found
    return found


def _edit(now: Parsed, cause: object, site: EditTarget) -> Edit | None:
    if isinstance(cause, Rewrite):
        return repeated(now.text, cause, site)
    if isinstance(cause, Keyed) and site.open:
        here = now.text[site.span.start : site.span.end]
        return Edit(site.span, cause.new) if here == cause.old else None
    if isinstance(cause, Added) and site.open:
        return added_to(now.text, cause, site.span)
    if isinstance(cause, Guessed) and site.open:
        here = now.text[site.span.start : site.span.end]
        return least(site.span.start, cause.old, cause.new) if here == cause.old else None
    return None


def _has(followed: Followed, cause: object) -> bool:
    return any(group.cause == cause for group in followed.series)
