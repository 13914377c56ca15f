"""Documents pieced together from what clients of `/infill` send: a window around the cursor.

Such a client names no document. It sends some hundred lines around the cursor, a window that moves
with it, and pieces of files with their names. Completions need a document that stays the same one
from key to key: then what was evaluated is kept. So the window is laid over the document that it
fits best, and what that has above and below is kept. The file's name is known as soon as a piece
that was sent with a name is found in the text.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

from nearfield.files.lines import split_lines
from nearfield.syntax.differences import changed_span

MAX_DOCUMENTS = 16
MAX_CHARS = 400_000
"""Of one document; beyond, the window alone is the document."""
MAX_PIECES = 64
"""Named pieces that are remembered; clients send 16 at once."""
SEAM_LINES = 3
SEAM_CHARS = 24
"""Visible characters of the lines that show where a window lies: fewer may be anywhere."""
SAME_SHARE = 0.5
"""Share of a text that a document has already, for it to be that document."""
RUN_LINES = 3
"""Lines in a row that find a named piece in a text."""


@dataclass(frozen=True, slots=True)
class NamedPiece:
    """Text of a file, as a client has sent it with the file's name."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class PiecedDocument:
    """A document as far as it is known. `key` identifies it, `name` is its file's name, "" while
    unknown."""

    key: str
    text: str
    name: str = ""


class PiecedDocuments:
    """The documents of all clients, and the pieces that they have sent with a name."""

    def __init__(self) -> None:
        self._documents: OrderedDict[str, PiecedDocument] = OrderedDict()
        self._pieces: OrderedDict[str, NamedPiece] = OrderedDict()
        self._numbers = count(1)

    @property
    def latest(self) -> PiecedDocument | None:
        """The document that was asked about last, None before the first."""
        return next(reversed(self._documents.values()), None)

    def named(self, pieces: Sequence[NamedPiece]) -> None:
        """Remember pieces with names."""
        for piece in pieces:
            if piece.name and piece.text.strip():
                self._pieces[piece.text] = piece
                self._pieces.move_to_end(piece.text)
        while len(self._pieces) > MAX_PIECES:
            self._pieces.popitem(last=False)

    def at(self, before: str, after: str) -> tuple[PiecedDocument, int]:
        """Return the document with the window `before` + `after`, and the cursor between."""
        best, joined = None, (before, after)
        most = SAME_SHARE
        for document in reversed(self._documents.values()):
            laid = _laid_over(document.text, before, after)
            share = _same_share(document.text, "".join(laid))
            if share > most:
                best, joined, most = document, laid, share
        above, below = joined
        if len(above) + len(below) > MAX_CHARS:
            above, below = before, after
        key = best.key if best else str(next(self._numbers))
        name = best.name if best else ""
        text = above + below
        document = PiecedDocument(key, text, name or self._name_of(text))
        self._documents[key] = document
        self._documents.move_to_end(key)
        while len(self._documents) > MAX_DOCUMENTS:
            self._documents.popitem(last=False)
        return document, len(above)

    def _name_of(self, text: str) -> str:
        """Return the name of the piece most of whose lines are in `text`, "" for none."""
        visible = "\n".join(line for line in split_lines(text) if line.strip())
        for piece in reversed(self._pieces.values()):
            lines = [line for line in split_lines(piece.text) if line.strip()]
            runs = ["\n".join(lines[n : n + RUN_LINES]) for n in range(0, len(lines), RUN_LINES)]
            telling = [run for run in runs if len(run.split()) and len(run) >= SEAM_CHARS]
            found = sum(run in visible for run in telling)
            if telling and found / len(telling) > SAME_SHARE:
                return piece.name
        return ""


def _laid_over(known: str, before: str, after: str) -> tuple[str, str]:
    """Return `before` and `after`, with what `known` has above and below them."""
    top, bottom = before.split("\n"), after.rstrip("\n").split("\n")
    if len(top) > SEAM_LINES:
        seam = "\n".join(top[:SEAM_LINES])
        at = _place(known, seam)
        if at > 0 and known[at - 1] == "\n":
            before = known[:at] + before
    if len(bottom) > SEAM_LINES:
        seam = "\n".join(bottom[-SEAM_LINES:])
        at = _place(known, seam)
        if at >= 0:
            after = after.rstrip("\n") + known[at + len(seam) :]
    return before, after


def _place(text: str, seam: str) -> int:
    """Return where `seam` is in `text`, -1 where it is nowhere, or may be anywhere."""
    if len("".join(seam.split())) < SEAM_CHARS:
        return -1
    at = text.find(seam)
    return at if at >= 0 and text.find(seam, at + 1) < 0 else -1


def _same_share(known: str, text: str) -> float:
    """Return the share of the longer text that both begin and end with."""
    span, length = changed_span(known, text)
    kept = min(len(known) - (span.end - span.start), len(text) - length)
    return kept / max(len(known), len(text), 1)
