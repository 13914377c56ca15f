"""The code that a model is shown around a unit: the file's imports, and the unit's
documentation."""

from __future__ import annotations

from nearfield.features.code_actions.fit import Fitting
from nearfield.features.code_actions.layout import is_docstring
from nearfield.files.lines import LINE_END, previous_line
from nearfield.syntax.definitions import Unit
from nearfield.syntax.parser import Parsed, parse
from nearfield.types import Span

__all__ = ["comment_above", "docstring_in", "head_with_documentation", "with_surroundings"]

MAX_IMPORT_CHARS = 600
"""Longer imports are left out: they would be most of what a small model reads."""


def with_surroundings(fitting: Fitting) -> str:
    """Return the unit as a model is shown it, below its comment and the imports of its file."""
    above = _comment(fitting)
    return _below_imports(f"{above}\n{fitting.shown}" if above else fitting.shown, fitting)


def head_with_documentation(fitting: Fitting) -> str:
    """Return the unit up to its body with its documentation, below the imports; "" if it has no
    documentation, or no body."""
    form = fitting.form
    if form is None or not form.body or fitting.unit.kind != "function":
        return ""
    documented = docstring_in(fitting.shown, fitting)
    if documented is not None:
        return _below_imports(fitting.shown[: documented.end], fitting)
    if not (above := _comment(fitting)):
        return ""
    tail = " {\n}" if form.body[0] == "{" else ""
    return _below_imports(f"{above}\n{form.lead}{form.head.rstrip()}{tail}", fitting)


def docstring_in(code: str, fitting: Fitting) -> Span | None:
    """Return the span of the docstring of the first definition in `code`."""
    if fitting.language is None or fitting.language.name != "python":
        return None
    parsed = parse(fitting.language, code)
    pending = [parsed.root] if parsed else []
    while pending and parsed:
        node = pending.pop(0)
        if node.type == "string" and is_docstring(node):
            return parsed.span(node)
        if node.type in ("function_definition", "class_definition"):
            body = node.child_by_field_name("body")
            pending = [] if body is None else [*body.named_children[:1]]
        else:
            pending.extend(node.named_children)
    return None


def comment_above(text: str, parsed: Parsed | None, unit: Unit) -> Span | None:
    """Return the span of the comment on the lines right above the unit."""
    if parsed is None or not unit.name:
        return None
    start = unit.span.start
    while start > 0:
        first = previous_line(text, start)
        line = text[first:start]
        node_path = parsed.path_to(first + len(line) - len(line.lstrip()))
        if not line.strip() or not any(n.type in parsed.language.comments for n in node_path):
            break
        start = first
    return Span(start, unit.span.start) if start < unit.span.start else None


def _comment(fitting: Fitting) -> str:
    """Return the comment above the unit, from column 0."""
    span = comment_above(fitting.text, fitting.parsed, fitting.unit)
    if span is None:
        return ""
    lines = LINE_END.split(fitting.text[span.start : span.end])
    return "\n".join(line.removeprefix(fitting.unit.indent) for line in lines).strip("\n")


def _below_imports(code: str, fitting: Fitting) -> str:
    """Return `code` below the imports of its file, where these are short and it is not indented."""
    parsed = fitting.parsed
    if parsed is None or fitting.unit.indent:
        return code
    imports = "\n".join(
        parsed.source[node.start_byte : node.end_byte].decode("utf-8", "replace").strip()
        for node in parsed.root.named_children
        if node.type in parsed.language.imports
    )
    return f"{imports}\n\n{code}" if 0 < len(imports) <= MAX_IMPORT_CHARS else code
