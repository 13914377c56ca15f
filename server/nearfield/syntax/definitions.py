"""Definitions, and the unit of an action: the smallest function, method, class or block at a place.

A unit is whole lines; a definition that shares a line with other code is none, but the code around
it may be. In a language without a tree the unit is the paragraph.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import tree_sitter

from nearfield.files.lines import line_end, line_start
from nearfield.syntax.languages import Language
from nearfield.syntax.parser import Parsed
from nearfield.types import Span

__all__ = [
    "Default",
    "DefinitionParts",
    "Unit",
    "dropped",
    "form_of",
    "functions_of",
    "is_local",
    "name_node",
    "name_of",
    "named_scopes",
    "node_of",
    "outermost",
    "parameters",
    "trimmed",
    "unit_at",
    "whole_lines",
]

MAX_LISTED = 1_000
"""Children of one node that are listed at once."""

WRAPPERS = frozenset(
    {
        "decorated_definition",
        "export_statement",
        "lexical_declaration",
        "template_declaration",
        "variable_declaration",
        "variable_declarator",
    }
)
"""Nodes around a definition that belong to it alone."""
_NAMELESS = frozenset(
    {"arrow_function", "function_expression", "func_literal", "lambda_expression"}
)
_TAIL = re.compile(r"[ \t]*+[;,]?[ \t]*+(?://[^\r\n]*|#[^\r\n]*)?(?=\r|\n|\Z)")


@dataclass(frozen=True, slots=True)
class Default:
    """A parameter with a default value: its name, its type's text ("" for none), and the places in
    the head of all of it and of the value."""

    name: str
    kind: str
    span: Span
    value: Span


@dataclass(frozen=True, slots=True)
class DefinitionParts:
    """A definition in its parts, which joined are its text: `lead` (decorators, `export`, the name
    that it is assigned to), `head` up to the body, `body`, and `tail`, the mark after it."""

    lead: str
    head: str
    body: str
    tail: str
    parameters: tuple[str, ...]
    defaults: tuple[Default, ...] = ()

    @property
    def signature(self) -> str:
        """The head without blanks and a last comma, which may be written in several ways."""
        return _signature(self.head)

    @property
    def interface(self) -> str:
        """The signature without the default values, which callers do not write, and the types that
        go with them."""
        head = self.head
        for one in reversed(self.defaults):
            head = f"{head[: one.span.start]}{one.name}={head[one.span.end :]}"
        return _signature(head)

    def head_with_defaults_of(self, other: DefinitionParts) -> str:
        """Return the head with the default values that `other`, the same function, has. A type
        follows its value where both have one."""
        head = self.head
        theirs = {one.name: one for one in other.defaults}
        for own in reversed(self.defaults):
            if (its := theirs.get(own.name)) is None:
                continue
            old, new = (
                re.sub(r"\s+", "", text[one.value.start : one.value.end])
                for text, one in ((self.head, own), (other.head, its))
            )
            if old == new:
                continue
            typed = own.kind and its.kind and own.kind != its.kind
            place, given = (own.span, its.span) if typed else (own.value, its.value)
            head = head[: place.start] + other.head[given.start : given.end] + head[place.end :]
        return head

    @property
    def text(self) -> str:
        """The whole definition."""
        return self.lead + self.head + self.body + self.tail


@dataclass(frozen=True, slots=True)
class Unit:
    """`span` covers whole lines, from the first one's start to the last one's visible end. `kind`
    is "function", "class" or "block"; a block has no `name` and no `form`. `parent` is the class
    around a method, `indent` the white space of its first line."""

    span: Span
    kind: str
    name: str = ""
    form: DefinitionParts | None = None
    parent: str = ""
    indent: str = ""

    def text(self, document: str) -> str:
        """Return the unit's lines in `document`."""
        return document[self.span.start : self.span.end]


def unit_at(parsed: Parsed | None, text: str, span: Span, kinds: str = "function class") -> Unit:
    """Return the smallest unit of `kinds` that holds `span` of `text`, else its statements."""
    if parsed is None:
        return _paragraph(text, span)
    span = _visible(text, span)
    language = parsed.language
    path = _holding(parsed, span)
    for index in range(len(path) - 1, 0, -1):
        node = _wrapped(path[index], language)
        kind = _kind(node, language)
        if kind not in kinds.split() or name_node(node) is None:
            continue
        lines = whole_lines(text, parsed.span(outermost(node)))
        if lines is not None:
            return Unit(
                lines,
                kind,
                name_of(parsed, node),
                form_of(parsed, node, parsed.byte(lines.start), parsed.byte(lines.end)),
                _parent(parsed, path[:index]),
                _indent(text, lines.start),
            )
    return _statements(parsed, text, span, path)


def outermost(node: tree_sitter.Node) -> tree_sitter.Node:
    """Return `node` with the decorators and the declaration around it."""
    while node.parent is not None and node.parent.type in WRAPPERS:
        node = node.parent
    return node


def name_node(node: tree_sitter.Node) -> tree_sitter.Node | None:
    """Return the node of a definition's name; for a function without one, that of the variable or
    field that it is assigned to."""
    found = node.child_by_field_name("name")
    if found is not None:
        return found
    if node.type in _NAMELESS:
        holder = node.parent
        if holder is not None and holder.type in ("variable_declarator", "public_field_definition"):
            return holder.child_by_field_name("name")
        return None
    if node.type == "type_declaration":  # Go's `type X struct`
        spec = next((c for c in node.named_children if c.type == "type_spec"), None)
        return None if spec is None else spec.child_by_field_name("name")
    declarator = node.child_by_field_name("declarator")
    while declarator is not None:
        inner = declarator.child_by_field_name("declarator")
        if inner is None:
            return declarator
        declarator = inner
    return None


def name_of(parsed: Parsed, node: tree_sitter.Node) -> str:
    """Return the name of a definition, "" for none."""
    found = name_node(node)
    return "" if found is None else _source(parsed, found)


def form_of(parsed: Parsed, node: tree_sitter.Node, start: int, end: int) -> DefinitionParts:
    """Return the parts of the definition `node`, whose whole text is the bytes from `start` to
    `end`."""
    body = node.child_by_field_name("body")
    split = node.end_byte if body is None else body.start_byte
    lead, head, inner, tail = (
        parsed.source[a:b].decode("utf-8", "replace")
        for a, b in pairwise((start, node.start_byte, split, node.end_byte, end))
    )
    given = tuple(_defaults(parsed, node))
    return DefinitionParts(lead, head, inner, tail, tuple(parameters(parsed, node)), given)


def parameters(parsed: Parsed, node: tree_sitter.Node) -> list[str]:
    """Return the names of a function's parameters, in order, without types and defaults."""
    held = _parameter_list(node)
    if held is None:
        return []
    if held.type == "identifier":
        return [_source(parsed, held)]
    return [_parameter(parsed, child) for child in held.named_children if child.type != "comment"]


def _parameter_list(node: tree_sitter.Node) -> tree_sitter.Node | None:
    held = node.child_by_field_name("parameters") or node.child_by_field_name("parameter")
    if held is None:
        declarator = node.child_by_field_name("declarator")
        held = declarator.child_by_field_name("parameters") if declarator else None
    return held


def _defaults(parsed: Parsed, function: tree_sitter.Node) -> Iterator[Default]:
    """Yield the parameters with a default value, where the grammar names the value."""
    held = _parameter_list(function)
    for child in held.named_children if held is not None else ():
        fields = ("value", "right", "default_value")
        value = next(filter(None, map(child.child_by_field_name, fields)), None)
        if value is None:
            continue
        whole, inner = (
            Span(*(len(parsed.source[function.start_byte : byte].decode("utf-8", "replace"))
                   for byte in (node.start_byte, node.end_byte)))
            for node in (child, value)
        )  # fmt: skip
        kind = child.child_by_field_name("type")
        kind_text = "" if kind is None else _source(parsed, kind)
        yield Default(_parameter(parsed, child), kind_text, whole, inner)


def _parameter(parsed: Parsed, node: tree_sitter.Node) -> str:
    for field in ("name", "pattern", "declarator"):
        inner = node.child_by_field_name(field)
        if inner is not None:
            return _parameter(parsed, inner)
    if node.type == "identifier" or not node.named_children:
        return _source(parsed, node)
    stars = "".join(_source(parsed, c) for c in node.children if c.type in ("*", "**", "..."))
    return stars + _parameter(parsed, node.named_children[0])


def named_scopes(parsed: Parsed) -> list[tuple[str, tree_sitter.Node]]:
    """Return every named function and class, in the order of the text."""
    found: list[tuple[str, tree_sitter.Node]] = []
    pending = [parsed.root]
    while pending:
        node = pending.pop()
        if node.type in parsed.language.scopes and (name := name_of(parsed, node)):
            found.append((name, node))
        pending.extend(reversed(list(_named_children(node))))
    return found


def _named_children(node: tree_sitter.Node) -> Iterator[tree_sitter.Node]:
    """Yield the named children of `node`, without a list of very many of them, which would block
    the interpreter."""
    if node.child_count <= MAX_LISTED:
        yield from node.named_children
        return
    cursor = node.walk()
    more = cursor.goto_first_child()
    while more:
        if (child := cursor.node) is not None and child.is_named:
            yield child
        more = cursor.goto_next_sibling()


def functions_of(parsed: Parsed) -> list[Span]:
    """Return the places of the outermost named functions on lines of their own, in order."""
    found: list[Span] = []
    for _, node in named_scopes(parsed):
        if node.type not in parsed.language.functions:
            continue
        lines = whole_lines(parsed.text, parsed.span(outermost(node)))
        if lines is not None and not (found and lines.start < found[-1].end):
            place = parsed.offset(node.start_byte)
            found.append(Span(place, place))
    return found


def dropped(before: Parsed, after: Parsed, unit: str) -> list[str]:
    """Return the names that `before` defines and `after` does not. A function inside a function may
    go, as long as `unit`, the new text, no longer uses it."""
    kept = [name for name, _ in named_scopes(after)]
    gone: list[str] = []
    for name, node in named_scopes(before):
        if name in kept:
            kept.remove(name)
        elif not is_local(before, node) or re.search(rf"\b{re.escape(name)}\b", unit):
            gone.append(name)
    return list(dict.fromkeys(gone))


def is_local(parsed: Parsed, node: tree_sitter.Node) -> bool:
    """Return whether a definition is inside a named function, and so known only there."""
    up = node.parent
    while up is not None:
        if up.type in parsed.language.functions and name_node(up) is not None:
            return True
        up = up.parent
    return False


def node_of(parsed: Parsed, unit: Unit) -> tree_sitter.Node | None:
    """Return the definition that `unit` is."""
    for name, node in named_scopes(parsed):
        if name != unit.name:
            continue
        if whole_lines(parsed.text, parsed.span(outermost(node))) == unit.span:
            return node
    return None


def whole_lines(text: str, span: Span) -> Span | None:
    """Return `span` from its first line's start, with a mark and a comment at the end of its last
    line; None if other code is on these lines."""
    start = span.start
    while start and text[start - 1] in " \t":
        start -= 1
    if start and text[start - 1] not in "\r\n":
        return None
    end = span.end
    while end > start and text[end - 1] in "\r\n \t":
        end -= 1
    tail = _TAIL.match(text, end)
    return None if tail is None else Span(start, tail.end())


def _wrapped(node: tree_sitter.Node, language: Language) -> tree_sitter.Node:
    """Return the definition that `node` wraps, for a place in a decorator or at `export`; else
    `node`."""
    inner = node
    while inner.type in WRAPPERS:
        parts = [c for c in inner.named_children if c.type in WRAPPERS | language.scopes]
        if len(parts) != 1:
            return node
        inner = parts[0]
    return inner


def _kind(node: tree_sitter.Node, language: Language) -> str:
    if node.type in language.functions:
        return "function"
    return "class" if node.type in language.classes else ""


def _holding(parsed: Parsed, span: Span) -> list[tree_sitter.Node]:
    """Return the nodes that hold all of `span`, from the root inwards."""
    start, end = parsed.byte(span.start), parsed.byte(span.end)
    path = [parsed.root]
    while True:
        inner = next(
            (
                child
                for child in path[-1].named_children
                if child.start_byte <= start and end <= child.end_byte
            ),
            None,
        )
        if inner is None:
            return path
        path.append(inner)


def _parent(parsed: Parsed, path: list[tree_sitter.Node]) -> str:
    """Return the name of the innermost class in `path`, "" if a function is nearer."""
    for node in reversed(path):
        kind = _kind(node, parsed.language)
        if kind == "function":
            return ""
        if kind == "class" or node.type == "impl_item":
            return name_of(parsed, node) or node.type
    return ""


def _statements(parsed: Parsed, text: str, span: Span, path: list[tree_sitter.Node]) -> Unit:
    """Return the statements of the innermost block that `span` touches, on whole lines."""
    for node in reversed(path):
        if node.type not in parsed.language.blocks:
            continue
        start, end = parsed.byte(span.start), parsed.byte(span.end)
        touched = [
            child
            for child in node.named_children
            if child.start_byte <= max(end, start) and child.end_byte >= start
        ]
        if touched:
            whole = Span(parsed.span(touched[0]).start, parsed.span(touched[-1]).end)
            if (lines := whole_lines(text, whole)) is not None:
                return Unit(lines, "block", indent=_indent(text, lines.start))
    # There is nothing to work on at an empty line between code.
    return _paragraph(text, span) if span.start < span.end else Unit(span, "block")


def _paragraph(text: str, span: Span) -> Unit:
    """Return the lines of `span`; of an empty one, the lines around it up to the next empty
    ones."""
    if span.start == span.end:
        breaks = [m.end() for m in re.finditer(r"(?:\r\n|\r|\n)[ \t]*(?=\r|\n)", text)]
        start = max((b for b in breaks if b <= span.start), default=0)
        end = min((b for b in breaks if b > span.end), default=len(text))
        span = Span(start, end)
    start = line_start(text, span.start)
    while start < span.end and text[start] in "\r\n":
        start += 1
    end = line_end(text, max(span.end, start))
    while end > start and text[end - 1] in "\r\n \t":
        end -= 1
    return Unit(Span(start, end), "block", indent=_indent(text, start))


def _visible(text: str, span: Span) -> Span:
    """Return `span` without the white space at its ends; an empty one moves to the code on its
    line."""
    span = trimmed(text, span)
    if span.start < span.end:
        return span
    start = span.start
    line = line_start(text, start)
    place = line + len(_indent(text, line))
    if place >= len(text) or text[place] in "\r\n":
        return Span(start, start)
    return Span(max(start, place), max(start, place))


def trimmed(text: str, span: Span) -> Span:
    """Return `span` without the white space at its ends."""
    start, end = span.start, min(span.end, len(text))
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return Span(start, end)


def _signature(head: str) -> str:
    if ":" in head and "#" in head:  # Python: a comment after the colon
        head = re.sub(r"#[^\n]*", "", head)
    return re.sub(r",(?=[)\]])", "", re.sub(r"\s+", "", head)).rstrip("{:")


def _indent(text: str, start: int) -> str:
    found = re.compile(r"[ \t]*").match(text, start)
    return "" if found is None else found[0]


def _source(parsed: Parsed, node: tree_sitter.Node) -> str:
    return parsed.source[node.start_byte : node.end_byte].decode("utf-8", "replace")
