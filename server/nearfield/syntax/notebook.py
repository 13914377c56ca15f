"""Jupyter notebooks as code: reading `.ipynb` files, cells as one text, and IPython syntax.

As one text a notebook is in the percent format of jupytext, Spyder and VS Code: a comment
`# %% cell 3` above each cell, Markdown as comments. The first line names the language. Outputs and
attachments are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

from nearfield.coerce import NotJson, clean, loads
from nearfield.files.lines import plain_breaks
from nearfield.types import Cell

MARKDOWN = "markdown"

MAX_LINE_CHARS = 5_000
"""A longer line of a cell was not typed: usually it is an image as a `data:` URI."""

_PYTHON_CELLS = frozenset(
    {"capture", "debug", "memit", "prun", "python", "python3", "time", "timeit"}
)
"""Cell magics whose cell is still Python."""
_HEADER = re.compile(r"\S+ notebook in (\S+)\n")
_CELL_MAGIC = re.compile(r"\s*%%([\w.]+)")
_LINE_MAGIC = re.compile(r"^([ \t]*)(%{1,2}[A-Za-z]|!|\?)", re.MULTILINE)
_HELP = re.compile(r"^[ \t]*[\w.*]+(\?{1,2})[ \t]*$", re.MULTILINE)
_ASSIGNED = re.compile(r"^([\w, \t.\[\]]+=[ \t]*)((?:!|%[A-Za-z])[^\n]*)$", re.MULTILINE)
_ASCII = re.compile(r"[\x00-\x7f]")


@dataclass(frozen=True, slots=True)
class NotebookCells:
    """The cells of a file, and the language of its kernel."""

    language: str
    cells: tuple[Cell, ...]


def is_notebook(path: str) -> bool:
    """Return whether the file at `path` is a notebook by its name."""
    return path.lower().endswith(".ipynb")


def notebook_in(text: str) -> NotebookCells | None:
    """Return the notebook in the JSON `text`, None if there is none."""
    try:
        found = loads(text.encode("utf-8", "surrogatepass"), constants=True)
    except NotJson:
        return None
    cells = _dict(found).get("cells")
    if not isinstance(cells, list):
        return None
    about = _dict(_dict(found).get("metadata"))
    named = (
        _dict(about.get("language_info")).get("name"),
        _dict(about.get("kernelspec")).get("language"),
    )
    language = next((one.lower() for one in named if _is_language(one)), "python")
    kinds = {"code": language, MARKDOWN: MARKDOWN}
    read = [
        Cell(kinds[kind], _source(cell.get("source")))
        for cell in map(_dict, cells)
        if isinstance(kind := cell.get("cell_type"), str) and kind in kinds
    ]
    return NotebookCells(language, tuple(read))


def as_text(notebook: NotebookCells, comment: str) -> str:
    """Return the notebook in percent format; `comment` opens a comment in its language."""
    parts = [f"{comment} notebook in {notebook.language}\n"]
    for number, cell in enumerate(notebook.cells, 1):
        lines = [line for line in cell.text.split("\n") if len(line) <= MAX_LINE_CHARS]
        kind = " [markdown]" if cell.language == MARKDOWN else ""
        body = "\n".join(_as_code(Cell(cell.language, "\n".join(lines)), comment))
        parts.append(f"{comment} %% cell {number}{kind}\n{body.rstrip()}\n")
    return "\n".join(parts)


def language_in(text: str) -> str:
    """Return the language of a notebook that `as_text` has written."""
    found = _HEADER.match(text)
    return found[1] if found else ""


def shown_above(cells: Sequence[Cell], language: str, comment: str, chars: int, lines: int) -> str:
    """Return the text of `cells` for a model that continues a cell in `language` below them: the
    nearest ones, within `chars` and `lines`. Code in other languages is left out."""
    kept: list[str] = []
    for cell in reversed(cells):
        is_fit = cell.language == language or (cell.language == MARKDOWN and comment)
        if not is_fit or not cell.text.strip():
            continue
        code = _as_code(Cell(cell.language, cell.text.rstrip()), comment)
        shown = [*(line for line in code if len(line) <= MAX_LINE_CHARS), ""]
        size = sum(len(line) + 1 for line in shown)
        while shown and (size > chars or len(shown) > lines):
            size -= len(shown.pop(0)) + 1
        kept.append("".join(f"{line}\n" for line in shown) if any(shown) else "")
        chars, lines = chars - size, lines - len(shown)
        if chars <= 0 or lines <= 0:
            break
    return "".join(reversed(kept))


def is_foreign(text: str) -> bool:
    """Return whether a `%%` line puts a cell of a Python notebook into another language."""
    found = _CELL_MAGIC.match(text)
    return found is not None and found[1].partition(".")[0].lower() not in _PYTHON_CELLS


def blanked(text: str) -> str:
    """Return IPython code as Python: magics, shell commands and questions become comments or
    names. Every character keeps its offset, also in UTF-8."""
    if not any(sign in text for sign in "%!?"):
        return text
    text = _HELP.sub(lambda m: m[0].replace("?", " "), text)
    text = _LINE_MAGIC.sub(lambda m: f"{m[1]}#{m[2][1:]}", text)
    return _ASSIGNED.sub(lambda m: m[1] + _ASCII.sub("_", m[2]), text)


def _as_code(cell: Cell, comment: str) -> Iterable[str]:
    lines = plain_breaks(cell.text).split("\n")
    if not comment:
        return lines
    if cell.language == MARKDOWN or (cell.language == "python" and is_foreign(cell.text)):
        return [f"{comment} {line}".rstrip() for line in lines]
    return lines


def _source(value: Any) -> str:
    """Return a cell's text, given as a string or a list of lines."""
    lines: list[Any] = value if isinstance(value, list) else [value]
    return clean("".join(line for line in lines if isinstance(line, str)))


def _is_language(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and re.fullmatch(r"[^\s\x00-\x1f]{1,40}", value) is not None


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
