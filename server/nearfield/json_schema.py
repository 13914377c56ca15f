"""Checks JSON schemas that somebody else has written, before anything is done by them.

A schema is a program: it can refer to itself, multiply by its alternatives, and hold patterns that
take exponential time. One that passes `check` refers to nothing outside of itself, is small, and
expands to a bounded number of alternatives at any place of a value. Whether it is a schema at all
is not looked at here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from nearfield.coerce import MOST_DEPTH
from nearfield.errors import NearfieldError

MOST_NODES = 5_000
"""Objects, lists and values in them; the schemas of whole APIs have some thousand."""
MOST_EXPANDED = 1_000
"""Schemas that apply to one value. All of them are tried, by the check and by the grammar."""

_OF_NAMES = (
    "properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies",
)  # fmt: skip
_OF_PLACES = ("allOf", "anyOf", "oneOf", "prefixItems", "items")
_SINGLE = (
    "items", "additionalItems", "additionalProperties", "unevaluatedItems",
    "unevaluatedProperties", "contains", "propertyNames", "contentSchema", "not", "if", "then",
    "else",
)  # fmt: skip
_IN_PLACE = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else")
"""What applies to the value itself, not to a part of it."""


class SchemaUnusable(NearfieldError):
    """What was given is no JSON schema, or none that can be used."""


def check(schema: Any) -> None:
    """Raises `SchemaUnusable` for a schema that must not be used; see the module."""
    if not isinstance(schema, dict):
        raise SchemaUnusable("A JSON schema is an object.", 'For anything at all, write "{}".')
    if not isinstance(schema.get("$schema", ""), str):
        raise SchemaUnusable("The schema's $schema is no text.", "Leave it out.")
    _measure(schema)
    _Walk(schema).all()


def _measure(schema: dict[str, Any]) -> None:
    """Its size and its depth."""
    nodes = 0
    level: list[Any] = [schema]
    for _ in range(MOST_DEPTH):
        nodes += len(level)
        if nodes > MOST_NODES:
            raise SchemaUnusable(
                f"The schema has more than {MOST_NODES} parts.", "Ask for less at once."
            )
        if any(isinstance(one, float) and not math.isfinite(one) for one in level):
            raise SchemaUnusable("The schema holds a number that JSON does not know.")
        level = [part for one in level for part in _parts(one)]
        if not level:
            return
    raise SchemaUnusable(f"The schema is nested more than {MOST_DEPTH} levels deep.")


def _parts(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


class _Walk:
    """Goes to every schema within a schema, also by references."""

    def __init__(self, root: dict[str, Any]) -> None:
        self._root = root
        self._expanded: dict[int, int] = {}
        self._seen: set[int] = set()

    def all(self) -> None:
        """Check every schema within it. Raises `SchemaUnusable`."""
        waiting: list[Any] = [self._root]
        while waiting:
            one = waiting.pop()
            if not isinstance(one, dict) or id(one) in self._seen:
                continue
            self._seen.add(id(one))
            if "$id" in one and one is not self._root:
                raise SchemaUnusable("A part of the schema has an $id.", "Use $defs and $ref.")
            if self._expands(one, ()) > MOST_EXPANDED:
                raise SchemaUnusable(
                    f"The schema has more than {MOST_EXPANDED} alternatives at one place.",
                    "Use fewer of anyOf, oneOf and allOf.",
                )
            waiting.extend(_within(one))
            waiting.extend(self._referred(one))

    def _expands(self, one: Any, path: tuple[int, ...]) -> int:
        """How many schemas apply to a value to which `one` applies, at most a little more than
        `MOST_EXPANDED`. `path` are those that led here."""
        if not isinstance(one, dict):
            return 1
        if id(one) in path:
            raise SchemaUnusable(
                "The schema refers to itself without anything in between.",
                "Let it refer to itself from a property or an item.",
            )
        known = self._expanded.get(id(one))
        if known is not None:
            return known
        if len(path) > MOST_DEPTH:
            raise SchemaUnusable(f"The schema refers on more than {MOST_DEPTH} times.")
        here = (*path, id(one))
        total = 1
        for other in (*_in_place(one), *self._referred(one)):
            total = min(total + self._expands(other, here), MOST_EXPANDED + 1)
        self._expanded[id(one)] = total
        return total

    def _referred(self, one: Mapping[str, Any]) -> list[Any]:
        """What `one` refers to. Raises `SchemaUnusable` for what is not in the schema."""
        for name in ("$dynamicRef", "$recursiveRef"):
            if name in one:
                raise SchemaUnusable(f"The schema uses {name}.", "Use $defs and $ref.")
        if "$ref" not in one:
            return []
        if not isinstance(reference := one["$ref"], str):
            raise SchemaUnusable("The schema has a $ref that is no text.")
        return [self._target(reference)]

    def _target(self, reference: str) -> Any:
        gone = SchemaUnusable(
            f"The schema refers to {reference[:100]}, which is not in it.",
            "Put it into $defs; nothing is fetched.",
        )
        before, _, pointer = reference.partition("#")
        if before or (pointer and not pointer.startswith("/")):
            raise gone
        found: Any = self._root
        for step in pointer.split("/")[1:]:
            name = unquote(step).replace("~1", "/").replace("~0", "~")
            if isinstance(found, list) and name.isdecimal() and int(name[:6]) < len(found):
                found = found[int(name[:6])]
            elif isinstance(found, dict) and name in found:
                found = found[name]
            else:
                raise gone
        if not isinstance(found, dict | bool):
            raise gone
        return found


def _within(one: Mapping[str, Any]) -> Iterator[Any]:
    """The schemas in `one`, by the keywords that have some."""
    for name in _OF_NAMES:
        if isinstance(inner := one.get(name), dict):
            yield from inner.values()
    for name in _OF_PLACES:
        if isinstance(inner := one.get(name), list):
            yield from inner
    yield from (one[name] for name in _SINGLE if isinstance(one.get(name), dict))


def _in_place(one: Mapping[str, Any]) -> Iterator[Any]:
    for name in _IN_PLACE:
        inner = one.get(name)
        if isinstance(inner, list):
            yield from inner
        elif inner is not None:
            yield inner
    if isinstance(inner := one.get("dependentSchemas"), dict):
        yield from inner.values()
