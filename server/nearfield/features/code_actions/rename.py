"""Renaming a local variable or a parameter, where the tree shows every place that is meant."""

from __future__ import annotations

import re

import tree_sitter

from nearfield.errors import EditRefused
from nearfield.features.code_actions.proposal import Change
from nearfield.syntax.parser import Parsed
from nearfield.syntax.scopes import Scope, identifier_at, is_name, scope_of, text_of, walk
from nearfield.types import Edit, Span

__all__ = ["renamable", "renamed"]


def renamable(parsed: Parsed, span: Span) -> Scope | None:
    """The local name at `span`; None where nothing can be renamed with certainty."""
    node = identifier_at(parsed, span)
    scope = scope_of(parsed, node) if node is not None else None
    if scope is None or scope.name in ("self", "cls", "_"):
        return None
    if scope.parameter and _named_in_calls(parsed, scope.name):
        return None
    return scope


def renamed(parsed: Parsed, span: Span, name: str) -> tuple[Change, ...]:
    """The edits that give the local name at `span` the new one `name`. Raises `EditRefused`."""
    scope = renamable(parsed, span)
    if scope is None:
        raise EditRefused("There is no local name here that can safely be renamed.")
    if not is_name(name):
        raise EditRefused("That is not a name for a variable.", "Use letters, digits and _.")
    taken = {text_of(one) for one in walk(scope.function) if not one.children}
    if name in taken:
        raise EditRefused("The function uses that name already.", "Choose another one.")
    return tuple(Change(Edit(parsed.span(node), name)) for node in scope.uses)


def _named_in_calls(parsed: Parsed, name: str) -> bool:
    """Return whether a call in the file may name the parameter."""
    # Looking at every node of a long file takes longer than a menu may.
    if not re.search(rf"[(,]\s*{re.escape(name)}\s*=(?!=)", parsed.text):
        return False
    found: list[tree_sitter.Node | None] = [
        node.child_by_field_name("name")
        for node in walk(parsed.root)
        if node.type == "keyword_argument"
    ]
    return any(node is not None and text_of(node) == name for node in found)
