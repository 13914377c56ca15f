"""Types of local names and expressions, where they are written or follow from what is written.

For Go and TypeScript, whose functions need them. Nothing is guessed: a call of an unknown function
has no type here, and neither has a name whose type depends on a generic function, a union that may
have been narrowed, or a parameter that may be left out.
"""

from __future__ import annotations

import re

import tree_sitter

from nearfield.syntax.parser import Parsed
from nearfield.syntax.scopes import Scope, scope_of, text_of, walk

__all__ = ["changes_copy", "is_generic", "type_of"]

_GO = {
    "int_literal": "int", "float_literal": "float64", "interpreted_string_literal": "string",
    "raw_string_literal": "string", "rune_literal": "rune", "true": "bool", "false": "bool",
}  # fmt: skip
_TYPESCRIPT = {
    "number": "number", "string": "string", "template_string": "string", "true": "boolean",
    "false": "boolean",
}  # fmt: skip
_COMPARISONS = frozenset({"==", "!=", "===", "!==", "<", ">", "<=", ">=", "&&", "||"})
_ARITHMETIC = frozenset({"+", "-", "*", "/", "%"})
_UNTYPED = frozenset({"int_literal", "float_literal", "rune_literal"})
"""Go's constants, which take the type of what they stand beside."""
_SHARED = re.compile(r"\*|\[\]|map\[|chan\b|func\b|<-")
"""Go's types whose values lead to what they are about: a copy of one changes the same thing."""
_PLAIN = re.compile(r"(?:u?int(?:8|16|32|64)?|float(?:32|64)|string|bool|byte|rune|error)\Z")
_CLOSED_TYPE = re.compile(r"[|?&]|\b(?:typeof|keyof|asserts|is|any|unknown)\b")
"""In TypeScript: what may be narrowed by a test above, or is more than a name."""
_DEEPEST = 6


def type_of(parsed: Parsed, scope: Scope, depth: int = 0) -> str:
    """The type of the one value or declaration of a name, as it is written in the language; "" for
    unknown."""
    if len([one for one in scope.bindings if _declares(one)]) != 1:
        return ""
    node = next(one for one in scope.bindings if _declares(one))
    up = node.parent
    if up is None or depth > _DEEPEST:
        return ""
    if up.type in (
        "parameter_declaration",
        "required_parameter",
        "var_spec",
        "variable_declarator",
    ):
        written = up.child_by_field_name("type")
        if written is not None:
            return _usable(parsed, text_of(written).lstrip(": "))
        return _of_value(parsed, up.child_by_field_name("value"), depth)
    short = up.parent if up.type == "expression_list" else None
    if short is None or short.type != "short_var_declaration" or len(up.named_children) != 1:
        return ""
    right = short.child_by_field_name("right")
    values = right.named_children if right is not None else []
    return _of_value(parsed, values[0] if len(values) == 1 else None, depth)


def is_generic(function: tree_sitter.Node) -> bool:
    """Return whether a function, or something around it, has parameters for types."""
    up: tree_sitter.Node | None = function
    while up is not None:
        if up.child_by_field_name("type_parameters") is not None:
            return True
        up = up.parent
    receiver = function.child_by_field_name("receiver")
    return receiver is not None and "[" in text_of(receiver)


def changes_copy(statements: list[tree_sitter.Node], name: str, kind: str) -> bool:
    """Return whether Go's `statements` may change the value `name` of type `kind` in place, which a
    function that is given a copy would not do for its caller."""
    for one in (node for statement in statements for node in walk(statement)):
        if one.type != "identifier" or text_of(one) != name or one.parent is None:
            continue
        if one.parent.type == "unary_expression" and text_of(one.parent).startswith("&"):
            return True
        if _SHARED.match(kind) or _PLAIN.match(kind):
            continue
        up: tree_sitter.Node | None = one.parent
        while up is not None and not up.type.endswith(("statement", "declaration", "block")):
            if up.type == "call_expression" and _is_method_of(up, one):
                return True
            up = up.parent
        if up is not None and up.type in ("assignment_statement", "inc_statement", "dec_statement"):
            left = up.child_by_field_name("left") or up
            if left.start_byte <= one.start_byte < left.end_byte:
                return True
    return False


def _is_method_of(call: tree_sitter.Node, name: tree_sitter.Node) -> bool:
    function = call.child_by_field_name("function")
    return (
        function is not None
        and function.type == "selector_expression"
        and function.start_byte <= name.start_byte < function.end_byte
    )


def _declares(node: tree_sitter.Node) -> bool:
    """Return whether a binding is where the name begins to be."""
    up = node.parent
    if up is None or up.type in ("inc_statement", "dec_statement", "update_expression"):
        return False
    if up.type == "expression_list" and up.parent is not None:
        up = up.parent
    return not up.type.endswith(("assignment_expression", "assignment_statement"))


def _usable(parsed: Parsed, written: str) -> str:
    if parsed.language.name != "go" and _CLOSED_TYPE.search(written):
        return ""
    return "" if "\n" in written else written


def _of_value(parsed: Parsed, value: tree_sitter.Node | None, depth: int) -> str:
    """The type of an expression."""
    if value is None or depth > _DEEPEST:
        return ""
    go = parsed.language.name == "go"
    known = (_GO if go else _TYPESCRIPT).get(value.type, "")
    if known:
        return known
    if value.type == "parenthesized_expression":
        return _of_value(parsed, value.named_children[0], depth + 1)
    if value.type == "identifier":
        scope = scope_of(parsed, value)
        return type_of(parsed, scope, depth + 1) if scope is not None else ""
    if value.type == "binary_expression":
        return _of_operation(parsed, value, depth)
    if go and value.type == "composite_literal":
        written = value.child_by_field_name("type")
        return text_of(written) if written is not None and "..." not in text_of(written) else ""
    if go and value.type == "call_expression":
        return _of_call(value)
    return ""


def _of_call(call: tree_sitter.Node) -> str:
    """Of those of Go's own functions whose type shows."""
    name = text_of(call.child_by_field_name("function") or call)
    given = call.child_by_field_name("arguments")
    first = given.named_children[0] if given is not None and given.named_children else None
    if name in ("len", "cap"):
        return "int"
    return text_of(first) if name == "make" and first is not None else ""


def _of_operation(parsed: Parsed, value: tree_sitter.Node, depth: int) -> str:
    left, right = value.child_by_field_name("left"), value.child_by_field_name("right")
    operator = text_of(value.child_by_field_name("operator") or value)
    go = parsed.language.name == "go"
    if left is None or right is None:
        return ""
    if operator in _COMPARISONS:
        # In TypeScript `a && b` is one of the two.
        return ("bool" if go else "boolean") if go or operator not in ("&&", "||") else ""
    if operator not in _ARITHMETIC:
        return ""
    one, other = (_of_value(parsed, side, depth + 1) for side in (left, right))
    if go and left.type in _UNTYPED and right.type not in _UNTYPED:
        return other
    if go and right.type in _UNTYPED and left.type not in _UNTYPED:
        return one
    return one if one == other else ""
