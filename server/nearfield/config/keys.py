"""The settings' keys as data: every leaf of the schema with its type, default, meaning and rule.

A key is a tuple of names, `("completion", "deadline_ms")`; where the schema has a dict, the key has
the name of a provider, a role or an option. `find` describes a key, so that checking, merging,
restricting and documenting all read the schema instead of repeating it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, get_args, get_origin

import msgspec
from msgspec import NODEFAULT, Meta

from nearfield.config import schema
from nearfield.config.restrict import Rule, user_only

Key = tuple[str, ...]
ANY_NAME = "NAME"
"""Placeholder in a key's pattern for a name of the user's choice."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """A setting. `pattern` is its key with `NAME` for names of the user's choice; `type` has no
    metadata but bounds. `default` is `msgspec.NODEFAULT` where the schema has none and None for an
    entry of a dict. `doc` is its description; `rule` says what a workspace may do to it.
    """

    pattern: Key
    type: Any
    default: Any
    doc: str
    rule: Rule


@dataclass(frozen=True, slots=True)
class Table:
    """A place that holds further keys. `names` is None where the user chooses them."""

    pattern: Key
    names: tuple[str, ...] | None


class UnknownKeyError(LookupError):
    """The schema has no such key."""

    def __init__(self, name: str, known: Iterable[str] = ()) -> None:
        super().__init__(name)
        self._name = name
        self._known = known

    def close(self) -> str:
        """Return the nearest name that the schema has there, or ""."""
        return nearest(self._name, self._known)


def dotted(key: Key) -> str:
    """Return the key as users write it: `completion.deadline_ms`."""
    return ".".join(key)


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the known name that `name` was probably meant to be, or ""."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return found[0] if found else ""


def find(key: Key) -> Leaf | Table:
    """Return what the schema has at `key`. Raises `UnknownKeyError`."""
    return _find(Leaf((), schema.Config, None, "", user_only), key)


def _find(at: Leaf, key: Key) -> Leaf | Table:
    """Walk on from `at`, whose type may be a table, by the names of `key`."""
    if _is_struct(at.type):
        fields = field_leaves(at.type)
        if not key:
            return Table(at.pattern, tuple(fields))
        if key[0] not in fields:
            raise UnknownKeyError(key[0], fields)
        field = fields[key[0]]
        pattern, doc = (*at.pattern, key[0]), field.doc
        return _find(Leaf(pattern, field.type, field.default, doc, field.rule), key[1:])
    if get_origin(at.type) is dict:
        if not key:
            return Table(at.pattern, None)
        entry = Leaf((*at.pattern, ANY_NAME), get_args(at.type)[1], None, at.doc, at.rule)
        return _find(entry, key[1:])
    if key:
        raise UnknownKeyError(key[0])
    return at


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


@cache
def field_leaves(struct: type[msgspec.Struct]) -> dict[str, Leaf]:
    """Return the fields of a struct of the schema by name, each with a pattern of itself alone."""
    found: dict[str, Leaf] = {}
    for field in msgspec.structs.fields(struct):
        kind, notes = field.type, ()
        if get_origin(kind) is Annotated:
            kind, *notes = get_args(kind)
        doc, rule = "", user_only
        for note in notes:
            if not isinstance(note, Meta):
                rule = note
            elif note.description is not None:
                doc = note.description
            else:
                kind = Annotated[kind, note]
        made = field.default_factory
        default = field.default if made is NODEFAULT else made()
        found[field.name] = Leaf((field.name,), kind, default, doc, rule)
    return found


def leaves(key: Key = ()) -> Iterator[Leaf]:
    """Yield every leaf of the schema below `key` in its order, one a pattern."""
    found = find(key)
    if isinstance(found, Leaf):
        yield found
        return
    for name in found.names if found.names is not None else (ANY_NAME,):
        yield from leaves((*key, name))
