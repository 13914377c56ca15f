"""The settings' keys as data: every leaf of the schema with its type, default and meaning.

A key is a tuple of names, `("completion", "deadline_ms")`; the name of a provider, a role or an
option stands where the schema has a dict. `find` answers what a key is, so that checking, merging,
restricting and documenting all read the schema instead of repeating it.
"""

from __future__ import annotations

import ast
import difflib
import inspect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any, get_args, get_origin

import msgspec
from msgspec import NODEFAULT

from nearfield.config import schema

Key = tuple[str, ...]
ANY_NAME = "NAME"
"""Stands in a key's pattern where the user chooses the name."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """One setting. `pattern` is its key with `NAME` for names of the user's choice; `default` is
    `msgspec.NODEFAULT` where the schema has none and None for an entry of a dict; `doc` is the
    schema's docstring, on one line."""

    pattern: Key
    type: Any
    default: Any
    doc: str


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
        """The nearest name that the schema has there, or ""."""
        return nearest(self._name, self._known)


def dotted(key: Key) -> str:
    """The key as users write it: `completion.deadline_ms`."""
    return ".".join(key)


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that `name` was probably meant to be, or ""."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return found[0] if found else ""


def find(key: Key) -> Leaf | Table:
    """What the schema has at `key`. Raises `UnknownKeyError`."""
    return _find(schema.Config, key, (), "")


def _find(kind: Any, key: Key, walked: Key, doc: str) -> Leaf | Table:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        fields = _fields(kind)
        if not key:
            return Table(walked, tuple(fields))
        field = fields.get(key[0])
        if field is None:
            raise UnknownKeyError(key[0], fields)
        pattern, doc = (*walked, field.name), docs(kind).get(field.name, "")
        if _is_table(field.type):
            return _find(field.type, key[1:], pattern, doc)
        if len(key) > 1:
            raise UnknownKeyError(key[1])
        return Leaf(pattern, field.type, _default(field), doc)
    value = get_args(kind)[1]
    if not key:
        return Table(walked, None)
    pattern = (*walked, ANY_NAME)
    if _is_table(value):
        return _find(value, key[1:], pattern, doc)
    if len(key) > 1:
        raise UnknownKeyError(key[1])
    return Leaf(pattern, value, None, doc)


@cache
def _fields(struct: type[msgspec.Struct]) -> dict[str, msgspec.structs.FieldInfo]:
    return {field.name: field for field in msgspec.structs.fields(struct)}


def _is_table(kind: Any) -> bool:
    is_struct = isinstance(kind, type) and issubclass(kind, msgspec.Struct)
    return is_struct or get_origin(kind) is dict


def _default(field: msgspec.structs.FieldInfo) -> Any:
    if field.default_factory is not NODEFAULT:
        return field.default_factory()
    return field.default


def leaves() -> Iterator[Leaf]:
    """Every leaf of the schema in its order, one a pattern."""
    yield from _leaves(())


def _leaves(key: Key) -> Iterator[Leaf]:
    found = find(key)
    if isinstance(found, Leaf):
        yield found
        return
    for name in found.names if found.names is not None else (ANY_NAME,):
        yield from _leaves((*key, name))


@cache
def docs(struct: type[msgspec.Struct]) -> dict[str, str]:
    """The docstring under each field of a schema struct, with its lines joined."""
    tree = ast.parse(inspect.getsource(schema))
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == struct.__name__:
            return dict(_field_docs(node.body))
    return {}


def _field_docs(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    for field, below in pairwise(body):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
            and isinstance(below.value.value, str)
        ):
            yield field.target.id, " ".join(below.value.value.split())
