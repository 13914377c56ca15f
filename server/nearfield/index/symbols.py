"""Symbols of one parsed file: the names that it defines and the names that it refers to.

Rows count from 0. A definition's rows are the whole of it, with its comments and decorators.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import tree_sitter

from nearfield.index.tags import import_query, tags
from nearfield.syntax.parser import Parsed

CONTAINERS = frozenset(
    {"class", "interface", "module", "object", "enum", "implementation", "type", "table"}
)
"""Kinds of definitions that hold others."""
FUNCTIONS = frozenset({"function", "method"})
# A definition's node is often wrapped in others that belong to it alone.
_WRAPPER_NAMES = (
    "decorated_definition export_statement lexical_declaration variable_declaration"
    " variable_declarator function_definition template_declaration expression_statement"
    " pointer_declarator reference_declarator declaration type_declaration ambient_declaration"
    " assignment_expression class_selector id_selector selectors rule_set field_declaration"
)
_WRAPPERS = frozenset(_WRAPPER_NAMES.split())
_ATTACHED = frozenset({"attribute_item", "decorator", "attribute_list", "line_comment"})
_WORD = re.compile(r"[^\W\d]\w{0,63}")
MAX_NAME_CHARS = 128
"""Characters; a longer name was generated or is no name."""


@dataclass(frozen=True, slots=True)
class Definition:
    """`name` of a `kind`, defined at row `row`, column `column` (code points); the whole of it
    takes the rows `first` to `last`, both included. `container` is the dotted path around it."""

    name: str
    kind: str
    row: int
    column: int
    first: int
    last: int
    container: str = ""

    @property
    def symbol(self) -> str:
        """The dotted path of the definition itself."""
        return f"{self.container}.{self.name}" if self.container else self.name


class Outline(NamedTuple):
    """The definitions of a file in the order of its text, the rows of each referenced name, and the
    words of its imports.
    """

    definitions: tuple[Definition, ...]
    references: dict[str, tuple[int, ...]]
    imports: frozenset[str] = frozenset()


NO_SYMBOLS = Outline((), {})


def outline(parsed: Parsed) -> Outline:
    """The symbols of a file; nothing for a language without names."""
    queries = tags(parsed.language)
    if queries is None:
        return NO_SYMBOLS
    found: dict[int, tuple[tree_sitter.Node, tree_sitter.Node, str]] = {}
    cursor = tree_sitter.QueryCursor(queries.definitions)
    for _pattern, captures in cursor.matches(parsed.root):
        for capture, nodes in captures.items():
            role, _, kind = capture.partition(".")
            if role == "definition":
                _keep(found, captures["name"][0], nodes[0], kind)
    references: defaultdict[str, set[int]] = defaultdict(set)
    cursor = tree_sitter.QueryCursor(queries.references)
    for name in cursor.captures(parsed.root).get("name", ()):
        start, end = name.start_byte, name.end_byte
        if start not in found and end - start <= MAX_NAME_CHARS:
            references[_text(parsed, start, end)].add(name.start_point.row)
    definitions = [
        definition
        for name, node, kind in found.values()
        if (definition := _definition(parsed, name, node, kind)).name
    ]
    return Outline(
        _nested(sorted(definitions, key=lambda one: (one.first, -one.last, one.row, one.column))),
        {name: tuple(sorted(rows)) for name, rows in references.items()},
        frozenset(_imported(parsed)),
    )


def _imported(parsed: Parsed) -> Iterator[str]:
    """Yield the words of a file's imports, at any level, including the imported names."""
    if not parsed.language.imports:
        return
    cursor = tree_sitter.QueryCursor(import_query(parsed.language))
    for node in cursor.captures(parsed.root).get("import", ()):
        yield from _WORD.findall(_text(parsed, node.start_byte, node.end_byte))


def _keep(
    found: dict[int, tuple[tree_sitter.Node, tree_sitter.Node, str]],
    name: tree_sitter.Node,
    node: tree_sitter.Node,
    kind: str,
) -> None:
    """Keep the best of several patterns that match one name: the tightest node tells its kind best,
    and of the same node "method" tells more than "function".
    """
    known = found.get(name.start_byte)
    if known is not None:
        size, held = node.end_byte - node.start_byte, known[1].end_byte - known[1].start_byte
        if size > held or (size == held and kind != "method"):
            return
    found[name.start_byte] = (name, node, kind)


def _definition(
    parsed: Parsed, name: tree_sitter.Node, node: tree_sitter.Node, kind: str
) -> Definition:
    while (parent := node.parent) is not None and parent.type in _WRAPPERS:
        if parent.type == "field_declaration" and kind not in FUNCTIONS:
            break
        node = parent
    row, byte_column = name.start_point
    line = parsed.source[name.start_byte - byte_column : name.start_byte]
    end_row, end_column = node.end_point
    last = end_row - 1 if end_column == 0 and end_row > node.start_point.row else end_row
    text = _text(parsed, name.start_byte, name.end_byte)
    return Definition(
        name=text if len(text) <= MAX_NAME_CHARS and "\n" not in text else "",
        kind=kind,
        row=row,
        column=len(line.decode("utf-8", "replace")),
        first=_first_row(parsed, node),
        last=max(last, row),
    )


def _first_row(parsed: Parsed, node: tree_sitter.Node) -> int:
    """The row where the comments and attributes right above `node` begin."""
    first = node.start_point.row
    above = node.prev_sibling
    while above is not None and above.type in parsed.language.comments | _ATTACHED:
        end = above.end_point
        end_row = end.row - 1 if end.column == 0 and end.row > above.start_point.row else end.row
        before = above.prev_sibling
        behind_code = before is not None and before.end_point.row == above.start_point.row
        if end_row < first - 1 or (behind_code and before is not None and before.end_point.column):
            break
        first = min(first, above.start_point.row)
        above = before
    return first


def _nested(definitions: list[Definition]) -> tuple[Definition, ...]:
    """Give each definition the path of those around it."""
    around: list[Definition] = []
    placed: list[Definition] = []
    for one in definitions:
        while around and around[-1].last < one.last:
            around.pop()
        holder = next((held for held in reversed(around) if held.row != one.row), None)
        if holder is not None:
            kind = one.kind
            if kind == "function" and holder.kind in {"class", "interface", "implementation"}:
                kind = "method"
            placed.append(replace(one, container=holder.symbol, kind=kind))
        else:
            placed.append(one)
        if one.kind in CONTAINERS | FUNCTIONS:
            around.append(placed[-1])
    return tuple(placed)


def _text(parsed: Parsed, start: int, end: int) -> str:
    return parsed.source[start:end].decode("utf-8", "replace")
