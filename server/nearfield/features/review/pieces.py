"""The pieces of a document that a reviewer looks at: functions, and the code between them.

They are the index's chunks, so no piece is too long for a small model. Pieces without code that
could be wrong (imports, comments) are left out.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from nearfield.files.lines import split_lines
from nearfield.index.chunks import Chunk, chunked
from nearfield.index.symbols import FUNCTIONS, outline
from nearfield.syntax.parser import Parsed, parse

__all__ = ["ReviewPiece", "pieces_of"]

MIN_LINES = 2
_LONE_RETURN = re.compile(r"\r(?!\n)")
_NO_CODE = re.compile(
    r"\s*(?:$|import\b|from\b.*\bimport\b|use\b|using\b|package\b|#include|require\b|//|#|\*|/\*|--"
    r"|\"\"\"|'''|[{}()\[\],;]+$)"
)


@dataclass(frozen=True, slots=True)
class ReviewPiece:
    """The rows from `first` up to, not including, `last`, counted from 0. A finding may be on the
    rows `judged`, in order. `name` is the function's ("" between functions)."""

    first: int
    last: int
    name: str
    judged: tuple[int, ...]
    is_marked: bool = False
    """True if the model is told which rows are judged, because only some are."""

    @property
    def id(self) -> str:
        """An identifier that is unique in the document."""
        return f"{self.first + 1}-{self.last}"

    def shown(self, lines: Sequence[str]) -> str:
        """Return the piece for the model: numbered from 1, with a + at the judged rows if it
        `is_marked`."""
        judged = frozenset(self.judged)
        rows = range(self.first, min(self.last, len(lines)))
        width = len(str(self.last))
        return "\n".join(
            f"{row + 1:>{width}}{'+' if self.is_marked and row in judged else ' '}| "
            + lines[row].rstrip("\r\n")
            for row in rows
        )


def pieces_of(
    text: str,
    path: str,
    parsed: Parsed | None,
    rows: range | None = None,
    changed: Collection[int] | None = None,
) -> list[ReviewPiece]:
    """Return the pieces of a document; only those that touch `rows` or hold a row of `changed`,
    where these are given."""
    # Trees and chunks count lines by "\n" alone, so other line ends are replaced first.
    plain = "\n".join(split_lines(text))
    if parsed is not None and _LONE_RETURN.search(text):
        parsed = parse(parsed.language, plain)
    definitions = outline(parsed).definitions if parsed is not None else ()
    lines = plain.split("\n")
    found: list[ReviewPiece] = []
    for chunk in chunked(plain, path, parsed, definitions):
        inside = range(chunk.first, min(chunk.last, len(lines)))
        if rows is not None and not (inside.start < rows.stop and rows.start < inside.stop):
            continue
        judged = tuple(
            row for row in inside if lines[row].strip() and (changed is None or row in changed)
        )
        if judged and (rows is not None or _has_code(chunk, lines)):
            is_marked = changed is not None
            found.append(ReviewPiece(chunk.first, chunk.last, chunk.symbol, judged, is_marked))
    return found


def _has_code(chunk: Chunk, lines: Sequence[str]) -> bool:
    code = [line for line in lines[chunk.first : chunk.last] if not _NO_CODE.match(line)]
    acts = chunk.kind in FUNCTIONS or any("(" in line or "=" in line for line in code)
    return len(code) >= MIN_LINES and acts
