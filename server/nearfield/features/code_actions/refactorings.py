"""Refactorings of local names that need no model, because the tree shows that they are safe.

A language server does them better, so `Actions.menu` leaves them out where one is at work. The
result is parsed once more before it is proposed.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import tree_sitter

from nearfield.errors import EditRefused
from nearfield.features.code_actions.extract import (
    expression_at,
    extracted_function,
    extracted_variable,
    statements_at,
)
from nearfield.features.code_actions.hunks import applied
from nearfield.features.code_actions.proposal import ActionRequest, ProposedEdit
from nearfield.files.lines import LINE_END
from nearfield.syntax.definitions import whole_lines
from nearfield.syntax.parser import Parsed, parse
from nearfield.syntax.scopes import (
    SUPPORTED,
    Scope,
    identifier_at,
    is_name,
    scope_of,
    text_of,
    walk,
)
from nearfield.types import Edit, Span

__all__ = ["REFACTORINGS", "Refactoring", "offered", "refactored", "renamable", "renamed"]

RENAME = "rename"
INLINE = "inline_variable"
EXTRACT_VARIABLE = "extract_variable"
EXTRACT_FUNCTION = "extract_function"
REFACTORINGS = {
    RENAME: "refactor.rewrite",
    INLINE: "refactor.inline",
    EXTRACT_VARIABLE: "refactor.extract",
    EXTRACT_FUNCTION: "refactor.extract",
}
"""Each action and its kind."""
_ACTS = frozenset(
    {
        "assignment_expression", "await", "await_expression", "call", "call_expression",
        "dictionary", "list", "named_expression", "new_expression", "object", "array", "set",
        "update_expression", "yield", "yield_expression", "func_literal", "composite_literal",
        "unary_expression_receive", "arrow_function", "function_expression", "lambda",
        "attribute", "member_expression", "selector_expression", "subscript",
        "subscript_expression", "index_expression", "slice_expression",
    }
)  # fmt: skip
"""Expressions that have an effect, make a new object, or may have another value later."""
_ATOMS = frozenset(
    {
        "identifier", "integer", "float", "number", "string", "true", "false", "none", "null",
        "parenthesized_expression", "int_literal", "float_literal", "interpreted_string_literal",
        "raw_string_literal", "nil", "template_string",
    }
)  # fmt: skip


class Refactoring(NamedTuple):
    """An action on offer, its title, whether the user types a name first, and why it cannot be done
    here ("" if it can)."""

    action: str
    title: str
    asks: bool = False
    why: str = ""


def offered(parsed: Parsed | None, span: Span) -> list[Refactoring]:
    """Return the refactorings for `span`."""
    if parsed is None or parsed.language.name not in SUPPORTED or parsed.root.has_error:
        return []
    found: list[Refactoring] = []
    if span.start == span.end:
        if (scope := renamable(parsed, span)) is not None:
            title = f"Rename `{scope.name}` in this function …"
            found.append(Refactoring(RENAME, title, asks=True))
        if (variable := _inlinable(parsed, span)) is not None:
            found.append(Refactoring(INLINE, f"Inline `{variable.scope.name}`"))
        return found
    if expression_at(parsed, span) is not None:
        found.append(Refactoring(EXTRACT_VARIABLE, "Extract as a variable"))
    if statements_at(parsed, span) is not None:
        why = ""
        try:
            extracted_function(parsed, span)
        except EditRefused as refused:
            why = refused.message
        found.append(Refactoring(EXTRACT_FUNCTION, "Extract as a function", why=why))
    return found


def refactored(request: ActionRequest, parsed: Parsed | None) -> tuple[ProposedEdit, ...]:
    """Return the edits of a refactoring. Raises `EditRefused` unless it is certainly safe."""
    if parsed is None or parsed.language.name not in SUPPORTED:
        raise EditRefused("This is not known for the language.")
    if parsed.root.has_error:
        raise EditRefused("The file does not parse.", "Correct it first.")
    name = request.instruction.strip()
    if request.action == RENAME:
        changes = renamed(parsed, request.span, name)
    elif request.action == INLINE:
        changes = _inlined(parsed, request.span)
    elif request.action == EXTRACT_VARIABLE:
        changes = extracted_variable(parsed, request.span, name)
    else:
        changes = extracted_function(parsed, request.span, name)
    after = parse(parsed.language, applied(parsed.text, [change.edit for change in changes]))
    if after is None or after.root.has_error:
        raise EditRefused("It would not parse afterwards, so nothing is changed.")
    return changes


# --- rename -------------------------------------------------------------------------------------


def renamable(parsed: Parsed, span: Span) -> Scope | None:
    """Return the local name at `span`; None if it cannot be renamed with certainty."""
    node = identifier_at(parsed, span)
    scope = scope_of(parsed, node) if node is not None else None
    if scope is None or scope.name in ("self", "cls", "_"):
        return None
    return None if scope.parameter and _is_named_in_calls(parsed, scope.name) else scope


def renamed(parsed: Parsed, span: Span, name: str) -> tuple[ProposedEdit, ...]:
    """Return the edits that rename the local name at `span` to `name`. Raises `EditRefused`."""
    scope = renamable(parsed, span)
    if scope is None:
        raise EditRefused("There is no local name here that can safely be renamed.")
    if not is_name(name):
        raise EditRefused("That is not a name for a variable.", "Use letters, digits and _.")
    if name in {text_of(one) for one in walk(scope.function) if not one.children}:
        raise EditRefused("The function uses that name already.", "Choose another one.")
    return tuple(ProposedEdit(Edit(parsed.span(node), name)) for node in scope.uses)


def _is_named_in_calls(parsed: Parsed, name: str) -> bool:
    """Return whether a call in the file may pass the parameter by its name."""
    # Visiting every node of a long file takes longer than a menu may.
    if not re.search(rf"[(,]\s*{re.escape(name)}\s*=(?!=)", parsed.text):
        return False
    found = (
        node.child_by_field_name("name")
        for node in walk(parsed.root)
        if node.type == "keyword_argument"
    )
    return any(node is not None and text_of(node) == name for node in found)


# --- inline -------------------------------------------------------------------------------------


class _Variable(NamedTuple):
    """A variable that can be inlined, its value, and the lines of its assignment."""

    scope: Scope
    value: tree_sitter.Node
    lines: Span
    reads: list[tree_sitter.Node]


def _inlinable(parsed: Parsed, span: Span) -> _Variable | None:
    """Return the variable at `span`, if its value can safely replace it."""
    node = identifier_at(parsed, span)
    scope = scope_of(parsed, node) if node is not None else None
    if scope is None or scope.parameter or len(scope.bindings) != 1:
        return None
    statement, value = _assignment(scope.bindings[0])
    if statement is None or value is None or "\n" in text_of(value):
        return None
    if any(one.type in _ACTS for one in walk(value)) or "<-" in text_of(value):
        return None
    lines = whole_lines(parsed.text, parsed.span(statement))
    reads = [one for one in scope.uses if one != scope.bindings[0]]
    block = statement.parent
    if lines is None or not reads or block is None or block.type not in parsed.language.blocks:
        return None
    if not all(statement.end_byte <= one.start_byte < block.end_byte for one in reads):
        return None
    for one in walk(value):
        inner = scope_of(parsed, one) if one.type == "identifier" else None
        # In a closure, which may run at any time, the same names could have other values.
        if one.type == "identifier" and (
            inner is None or len(inner.bindings) != 1 or inner.function != scope.function
        ):
            return None
    return _Variable(scope, value, lines, reads)


def _inlined(parsed: Parsed, span: Span) -> tuple[ProposedEdit, ...]:
    """Return the edits that inline the variable at `span`. Raises `EditRefused`."""
    found = _inlinable(parsed, span)
    if found is None:
        raise EditRefused("There is no variable here that can safely be inlined.")
    text = text_of(found.value)
    if found.value.type not in _ATOMS:
        text = f"({text})"
    end = LINE_END.match(parsed.text, found.lines.end)
    gone = Span(found.lines.start, end.end() if end else found.lines.end)
    uses = [ProposedEdit(Edit(parsed.span(one), text)) for one in found.reads]
    return (ProposedEdit(Edit(gone, "")), *uses)


def _assignment(
    binding: tree_sitter.Node,
) -> tuple[tree_sitter.Node | None, tree_sitter.Node | None]:
    """Return the statement that gives a variable its one value, and the value; None for both where
    the statement has a type, or does more than that."""
    up = binding.parent
    outer = up.parent if up is not None else None
    if up is None or outer is None or up.child_by_field_name("type") is not None:
        return None, None
    if up.type == "assignment" and up.child_by_field_name("left") == binding:
        value = up.child_by_field_name("right")
        is_chained = value is not None and value.type == "assignment"
        return (None, None) if is_chained else (outer, value)
    if up.type == "variable_declarator":
        is_alone = len([c for c in outer.named_children if c.type == up.type]) == 1
        return (outer, up.child_by_field_name("value")) if is_alone else (None, None)
    if up.type == "expression_list" and outer.type == "short_var_declaration":
        right = outer.child_by_field_name("right")
        values = right.named_children if right is not None else []
        if len(up.named_children) == 1 and len(values) == 1:
            return outer, values[0]
    return None, None
