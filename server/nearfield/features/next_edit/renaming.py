"""Whether a name that was changed at one place was renamed, or something else is meant there now.

The text is the same in both cases; what tells is what the language says of the place. Each rule
here takes offers away, none adds one: who has put another thing in one place is done, and every
other place that is offered is noise.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import tree_sitter

from nearfield.features.next_edit.edit_history import EditGroup, EditTarget, word_around
from nearfield.features.next_edit.uses import Uses, is_taken, places_of
from nearfield.syntax.parser import Parsed
from nearfield.syntax.scopes import text_of
from nearfield.types import Span

__all__ = ["Renamed", "is_renaming"]

_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
"""What a name is put together of: `_line_start`, `lineStart` and `LINE_START` are the same two."""
_LEAST_BEGINNING = 3
"""Letters; two names begin with the same two by chance."""
_TYPED_WITHIN = 3
"""So many nodes above a name its type is written at most: `x` of `x = 1`, of `x: int`."""


@dataclass(frozen=True)
class Renamed:
    """The burst changed a name; `before` is the tree in which it was looked up."""

    before: Parsed
    uses: Uses

    @cached_property
    def places(self) -> set[Span]:
        """Where the name was: looked up once, which takes tens of milliseconds in a large file."""
        return places_of(self.before, self.uses, self.uses.within)


def is_renaming(cause: Renamed, now: Parsed, burst: EditGroup, sites: Sequence[EditTarget]) -> bool:
    """Whether `burst` has renamed what was at its place before; `sites` are the others' places
    now."""
    before, uses = cause.before, cause.uses
    here = word_around(now.text, burst.now)
    new = now.text[here.start : here.end]
    if is_taken(before, uses, new):
        return False
    if uses.imported and not _is_akin(uses.name, new):
        # What is imported has its name elsewhere; who takes another thing uses it otherwise.
        return False
    if not uses.bound and not uses.local and not _is_meant(uses.name, new, now, sites):
        return False
    old = word_around(burst.before, burst.was)
    if uses.bound and _is_other_type(_type_at(before, old), _type_at(now, here)):
        return False
    return not _lives_on(cause, now, burst, sites)


def _is_meant(old: str, new: str, now: Parsed, sites: Sequence[EditTarget]) -> bool:
    """Whether a use tells of its definition, which still has the old name: one that is only spelled
    otherwise (`_found`, `found`), or two that were changed alike. One use of a function or a member
    that becomes another is mostly a call of something else."""
    if _spelling(old) == _spelling(new):
        return True
    done = (word_around(now.text, one.span) for one in sites if not one.open)
    return any(now.text[one.start : one.end] == new for one in done)


def _lives_on(cause: Renamed, now: Parsed, burst: EditGroup, sites: Sequence[EditTarget]) -> bool:
    """Whether the user has written the old name anew since: then it goes on to mean something."""
    uses = cause.uses
    others = cause.places - {*uses.others, word_around(burst.before, burst.was)}
    start, end = (burst.mapped(Span(at, at)) for at in (uses.within.start, uses.within.end))
    within = Span(
        start.start if start is not None else 0, end.start if end is not None else len(now.text)
    )
    found = places_of(now, uses, within) - {word_around(now.text, site.span) for site in sites}
    return len(found) > len(others)


def _is_other_type(was: str, now: str) -> bool:
    """Whether what a name is declared to be is something else now: then it is another thing."""
    return bool(was and now) and was != now


def _type_at(parsed: Parsed, span: Span) -> str:
    """The type that is written beside the name at `span`, "" for none."""
    node: tree_sitter.Node | None = next(reversed(parsed.path_to(span.start)), None)
    for _ in range(_TYPED_WITHIN):
        node = node.parent if node is not None else None
        if node is None or node.type in parsed.language.functions:
            return ""
        kind = node.child_by_field_name("type")
        if kind is not None:
            return "".join(text_of(kind).split())
    return ""


def _is_akin(old: str, new: str) -> bool:
    """Whether both have a word in common, or one goes on where the other ends (`attr`, `attrs`)."""
    first, second = sorted((_spelling(old), _spelling(new)), key=len)
    longer = len(first) >= _LEAST_BEGINNING and second.startswith(first)
    return longer or bool(_words(old) & _words(new))


def _words(name: str) -> set[str]:
    return {one.lower() for one in _WORDS.findall(name)}


def _spelling(name: str) -> str:
    return name.replace("_", "").lower()
