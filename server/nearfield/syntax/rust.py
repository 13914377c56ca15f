"""Rust's names in the tree: what a pattern binds and how far that reaches, and what is no variable.

Rust declares a name again and again (`let path = Path::new(path)`), so a use belongs to the last
declaration above it whose block holds it. A macro's arguments are tokens without a tree; a name
among them counts where the tokens around it leave no doubt.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import tree_sitter

from nearfield.types import Span

__all__ = [
    "ITEMS",
    "KEYWORDS",
    "PATHS",
    "Local",
    "ancestors",
    "binder_of",
    "captures",
    "is_imported",
    "is_no_variable",
    "last_name",
    "local_of",
]

ITEMS = frozenset({"const_item", "static_item", "type_item", "union_item"})
"""Definitions that hold no other definitions."""
KEYWORDS = frozenset(
    {
        "Self", "as", "async", "await", "break", "const", "continue", "crate", "dyn", "else",
        "enum", "extern", "false", "fn", "for", "if", "impl", "in", "let", "loop", "match", "mod",
        "move", "mut", "pub", "ref", "return", "self", "static", "struct", "super", "trait", "true",
        "type", "unsafe", "use", "where", "while", "yield",
    }
)  # fmt: skip
_PATTERNS = frozenset(
    {
        "captured_pattern", "field_pattern", "match_pattern", "mut_pattern", "or_pattern",
        "ref_pattern", "reference_pattern", "slice_pattern", "struct_pattern", "tuple_pattern",
        "tuple_struct_pattern",
    }
)  # fmt: skip
_FUNCTIONS = frozenset({"function_item", "function_signature_item", "closure_expression"})
_SHORT = frozenset({"shorthand_field_identifier", "shorthand_field_initializer"})
PATHS = frozenset({"scoped_identifier", "scoped_type_identifier"})
"""Names with the path to them."""
_NAMELESS = frozenset({"lifetime", "label", "macro_definition"})
_ASSOCIATED = frozenset(
    {"associated_type", "const_item", "function_item", "function_signature_item", "type_item"}
)
"""What has no name of its own in an `impl` or a trait, and is reached through the type."""
_ATTRIBUTES = frozenset({"attribute_item", "inner_attribute_item"})
_FORMATTING = frozenset(
    {
        b"anyhow", b"assert", b"assert_eq", b"assert_ne", b"bail", b"debug", b"debug_assert",
        b"debug_assert_eq", b"debug_assert_ne", b"ensure", b"eprint", b"eprintln", b"error",
        b"format", b"format_args", b"info", b"panic", b"print", b"println", b"todo", b"trace",
        b"unimplemented", b"unreachable", b"warn", b"write", b"writeln",
    }
)  # fmt: skip
"""Macros of the standard library, of `log` and of `anyhow` that take a format string."""
_PLACEHOLDER = re.compile(rb"\{\{|\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class Local:
    """A local variable: the nodes that are it, in the order of the text, and those of them that
    declare it (several in `A(x) | B(x)`)."""

    uses: tuple[tree_sitter.Node, ...]
    declared: tuple[tree_sitter.Node, ...]
    binder: tree_sitter.Node


def binder_of(node: tree_sitter.Node) -> tree_sitter.Node | None:
    """Return the `let`, arm, loop, closure or function whose pattern binds the identifier `node`;
    None where it binds nothing. A name with a capital is a constant or a type."""
    text = (node.text or b"").decode("utf-8", "replace")
    if node.type not in ("identifier", "shorthand_field_identifier") or text[:1].isupper():
        return None
    child, up = node, node.parent
    while up is not None and up.type in _PATTERNS:
        no_name = (up.child_by_field_name("type"), up.child_by_field_name("condition"))
        if child in no_name or (up.type == "field_pattern" and child.type == "field_identifier"):
            return None
        child, up = up, up.parent
    if up is None:
        return None
    if up.type == "closure_parameters":
        return up.parent
    if up.type == "parameter":
        if up.child_by_field_name("pattern") != child or up.parent is None:
            return None
        return up.parent.parent
    binds = up.type in ("let_declaration", "let_condition", "for_expression", "match_arm")
    return up if binds and up.child_by_field_name("pattern") == child else None


def _reach(binder: tree_sitter.Node) -> Span | None:
    """Return the bytes in which what `binder` declares is known."""
    if binder.type in _FUNCTIONS:
        return Span(binder.start_byte, binder.end_byte)
    pattern = binder.child_by_field_name("pattern")
    if binder.type == "match_arm":
        return Span(pattern.start_byte, binder.end_byte) if pattern is not None else None
    if binder.type == "for_expression":
        body = binder.child_by_field_name("body")
        return Span(body.start_byte, body.end_byte) if body is not None else None
    up = binder.parent
    if binder.type == "let_declaration":
        return Span(binder.end_byte, up.end_byte) if up is not None else None
    while up is not None and up.type not in ("if_expression", "while_expression", "match_arm"):
        up = up.parent
    if up is None:
        return None
    inner = up.child_by_field_name("consequence") or up.child_by_field_name("body") or up
    return Span(binder.end_byte, inner.end_byte)


def local_of(
    function: tree_sitter.Node, named: Sequence[tree_sitter.Node], node: tree_sitter.Node
) -> Local | None:
    """Return the local variable of `function` that `node` is, None for none, or one that is not
    certain. `named` are all nodes of its name in the function."""
    binders = [(one, binder) for one in named if (binder := binder_of(one)) is not None]
    reaches = [(binder, reach) for _, binder in binders if (reach := _reach(binder)) is not None]
    own = {one.id: binder for one, binder in binders}

    def declaration(one: tree_sitter.Node) -> tree_sitter.Node | None:
        if one.id in own:
            return own[one.id]
        inside = [
            (reach.start, binder)
            for binder, reach in reaches
            if reach.start <= one.start_byte < reach.end
        ]
        return max(inside, key=lambda found: found[0])[1] if inside else None

    binder = declaration(node)
    if binder is None:
        return None
    mine = [one for one in named if declaration(one) == binder]
    declared = [one for one in mine if one.id in own]
    if any(one.type in _SHORT for one in declared) or any(map(_is_doubtful, named)):
        return None  # a field's name as well, or what a macro may declare
    # A field that is named like the variable keeps its name.
    uses = [one for one in mine if one.parent is None or one.parent.type not in _SHORT]
    return Local(tuple(uses), tuple(declared), binder)


def captures(string: tree_sitter.Node, name: str) -> list[Span]:
    """Return where the content of a string is a format string that names the variable `name`:
    `{name}`, `{name:?}` or `{0:name$}`. Spans are in bytes of the document."""
    tokens = next((up for up in ancestors(string) if up.type == "token_tree"), None)
    macro = tokens.parent.child_by_field_name("macro") if tokens and tokens.parent else None
    if tokens is None or macro is None or macro.text not in _FORMATTING:
        return []
    named = name.encode()
    for one in tokens.children:
        after = one.next_sibling
        if one.text == named and after is not None and after.type == "=":
            return []  # an argument of that name
    whole, found = re.compile(rb"^" + named + rb"(?=\s*(?::|$))"), list[Span]()
    in_spec = re.compile(rb":.*?(?<!\w)(" + named + rb")\$")
    for place in _PLACEHOLDER.finditer(string.text or b""):
        for match in (whole.search(place[1] or b""), in_spec.search(place[1] or b"")):
            if match is not None:
                start = string.start_byte + place.start(1) + match.start(match.lastindex or 0)
                found.append(Span(start, start + len(named)))
    return found


def is_no_variable(node: tree_sitter.Node) -> bool:
    """Return whether an identifier of Rust is part of a path, a macro's or a label's name, or an
    argument of a macro that may be a field."""
    up = node.parent
    if up is None:
        return False
    if up.type in _NAMELESS or (
        up.type in ("enum_variant", "macro_invocation", "type_binding")
        and node in (up.child_by_field_name("name"), up.child_by_field_name("macro"))
    ):
        return True
    if up.type in _ASSOCIATED and up.child_by_field_name("name") == node:
        holder = up.parent.parent if up.parent is not None else None
        return holder is not None and holder.type in ("impl_item", "trait_item")
    if up.type == "attribute":
        return up.parent is not None and up.parent.type in _ATTRIBUTES
    if up.type in PATHS:
        if up.child_by_field_name("name") == node:
            return not is_imported(node)
        return not (node.text or b"")[:1].isupper()  # a module, which may have a function's name
    if up.type == "scoped_use_list":
        return True
    return up.type == "token_tree" and not _is_plain_token(node)


def is_imported(node: tree_sitter.Node) -> bool | None:
    """Return whether a `use` gives something the name `node` here; None outside a `use`."""
    child, up = node, node.parent
    if up is not None and up.type in PATHS:
        is_last = up.child_by_field_name("name") == node
        child, up = up, up.parent
        while up is not None and up.type in PATHS:
            is_last, child, up = False, up, up.parent
    else:
        is_last = True
    if up is not None and up.type == "use_as_clause":
        is_last = up.child_by_field_name("alias") == child
        child, up = up, up.parent
    while up is not None and up.type in ("use_list", "scoped_use_list", "use_wildcard"):
        is_last = is_last and up.type != "use_wildcard"
        if up.child_by_field_name("path") == child:  # `use a::B::{self, C}` imports B
            held = up.child_by_field_name("list")
            listed = held.named_children if held is not None else ()
            is_last = is_last and any(one.type == "self" for one in listed)
        child, up = up, up.parent
    return is_last if up is not None and up.type == "use_declaration" else None


def _is_plain_token(node: tree_sitter.Node) -> bool:
    """Return whether a macro's token is surely a variable, a function or a type."""
    before, after = node.prev_sibling, node.next_sibling
    was, will = (one.type if one is not None else "" for one in (before, after))
    if was in (".", "::", "$", "#", "'") or will in ("!", "=", ":", "=>"):
        return False
    if will == "::":
        return (node.text or b"")[:1].isupper()  # a type, as in a path outside of macros
    in_braces = node.parent is not None and node.parent.children[0].type == "{"
    return not (in_braces and was in ("{", ",") and will in ("}", ","))


def _is_doubtful(node: tree_sitter.Node) -> bool:
    """Return whether a macro's token may declare the name."""
    up, before = node.parent, node.prev_sibling
    if up is None or up.type != "token_tree" or before is None:
        return False
    return before.type in ("|", "mutable_specifier") or before.text in (b"let", b"ref", b"for")


def last_name(node: tree_sitter.Node | None) -> str:
    """Return the last name of a type's or a path's node, without references, smart pointers and
    arguments; "" for a type without a name."""
    while node is not None:
        if node.type in ("type_identifier", "identifier"):
            return (node.text or b"").decode("utf-8", "replace")
        if node.type == "generic_type":
            name = last_name(node.child_by_field_name("type"))
            held = node.child_by_field_name("type_arguments")
            if name not in ("Box", "Rc", "Arc") or held is None or held.named_child_count != 1:
                return name
            node = held.named_children[0]
        elif node.type in PATHS:
            node = node.child_by_field_name("name")
        else:
            node = node.child_by_field_name("type") if node.type == "reference_type" else None
    return ""


def ancestors(node: tree_sitter.Node) -> Iterator[tree_sitter.Node]:
    """Yield the nodes above `node`, the nearest first."""
    up = node.parent
    while up is not None:
        yield up
        up = up.parent
