"""Where a suggestion ends: behind the line, the statement, the block or the scope that the cursor's
place asks for. Decided by brackets and indentation alone, line by line, so that it can be asked
while text streams in; the tree checks the outcome.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from nearfield.features.completion.cursor_context import (
    CONTINUES,
    CONTINUING,
    Kind,
    Place,
    indent_width,
    opens_block,
)
from nearfield.syntax.brackets import CLOSERS, Scanner

__all__ = ["unit_end"]

_LEADS_ON = re.compile(r"[.?&|+*/:=<>]")
"""A line that begins so continues the statement above it, in languages that allow it."""
_TRAILS_ON = re.compile(r"(?:[-+*/%&|=,.\\<]|\b(?:and|or|not|in|is))$")
"""A line that ends so is continued below, in languages where the line break ends a statement."""
_CHAINS = frozenset({"kotlin", "swift", "scala", "ruby"})
LOOP = 3
"""A line that comes so often in a row is the model going round in circles."""


def unit_end(place: Place, kind: Kind, text: str, ended: bool, max_lines: int) -> int | None:
    """The length of the part of `text` that makes up what `kind` asks for; None while that cannot
    be said and more text may come (`ended` is false). Line breaks in `text` are "\\n"."""
    if kind is Kind.LINE:
        return _line_end(text, ended)
    if kind is Kind.TEXT:
        return _text_end(place, text, ended, max_lines)
    return _Reader(place, kind, max_lines).end(text, ended)


def _line_end(text: str, ended: bool) -> int | None:
    end = text.find("\n")
    return end if end >= 0 else (len(text) if ended else None)


def _text_end(place: Place, text: str, ended: bool, max_lines: int) -> int | None:
    """A comment goes to the end of its line, prose and long strings to an empty line."""
    single = place.inside == "comment" or place.multiline == "never"
    if single and place.left.strip():
        return _line_end(text, ended)
    limit = 1 if single else max_lines
    ends = [m.start() for m in re.finditer(r"\n", text)]
    for number, end in enumerate(ends, 1):
        visible = bool((place.left + text[:end]).strip())
        if visible and (number >= limit or re.match(r"\n[ \t]*\n", text[end:])):
            return end
    return len(text.rstrip()) if ended else None


@dataclass(slots=True)
class _Line:
    """One line of the candidate: as it will stand in the document, and where it ends."""

    whole: str
    end: int

    @property
    def width(self) -> int:
        return indent_width(self.whole)

    @property
    def code(self) -> str:
        return self.whole.strip()


class _Reader:
    """Reads a candidate's lines in order until one ends what the cursor's place asks for."""

    def __init__(self, place: Place, kind: Kind, max_lines: int) -> None:
        self.place = place
        self.kind = kind
        self.max_lines = max_lines
        self.state = Scanner(place.language)
        self.base = -1  # until a visible line was seen
        self.above = place.above
        self.taken: list[_Line] = []
        self.blanks = 0
        self.compound = False
        self.boundary = False

    def end(self, text: str, ended: bool) -> int | None:
        """See `unit_end`."""
        self.state.feed(self.place.left)
        position = 0
        pieces = text.split("\n")
        for number, piece in enumerate(pieces):
            complete = ended or number < len(pieces) - 1
            whole = self.place.left + piece if number == 0 else piece
            line = _Line(whole, position + len(piece))
            position = line.end + 1
            if number == 0 and self.place.left.strip() and not piece.strip():
                if complete:
                    self._typed_was_complete()
                continue
            if (end := self._before(line, complete)) is not None:
                return end
            if not complete:
                return None
            if (end := self._behind(line, piece)) is not None:
                return end
        return (self.taken[-1].end if self.taken else 0) if ended else None

    def _typed_was_complete(self) -> None:
        """The model goes on to the next line: what was typed is all there is to its statement,
        unless a bracket is open."""
        if self.state.stack:
            self.base = indent_width(self.place.left)
        else:
            self.kind = self.place.kind_of_empty_line(self.place.left)
            self.above = self.place.left
        self.state.feed("\n")

    def _before(self, line: _Line, complete: bool) -> int | None:
        """Return whether the unit ended before `line`, of which the beginning is known."""
        if not self.taken or not self.boundary or not line.code:
            return None
        if not complete and any(word.startswith(line.code) for word in CONTINUING):
            return None
        return self.taken[-1].end if self._is_outside(line) else None

    def _is_outside(self, line: _Line) -> bool:
        goes_on = bool(CONTINUES.match(line.code))
        if line.width < self.base:
            return not (goes_on and self._closes_scope(line))
        if line.width > self.base:
            return False
        if self.kind is Kind.BODY:
            return self.blanks > 1
        if self.kind is Kind.BLOCK:
            return self.blanks > 0 or (self.compound and not goes_on)
        if self.compound:
            return not goes_on
        return not (self._may_lead_on and _LEADS_ON.match(line.code))

    def _closes_scope(self, line: _Line) -> bool:
        """Whether `line` ends the scope that was opened above the cursor and is still open."""
        place = self.place
        if self.kind is not Kind.BODY or line.width != indent_width(self.above):
            return False
        closed = place.below and indent_width(place.below[0]) == line.width
        return not (closed and CONTINUES.match(place.below[0].strip()))

    def _behind(self, line: _Line, piece: str) -> int | None:
        """Take the complete `line` in; whether the unit ends with it."""
        self.state.feed(piece + "\n")
        if not line.code:
            return self._behind_blank()
        self.blanks = 0
        if self.base < 0:
            self.base = line.width
        self.taken.append(line)
        self.boundary = not self.state.stack and not self._in_text
        if (end := self._circles()) is not None:
            return end
        if len(self.taken) >= self.max_lines or line.width < self.base:
            return line.end
        if self.kind in (Kind.STATEMENT, Kind.ABOVE) and self._statement_ends(line):
            return line.end
        self.compound |= self.boundary and (
            line.width > self.base or opens_block(line.whole, self.place.language)
        )
        self.compound |= self.boundary and line.code[0] in CLOSERS
        return None

    def _behind_blank(self) -> int | None:
        if not self.taken or not self.boundary:
            return None
        self.blanks += 1
        simple = not self.compound and self.kind is not Kind.BODY
        return self.taken[-1].end if simple or self.blanks > 1 else None

    def _circles(self) -> int | None:
        last = self.taken[-LOOP:]
        if len(last) == LOOP and len({line.whole for line in last}) == 1 and len(last[0].code) > 1:
            return last[0].end
        return None

    def _statement_ends(self, line: _Line) -> bool:
        """Whether the one statement that is wanted ends with `line`, for all that is known."""
        if self._in_text:
            return False
        if self.state.stack or opens_block(line.whole, self.place.language):
            return self._goes_on_below(line)
        if self.compound or line.width > self.base:
            return False
        if line.code[0] in CLOSERS:
            return True
        return self._is_terminated(line.code)

    def _goes_on_below(self, line: _Line) -> bool:
        """Whether the document has the rest of what `line` opens: its body, or its closer."""
        below = self.place.below
        if not below:
            return False
        return indent_width(below[0]) > line.width or (
            bool(self.state.stack)
            and indent_width(below[0]) == line.width
            and below[0].strip()[0] in CLOSERS
        )

    def _is_terminated(self, code: str) -> bool:
        language = self.place.language
        if language is None:
            return True
        if language.terminator:
            return code[-1] in ";,{}"
        return not self._may_lead_on and not (
            _TRAILS_ON.search(code) and (not language.indented or code[-1] == "\\")
        )

    @property
    def _in_text(self) -> bool:
        """Whether the next line begins in a string or a here-document."""
        return self.state.in_multiline_string or self.state.heredoc is not None

    @property
    def _may_lead_on(self) -> bool:
        language = self.place.language
        return language is not None and (bool(language.terminator) or language.name in _CHAINS)
