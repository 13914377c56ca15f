"""Extracting an expression as a variable, or statements as a function, where that is safe.

Safe means: what is taken out is evaluated once, at the same point, under the same conditions, and
with the same names. Everything else is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import tree_sitter

from nearfield.errors import EditRefused
from nearfield.features.code_actions.layout import layout_of
from nearfield.features.code_actions.proposal import Change
from nearfield.features.code_actions.written import changes_copy, is_generic, type_of
from nearfield.files.lines import LINE_END
from nearfield.syntax.definitions import outermost, whole_lines
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
"""Inside these an expression is not evaluated exactly once where the statement begins."""
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
"""Statements with one of these do something that only works where they stand."""
_UNTYPED = frozenset({"python", "javascript"})
"""Languages whose parameters need no types."""
_NAMES = {"variable": "extracted", "function": "extracted_part"}


@dataclass(frozen=True, slots=True)
class _Form:
    """How a language writes a function: its head, what follows its body up to the next one, how
    the call's outcome is named, and how a statement ends."""

    head: str
    tail: tuple[str, ...]
    bind: str
    end: str


_ECMA = _Form("function {name}({given}) {{", ("}", ""), "const {back} = {call}", ";")
_FORMS = {
    "python": _Form("def {name}({given}):", ("", ""), "{back} = {call}", ""),
    "go": _Form("func {name}({given}) {back}{{", ("}", ""), "{back} := {call}", ""),
}


@dataclass(frozen=True, slots=True)
class _Flow:
    """The names that statements take in and give out, and the types of both ("" for unknown)."""

    inputs: list[str]
    outputs: list[str]
    types: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Statements:
    """Whole statements of one block: their nodes and their lines."""

    nodes: list[tree_sitter.Node]
    lines: Span
    function: tree_sitter.Node


def expression_at(parsed: Parsed, span: Span) -> tuple[tree_sitter.Node, Span] | None:
    """The expression that `span` selects exactly, and the lines of its statement."""
    span = _tight(parsed.text, span)
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
    if _is_docstring(node, child) or _uses_header(parsed, node, child):
        return None
    if child.type == "expression_statement" and parsed.span(child) == span:
        return None  # a statement of its own has no place for a name
    lines = whole_lines(parsed.text, parsed.span(child))
    return (node, lines) if lines is not None else None


def extracted_variable(parsed: Parsed, span: Span, name: str = "") -> tuple[Change, ...]:
    """The edits that give the selected expression a name. Raises `EditRefused`."""
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
        Change(Edit(Span(lines.start, lines.start), statement)),
        Change(Edit(parsed.span(node), name)),
    )


def statements_at(parsed: Parsed, span: Span) -> _Statements | None:
    """The statements that `span` selects, all of each, within one function."""
    span = _tight(parsed.text, span)
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
        exact = lines is not None and _tight(parsed.text, lines) == span
        if exact and lines is not None and function is not None:
            return _Statements(nodes, lines, function)
        return None
    return None


def extracted_function(parsed: Parsed, span: Span, name: str = "") -> tuple[Change, ...]:
    """The edits that move the selected statements to a function of their own, above the one that
    they are in. Raises `EditRefused`."""
    found = statements_at(parsed, span)
    if found is None:
        raise EditRefused(
            "These lines cannot safely become a function.",
            "Select whole statements that nothing jumps out of.",
        )
    flow = _flow(parsed, found)
    language = parsed.language.name
    usual = _NAMES["function"] if language in _UNTYPED else "extractedPart"
    name = _free_name(parsed, name or usual)
    layout = layout_of(parsed.text, parsed.language)
    outer = outermost(_top(parsed, found.function))
    start = whole_lines(parsed.text, parsed.span(outer))
    if start is None:
        raise EditRefused("There is no room above the function.")
    body = parsed.text[found.lines.start : found.lines.end]
    indent = re.match(r"[ \t]*", body)
    margin = indent[0] if indent else ""
    rows = [row.removeprefix(margin) for row in LINE_END.split(body)]
    form = _FORMS.get(language, _ECMA)
    back = ", ".join(flow.outputs)
    if len(flow.outputs) > 1 and form is _ECMA:
        back = f"[{back}]"
    if back:
        rows.append(f"return {back}{form.end}")
    inner = [layout.step + row if row.strip() else "" for row in rows]
    head = form.head.format(
        name=name, given=_given(language, flow), back=_results(flow) if language == "go" else ""
    )
    made = layout.newline.join([head, *inner, *form.tail, ""])
    call = f"{name}({', '.join(flow.inputs)}){form.end}"
    if back:
        call = form.bind.format(back=back, call=call)
    return (
        Change(Edit(Span(start.start, start.start), made), confirm=True),
        Change(Edit(found.lines, margin + call)),
    )


def _given(language: str, flow: _Flow) -> str:
    """The parameters, with their types where a language has them."""
    if language in _UNTYPED:
        return ", ".join(flow.inputs)
    mark = " " if language == "go" else ": "
    return ", ".join(f"{name}{mark}{flow.types[name]}" for name in flow.inputs)


def _results(flow: _Flow) -> str:
    """Go's types of what comes back."""
    types = [flow.types[name] for name in flow.outputs]
    return "" if not types else f"{types[0]} " if len(types) == 1 else f"({', '.join(types)}) "


def _flow(parsed: Parsed, found: _Statements) -> _Flow:
    """The names that the statements take in and give out. Raises `EditRefused` when they do more
    than that."""
    flow = _Flow([], [], {})
    first, last = found.nodes[0].start_byte, found.nodes[-1].end_byte
    for statement in found.nodes:
        for one in walk(statement):
            if one.type in _LEAVES:
                raise EditRefused("Something in these lines works only where it stands.")
            if one.type != "identifier":
                continue
            name = text_of(one)
            scope = scope_of(parsed, one)
            if scope is None or scope.function != found.function:
                if scope is None and _bound_somewhere(parsed, name, found.function):
                    raise EditRefused(f"What `{name}` is here is not certain.")
                continue
            inside = [b for b in scope.bindings if first <= b.start_byte < last]
            outside = [b for b in scope.bindings if not first <= b.start_byte < last]
            later = [u for u in scope.uses if u.start_byte >= last]
            if inside and (outside or _in_loop(found)):
                raise EditRefused(f"`{name}` is given a value here and elsewhere.")
            if inside and later and name not in flow.outputs:
                flow.outputs.append(name)
            if not inside and name not in flow.inputs:
                flow.inputs.append(name)
            flow.types.setdefault(name, type_of(parsed, scope))
    _check_types(parsed, found, flow)
    return flow


def _check_types(parsed: Parsed, found: _Statements, flow: _Flow) -> None:
    """Raises `EditRefused` where the new function would need a type that is not known."""
    language = parsed.language.name
    if language in _UNTYPED:
        return
    if is_generic(found.function):
        raise EditRefused("The function around these lines is generic.")
    for name in [*flow.inputs, *(flow.outputs if language == "go" else ())]:
        if not flow.types[name]:
            raise EditRefused(f"The type of `{name}` is not written here.", "Declare it first.")
    for name in flow.inputs if language == "go" else ():
        if changes_copy(found.nodes, name, flow.types[name]):
            raise EditRefused(f"These lines may change `{name}`, of which they would get a copy.")


def _bound_somewhere(parsed: Parsed, name: str, function: tree_sitter.Node) -> bool:
    """Whether `function` gives `name` a value in some way, although it is no plain local name."""
    for one in walk(function):
        if one.type == "identifier" and text_of(one) == name and one.parent is not None:
            holder = one.parent
            target = holder.child_by_field_name("left") or holder.child_by_field_name("name")
            if target == one and holder.type != "keyword_argument":
                return True
    del parsed
    return False


def _in_loop(found: _Statements) -> bool:
    """Whether a loop is around the statements, so that a name may come from the turn before."""
    up = found.nodes[0].parent
    while up is not None and up != found.function:
        if up.type in ("for_statement", "while_statement", "for_in_statement", "do_statement"):
            return True
        up = up.parent
    return False


def _top(parsed: Parsed, function: tree_sitter.Node) -> tree_sitter.Node:
    """The statement of the file that holds `function`."""
    node = function
    while node.parent is not None and node.parent != parsed.root:
        node = node.parent
    return node


def _first_evaluated(child: tree_sitter.Node, up: tree_sitter.Node) -> bool:
    """Whether `child` is what `up` evaluates first and once: what a loop goes over, the left side
    of an `and`, a condition."""
    if up.type in ("boolean_operator",):
        return up.child_by_field_name("left") == child
    if up.type == "for_statement":
        return up.child_by_field_name("right") == child
    return up.type == "ternary_expression" and up.child_by_field_name("condition") == child


def _is_branch(child: tree_sitter.Node, up: tree_sitter.Node) -> bool:
    """Return whether `child` is evaluated only when `up` finds something true."""
    if up.type == "binary_expression":
        operator = up.child_by_field_name("operator")
        lazy = operator is not None and operator.type in ("&&", "||", "??")
        return lazy and up.child_by_field_name("right") == child
    branches = ("consequence", "alternative", "body")
    return any(up.child_by_field_name(field) == child for field in branches)


def _uses_header(parsed: Parsed, node: tree_sitter.Node, statement: tree_sitter.Node) -> bool:
    """Whether an expression needs a name that its own statement binds before it, as Go's `if`
    can."""
    for one in walk(node):
        scope = scope_of(parsed, one) if one.type == "identifier" else None
        for binding in scope.bindings if scope else ():
            if statement.start_byte <= binding.start_byte < node.start_byte:
                return True
    return False


def _is_docstring(node: tree_sitter.Node, statement: tree_sitter.Node) -> bool:
    return node.type == "string" and statement.type == "expression_statement"


def _free_name(parsed: Parsed, name: str) -> str:
    """`name`, with a number when it is taken. Raises `EditRefused` when it is no name."""
    if not is_name(name):
        raise EditRefused("That is not a name.", "Use letters, digits and _.")
    taken = set(re.findall(r"\w+", parsed.text))
    free = name
    number = 1
    while free in taken:
        number += 1
        free = f"{name}{number}"
    return free


def _tight(text: str, span: Span) -> Span:
    """`span` without the white space at its ends."""
    start, end = span.start, min(span.end, len(text))
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return Span(start, end)
