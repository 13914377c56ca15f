"""How code is laid out: its indentation and its line ends, taken off for a model and put back.

A model is shown a unit from column 0 with line feeds; what it answers gets the file's own step of
indentation, the unit's own depth and the file's line ends. Lines that begin inside a string keep
what they begin with: there it is text, not layout. (A docstring is laid out like code.)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

import tree_sitter

from nearfield.files.lines import LINE_END, split_lines
from nearfield.syntax.languages import Language
from nearfield.syntax.parser import Parsed, parse
from nearfield.syntax.white_space import Format, White, format_of, recipe_line

__all__ = ["Layout", "docstring_rows", "layout_of"]

DEFAULT_STEP = 4
MARGIN = re.compile(r"[ \t]*")


@dataclass(frozen=True, slots=True)
class Layout:
    """`newline` ends the lines of a file; `step` is one level of indentation in it; `white` is what
    its format asks of white space."""

    newline: str
    step: str
    white: White = White.FREE

    def shown(self, text: str, indent: str, fixed: frozenset[int]) -> str:
        """`text` for a model: `indent` taken off, lines ended by line feeds. `fixed` are the rows
        that keep what they begin with."""
        rows = LINE_END.split(text)
        return "\n".join(
            row if number in fixed else row.removeprefix(indent) for number, row in enumerate(rows)
        )

    def placed(
        self, code: str, indent: str, fixed: frozenset[int], *, copied: bool = False
    ) -> list[str]:
        """The lines of `code`, as written by a model, as they stand in the file at `indent`,
        without line ends. `copied` code has the file's own steps, also where it mixes them."""
        rows = code.split("\n")
        written = self.white in (White.KEPT, White.RECIPES)
        copied = written or (copied and self.white is not White.TABS)
        step = _step([row for number, row in enumerate(rows) if number not in fixed])
        margin = _margin(rows, fixed)
        placed: list[str] = []
        for number, row in enumerate(rows):
            if number in fixed:
                placed.append(row)
            elif not row.strip():
                placed.append("")
            else:
                # White space at the end may be text when a string goes on in the next row.
                code_part = row.lstrip() if number + 1 in fixed else row.strip()
                inner = row[margin:]
                blank = inner[: len(inner) - len(inner.lstrip())]
                placed.append(
                    indent + (blank if copied else self._stepped(inner, step)) + code_part
                )
        return self._recipes(placed) if self.white is White.RECIPES else placed

    @staticmethod
    def _recipes(rows: list[str]) -> list[str]:
        """`rows` of a makefile, with TABs where recipes are."""
        above = ""
        for number, row in enumerate(rows):
            if row:
                rows[number] = above = recipe_line(row, above)
        return rows

    def _stepped(self, row: str, step: int) -> str:
        """The beginning of `row` in this file's steps; `step` is the answer's, in columns."""
        blank = MARGIN.match(row)
        width = len(blank[0].expandtabs(step)) if blank else 0
        levels, rest = divmod(width, step)
        return self.step * levels + " " * rest


def layout_of(text: str, language: Language | None, asked: Format | None = None) -> Layout:
    """The layout of a file. `asked` is its format, where that is known by more than the language's
    grammar."""
    asked = asked or format_of(language.name if language else "", None)
    found = LINE_END.search(text)
    lines = LINE_END.split(text)
    tabs = sum(line.startswith("\t") for line in lines)
    spaced = [line for line in lines if line.startswith(" ") and line.strip()]
    newline = found[0] if found else "\n"
    by_tab = (
        asked.white in (White.TABS_FIRST, White.RECIPES)
        if tabs == len(spaced)
        else (tabs > len(spaced))
    )
    if asked.white in (White.TABS, White.SPACES):
        by_tab = asked.white is White.TABS
    return Layout(newline, "\t" if by_tab else " " * _step(lines, asked.step), asked.white)


def fixed_rows(parsed: Parsed | None) -> frozenset[int]:
    """The rows that begin inside a string that is no docstring."""
    if parsed is None:
        return frozenset()
    rows: set[int] = set()
    pending = [parsed.root]
    while pending:
        node = pending.pop()
        if node.type in parsed.language.strings or node.type == "heredoc_end":
            if not is_docstring(node):
                first = node.start_point.row + (not _begins_row(parsed, node))
                rows.update(range(first, node.end_point.row + 1))
        elif node.end_point.row > node.start_point.row:
            pending.extend(node.children)
    return frozenset(rows)


def _begins_row(parsed: Parsed, node: tree_sitter.Node) -> bool:
    """Return whether `node` is text of a here-document from its row's start."""
    start = node.start_byte
    blank = parsed.source[start - node.start_point.column : start]
    return "doc" in node.type and not blank.strip()


def fixed_rows_of(language: Language | None, code: str) -> frozenset[int]:
    """The same for a piece of code."""
    return fixed_rows(parse(language, code)) if language else frozenset()


def docstring_rows(parsed: Parsed) -> frozenset[int]:
    """The rows of Python's docstrings."""
    rows: set[int] = set()
    pending = [parsed.root]
    while pending:
        node = pending.pop()
        if node.type == "string" and is_docstring(node):
            rows.update(range(node.start_point.row, node.end_point.row + 1))
        pending.extend(node.named_children)
    return frozenset(rows)


def is_docstring(node: tree_sitter.Node) -> bool:
    """Return whether a string is the first statement of a Python module, class or function."""
    statement = node.parent
    if statement is None or statement.type != "expression_statement":
        return False
    block = statement.parent
    if block is None or block.type not in ("block", "module"):
        return False
    first = next((c for c in block.named_children if c.type != "comment"), None)
    owner = block.parent
    opens = owner is None or owner.type in ("function_definition", "class_definition")
    return opens and first == statement and len(statement.named_children) == 1


def copied(shown: str, code: str) -> bool:
    """Whether `code` is indented as `shown` is: each line that is in both begins with the same
    white space, and so does the first that is indented at all."""
    own, rows = _indented(shown), _indented(code)
    if not own or not rows or own[0][0] != rows[0][0]:
        return False
    known: dict[str, set[str]] = {}
    for blank, line in own:
        known.setdefault(line, set()).add(blank)
    return all(blank in known.get(line, {blank}) for blank, line in rows)


def _indented(code: str) -> list[tuple[str, str]]:
    """The lines with white space in front, apart from it."""
    rows = [(row[: len(row) - len(row.lstrip())], row.strip()) for row in split_lines(code)]
    return [(blank, line) for blank, line in rows if blank and line]


def _step(lines: list[str], usual: int = DEFAULT_STEP) -> int:
    """The usual step of indentation in `lines`, in columns; `usual` where they have none."""
    widths = [_width(line) for line in lines if line.strip()]
    steps = [b - a for a, b in pairwise(widths) if 1 < b - a <= 8]
    if any(line.startswith("\t") for line in lines):
        return DEFAULT_STEP
    return max(sorted(set(steps)), key=steps.count) if steps else usual


def _width(line: str) -> int:
    blank = MARGIN.match(line)
    return len(blank[0].expandtabs(DEFAULT_STEP)) if blank else 0


def _margin(rows: list[str], fixed: frozenset[int]) -> int:
    """The characters of white space that all rows begin with."""
    blanks = [
        len(row) - len(row.lstrip())
        for number, row in enumerate(rows)
        if row.strip() and number not in fixed
    ]
    return min(blanks, default=0)
