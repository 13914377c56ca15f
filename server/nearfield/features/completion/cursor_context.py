"""Where the cursor is, as far as it decides what a suggestion may be: one line, a statement, a
block; in code, in a comment, in a string; how the document indents and breaks its lines.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from itertools import pairwise

from nearfield.files.lines import split_lines
from nearfield.syntax.brackets import CLOSERS, Scanner
from nearfield.syntax.languages import Language
from nearfield.syntax.parser import Parsed
from nearfield.syntax.white_space import FREE, Format, White, format_of, is_rule, opens_section
from nearfield.types import Edit, Selected, Snapshot, Span

__all__ = ["CONTINUES", "CONTINUING", "Kind", "Place", "indent_width", "opens_block"]

LINES_BELOW = 24
"""Visible lines below the cursor that a suggestion is compared with."""
LINE_CHARS = 2_000
"""So much of the cursor's line is looked at on either side: character by character, a minified file
of 1 MB takes seconds."""
LINES_FOR_STYLE = 120
"""Lines on either side of the cursor that show how the document indents."""
CONTINUING = (
    *("else", "elif", "elsif", "elseif", "except", "finally", "catch", "rescue", "ensure"),
    *("end", "fi", "done", "esac", "until", "case", "default", "when", "then"),
)
CONTINUES = re.compile(rf"[)\]}}]|(?:{'|'.join(CONTINUING)})\b")
"""A line that begins so, at its opener's own indentation, still belongs to that statement."""
ENDS = frozenset(";,=")
"""No statement begins so."""
_CLOSED_TAG = re.compile(r"(?:</[\w:.-]+\s*|/)>$")
_OPENER_WORDS = re.compile(
    r"(?:^\s*(?:def|class|module|if|unless|while|until|for|case|begin|function|local function)\b"
    r"|\b(?:do|then|else|repeat)\s*(?:\|[^|]*\|)?\s*$)"
)


class Kind(StrEnum):
    """How much a suggestion may be here."""

    LINE = "line"  # text follows on the line: up to the line's end
    ABOVE = "above"  # in front of a line's first character: one statement, on lines of its own
    STATEMENT = "statement"  # in a statement, or on an empty line that code follows: one of them
    BLOCK = "block"  # on an empty line: statements up to the next empty line
    BODY = "body"  # behind an opener with nothing in it: all of the scope
    TEXT = "text"  # in a comment or a string: to the end of the line or the paragraph


@dataclass(frozen=True)
class Place:
    """The cursor in a document. `text` and `cursor` are as if the selected popup item had been
    inserted; `parsed` is the tree of that text; `format` is what the file's format asks for."""

    text: str
    cursor: int
    parsed: Parsed | None
    language: Language | None
    multiline: str = "auto"
    format: Format = FREE

    @classmethod
    def of(
        cls,
        snapshot: Snapshot,
        parsed: Parsed | None,
        offset: int,
        selected: Selected | None,
        multiline: str,
    ) -> Place:
        """The place of a cursor at `offset`; `parsed` is the tree of the snapshot's text."""
        language = parsed.language if parsed else None
        form = format_of(snapshot.language, snapshot.path)
        if selected is None:
            return cls(snapshot.text, offset, parsed, language, multiline, form)
        span = Span(selected.span.start, max(selected.span.end, offset))
        text = snapshot.text[: span.start] + selected.text + snapshot.text[span.end :]
        edited = parsed.edited(Edit(span, selected.text)) if parsed else None
        return cls(text, span.start + len(selected.text), edited, language, multiline, form)

    @cached_property
    def left(self) -> str:
        """The cursor's line up to the cursor; of a long one the last `LINE_CHARS`."""
        return self.text[max(self.line_start, self.cursor - LINE_CHARS) : self.cursor]

    @cached_property
    def rest(self) -> str:
        """The cursor's line behind the cursor; of a long one the first `LINE_CHARS`."""
        return self.text[self.cursor : min(self.line_end, self.cursor + LINE_CHARS)]

    @cached_property
    def line_start(self) -> int:
        """Where the cursor's line begins."""
        start = self.text.rfind("\n", 0, self.cursor) + 1
        return max(self.text.rfind("\r", start, self.cursor) + 1, start)

    @cached_property
    def line_end(self) -> int:
        """Where the cursor's line ends, before its line break."""
        end = self.text.find("\n", self.cursor)
        end = len(self.text) if end < 0 else end
        carriage = self.text.find("\r", self.cursor, end)
        return end if carriage < 0 else carriage

    @cached_property
    def newline(self) -> str:
        """The line break that the document uses."""
        first = self.text.find("\n")
        if first > 0 and self.text[first - 1] == "\r":
            return "\r\n"
        return "\r" if first < 0 and "\r" in self.text else "\n"

    @cached_property
    def below(self) -> tuple[str, ...]:
        """The visible lines under the cursor's, without trailing white space."""
        lines = [line.rstrip() for line in self._nearby_below]
        return tuple(line for line in lines if line)[:LINES_BELOW]

    @cached_property
    def touched_below(self) -> bool:
        """Return whether the line directly under the cursor's has something on it."""
        return bool(self._nearby_below) and bool(self._nearby_below[0].strip())

    @cached_property
    def above(self) -> str:
        """The nearest visible line over the cursor's, without trailing white space."""
        for line in reversed(self._nearby_above):
            if line.strip():
                return line.rstrip()
        return ""

    @cached_property
    def _nearby_below(self) -> list[str]:
        window = self.text[self.line_end : self.line_end + 160 * LINES_FOR_STYLE]
        return split_lines(window)[1 : LINES_FOR_STYLE + 1]

    @cached_property
    def _nearby_above(self) -> list[str]:
        low = max(self.line_start - 160 * LINES_FOR_STYLE, 0)
        return split_lines(self.text[low : self.line_start])[-LINES_FOR_STYLE:]

    @property
    def text_above(self) -> str:
        """The nearby lines over the cursor's, and that line up to the cursor."""
        return "\n".join([*self._nearby_above, self.left])

    @cached_property
    def tabs(self) -> bool:
        """Return whether the document indents by tabs: its format says so, or its lines do."""
        white = self.format.white
        if white in (White.TABS, White.SPACES):
            return white is White.TABS
        lines = [*self._nearby_above, *self._nearby_below]
        by_tab = sum(line.startswith("\t") for line in lines)
        by_space = sum(line.startswith("  ") for line in lines)
        if by_tab == by_space:
            begun = self.left[:1] == "\t" if self.left[:1].isspace() else None
            return white in (White.TABS_FIRST, White.RECIPES) if begun is None else begun
        return by_tab > by_space

    @cached_property
    def unit(self) -> int:
        """The width of one level of indentation, in columns (a tab counts as four)."""
        if self.tabs:
            return 4
        widths = [indent_width(li) for li in self._nearby_above + self._nearby_below if li.strip()]
        steps = [b - a for a, b in pairwise(widths) if 1 < b - a <= 8]
        return max(set(steps), key=steps.count) if steps else self.format.step

    @cached_property
    def inside(self) -> str:
        """ "code", "string" or "comment": what the cursor is in."""
        state = Scanner(self.language).feed(self.left)
        if state.comment:
            return "comment"
        if self.parsed and self.cursor and self.language:
            for node in reversed(self.parsed.path_to(self.cursor - 1)):
                span = self.parsed.span(node)
                if node.type in self.language.comments and span.start < self.cursor < span.end:
                    return "comment"
                if node.type in self.language.strings and span.start < self.cursor < span.end:
                    return "string"
        return "string" if self._in_heredoc else "code"

    @cached_property
    def _in_heredoc(self) -> bool:
        """Whether a here-document is open: its end may not be written yet, so no tree knows."""
        above = "\n".join(self._nearby_above)
        return "<<" in above and Scanner(self.language).feed(above + "\n").heredoc is not None

    @cached_property
    def expected(self) -> int | None:
        """The width at which a statement on the cursor's empty line should begin; None where that
        is not known, as nobody knows whether the line above opens a block."""
        if not self.above:
            return 0
        width = indent_width(self.above)
        if self.format.white in (White.RECIPES, White.TABS_FIRST):
            heads = is_rule if self.format.white is White.RECIPES else opens_section
            if heads(self.above):
                return width + self.unit
            return width if self.above.startswith("\t") else None
        if opens_block(self.above, self.language):
            return width + self.unit
        return width if self._ended_above else None

    @cached_property
    def _ended_above(self) -> bool:
        """Return whether a statement surely ends with the line above."""
        language, above = self.language, self.above
        if language is None:
            return False
        if language.name == "html":
            return bool(_CLOSED_TAG.search(above))
        if language.terminator and above[-1] in ";}":
            return True
        if language.name == "json":
            return above[-1] not in ":"
        if self._statement_ends_above:
            return True
        simple = not Scanner(language).feed(above).stack and above[-1] not in ",\\"
        return language.name == "python" and simple

    @cached_property
    def _statement_ends_above(self) -> bool:
        """Return whether the tree has a whole statement that ends with the line above."""
        if self.parsed is None or self.language is None:
            return False
        end = len(self.text[: self.line_start].rstrip())
        for node in reversed(self.parsed.path_to(max(end - 1, 0))):
            if node.type == "ERROR":
                return False
            holder = node.parent
            if holder is None or holder.type not in self.language.blocks or node.has_error:
                continue
            if not self.text[end : self.parsed.span(node).end].strip():
                return True
        return False

    @cached_property
    def kind(self) -> Kind:
        """How much a suggestion may be, by the rules in `Kind`."""
        blank, follows = not self.left.strip(), bool(self.rest.strip())
        if follows:
            return Kind.ABOVE if blank and self._starts_own_line else Kind.LINE
        prose = self.language is not None and self.language.name == "markdown"
        if self.inside != "code" or prose or self.format.white is White.KEPT:
            return Kind.TEXT
        if self.multiline == "never":
            return Kind.LINE
        if not blank:
            return Kind.STATEMENT
        return self.kind_of_empty_line(self.above)

    @cached_property
    def _starts_own_line(self) -> bool:
        """Whether what follows the cursor is code of its own, not a closing bracket, nor the end of
        a statement that is to be written in front of it."""
        return self.rest.strip()[0] not in CLOSERS | ENDS and self.inside == "code"

    def kind_of_empty_line(self, above: str) -> Kind:
        """What may stand on an empty line under the line `above`."""
        width = indent_width(above)
        nested = self.below and indent_width(self.below[0]) > width
        if self.multiline == "always" or (opens_block(above, self.language) and not nested):
            return Kind.BODY
        if self.touched_below:
            closes = CONTINUES.match(self.below[0].strip())
            return Kind.BLOCK if closes else Kind.STATEMENT
        return Kind.BLOCK


def indent_width(line: str) -> int:
    """The columns of white space that `line` begins with; a tab counts as four."""
    width = 0
    for char in line:
        if char == "\t":
            width += 4 - width % 4
        elif char == " ":
            width += 1
        else:
            break
    return width


def opens_block(line: str, language: Language | None) -> bool:
    """Whether a block begins behind `line`: it ends with an open bracket, a colon, or, in the
    languages that say `end`, begins with such a word."""
    state = Scanner(language).feed(line)
    code = line.rstrip()
    if language and language.comment and state.comment:
        code = code[: code.rfind(language.comment)].rstrip()
    if state.quote or not code:
        return False
    name = language.name if language else ""
    if code[-1] in "{([":
        return True
    if name in {"ruby", "lua", "shellscript"}:
        return bool(_OPENER_WORDS.search(code)) and not re.search(r"\bend$", code)
    if name == "scala" and code[-1] == "=":
        return True
    return code[-1] == ":" and (
        name in {"python", "yaml", ""} or "case" in code or "default" in code
    )
