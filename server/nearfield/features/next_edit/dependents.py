"""The places that depend on a change, and the edits that they need: functions of texts and trees.

`dependents_of` finds the places in the text before a burst, once for each burst. `edits_of` says
what they become by what the burst reads now.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from nearfield.features.next_edit.annotations import (
    Annotation,
    annotation_at,
    is_narrower,
    same_annotations,
)
from nearfield.features.next_edit.calls import (
    Signature,
    brackets_at,
    call_at,
    calls_of,
    corrected,
    definition_of,
    signature_at,
    value_in,
)
from nearfield.features.next_edit.edit_history import (
    EditGroup,
    EditTarget,
    Group,
    is_word,
    word_around,
)
from nearfield.features.next_edit.imported import ExportedName, exported
from nearfield.features.next_edit.no_change import changes_nothing
from nearfield.features.next_edit.parameters import (
    CallArguments,
    Parameter,
    SignatureChange,
    arguments,
    changed,
    fits,
)
from nearfield.features.next_edit.renaming import Renamed, is_renaming
from nearfield.features.next_edit.repeat import is_no_worse, least
from nearfield.features.next_edit.uses import is_variable, named, uses_of
from nearfield.syntax.differences import changed_span
from nearfield.syntax.parser import Parsed
from nearfield.syntax.rust import captures
from nearfield.syntax.scopes import text_of
from nearfield.types import Edit, Span

__all__ = [
    "Dependents",
    "Renamed",
    "Retyped",
    "Signed",
    "dependents_of",
    "edits_of",
    "foreign_edits",
    "may_matter",
    "names_of",
    "renames",
]

MAX_LOOKBACK_CHARS = 2000
"""A list of parameters opens at most this many characters before a place in it."""


@dataclass(frozen=True, slots=True)
class Signed:
    """The burst changed the parameters of a function."""

    signature: Signature


@dataclass(frozen=True, slots=True)
class Retyped:
    """The burst changed the type of a parameter."""

    annotation: Annotation


@dataclass(frozen=True, slots=True)
class Dependents:
    """Spans, of the text before a burst, that depend on it. `exported` is what other files can
    use, None for nothing."""

    cause: Renamed | Signed | Retyped
    spans: tuple[Span, ...]
    exported: ExportedName | None = None


def may_matter(before: str, was: Span) -> bool:
    """Return whether a burst at `was` can have changed a name or a parameter list. It looks at the
    text alone: most typing has changed neither, and then nothing is parsed."""
    word = word_around(before, was)
    if word.start < word.end and is_word(before[word.start : word.end]):
        return True
    depth = 0
    for char in reversed(before[max(0, was.start - MAX_LOOKBACK_CHARS) : was.start]):
        if char in ")]}":
            depth += 1
        elif char in "([{":
            if depth == 0:
                return char == "("
            depth -= 1
    return False


def dependents_of(before: Parsed, was: Span) -> list[Dependents]:
    """Return what depends on the text at `was`, by the tree before it was changed."""
    found: list[Dependents] = []
    word = word_around(before.text, was)
    if word.start < word.end and is_word(before.text[word.start : word.end]):
        uses = uses_of(before, word)
        outward = exported(before, uses) if uses is not None else None
        if uses is not None and (uses.others or outward is not None):
            found.append(Dependents(Renamed(before, uses), uses.others, outward))
    signature = signature_at(before, was)
    if signature is not None:
        calls, outward = calls_of(before, signature), definition_of(before, signature)
        if calls or outward is not None:
            found.append(Dependents(Signed(signature), tuple(calls), outward))
    annotation = annotation_at(before, was)
    if annotation is not None and (places := same_annotations(before, was)):
        found.append(Dependents(Retyped(annotation), tuple(places)))
    return found


def names_of(text: str, burst: EditGroup, group: Group) -> tuple[str, str] | None:
    """Return the old and the new name where `burst` is a renaming; `text` is the current text."""
    if not isinstance(group.cause, Renamed):
        return None
    word = word_around(text, burst.now)
    return group.cause.uses.name, text[word.start : word.end]


def renames(bursts: Iterable[EditGroup], edit_id: str) -> bool:
    """Return whether an offer is the new name at another place of what one of `bursts` renamed."""
    for burst in bursts:
        for group in burst.groups or ():
            if isinstance(group.cause, Renamed):
                files = [file.sites for file in group.others or ()]
                if any(site.id == edit_id for sites in (group.sites, *files) for site in sites):
                    return True
    return False


def edits_of(now: Parsed, burst: EditGroup, group: Group) -> list[tuple[EditTarget, Edit]]:
    """Return the edits of the open sites of `group` in the text of `now`."""
    if isinstance(group.cause, Renamed):
        return _renamed(now, burst, group.cause, group.sites)
    if isinstance(group.cause, Signed):
        return _corrected(now, burst, group, now, group.sites)
    if isinstance(group.cause, Retyped):
        return _retyped(now, burst, group.cause.annotation, group.sites)
    return []


def foreign_edits(
    now: Parsed, burst: EditGroup, group: Group, other: Parsed, sites: Sequence[EditTarget]
) -> list[tuple[EditTarget, Edit]]:
    """Return the edits of the open `sites` of another file, whose tree is `other`, that follow from
    `burst` in the text of `now`."""
    if isinstance(group.cause, Renamed):
        new = _new_name(now, burst, group.cause, group.sites)
        taken = (
            one
            for one in named(other, new, Span(0, len(other.text)))
            if is_variable(one) and not _is_done(sites, other.span(one))
        )
        is_member = bool(group.cause.uses.owner) or group.cause.uses.local
        if not new or (not is_member and any(True for _ in taken)):
            return []
        return _replaced(other, group.cause.uses.name, new, sites)
    if isinstance(group.cause, Signed):
        return _corrected(now, burst, group, other, sites)
    return []


def _is_done(sites: Sequence[EditTarget], span: Span) -> bool:
    """Return whether the name at `span` is one that the user has put at one of `sites`."""
    return any(
        not one.open and one.span.start < span.end and span.start < one.span.end for one in sites
    )


def _renamed(
    now: Parsed, burst: EditGroup, cause: Renamed, sites: Sequence[EditTarget]
) -> list[tuple[EditTarget, Edit]]:
    new = _new_name(now, burst, cause, sites)
    return _replaced(now, cause.uses.name, new, sites) if new else []


def _retyped(
    now: Parsed, burst: EditGroup, before: Annotation, sites: Sequence[EditTarget]
) -> list[tuple[EditTarget, Edit]]:
    after = annotation_at(now, burst.now)
    if after is None or replace(after, text=before.text) != before or after == before:
        return []
    if is_narrower(before.text, after.text):
        return []
    edits = (
        (site, least(site.span.start, before.text, after.text))
        for site in sites
        if site.open and now.text[site.span.start : site.span.end] == before.text
    )
    return [(site, edit) for site, edit in edits if is_no_worse(now, edit)]


def _new_name(now: Parsed, burst: EditGroup, cause: Renamed, sites: Sequence[EditTarget]) -> str:
    """Return the name that `burst` has given to what was at its place, "" for none."""
    word = word_around(now.text, burst.now)
    new = now.text[word.start : word.end]
    if new == cause.uses.name or not is_word(new):
        return ""
    here = now.path_to(word.start)
    if not here or now.span(here[-1]) != word:
        return ""
    return new if is_renaming(cause, now, burst, sites) else ""


def _replaced(
    parsed: Parsed, old: str, new: str, sites: Sequence[EditTarget]
) -> list[tuple[EditTarget, Edit]]:
    return [
        (site, edit)
        for site in sites
        if site.open
        and parsed.text[site.span.start : site.span.end] == old
        and _is_leaf(parsed, site)
        and not changes_nothing(parsed, edit := Edit(site.span, new))
    ]


def _corrected(
    now: Parsed, burst: EditGroup, group: Group, parsed: Parsed, sites: Sequence[EditTarget]
) -> list[tuple[EditTarget, Edit]]:
    """Return the edits of the calls at `sites` of `parsed`: the text of `now`, or another file."""
    signature = group.cause.signature if isinstance(group.cause, Signed) else None
    after = signature_at(now, Span(burst.now.start, burst.now.start)) or signature_at(
        now, burst.now
    )
    if signature is None or after is None or after.name != signature.name:
        return []
    change = changed(signature.takes, after.takes)
    if change is None:
        return []
    trees = [(now, group.sites)] if parsed is now else [(now, group.sites), (parsed, sites)]
    shown = [
        call
        for tree, held in trees
        for one in held
        if not one.open and (call := call_at(tree, one.span)) and fits(call, after.takes)
    ]
    found: list[tuple[EditTarget, Edit]] = []
    for site in sites:
        edit = _call(parsed, site, signature.takes, after.takes, change, shown)
        if edit is not None and is_no_worse(parsed, edit):
            found.append((site, edit))
    return found


def _call(
    now: Parsed,
    site: EditTarget,
    before: tuple[Parameter, ...],
    after: tuple[Parameter, ...],
    change: SignatureChange,
    shown: Sequence[CallArguments],
) -> Edit | None:
    """Return the edit that the call at `site` needs; `shown` are calls that the user corrected."""
    holder = brackets_at(now, site.span) if site.open else None
    call = arguments(holder) if holder is not None else None
    if holder is None or call is None or not fits(call, before):
        return None
    text = corrected(call, change, before, value_in(now, shown, after, holder))
    if text is None or text == call.inside:
        return None
    span, length = changed_span(call.inside, text)
    start = site.span.start + 1
    return Edit(Span(start + span.start, start + span.end), text[span.start : span.start + length])


def _is_leaf(now: Parsed, site: EditTarget) -> bool:
    """Return whether there is a name at `site`, and no comment or string around it, but for a
    variable in a format string of Rust."""
    path = now.path_to(site.span.start)
    if path and now.language.name == "rust" and path[-1].type == "string_content":
        name = now.text[site.span.start : site.span.end]
        return any(now.offset(one.start) == site.span.start for one in captures(path[-1], name))
    if not path or now.span(path[-1]) != site.span:
        return False
    return text_of(path[-1]).isidentifier() and not any(
        node.type in now.language.comments for node in path
    )
