"""Decides whether a name that was changed at one place was renamed.

Otherwise the user refers to something else there. The text is the same in both cases; what tells is
what the language says of the place. Each rule takes offers away, none adds one. If the user
replaced a single reference, further suggestions are noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from nearfield.features.next_edit.edit_history import EditGroup, EditTarget, word_around
from nearfield.features.next_edit.uses import Uses, is_taken, places_of
from nearfield.syntax.parser import Parsed
from nearfield.types import Span

__all__ = ["Renamed", "is_renaming"]


@dataclass(frozen=True)
class Renamed:
    """The burst changed a name; `before` is the tree in which it was looked up."""

    before: Parsed
    uses: Uses

    @cached_property
    def places(self) -> set[Span]:
        """Return the places of the name. Looked up once: it takes tens of milliseconds in a large
        file."""
        return places_of(self.before, self.uses, self.uses.within)


def is_renaming(cause: Renamed, now: Parsed, burst: EditGroup, sites: Sequence[EditTarget]) -> bool:
    """Return whether `burst` has renamed what was at its place; `sites` are the other places."""
    before, uses = cause.before, cause.uses
    here = word_around(now.text, burst.now)
    new = now.text[here.start : here.end]
    if is_taken(before, uses, new):
        return False
    if not uses.bound and not uses.local and not _is_meant(uses.name, new, now, sites):
        return False
    return not _lives_on(cause, now, burst, sites)


def _is_meant(old: str, new: str, now: Parsed, sites: Sequence[EditTarget]) -> bool:
    """Return whether a use tells of its definition, which still has the old name: one that is only
    spelled otherwise (`_found`, `found`), or two that were changed alike. One use of a function or
    a member that becomes another is mostly a call of something else."""
    if _spelling(old) == _spelling(new):
        return True
    done = (word_around(now.text, one.span) for one in sites if not one.open)
    return any(now.text[one.start : one.end] == new for one in done)


def _lives_on(cause: Renamed, now: Parsed, burst: EditGroup, sites: Sequence[EditTarget]) -> bool:
    """Return whether the user has written the old name again since: then it keeps its meaning."""
    uses = cause.uses
    others = cause.places - {*uses.others, word_around(burst.before, burst.was)}
    start, end = (burst.mapped(Span(at, at)) for at in (uses.within.start, uses.within.end))
    within = Span(
        start.start if start is not None else 0, end.start if end is not None else len(now.text)
    )
    found = places_of(now, uses, within) - {word_around(now.text, site.span) for site in sites}
    return len(found) > len(others)


def _spelling(name: str) -> str:
    return name.replace("_", "").lower()
