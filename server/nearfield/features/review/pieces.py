"""A document cut into what a reviewer looks at: functions, and the code between them.

The index's chunks are the cut, so that nothing is too long for a small model. What holds no code
that could be wrong (imports, comments) is left out.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from nearfield.files.lines import split_lines
from nearfield.index.chunks import Chunk, chunked
from nearfield.index.symbols import FUNCTIONS, outline
from nearfield.syntax.parser import Parsed, parse

__all__ = ["Piece", "pieces_of"]

FEWEST_LINES = 2
_LONE_RETURN = re.compile(r"\r(?!\n)")
_IDLE = re.compile(
    r"\s*(?:$|import\b|from\b.*\bimport\b|use\b|using\b|package\b|#include|require\b|//|#|\*|/\*|--"
    r"|\"\"\"|'''|[{}()\[\],;]+$)"
)


@dataclass(frozen=True, slots=True)
class Piece:
    """The rows `first` up to, not including, `last`, counted from 0; `judged` are those that a
    finding may be on, in order. `name` is the function's ("" between functions)."""

    first: int
    last: int
    name: str
    judged: tuple[int, ...]
    marked: bool = False
    """Whether only some of the rows are judged, which the model is to be told."""

    @property
    def id(self) -> str:
        """Unique in its document."""
        return f"{self.first + 1}-{self.last}"

    def shown(self, lines: Sequence[str]) -> str:
        """The piece as the model sees it: numbered from 1, with a + at what is judged where that is
        not all of it."""
        judged = frozenset(self.judged)
        rows = range(self.first, min(self.last, len(lines)))
        width = len(str(self.last))
        return "\n".join(
            f"{row + 1:>{width}}{'+' if self.marked and row in judged else ' '}| "
            + lines[row].rstrip("\r\n")
            for row in rows
        )


def pieces_of(
    text: str,
    path: str,
    parsed: Parsed | None,
    rows: range | None = None,
    changed: Collection[int] | None = None,
) -> list[Piece]:
    """The pieces of a document; of those that touch `rows`, or hold a row of `changed`, where that
    is given."""
    # Trees and chunks count lines by "\n" alone; a text with other line ends is cut as if it had
    # these.
    plain = "\n".join(split_lines(text))
    if parsed is not None and _LONE_RETURN.search(text):
        parsed = parse(parsed.language, plain)
    definitions = outline(parsed).definitions if parsed is not None else ()
    lines = plain.split("\n")
    found: list[Piece] = []
    for chunk in chunked(plain, path, parsed, definitions):
        inside = range(chunk.first, min(chunk.last, len(lines)))
        if rows is not None and not _meet(inside, rows):
            continue
        visible = (row for row in inside if lines[row].strip())
        judged = tuple(row for row in visible if changed is None or row in changed)
        if judged and (rows is not None or _is_worth(chunk, lines)):
            found.append(Piece(chunk.first, chunk.last, chunk.symbol, judged, changed is not None))
    return found


def _meet(one: range, other: range) -> bool:
    return one.start < other.stop and other.start < one.stop


def _is_worth(chunk: Chunk, lines: Sequence[str]) -> bool:
    code = list(_code(lines[chunk.first : chunk.last]))
    if chunk.kind in FUNCTIONS:
        return len(code) >= FEWEST_LINES
    return len(code) >= FEWEST_LINES and any("(" in line or "=" in line for line in code)


def _code(lines: Sequence[str]) -> Iterator[str]:
    return (line for line in lines if not _IDLE.match(line))
