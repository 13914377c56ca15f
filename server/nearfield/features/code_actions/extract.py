"""Extract an expression as a variable, or statements as a function, where the tree shows that it
is safe: evaluated once, at the same point, under the same conditions, with the same names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import tree_sitter

from nearfield.errors import EditRefused
from nearfield.features.code_actions.layout import layout_of
from nearfield.features.code_actions.proposal import ProposedEdit
from nearfield.files.lines import LINE_END
from nearfield.syntax.definitions import outermost, trimmed, whole_lines
from nearfield.syntax.parser import Parsed
from nearfield.syntax.scopes import function_at, is_name, scope_of, text_of, walk
from nearfield.types import Edit, Span

__all__ = ["expression_at", "extracted_function", "extracted_variable", "statements_at"]

_CONDITIONAL = frozenset(
    {
        "boolean_operator", "conditional_expression", "ternary_expression", "lambda",
        "while_statement", "list_comprehension", "set_comprehension",
        "dictionary_comprehension", "elif_clause", "generator_expression", "arrow_function",
        "function_expression", "func_literal", "default_parameter", "typed_default_parameter",
        "decorator", "for_statement", "do_statement", "else_clause", "case_clause",
        "switch_case", "expression_case", "f_string", "interpolation", "type",
        "type_annotation", "assert_statement", "del_statement",
    }
)  # fmt: skip
"""Inside these an expression is not evaluated exactly once at the start of the statement."""
_EXPRESSIONS = re.compile(
    r".*(?:_expression|_operator|call|subscript|attribute|literal|_string)$|list|dictionary|tuple"
    r"|string|integer|float|number|object|array|set"
)
_LEAVES = frozenset(
    {
        "await", "await_expression", "break_statement", "continue_statement", "defer_statement",
        "go_statement", "goto_statement", "global_statement", "nonlocal_statement",
        "return_statement", "yield", "yield_expression", "import_statement", "labeled_statement",
        "import_from_statement", "function_definition", "class_definition", "fallthrough_statement",
        "function_declaration", "class_declaration", "named_expression", "this", "super",
    }
)  # fmt: skip
"""Statements that contain one of these only work where they are."""
_NAMES = {"variable": "extracted", "function": "extracted_part"}
_NEEDS_TYPES = "A function needs types here, which only a server for the language knows."


@dataclass(frozen=True, slots=True)
class _Statements:
    """Whole statements of one block inside `function`."""

    nodes: list[tree_sitter.Node]
    lines: Span
    function: tree_sitter.Node


def expression_at(parsed: Parsed, span: Span) -> tuple[tree_sitter.Node, Span] | None:
    """Return the expression that `span` selects exactly, and the lines of its statement; None if it
    cannot safely become a variable."""
    span = trimmed(parsed.text, span)
    if span.start >= span.end:
        return None
    path = parsed.path_to(span.start)
    node = next((one for one in path if parsed.span(one) == span), None)
    if node is None or node.is_error or not _EXPRESSIONS.fullmatch(node.type):
        return None
    child, up = node, node.parent
    while up is not None and up.type not in parsed.language.blocks:
        if up.type in _CONDITIONAL and not _first_evaluated(child, up):
            return None
        if up.child_by_field_name("left") == child and "assign" in up.type:
            return None
        if _is_branch(child, up):
            return None
        child, up = up, up.parent
    if up is None or any(one.type in ("yield", "await") for one in walk(node)):
        return None
    if child.type == "expression_statement" and (
        node.type == "string" or parsed.span(child) == span
    ):
        return None  # a docstring, or a statement of its own, which has no place for a name
    if _uses_header(parsed, node, child):
        return None
    lines = whole_lines(parsed.text, parsed.span(child))
    return (node, lines) if lines is not None else None


def extracted_variable(parsed: Parsed, span: Span, name: str = "") -> tuple[ProposedEdit, ...]:
    """Return the edits that give the selected expression a name. Raises `EditRefused`."""
    found = expression_at(parsed, span)
    if found is None:
        raise EditRefused(
            "This cannot safely become a variable.", "Select one whole expression of a statement."
        )
    node, lines = found
    name = _free_name(parsed, name or _NAMES["variable"])
    form = {"python": "{} = {}", "go": "{} := {}"}.get(parsed.language.name, "const {} = {};")
    indent = re.match(r"[ \t]*", parsed.text[lines.start :])
    newline = layout_of(parsed.text, parsed.language).newline
    statement = (indent[0] if indent else "") + form.format(name, text_of(node)) + newline
    return (
        ProposedEdit(Edit(Span(lines.start, lines.start), statement)),
        ProposedEdit(Edit(parsed.span(node), name)),
    )


def statements_at(parsed: Parsed, span: Span) -> _Statements | None:
    """Return the whole statements of one function that `span` selects."""
    span = trimmed(parsed.text, span)
    path = parsed.path_to(span.start)
    for block in reversed(path):
        if block.type not in parsed.language.blocks:
            continue
        nodes = [
            child
            for child in block.named_children
            if child.type not in parsed.language.comments
            and parsed.span(child).end > span.start
            and parsed.span(child).start < span.end
        ]
        if not nodes:
            continue
        lines = whole_lines(
            parsed.text, Span(parsed.span(nodes[0]).start, parsed.span(nodes[-1]).end)
        )
        function = function_at(parsed, nodes[0])
        exact = lines is not None and trimmed(parsed.text, lines) == span
        if exact and lines is not None and function is not None:
            return _Statements(nodes, lines, function)
        return None
    return None


def extracted_function(parsed: Parsed, span: Span, name: str = "") -> tuple[ProposedEdit, ...]:
    """Return the edits that move the selected statements to a new function above the one that they
    are in. Raises `EditRefused`."""
    found = statements_at(parsed, span)
    if found is None:
        raise EditRefused(
            "These lines cannot safely become a function.",
            "Select whole statements that nothing jumps out of.",
        )
    if parsed.language.name not in ("python", "javascript"):
        raise EditRefused(_NEEDS_TYPES)
    inputs, outputs = _flow(parsed, found)
    name = _free_name(parsed, name or _NAMES["function"])
    layout = layout_of(parsed.text, parsed.language)
    top = found.function
    while top.parent is not None and top.parent != parsed.root:
        top = top.parent
    start = whole_lines(parsed.text, parsed.span(outermost(top)))
    if start is None:
        raise EditRefused("There is no room above the function.")
    body = parsed.text[found.lines.start : found.lines.end]
    indent = re.match(r"[ \t]*", body)
    margin = indent[0] if indent else ""
    rows = [row.removeprefix(margin) for row in LINE_END.split(body)]
    given, back = ", ".join(inputs), ", ".join(outputs)
    call = f"{name}({given})"
    if parsed.language.name == "python":
        head, tail, end = f"def {name}({given}):", ("", ""), ""
        call = f"{back} = {call}" if back else call
    else:
        head, tail, end = f"function {name}({given}) {{", ("}", ""), ";"
        back = f"[{back}]" if len(outputs) > 1 else back
        call = f"const {back} = {call};" if back else f"{call};"
    if back:
        rows.append(f"return {back}{end}")
    inner = [layout.step + row if row.strip() else "" for row in rows]
    made = layout.newline.join([head, *inner, *tail, ""])
    return (
        ProposedEdit(Edit(Span(start.start, start.start), made), confirm=True),
        ProposedEdit(Edit(found.lines, margin + call)),
    )


def _flow(parsed: Parsed, found: _Statements) -> tuple[list[str], list[str]]:
    """Return the names that the statements take in, and those that they give out. Raises
    `EditRefused` if their effect is more than that."""
    inputs: list[str] = []
    outputs: list[str] = []
    first, last = found.nodes[0].start_byte, found.nodes[-1].end_byte
    for one in (node for statement in found.nodes for node in walk(statement)):
        if one.type in _LEAVES:
            raise EditRefused("Something in these lines works only where it stands.")
        if one.type != "identifier":
            continue
        name = text_of(one)
        scope = scope_of(parsed, one)
        if scope is None or scope.function != found.function:
            if scope is None and _is_bound(name, found.function):
                raise EditRefused(f"What `{name}` is here is not certain.")
            continue
        inside = [b for b in scope.bindings if first <= b.start_byte < last]
        if inside and (len(inside) < len(scope.bindings) or _is_in_loop(found)):
            raise EditRefused(f"`{name}` is given a value here and elsewhere.")
        is_used_later = any(use.start_byte >= last for use in scope.uses)
        if inside and is_used_later and name not in outputs:
            outputs.append(name)
        if not inside and name not in inputs:
            inputs.append(name)
    return inputs, outputs


def _is_bound(name: str, function: tree_sitter.Node) -> bool:
    """Return whether `function` binds `name`, although it is no plain local name."""
    for one in walk(function):
        if one.type == "identifier" and text_of(one) == name and one.parent is not None:
            holder = one.parent
            target = holder.child_by_field_name("left") or holder.child_by_field_name("name")
            if target == one and holder.type != "keyword_argument":
                return True
    return False


def _is_in_loop(found: _Statements) -> bool:
    """Return whether a loop is around the statements, so that a name may come from its last run."""
    up = found.nodes[0].parent
    while up is not None and up != found.function:
        if up.type in ("for_statement", "while_statement", "for_in_statement", "do_statement"):
            return True
        up = up.parent
    return False


def _first_evaluated(child: tree_sitter.Node, up: tree_sitter.Node) -> bool:
    """Return whether `up` evaluates `child` first and once: the iterable of a loop, the left side
    of an `and`, a condition."""
    if up.type == "boolean_operator":
        return up.child_by_field_name("left") == child
    if up.type == "for_statement":
        return up.child_by_field_name("right") == child
    return up.type == "ternary_expression" and up.child_by_field_name("condition") == child


def _is_branch(child: tree_sitter.Node, up: tree_sitter.Node) -> bool:
    """Return whether `child` is evaluated only if a condition of `up` holds."""
    if up.type == "binary_expression":
        operator = up.child_by_field_name("operator")
        lazy = operator is not None and operator.type in ("&&", "||", "??")
        return lazy and up.child_by_field_name("right") == child
    branches = ("consequence", "alternative", "body")
    return any(up.child_by_field_name(field) == child for field in branches)


def _uses_header(parsed: Parsed, node: tree_sitter.Node, statement: tree_sitter.Node) -> bool:
    """Return whether an expression uses a name that its own statement binds before it, as Go's `if`
    can."""
    for one in walk(node):
        scope = scope_of(parsed, one) if one.type == "identifier" else None
        for binding in scope.bindings if scope else ():
            if statement.start_byte <= binding.start_byte < node.start_byte:
                return True
    return False


def _free_name(parsed: Parsed, name: str) -> str:
    """Return `name`, with a number if it is taken. Raises `EditRefused` if it is not a name."""
    if not is_name(name):
        raise EditRefused("That is not a name.", "Use letters, digits and _.")
    taken = set(re.findall(r"\w+", parsed.text))
    free = name
    number = 1
    while free in taken:
        number += 1
        free = f"{name}{number}"
    return free
