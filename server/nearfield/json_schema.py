"""Safety checks for JSON schemas from other people, before they are used.

A schema is a program: it can refer to itself, multiply its alternatives, and contain patterns that
take exponential time. A schema that passes `check` refers only to itself, is small, and applies a
bounded number of alternatives to any value. It may still be an invalid schema.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from nearfield.coerce import MAX_DEPTH
from nearfield.errors import NearfieldError

MAX_NODES = 5_000
"""Maximum number of objects, lists and values; schemas of whole APIs have a few thousand."""
MAX_EXPANDED = 1_000
"""Maximum number of schemas that apply to one value: validation and grammar try all of them."""

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
"""Keywords whose schemas apply to the value itself, not to a part of it."""


class SchemaUnusable(NearfieldError):
    """The value is not a JSON schema, or one that cannot be used."""


def check(schema: Any) -> None:
    """Raise `SchemaUnusable` if the schema must not be used; see the module."""
    if not isinstance(schema, dict):
        raise SchemaUnusable("A JSON schema is an object.", 'For anything at all, write "{}".')
    if not isinstance(schema.get("$schema", ""), str):
        raise SchemaUnusable("The schema's $schema is no text.", "Leave it out.")
    _check_size(schema)
    _SchemaWalk(schema).check()


def _check_size(schema: dict[str, Any]) -> None:
    """Raise `SchemaUnusable` if the schema is too large or too deep."""
    nodes = 0
    level: list[Any] = [schema]
    for _ in range(MAX_DEPTH):
        nodes += len(level)
        if nodes > MAX_NODES:
            raise SchemaUnusable(
                f"The schema has more than {MAX_NODES} parts.", "Ask for less at once."
            )
        if any(isinstance(one, float) and not math.isfinite(one) for one in level):
            raise SchemaUnusable("The schema holds a number that JSON does not know.")
        level = [part for one in level for part in _parts(one)]
        if not level:
            return
    raise SchemaUnusable(f"The schema is nested more than {MAX_DEPTH} levels deep.")


def _parts(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


class _SchemaWalk:
    """Visits every schema within a schema, also through references."""

    def __init__(self, root: dict[str, Any]) -> None:
        self._root = root
        self._expanded: dict[int, int] = {}
        self._seen: set[int] = set()

    def check(self) -> None:
        """Check every schema. Raises `SchemaUnusable`."""
        waiting: list[Any] = [self._root]
        while waiting:
            one = waiting.pop()
            if not isinstance(one, dict) or id(one) in self._seen:
                continue
            self._seen.add(id(one))
            if "$id" in one and one is not self._root:
                raise SchemaUnusable("A part of the schema has an $id.", "Use $defs and $ref.")
            if self._expands(one, ()) > MAX_EXPANDED:
                raise SchemaUnusable(
                    f"The schema has more than {MAX_EXPANDED} alternatives at one place.",
                    "Use fewer of anyOf, oneOf and allOf.",
                )
            waiting.extend(_within(one))
            waiting.extend(self._referred(one))

    def _expands(self, one: Any, path: tuple[int, ...]) -> int:
        """Return how many schemas apply to a value to which `one` applies, at most
        `MAX_EXPANDED + 1`. `path` has the ids of the schemas that led here."""
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
        if len(path) > MAX_DEPTH:
            raise SchemaUnusable(f"The schema refers on more than {MAX_DEPTH} times.")
        here = (*path, id(one))
        total = 1
        for other in (*_in_place(one), *self._referred(one)):
            total = min(total + self._expands(other, here), MAX_EXPANDED + 1)
        self._expanded[id(one)] = total
        return total

    def _referred(self, one: Mapping[str, Any]) -> list[Any]:
        """Return what `one` refers to. Raises `SchemaUnusable` if that is not in the schema."""
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
    """Yield the schemas in `one`, by keyword."""
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
