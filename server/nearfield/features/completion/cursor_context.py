"""The cursor in its document: how much may be suggested there, and where such a text ends.

Decides between a line, a statement, a block and a scope; between code, comment and string; and how
the document indents and breaks its lines. The end of a suggestion is decided by brackets and
indentation alone, line by line, so that it works while text streams in; `postprocess.py` checks the
result with the syntax tree.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from itertools import pairwise

from nearfield.files.lines import line_end, line_start, split_lines
from nearfield.syntax.brackets import CLOSERS, Scanner, opens_block
from nearfield.syntax.languages import Language
from nearfield.syntax.parser import Parsed
from nearfield.syntax.white_space import FREE, Format, White, format_of, is_rule, opens_section
from nearfield.types import Edit, Selected, Snapshot, Span

LINES_BELOW = 24
"""Visible lines below the cursor that a suggestion is compared with."""
LINE_CHARS = 2_000
"""Maximum part of the cursor's line that is read on either side: read by characters, a minified
file of 1 MB takes seconds."""
LINES_FOR_STYLE = 120
"""Lines on either side of the cursor that show how the document indents."""
LINE_WIDTH = 160
"""Assumed average length when those lines are cut out of a document."""
LOOP_LINES = 3
"""A line repeated so often in a row shows that the model is looping."""
CONTINUING = (
    *("else", "elif", "elsif", "elseif", "except", "finally", "catch", "rescue", "ensure"),
    *("end", "fi", "done", "esac", "until", "case", "default", "when", "then"),
)
CONTINUES = re.compile(rf"[)\]}}]|(?:{'|'.join(CONTINUING)})\b")
"""Beginning of a line that belongs to the statement above it at the same indentation."""
_STATEMENT_ENDS = frozenset(";,=")
"""Characters that begin no statement."""
_CLOSED_TAG = re.compile(r"(?:</[\w:.-]+\s*|/)>$")
_LEADS_ON = re.compile(r"[.?&|+*/:=<>]")
"""Beginning of a line that continues the statement above it, in languages that allow this."""
_TRAILS_ON = re.compile(r"(?:[-+*/%&|=,.\\<]|\b(?:and|or|not|in|is))$")
"""End of a line that is continued below, in languages where a line break ends a statement."""
_CHAINING = frozenset({"kotlin", "swift", "scala", "ruby"})


class Extent(StrEnum):
    """The extent of a suggestion: how much it may contain."""

    LINE = "line"  # text follows on the line: up to the line's end
    ABOVE = "above"  # before a line's first character: one statement, on lines of its own
    STATEMENT = "statement"  # in a statement, or on an empty line above code: one statement
    BLOCK = "block"  # on an empty line: statements up to the next empty line
    BODY = "body"  # after an opener without a body: the whole scope
    TEXT = "text"  # in a comment or a string: to the end of the line or the paragraph


class Inside(StrEnum):
    """The kind of text around the cursor."""

    CODE = "code"
    STRING = "string"
    COMMENT = "comment"


@dataclass(frozen=True, slots=True)
class _NearbyLines:
    """The start and the end of the cursor's line, and the nearby lines above and below it."""

    start: int
    end: int
    above: list[str]
    below: list[str]


@dataclass(frozen=True)
class CursorContext:
    """The cursor in a document. `text` and `cursor` are as if the selected popup item had been
    inserted; `parsed` is the tree of that text; `format` is the file format's white space."""

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
    ) -> CursorContext:
        """Return the context of a cursor at `offset`; `parsed` is the snapshot's tree."""
        language = parsed.language if parsed else None
        form = format_of(snapshot.language, snapshot.path)
        if selected is None:
            return cls(snapshot.text, offset, parsed, language, multiline, form)
        span = Span(selected.span.start, max(selected.span.end, offset))
        text = snapshot.text[: span.start] + selected.text + snapshot.text[span.end :]
        edited = parsed.edited(Edit(span, selected.text)) if parsed else None
        return cls(text, span.start + len(selected.text), edited, language, multiline, form)

    # --- the lines around -------------------------------------------------------------------

    @cached_property
    def _lines(self) -> _NearbyLines:
        text = self.text
        start, end = line_start(text, self.cursor), line_end(text, self.cursor)
        width = LINE_WIDTH * LINES_FOR_STYLE
        above = split_lines(text[max(start - width, 0) : start])[-LINES_FOR_STYLE:]
        below = split_lines(text[end : end + width])[1 : LINES_FOR_STYLE + 1]
        return _NearbyLines(start, end, above, below)

    @property
    def line_start(self) -> int:
        """The start of the cursor's line."""
        return self._lines.start

    @property
    def line_end(self) -> int:
        """The end of the cursor's line, before its line break."""
        return self._lines.end

    @cached_property
    def left(self) -> str:
        """The cursor's line up to the cursor; of a long line the last `LINE_CHARS`."""
        return self.text[max(self._lines.start, self.cursor - LINE_CHARS) : self.cursor]

    @cached_property
    def rest(self) -> str:
        """The cursor's line after the cursor; of a long line the first `LINE_CHARS`."""
        return self.text[self.cursor : min(self._lines.end, self.cursor + LINE_CHARS)]

    @cached_property
    def newline(self) -> str:
        """The line break that the document uses."""
        first = self.text.find("\n")
        if first > 0 and self.text[first - 1] == "\r":
            return "\r\n"
        return "\r" if first < 0 and "\r" in self.text else "\n"

    @cached_property
    def below(self) -> tuple[str, ...]:
        """The visible lines below the cursor's, without trailing white space."""
        lines = [line.rstrip() for line in self._lines.below]
        return tuple(line for line in lines if line)[:LINES_BELOW]

    @cached_property
    def above(self) -> str:
        """The nearest visible line above the cursor's, without trailing white space."""
        return next((line.rstrip() for line in reversed(self._lines.above) if line.strip()), "")

    def closes_too_much(self, text: str) -> bool:
        """Return whether `text` at the cursor closes a bracket that neither it nor the nearby lines
        above have opened."""
        above = "\n".join([*self._lines.above, self.left])
        return Scanner(self.language).feed(above).first_excess(text) is not None

    # --- indentation ------------------------------------------------------------------------

    @cached_property
    def uses_tabs(self) -> bool:
        """Return whether the document indents by tabs, by its format or its lines."""
        white = self.format.white
        if white in (White.TABS, White.SPACES):
            return white is White.TABS
        lines = [*self._lines.above, *self._lines.below]
        by_tab = sum(line.startswith("\t") for line in lines)
        by_space = sum(line.startswith("  ") for line in lines)
        if by_tab != by_space:
            return by_tab > by_space
        if self.left[:1].isspace():
            return self.left[:1] == "\t"
        return white in (White.TABS_FIRST, White.RECIPES)

    @cached_property
    def unit(self) -> int:
        """The width of one level of indentation in columns (a tab counts as four)."""
        if self.uses_tabs:
            return 4
        near = (*self._lines.above, *self._lines.below)
        widths = [indent_width(line) for line in near if line.strip()]
        steps = [b - a for a, b in pairwise(widths) if 1 < b - a <= 8]
        return max(set(steps), key=steps.count) if steps else self.format.step

    @cached_property
    def expected(self) -> int | None:
        """The width at which a statement on the cursor's empty line should begin; None if unknown,
        because the line above may or may not open a block."""
        if not self.above:
            return 0
        width = indent_width(self.above)
        if self.format.white in (White.RECIPES, White.TABS_FIRST):
            is_head = is_rule if self.format.white is White.RECIPES else opens_section
            if is_head(self.above):
                return width + self.unit
            return width if self.above.startswith("\t") else None
        if opens_block(self.above, self.language):
            return width + self.unit
        return width if self._statement_ends_above else None

    @cached_property
    def _statement_ends_above(self) -> bool:
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
        if self._tree_ends_above(language):
            return True
        is_simple = not Scanner(language).feed(above).stack and above[-1] not in ",\\"
        return language.name == "python" and is_simple

    def _tree_ends_above(self, language: Language) -> bool:
        """Return whether the tree has a whole statement that ends with the line above."""
        end = len(self.text[: self.line_start].rstrip())
        path = self.parsed.path_to(max(end - 1, 0)) if self.parsed else []
        for node in reversed(path):
            if node.type == "ERROR":
                return False
            holder = node.parent
            if holder is None or holder.type not in language.blocks or node.has_error:
                continue
            if self.parsed and not self.text[end : self.parsed.span(node).end].strip():
                return True
        return False

    # --- what may be suggested --------------------------------------------------------------

    @cached_property
    def inside(self) -> Inside:
        """The kind of text around the cursor."""
        if Scanner(self.language).feed(self.left).comment:
            return Inside.COMMENT
        if self.parsed and self.cursor and self.language:
            for node in reversed(self.parsed.path_to(self.cursor - 1)):
                is_comment = node.type in self.language.comments
                if is_comment or node.type in self.language.strings:
                    span = self.parsed.span(node)
                    if span.start < self.cursor < span.end:
                        return Inside.COMMENT if is_comment else Inside.STRING
        # The end of a here-document may not be written yet, so the tree does not know it.
        above = "\n".join(self._lines.above)
        if "<<" in above and Scanner(self.language).feed(above + "\n").heredoc is not None:
            return Inside.STRING
        return Inside.CODE

    @cached_property
    def extent(self) -> Extent:
        """The extent of a suggestion at the cursor."""
        is_blank, rest = not self.left.strip(), self.rest.strip()
        if rest:
            is_own = is_blank and rest[0] not in CLOSERS | _STATEMENT_ENDS
            return Extent.ABOVE if is_own and self.inside is Inside.CODE else Extent.LINE
        is_prose = self.language is not None and self.language.name == "markdown"
        if self.inside is not Inside.CODE or is_prose or self.format.white is White.KEPT:
            return Extent.TEXT
        if self.multiline == "never":
            return Extent.LINE
        return self.extent_below(self.above) if is_blank else Extent.STATEMENT

    def extent_below(self, above: str) -> Extent:
        """Return how much may be suggested on an empty line below the line `above`."""
        is_nested = self.below and indent_width(self.below[0]) > indent_width(above)
        if self.multiline == "always" or (opens_block(above, self.language) and not is_nested):
            return Extent.BODY
        if self._lines.below and self._lines.below[0].strip():
            closes = CONTINUES.match(self.below[0].strip())
            return Extent.BLOCK if closes else Extent.STATEMENT
        return Extent.BLOCK


def indent_width(line: str) -> int:
    """Return the columns of white space that `line` begins with; a tab counts as four."""
    width = 0
    for char in line:
        if char == "\t":
            width += 4 - width % 4
        elif char == " ":
            width += 1
        else:
            break
    return width


def unit_end(
    context: CursorContext, extent: Extent, text: str, *, is_complete: bool, max_lines: int
) -> int | None:
    """Return the length of the part of `text` that fills `extent`.

    None if that is not known yet and more text may come (`is_complete` is false). Line breaks in
    `text` are "\\n".
    """
    if extent is Extent.TEXT:
        return _text_end(context, text, is_complete, max_lines)
    if extent is Extent.LINE:
        return _line_end(text, is_complete)
    return _Reader(context, extent, max_lines).end(text, is_complete)


def _line_end(text: str, is_complete: bool) -> int | None:
    end = text.find("\n")
    return end if end >= 0 else (len(text) if is_complete else None)


def _text_end(context: CursorContext, text: str, is_complete: bool, max_lines: int) -> int | None:
    """Return the end of a comment's line, or of a paragraph of prose or of a long string."""
    is_single = context.inside is Inside.COMMENT or context.multiline == "never"
    if is_single and context.left.strip():
        return _line_end(text, is_complete)
    limit = 1 if is_single else max_lines
    for number, found in enumerate(re.finditer(r"\n", text), 1):
        end = found.start()
        is_visible = bool((context.left + text[:end]).strip())
        if is_visible and (number >= limit or re.match(r"\n[ \t]*\n", text[end:])):
            return end
    return len(text.rstrip()) if is_complete else None


class _CandidateLine:
    """A line of the candidate as it will be in the document, with its end in the text."""

    def __init__(self, whole: str, end: int) -> None:
        self.whole, self.end = whole, end
        self.code, self.width = whole.strip(), indent_width(whole)


class _Reader:
    """Reads a candidate line by line until a line ends the unit."""

    def __init__(self, context: CursorContext, extent: Extent, max_lines: int) -> None:
        self.context = context
        self.extent = extent
        self.max_lines = max_lines
        self.state = Scanner(context.language)
        self.base = -1  # the unit's indentation; -1 before its first visible line
        self.above = context.above
        self.taken: list[_CandidateLine] = []
        self.blanks = 0
        self.is_compound = False
        self.at_boundary = False
        language = context.language
        self.may_lead_on = language is not None and (
            bool(language.terminator) or language.name in _CHAINING
        )

    def end(self, text: str, is_complete: bool) -> int | None:
        """Return the end as `unit_end` does."""
        left = self.context.left
        position = 0
        pieces = text.split("\n")
        for number, piece in enumerate(pieces):
            is_whole = is_complete or number < len(pieces) - 1
            line = _CandidateLine(piece if number else left + piece, position + len(piece))
            position = line.end + 1
            if number == 0 and left.strip() and not piece.strip():
                if is_whole:
                    self._start_below()
                continue
            if self._ends_before(line, is_whole):
                return self.taken[-1].end
            if not is_whole:
                return None
            if self._ends_with(line):
                return self.taken[-1].end
        return (self.taken[-1].end if self.taken else 0) if is_complete else None

    def _start_below(self) -> None:
        """Treat the typed line as a whole statement, unless a bracket is open: the model goes on
        with the next line."""
        left = self.context.left
        if self.state.feed(left).stack:
            self.base = indent_width(left)
        else:
            self.extent = self.context.extent_below(left)
            self.above = left
        self.state.feed("\n")

    def _ends_before(self, line: _CandidateLine, is_whole: bool) -> bool:
        """Return whether the unit ended before `line`, of which at least the beginning is known."""
        if not self.taken or not self.at_boundary or not line.code:
            return False
        if not is_whole and any(word.startswith(line.code) for word in CONTINUING):
            return False
        is_continuing = bool(CONTINUES.match(line.code))
        if line.width < self.base:
            return not (is_continuing and self._closes_scope(line))
        if line.width > self.base:
            return False
        if self.extent is Extent.BODY:
            return self.blanks > 1
        if self.extent is Extent.BLOCK:
            return self.blanks > 0 or (self.is_compound and not is_continuing)
        if self.is_compound:
            return not is_continuing
        return not (self.may_lead_on and _LEADS_ON.match(line.code))

    def _closes_scope(self, line: _CandidateLine) -> bool:
        """Return whether `line` ends the scope that was opened above the cursor."""
        below = self.context.below
        if self.extent is not Extent.BODY or line.width != indent_width(self.above):
            return False
        is_closed = below and indent_width(below[0]) == line.width
        return not (is_closed and CONTINUES.match(below[0].strip()))

    def _ends_with(self, line: _CandidateLine) -> bool:
        """Take the whole `line`; return whether the unit ends with the lines taken."""
        self.state.feed(line.whole + "\n")
        in_text = self.state.is_in_multiline_string or self.state.heredoc is not None
        if not line.code:
            if not self.taken or not self.at_boundary:
                return False
            self.blanks += 1
            is_simple = not self.is_compound and self.extent is not Extent.BODY
            return is_simple or self.blanks > 1
        self.blanks = 0
        if self.base < 0:
            self.base = line.width
        self.taken.append(line)
        self.at_boundary = not self.state.stack and not in_text
        is_opener = opens_block(line.whole, self.context.language)
        if self._is_looping():
            return True
        if len(self.taken) >= self.max_lines or line.width < self.base:
            return True
        is_statement = self.extent in (Extent.STATEMENT, Extent.ABOVE)
        if is_statement and not in_text and self._statement_ends(line, is_opener):
            return True
        is_nested = line.width > self.base or is_opener or line.code[0] in CLOSERS
        self.is_compound |= self.at_boundary and is_nested
        return False

    def _is_looping(self) -> bool:
        """Return whether the last lines are equal; if so, keep only the first of them."""
        last = self.taken[-LOOP_LINES:]
        if len(last) < LOOP_LINES or len({line.whole for line in last}) > 1:
            return False
        if len(last[0].code) > 1:
            del self.taken[1 - LOOP_LINES :]
            return True
        return False

    def _statement_ends(self, line: _CandidateLine, is_opener: bool) -> bool:
        """Return whether the one statement that is wanted ends with `line`, as far as is known."""
        if self.state.stack or is_opener:
            # It does if the document has the rest: the body, or the closing bracket.
            below = self.context.below
            if not below:
                return False
            width = indent_width(below[0])
            is_closed = width == line.width and below[0].strip()[0] in CLOSERS
            return width > line.width or (bool(self.state.stack) and is_closed)
        if self.is_compound or line.width > self.base:
            return False
        language, code = self.context.language, line.code
        if code[0] in CLOSERS or language is None:
            return True
        if language.terminator:
            return code[-1] in ";,{}"
        return not self.may_lead_on and not (
            _TRAILS_ON.search(code) and (not language.indented or code[-1] == "\\")
        )
