"""The layout of code, its indentation and line ends: removed for a model, and restored.

A model is shown a unit from column 0 with line feeds. Its answer gets the file's own step of
indentation, the unit's depth and the file's line ends. White space at the start of a line inside a
string is text, not layout, so it stays; a docstring is laid out like code.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import tree_sitter

from nearfield.files.lines import LINE_END, split_lines
from nearfield.syntax.languages import Language
from nearfield.syntax.parser import Parsed, parse
from nearfield.syntax.white_space import Format, White, format_of, recipe_line

__all__ = ["Layout", "docstring_rows", "layout_of"]

DEFAULT_STEP = 4


@dataclass(frozen=True, slots=True)
class Layout:
    """`newline` ends the lines of a file, `step` is one level of its indentation, `white` is the
    rule of its format for white space."""

    newline: str
    step: str
    white: White = White.FREE

    def shown(self, text: str, indent: str, fixed: frozenset[int]) -> str:
        """Return `text` for a model: without `indent`, with line feeds. The rows `fixed` keep their
        white space."""
        rows = LINE_END.split(text)
        return "\n".join(
            row if number in fixed else row.removeprefix(indent) for number, row in enumerate(rows)
        )

    def placed(
        self, code: str, indent: str, fixed: frozenset[int], *, copied: bool = False
    ) -> list[str]:
        """Return the lines of a model's `code` for the file at `indent`, without line ends.
        `copied` code has the file's own steps already, even where the file mixes them."""
        rows = code.split("\n")
        written = self.white in (White.KEPT, White.RECIPES)
        copied = written or (copied and self.white is not White.TABS)
        step = _step([row for number, row in enumerate(rows) if number not in fixed])
        margin = min(
            (
                len(row) - len(row.lstrip())
                for number, row in enumerate(rows)
                if row.strip() and number not in fixed
            ),
            default=0,
        )
        placed: list[str] = []
        for number, row in enumerate(rows):
            if number in fixed:
                placed.append(row)
            elif not row.strip():
                placed.append("")
            else:
                # White space at the end may be text if a string continues in the next row.
                code_part = row.lstrip() if number + 1 in fixed else row.strip()
                inner = row[margin:]
                blank = inner[: len(inner) - len(inner.lstrip())]
                if not copied:
                    levels, rest = divmod(_width(inner, step), step)
                    blank = self.step * levels + " " * rest
                placed.append(indent + blank + code_part)
        above = ""
        for number, row in enumerate(placed if self.white is White.RECIPES else ()):
            if row:
                placed[number] = above = recipe_line(row, above)
        return placed


def layout_of(text: str, language: Language | None, asked: Format | None = None) -> Layout:
    """Return the layout of a file. `asked` is its format, if more is known than the language's
    grammar."""
    asked = asked or format_of(language.name if language else "", None)
    found = LINE_END.search(text)
    lines = LINE_END.split(text)
    tabs = sum(line.startswith("\t") for line in lines)
    spaced = [line for line in lines if line.startswith(" ") and line.strip()]
    newline = found[0] if found else "\n"
    by_tab = tabs > len(spaced)
    if tabs == len(spaced):
        by_tab = asked.white in (White.TABS_FIRST, White.RECIPES)
    if asked.white in (White.TABS, White.SPACES):
        by_tab = asked.white is White.TABS
    return Layout(newline, "\t" if by_tab else " " * _step(lines, asked.step), asked.white)


def fixed_rows(parsed: Parsed | None) -> frozenset[int]:
    """Return the rows that begin inside a string that is not a docstring."""
    if parsed is None:
        return frozenset()
    rows: set[int] = set()
    pending = [parsed.root]
    while pending:
        node = pending.pop()
        if node.type in parsed.language.strings or node.type == "heredoc_end":
            if not is_docstring(node):
                # The text of a here-document may begin at its row's start.
                before = parsed.source[node.start_byte - node.start_point.column : node.start_byte]
                begins_row = "doc" in node.type and not before.strip()
                first = node.start_point.row + (not begins_row)
                rows.update(range(first, node.end_point.row + 1))
        elif node.end_point.row > node.start_point.row:
            pending.extend(node.children)
    return frozenset(rows)


def fixed_rows_of(language: Language | None, code: str) -> frozenset[int]:
    """Return `fixed_rows` of a piece of code."""
    return fixed_rows(parse(language, code)) if language else frozenset()


def docstring_rows(parsed: Parsed | None) -> frozenset[int]:
    """Return the rows of Python's docstrings."""
    rows: set[int] = set()
    pending = [parsed.root] if parsed else []
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


def is_indented_alike(shown: str, code: str) -> bool:
    """Return whether `code` is indented as `shown` is: each line that is in both begins with the
    same white space, and so does the first indented line."""
    own, rows = _indented(shown), _indented(code)
    if not own or not rows or own[0][0] != rows[0][0]:
        return False
    known: dict[str, set[str]] = {}
    for blank, line in own:
        known.setdefault(line, set()).add(blank)
    return all(blank in known.get(line, {blank}) for blank, line in rows)


def _indented(code: str) -> list[tuple[str, str]]:
    """Return the indented lines, each as its white space and the rest."""
    rows = [(row[: len(row) - len(row.lstrip())], row.strip()) for row in split_lines(code)]
    return [(blank, line) for blank, line in rows if blank and line]


def _step(lines: list[str], usual: int = DEFAULT_STEP) -> int:
    """Return the most frequent step of indentation in `lines`, in columns; `usual` without any."""
    widths = [_width(line) for line in lines if line.strip()]
    steps = [b - a for a, b in pairwise(widths) if 1 < b - a <= 8]
    if any(line.startswith("\t") for line in lines):
        return DEFAULT_STEP
    return max(sorted(set(steps)), key=steps.count) if steps else usual


def _width(line: str, step: int = DEFAULT_STEP) -> int:
    """Return the columns of white space at the start of `line`, with tabs of `step` columns."""
    return len(line[: len(line) - len(line.lstrip(" \t"))].expandtabs(step))
