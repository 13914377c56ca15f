"""Inlining a local variable: its one value takes the place of each use."""

from __future__ import annotations

import tree_sitter

from nearfield.errors import EditRefused
from nearfield.features.code_actions.proposal import Change
from nearfield.files.lines import LINE_END
from nearfield.syntax.definitions import whole_lines
from nearfield.syntax.parser import Parsed
from nearfield.syntax.scopes import Scope, identifier_at, scope_of, text_of, walk
from nearfield.types import Edit, Span

__all__ = ["inlinable", "inlined"]

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
"""What does something, makes something new, or may have another value later: it is not the same
twice, or elsewhere."""
_ATOMS = frozenset(
    {
        "identifier", "integer", "float", "number", "string", "true", "false", "none", "null",
        "parenthesized_expression", "int_literal", "float_literal", "interpreted_string_literal",
        "raw_string_literal", "nil", "template_string",
    }
)  # fmt: skip


class _Found:
    """A variable that can be inlined: its scope, its value, and the statement that gives it."""

    def __init__(
        self, scope: Scope, value: tree_sitter.Node, lines: Span, reads: list[tree_sitter.Node]
    ) -> None:
        self.scope, self.value, self.lines, self.reads = scope, value, lines, reads


def inlinable(parsed: Parsed, span: Span) -> _Found | None:
    """The variable at `span`, where putting its value in its place changes nothing."""
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
    if lines is None or not reads or not _steady(parsed, scope, value, statement):
        return None
    return _Found(scope, value, lines, reads)


def inlined(parsed: Parsed, span: Span) -> tuple[Change, ...]:
    """The edits that inline the variable at `span`. Raises `EditRefused`."""
    found = inlinable(parsed, span)
    if found is None:
        raise EditRefused("There is no variable here that can safely be inlined.")
    text = text_of(found.value)
    if found.value.type not in _ATOMS:
        text = f"({text})"
    end = LINE_END.match(parsed.text, found.lines.end)
    gone = Span(found.lines.start, end.end() if end else found.lines.end)
    uses = [Change(Edit(parsed.span(one), text)) for one in found.reads]
    return (Change(Edit(gone, "")), *uses)


def _assignment(
    binding: tree_sitter.Node,
) -> tuple[tree_sitter.Node | None, tree_sitter.Node | None]:
    """The statement that gives a variable its one value, and the value."""
    up = binding.parent
    if up is None:
        return None, None
    if up.type == "assignment" and up.child_by_field_name("left") == binding:
        value = up.child_by_field_name("right")
        typed = up.child_by_field_name("type")
        chained = value is not None and value.type == "assignment"
        return (None, None) if typed is not None or chained else (up.parent, value)
    if up.type == "variable_declarator" and up.parent is not None:
        alone = len([c for c in up.parent.named_children if c.type == up.type]) == 1
        value = up.child_by_field_name("value")
        return (up.parent, value) if alone and up.child_by_field_name("type") is None else (
            None, None
        )  # fmt: skip
    if up.type == "expression_list" and up.parent is not None:
        short = up.parent
        right = short.child_by_field_name("right")
        values = right.named_children if right is not None else []
        single = len(up.named_children) == 1 and len(values) == 1
        if short.type == "short_var_declaration" and single:
            return short, values[0]
    return None, None


def _steady(
    parsed: Parsed, scope: Scope, value: tree_sitter.Node, statement: tree_sitter.Node
) -> bool:
    """Whether what the value is made of is the same at each use: bound once, or before and never
    again."""
    block = statement.parent
    if block is None or block.type not in parsed.language.blocks:
        return False
    if any(
        not (statement.end_byte <= one.start_byte < block.end_byte)
        for one in scope.uses
        if one != scope.bindings[0]
    ):
        return False
    for one in walk(value):
        if one.type != "identifier":
            continue
        inner = scope_of(parsed, one)
        if inner is None or len(inner.bindings) != 1:
            return False
        # A closure may run at any time; the same names there could be others by then.
        if inner.function != scope.function:
            return False
    return True
