"""Local names: their bindings and uses inside a function, as far as a syntax tree can tell.

Every ambiguous case (a name bound in two scopes, a `global`, an `eval`) is refused, because a
change without a model must be right, or not be offered.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import tree_sitter

from nearfield.syntax.definitions import name_node
from nearfield.syntax.parser import Parsed
from nearfield.syntax.rust import KEYWORDS, binder_of, captures, is_no_variable, local_of
from nearfield.types import Span

__all__ = [
    "INNER",
    "SUPPORTED",
    "Scope",
    "binds",
    "captured",
    "declares",
    "function_at",
    "identifier_at",
    "is_member",
    "is_name",
    "is_parameter",
    "scope_of",
    "text_of",
    "walk",
]

SUPPORTED = frozenset({"python", "javascript", "typescript", "typescriptreact", "go"})
_IDENTIFIERS = frozenset({"identifier", "shorthand_property_identifier"})
_MEMBERS = {
    "attribute": "attribute",
    "keyword_argument": "name",
    "selector_expression": "field",
    "keyed_element": "key",
}
"""Nodes whose child of that field is not the name of a variable."""
_PARAMETERS = frozenset(
    {
        "parameters", "lambda_parameters", "formal_parameters", "parameter_list",
        "parameter_declaration", "variadic_parameter_declaration", "required_parameter",
        "optional_parameter", "typed_parameter", "default_parameter", "typed_default_parameter",
        "list_splat_pattern", "dictionary_splat_pattern", "rest_pattern",
    }
)  # fmt: skip
_BINDERS = {
    "assignment": "left",
    "augmented_assignment": "left",
    "named_expression": "name",
    "for_statement": "left",
    "for_in_clause": "left",
    "for_in_statement": "left",
    "variable_declarator": "name",
    "assignment_expression": "left",
    "augmented_assignment_expression": "left",
    "short_var_declaration": "left",
    "assignment_statement": "left",
    "range_clause": "left",
    "var_spec": "name",
    "const_spec": "name",
    "as_pattern": "alias",
    "catch_clause": "parameter",
    "update_expression": "argument",
    "inc_statement": "",
    "dec_statement": "",
}
"""Nodes that bind the names in their child of that field ("" for any child)."""
INNER = frozenset({"list_comprehension", "set_comprehension", "dictionary_comprehension",
                    "generator_expression", "lambda"})  # fmt: skip
_MAGIC = frozenset({"eval", "exec", "locals", "vars"})
_RESERVED = frozenset(
    {
        "and", "as", "assert", "async", "await", "break", "case", "catch", "chan", "class",
        "const", "continue", "def", "default", "defer", "del", "delete", "do", "elif", "else",
        "enum", "except", "export", "extends", "false", "finally", "fallthrough", "for", "from",
        "func", "function", "global", "go", "goto", "if", "implements", "import", "in",
        "instanceof", "interface", "is", "lambda", "let", "map", "new", "nil", "nonlocal",
        "not", "null", "or", "package", "pass", "raise", "range", "return", "select", "static",
        "struct", "super", "switch", "this", "throw", "true", "try", "type", "typeof",
        "undefined", "var", "void", "while", "with", "yield", "None", "True", "False",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Scope:
    """A name inside one function: all its nodes, and those that bind it."""

    function: tree_sitter.Node
    name: str
    uses: tuple[tree_sitter.Node, ...]
    bindings: tuple[tree_sitter.Node, ...]
    parameter: bool


def walk(node: tree_sitter.Node) -> Iterator[tree_sitter.Node]:
    """Yield `node` and all its descendants, in the order of the text."""
    pending = [node]
    while pending:
        one = pending.pop()
        yield one
        pending.extend(reversed(one.children))


def identifier_at(parsed: Parsed, span: Span) -> tree_sitter.Node | None:
    """Return the variable's name at `span`, which may be an empty place at either end of it."""
    for place in (span.start, span.start - 1):
        if place < 0:
            continue
        path = parsed.path_to(place)
        node = path[-1] if path else None
        if node is not None and node.type == "identifier" and not is_member(node):
            found = parsed.span(node)
            if found.start <= span.start and span.end <= found.end:
                return node
    return None


def function_at(parsed: Parsed, node: tree_sitter.Node) -> tree_sitter.Node | None:
    """Return the innermost function around `node`."""
    up = node.parent
    while up is not None and up.type not in parsed.language.functions:
        up = up.parent
    return up


def scope_of(parsed: Parsed, node: tree_sitter.Node) -> Scope | None:
    """Return the local variable or parameter that the identifier `node` is; None unless that is
    certain."""
    if parsed.language.name == "rust":
        return _rust_scope(parsed, node)
    name = text_of(node)
    function = function_at(parsed, node)
    while function is not None:
        uses = tuple(
            one
            for one in walk(function)
            if one.type in _IDENTIFIERS
            and text_of(one) == name
            and not is_member(one)
            and one != name_node(function)
        )
        bindings = tuple(one for one in uses if binds(one, function))
        if bindings:
            is_param = any(is_parameter(one, function) for one in bindings)
            scope = Scope(function, name, uses, bindings, is_param)
            return scope if _is_certain(parsed, scope) else None
        function = function_at(parsed, function)
    return None


def captured(parsed: Parsed, scope: Scope) -> list[Span]:
    """Return where format strings of Rust name a local variable: `println!("{name}")`."""
    if parsed.language.name != "rust":
        return []
    return [
        Span(parsed.offset(span.start), parsed.offset(span.end))
        for string in walk(scope.function)
        if string.type == "string_content"
        for span in captures(string, scope.name)
        if (held := _rust_scope(parsed, string, scope.name)) is not None
        and held.bindings == scope.bindings
    ]


def _rust_scope(parsed: Parsed, node: tree_sitter.Node, name: str = "") -> Scope | None:
    """The variable that `node` is, or that `name` is at its place."""
    name = name or text_of(node)
    function = function_at(parsed, node)
    while function is not None:
        own = name_node(function)
        named = [
            one
            for one in walk(function)
            if one.type in ("identifier", "shorthand_field_identifier")
            and text_of(one) == name
            and one != own
            and not is_member(one)
        ]
        if (found := local_of(function, named, node)) is not None:
            is_of_function = found.binder.type in parsed.language.functions
            return Scope(function, name, found.uses, found.declared, is_of_function)
        function = function_at(parsed, function)
    return None


def is_name(text: str, language: str = "") -> bool:
    """Return whether `text` can name a variable in all of these languages, or in Rust."""
    return text.isidentifier() and text not in (KEYWORDS if language == "rust" else _RESERVED)


def text_of(node: tree_sitter.Node) -> str:
    """Return the text of a node."""
    return node.text.decode("utf-8", "replace") if node.text else ""


def _is_certain(parsed: Parsed, scope: Scope) -> bool:
    """Return whether all uses are surely the one variable that the function binds."""
    function, name, uses = scope.function, scope.name, scope.uses
    if any(one.type == "shorthand_property_identifier" for one in uses):
        return False
    for one in walk(function):
        if one.type in ("global_statement", "nonlocal_statement") and name in text_of(one):
            return False
        if one.type == "identifier" and text_of(one) in _MAGIC:
            return False
        if one.type == "shorthand_property_identifier_pattern" and text_of(one) == name:
            return False
    if any(is_parameter(one, None) and not is_parameter(one, function) for one in uses):
        return False
    if any(_holder(parsed, one, function) != function.id for one in scope.bindings):
        return False
    if parsed.language.name == "python":
        return True
    # Where blocks are scopes, the name has to be declared once, and used only below that.
    declared = [one for one in scope.bindings if declares(one)]
    if len(declared) != 1:
        return False
    if is_parameter(declared[0], None):
        return True
    blocks = parsed.language.blocks | {"for_statement", "for_in_statement", "if_statement"}
    block = declared[0].parent
    while block is not None and block.type not in blocks:
        block = block.parent
    first = declared[0].start_byte
    return block is not None and all(first <= one.start_byte < block.end_byte for one in uses)


def declares(node: tree_sitter.Node) -> bool:
    """Return whether a binding declares its name, and does not only assign it."""
    if is_parameter(node, None) or binder_of(node) is not None:
        return True
    up = node.parent
    while up is not None:
        if up.type in ("variable_declarator", "short_var_declaration", "range_clause", "var_spec",
                       "const_spec", "catch_clause", "for_in_statement"):  # fmt: skip
            return True
        if up.type in _BINDERS or up.type.endswith(("_statement", "block")):
            return False
        up = up.parent
    return False


def _holder(parsed: Parsed, node: tree_sitter.Node, function: tree_sitter.Node) -> int:
    """Return the id of the scope that a binding belongs to: `function`, or one inside it."""
    up = node.parent
    while up is not None and up.id != function.id:
        if up.type in parsed.language.functions | INNER | parsed.language.classes:
            return up.id
        up = up.parent
    return function.id


def binds(node: tree_sitter.Node, function: tree_sitter.Node) -> bool:
    """Return whether an identifier gets a value at its place."""
    if is_parameter(node, function) or binder_of(node) is not None:
        return True
    child, up = node, node.parent
    while up is not None and up.id != function.id:
        if up.type in _BINDERS:
            field = _BINDERS[up.type]
            target = up.child_by_field_name(field) if field else child
            return target is not None and _is_within(node, target) and _is_target(node, target)
        if up.type in ("subscript", "index_expression", "call", "call_expression"):
            return False
        child, up = up, up.parent
    return False


def _is_target(node: tree_sitter.Node, target: tree_sitter.Node) -> bool:
    """Return whether `node` itself is assigned in `target`: `a` in `a, b`, not in `a.b` or
    `a[b]`."""
    up = node
    while up.id != target.id:
        parent = up.parent
        if parent is None or parent.type in (
            "attribute", "subscript", "member_expression", "subscript_expression",
            "selector_expression", "index_expression", "field_expression", "unary_expression",
        ):  # fmt: skip
            return False
        up = parent
    return True


def is_parameter(node: tree_sitter.Node, function: tree_sitter.Node | None) -> bool:
    """Return whether an identifier names a parameter (of `function`, when one is given)."""
    if (binder := binder_of(node)) is not None:
        takes = binder.type.startswith("function_") or binder.type == "closure_expression"
        return takes and (function is None or binder.id == function.id)
    child, up = node, node.parent
    while up is not None and up.type in _PARAMETERS:
        for field in ("value", "type"):
            other = up.child_by_field_name(field)
            if other is not None and _is_within(node, other):
                return False
        child, up = up, up.parent
    if child is node and not (up is not None and up.child_by_field_name("parameter") == node):
        return False
    return up is not None and (function is None or up.id == function.id)


def is_member(node: tree_sitter.Node) -> bool:
    """Return whether an identifier is a field, a keyword or a key, not a variable."""
    up = node.parent
    if up is None:
        return False
    if is_no_variable(node):
        return True
    if up.type == "literal_element" and up.parent is not None:  # Go's `T{key: value}`
        literal = up.parent.parent.parent if up.parent.parent is not None else None
        kind = literal.child_by_field_name("type") if literal is not None else None
        if kind is not None and kind.type == "map_type":
            return False
        node, up = up, up.parent
    field = _MEMBERS.get(up.type)
    return field is not None and up.child_by_field_name(field) == node


def _is_within(inner: tree_sitter.Node, outer: tree_sitter.Node) -> bool:
    return outer.start_byte <= inner.start_byte and inner.end_byte <= outer.end_byte
