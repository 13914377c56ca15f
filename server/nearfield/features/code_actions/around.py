"""What a model is shown around a unit: the file's imports, and what documents the unit."""

from __future__ import annotations

from nearfield.features.code_actions.fit import Fitting
from nearfield.features.code_actions.layout import is_docstring
from nearfield.files.lines import LINE_END
from nearfield.syntax.definitions import Unit
from nearfield.syntax.parser import Parsed, parse
from nearfield.types import Span

__all__ = ["comment_above", "docstring_in", "head_with_documentation", "with_surroundings"]

HEADER_CHARS = 600
"""Longer imports are left out: they would be most of what a small model reads."""


def with_surroundings(fitting: Fitting) -> str:
    """The unit as a model is shown it, under the imports of its file and its own comment."""
    above = _comment(fitting)
    unit = f"{above}\n{fitting.shown}" if above else fitting.shown
    header = _imports(fitting.parsed)
    return f"{header}\n\n{unit}" if header and not fitting.unit.indent else unit


def head_with_documentation(fitting: Fitting) -> str:
    """The unit up to its body with what documents it, under the imports; "" when nothing does, or
    when it has no body of its own."""
    form, language = fitting.form, fitting.language
    if form is None or language is None or not form.body or fitting.unit.kind != "function":
        return ""
    documented = docstring_in(fitting.shown, fitting)
    if documented is not None:
        text = fitting.shown[: documented.end]
    elif above := _comment(fitting):
        text = f"{above}\n{form.lead}{form.head.rstrip()}" + (
            " {\n}" if form.body[0] == "{" else ""
        )
    else:
        return ""
    header = _imports(fitting.parsed)
    return f"{header}\n\n{text}" if header and not fitting.unit.indent else text


def docstring_in(code: str, fitting: Fitting) -> Span | None:
    """Where the docstring of the first definition in `code` is."""
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
    """The comment on the lines right above the unit."""
    if parsed is None or not unit.name:
        return None
    start = unit.span.start
    while (line := _line_before(text, start)) is not None:
        first = text[line.start : line.end]
        place = line.start + len(first) - len(first.lstrip())
        if not first.strip() or not _is_comment(parsed, place):
            break
        start = line.start
    return Span(start, unit.span.start) if start < unit.span.start else None


def _comment(fitting: Fitting) -> str:
    span = comment_above(fitting.text, fitting.parsed, fitting.unit)
    if span is None:
        return ""
    lines = LINE_END.split(fitting.text[span.start : span.end])
    return "\n".join(line.removeprefix(fitting.unit.indent) for line in lines).strip("\n")


def _imports(parsed: Parsed | None) -> str:
    if parsed is None:
        return ""
    found = [
        parsed.source[node.start_byte : node.end_byte].decode("utf-8", "replace").strip()
        for node in parsed.root.named_children
        if node.type in parsed.language.imports
    ]
    text = "\n".join(found)
    return text if len(text) <= HEADER_CHARS else ""


def _is_comment(parsed: Parsed, place: int) -> bool:
    return any(node.type in parsed.language.comments for node in parsed.path_to(place))


def _line_before(text: str, start: int) -> Span | None:
    """The line that ends before `start`, with its end."""
    if start <= 0:
        return None
    end = start - 1
    if text[end] == "\n" and end and text[end - 1] == "\r":
        end -= 1
    return Span(max(text.rfind("\n", 0, end), text.rfind("\r", 0, end)) + 1, start)
