"""Members of Rust's types: fields, variants, methods and associated functions, with their owner.

A method of `impl Trait for Type` belongs to the trait, which says how it is called. A value's type
is known where its declaration spells it out, or makes it by the type's own `new` or literal.
"""

from __future__ import annotations

import tree_sitter

from nearfield.syntax.parser import Parsed
from nearfield.syntax.rust import PATHS, ancestors, is_imported, last_name
from nearfield.syntax.scopes import scope_of, text_of

__all__ = ["defines_member", "is_method", "owner_of"]

_FUNCTIONS = frozenset({"function_item", "function_signature_item"})
_HELD = _FUNCTIONS | {"const_item", "type_item", "associated_type"}
"""What an `impl` or a trait defines."""
_MAKERS = frozenset({"new", "default"})


def owner_of(parsed: Parsed, node: tree_sitter.Node) -> str | None:
    """Return the type or trait whose member `node` names; None where that is not certain, or it is
    none."""
    up = node.parent
    if up is None:
        return None
    if up.type == "field_expression" and up.child_by_field_name("field") == node:
        return _type_of(parsed, up.child_by_field_name("value"))
    if up.type in PATHS and up.child_by_field_name("name") == node:
        name = "" if is_imported(node) is not None else last_name(up.child_by_field_name("path"))
        return _own_type(node) if name == "Self" else name if name[:1].isupper() else None
    if up.type == "field_initializer" and up.child_by_field_name("field") == node:
        literal = up.parent.parent if up.parent is not None else None
        return _named(node, literal.child_by_field_name("name") if literal is not None else None)
    if up.type == "field_pattern" and up.child_by_field_name("name") == node:
        pattern = up.parent
        return _named(node, pattern.child_by_field_name("type") if pattern is not None else None)
    if up.child_by_field_name("name") != node:
        return None
    if up.type in ("field_declaration", "enum_variant"):
        owner = up.parent.parent if up.parent is not None else None
        is_type = owner is not None and owner.type in ("struct_item", "enum_item", "union_item")
        return last_name(owner.child_by_field_name("name")) if owner and is_type else None
    if up.type in _HELD:
        holder = up.parent.parent if up.parent is not None else None
        if holder is not None and holder.type in ("impl_item", "trait_item"):
            fields = ("trait", "name", "type")
            named = next(filter(None, map(holder.child_by_field_name, fields)), None)
            return last_name(named) or None
    return None


def defines_member(node: tree_sitter.Node) -> bool:
    """Return whether the member is defined at `node`, and not only used."""
    up = node.parent
    kinds = _HELD | {"field_declaration", "enum_variant"}
    return up is not None and up.type in kinds and up.child_by_field_name("name") == node


def is_method(node: tree_sitter.Node) -> bool:
    """Return whether a member's definition is a function; a field may have the same name."""
    return node.parent is not None and node.parent.type in _FUNCTIONS


def _own_type(node: tree_sitter.Node) -> str | None:
    """Return the type that `self` and `Self` are of at `node`."""
    for up in ancestors(node):
        if up.type == "impl_item":
            return last_name(up.child_by_field_name("type")) or None
        if up.type in ("trait_item", "struct_item", "enum_item"):
            return last_name(up.child_by_field_name("name")) or None
    return None


def _named(node: tree_sitter.Node, kind: tree_sitter.Node | None) -> str | None:
    """Return the type that is named at `kind`; None for a variant, whose fields are its own."""
    if kind is None:
        return None
    if kind.type in PATHS:
        path = last_name(kind.child_by_field_name("path"))
        if path == "Self" or path[:1].isupper():
            return None
    name = last_name(kind)
    return _own_type(node) if name == "Self" else name or None


def _type_of(parsed: Parsed, value: tree_sitter.Node | None) -> str | None:
    """Return the type of an expression: `self`, or a variable that is plainly of one."""
    if value is None:
        return None
    if value.type == "self":
        return _own_type(value)
    if value.type != "identifier":
        return None
    scope = scope_of(parsed, value)
    declared = scope.bindings[0].parent if scope is not None else None
    if declared is None or declared.type not in ("parameter", "let_declaration"):
        return None
    if (kind := declared.child_by_field_name("type")) is not None:
        return _named(value, kind)
    made = declared.child_by_field_name("value")
    if made is not None and made.type == "struct_expression":
        return _named(value, made.child_by_field_name("name"))
    called = (
        made.child_by_field_name("function") if made and made.type == "call_expression" else None
    )
    if called is None or called.type != "scoped_identifier":
        return None
    maker, path = called.child_by_field_name("name"), called.child_by_field_name("path")
    if maker is None or text_of(maker) not in _MAKERS:
        return None
    name = last_name(path)
    return _own_type(value) if name == "Self" else name if name[:1].isupper() else None
