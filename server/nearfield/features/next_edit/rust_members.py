"""Members of Rust's types: fields, variants, methods and associated functions, with their owner.

A name without a path is a variant where a `use` of its enum brings it in, and the file gives it to
nothing else. A method of `impl Trait for Type` belongs to the trait, which says how it is called. A
value's type is known where its declaration spells it out, or makes it by the type's own `new` or
literal.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import tree_sitter

from nearfield.syntax.parser import Parsed
from nearfield.syntax.rust import PATHS, ancestors, is_imported, is_no_variable, last_name
from nearfield.syntax.rust_paths import (
    imports,
    kept_with_tree,
    path_before,
    path_in_tokens,
    reaches,
)
from nearfield.syntax.scopes import scope_of, text_of

__all__ = ["defines_member", "is_method", "may_be_variant", "owner_of"]

_FUNCTIONS = frozenset({"function_item", "function_signature_item"})
_HELD = _FUNCTIONS | {"const_item", "type_item", "associated_type"}
"""What an `impl` or a trait defines."""
_LITERALS = frozenset({"struct_expression", "struct_pattern"})
_DEFINITION = re.compile(
    r"\b(struct|enum|union|trait|type|fn|const|static|mod)\s+(?=(\w+))"  # `const fn` has two
)
_MAKERS = frozenset({"new", "default"})


@dataclass(frozen=True, slots=True)
class _Items:
    """The `names` that the text of a file defines, and the variants of its `enums`, None where the
    first place of that name is no enum's."""

    names: Collection[str]
    enums: Mapping[str, Collection[str] | None]


def owner_of(parsed: Parsed, node: tree_sitter.Node) -> str | None:
    """Return the type or trait whose member `node` names; None where that is not certain, or it is
    none."""
    up = node.parent
    if up is None:
        return None
    if up.type == "field_expression" and up.child_by_field_name("field") == node:
        return _type_of(parsed, up.child_by_field_name("value"))
    if is_imported(node) is not None or (up.type == "token_tree" and path_in_tokens(node)):
        before = path_before(node)
        return _type_named(node, before[-1]) if before else None
    if up.type in PATHS and up.child_by_field_name("name") == node:
        return _type_named(node, last_name(up.child_by_field_name("path")))
    if up.type == "field_initializer" and up.child_by_field_name("field") == node:
        literal = up.parent.parent if up.parent is not None else None
        return _named(node, literal.child_by_field_name("name") if literal is not None else None)
    if up.type == "field_pattern" and up.child_by_field_name("name") == node:
        pattern = up.parent
        return _named(node, pattern.child_by_field_name("type") if pattern is not None else None)
    if up.child_by_field_name("name") != node or up.type in _LITERALS:
        return _enum_of(parsed, node)
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


def may_be_variant(parsed: Parsed, node: tree_sitter.Node) -> bool:
    """Return whether a wildcard may make the name `node` a variant of an enum of the file, and not
    the type that has this name there too."""
    name = text_of(node)
    if node.type != "identifier" or not name[:1].isupper():
        return False
    around = list(ancestors(node))
    return any(
        one.is_wildcard
        and one.within in around
        and name in _variants(parsed, one.path[-1] if one.path else "", "")
        for one in imports(parsed)
    )


def _type_named(node: tree_sitter.Node, name: str) -> str | None:
    """Return the type that is called `name` at `node`; None for a module."""
    return _own_type(node) if name == "Self" else name if name[:1].isupper() else None


def _enum_of(parsed: Parsed, node: tree_sitter.Node) -> str | None:
    """Return the enum that a `use` takes the name `node` from; None where that is not certain."""
    name, up = text_of(node), node.parent
    is_value = node.type == "identifier" or (up is not None and up.type in _LITERALS)
    if not name[:1].isupper() or not is_value or is_no_variable(node):
        return None
    around = list(ancestors(node))
    if any(one.type == "attribute_item" for one in around):
        return None
    found: set[str] = set()
    for one in imports(parsed):
        if one.local not in ("", name) or one.within not in around:
            continue
        if not reaches(node, one.within):
            continue
        path = one.path if one.is_wildcard else one.path[:-1]
        if path and path[-1][:1].isupper() and (one.is_wildcard or one.path[-1] == name):
            found.add(path[-1])
        elif not one.is_wildcard:
            return None  # another thing of that name
    enums = [one for one in found if name in _variants(parsed, one, name)]
    return enums[0] if len(enums) == 1 and name not in _items(parsed).names else None


def _variants(parsed: Parsed, enum: str, name: str) -> Collection[str]:
    """Return the variants of an enum of the file; `name` alone of one that is elsewhere."""
    held = _items(parsed).enums.get(enum)
    return (name,) if held is None else held


@kept_with_tree
def _items(parsed: Parsed) -> _Items:
    names: set[str] = set()
    enums: dict[str, frozenset[str] | None] = {}
    for match in _DEFINITION.finditer(parsed.text):
        names.add(match[2])
        if match[1] == "enum" and match[2] not in enums:
            item = parsed.path_to(match.start())[-1].parent
            body = item.child_by_field_name("body") if item is not None else None
            held = (one.child_by_field_name("name") for one in body.named_children) if body else ()
            enums[match[2]] = frozenset(text_of(one) for one in held if one) if body else None
    return _Items(names, enums)


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
    return _type_named(value, last_name(path))
