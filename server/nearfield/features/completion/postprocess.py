"""Turns what a model writes into what is shown.

While text streams in, `Shaper.is_enough` says when to stop. `Shaper.finish` makes a suggestion of
it: cut where the statement, block or scope ends, without what the document already has, indented
and broken into lines like the document; or nothing, with the reason, if it would break the parse.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from textwrap import dedent

from nearfield.config.schema import Completion
from nearfield.features.completion.cursor_context import (
    CONTINUES,
    CursorContext,
    Extent,
    Inside,
    indent_width,
    unit_end,
)
from nearfield.syntax.brackets import CLOSERS, Scanner, opens_block
from nearfield.syntax.parser import Cursor, Parsed, parse
from nearfield.syntax.white_space import White, recipe_line
from nearfield.types import Edit, Reason, Selected, Snapshot, Span

MIN_OVERLAP = 5
"""Characters of overlap, within a longer rest of the line, that are no coincidence."""
_TERMINATORS = frozenset({";", ",", ":"})
_INDENT = re.compile(r"[ \t]+")
_WORD_AT_END = re.compile(r"\w+$")
_LEADS_ON = re.compile(r"(?:\.(?!\.)|\?[.?]|&&|\|[|>]?|[+*=>]|:(?!:)|(?:and|or|then|where)\b)")
"""Beginning of a line that may continue the line above, with a deeper indentation."""

MAX_NEW_ERRORS = 1
"""In a broken document one more error than before says nothing."""
_FRAGMENTS = frozenset({"yaml", "json", "html", "css", "markdown", "sql", "toml"})
"""Languages in which a single line says little."""
_PLAIN = ("", "")
_IN_CLASS = ("class A {\n", "\n}")
_IN_FUNCTION = ("int f() {\n", "\n}")
_IN_INTERFACE = ("interface A {\n", "\n}")
_WRAPPINGS = {
    "php": (("<?php\n", ""), ("<?php class A {\n", "\n}")),
    "go": (_PLAIN, ("func f() {\n", "\n}"), ("type A struct {\n", "\n}")),
    "typescript": (_PLAIN, _IN_CLASS, _IN_INTERFACE),
    "typescriptreact": (_PLAIN, _IN_CLASS, _IN_INTERFACE),
    "cpp": (_PLAIN, _IN_CLASS, _IN_FUNCTION),
    "c": (_PLAIN, ("struct A {\n", "\n};"), _IN_FUNCTION),
    **dict.fromkeys(
        ("java", "javascript", "csharp", "kotlin", "swift", "scala"), (_PLAIN, _IN_CLASS)
    ),
}
"""Text that a line may need around it to be a whole document."""
_BODIES = {"python": "pass", "ruby": "end", "lua": "end", "shellscript": ":"}
_CONTINUED = re.compile(r"(?:[,(\[=+\-*/|&.<>?\\]|\b(?:and|or|not|in|is))$")
"""End of a line that is continued below."""


@dataclass(frozen=True, slots=True)
class Shaped:
    """A suggestion: replace `replace` by `text`; or none, with the reason."""

    text: str
    replace: Span
    reason: Reason = Reason.SHOWN


class Shaper:
    """Shapes one candidate for the cursor at `offset`.

    `parsed` is the tree of the snapshot's text, None if there is none. `selected` is the item
    selected in the client's popup: the text given continues it, and the result starts with it. Line
    breaks in the text given are "\\n", in the result those of the document.
    `multiline` is the setting of that name, `max_lines` the longest suggestion. After the moment
    `soon` (`time.monotonic()`) whole lines are enough, even if the statement or block continues.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        parsed: Parsed | None,
        offset: int,
        selected: Selected | None = None,
        *,
        multiline: str = "auto",
        max_lines: int = 12,
        soon: float = float("inf"),
    ) -> None:
        self._context = CursorContext.of(snapshot, parsed, offset, selected, multiline)
        self.extent = self._context.extent
        """The extent of a suggestion at this cursor."""
        self._item = selected.text if selected else ""
        start = selected.span.start if selected else offset
        self._replace = Span(start, max(offset, selected.span.end) if selected else offset)
        self._max_lines = max_lines
        self._soon = soon
        self._syntax = SyntaxCheck(self._context)
        self._ends: dict[tuple[Extent, str, int], int] = {}

    @classmethod
    def at(
        cls, cursor: Cursor, settings: Completion, *, is_manual: bool, soon: float = float("inf")
    ) -> Shaper:
        """Return the shaper for an answer at `cursor`. A manual request is for the whole hole, not
        the line, and waits for it."""
        multiline = settings.multiline
        return cls(
            cursor.snapshot,
            cursor.parsed,
            cursor.offset,
            selected=cursor.selected,
            multiline="always" if is_manual and multiline == "auto" else multiline,
            max_lines=settings.max_lines,
            soon=float("inf") if is_manual else soon,
        )

    @property
    def is_single_line(self) -> bool:
        """Return whether the model may stop at the first line break after something visible."""
        return self.extent is Extent.LINE

    @property
    def is_at_line_end(self) -> bool:
        """Return whether nothing visible follows the cursor on its line."""
        return not self._context.rest.strip()

    def is_enough(self, text: str) -> bool:
        """Return whether the model can stop after `text`, all that it has written."""
        context, extent = self._context, self.extent
        end = unit_end(context, extent, text, is_complete=False, max_lines=self._max_lines)
        if end is not None:
            self._ends[extent, text, self._max_lines] = end
            is_last = text[:end].count("\n") + 1 >= self._max_lines
            return extent is not Extent.STATEMENT or self._syntax.holds(text[:end]) or is_last
        if time.monotonic() < self._soon:
            return False
        # Whole lines are enough by now, if they can be shown alone and open no block.
        lines, _, begun = text.rpartition("\n")
        last = lines.rstrip().rpartition("\n")[2]
        if begun.strip() or not last.strip() or opens_block(last, context.language):
            return False
        return self._syntax.holds(lines.rstrip())

    def finish(self, text: str) -> Shaped:
        """Return the suggestion made of `text`, everything the model wrote."""
        if not text:
            return Shaped("", self._replace, Reason.EMPTY)
        if not text.strip():
            return Shaped("", self._replace, Reason.WHITESPACE)
        shaped, reason = self._shape(text)
        if reason is Reason.SYNTAX:
            # A server that does not heal tokens answers `ret` with `return x`.
            word = _WORD_AT_END.search(self._context.left)
            if word and text.startswith(word[0]) and len(text) > len(word[0]):
                shaped, reason = self._shape(text[len(word[0]) :])
        if reason:
            return Shaped("", self._replace, reason)
        if "\n" in shaped:
            shaped = shaped.replace("\n", self._context.newline)
        return Shaped(self._item + shaped, self._replace)

    def part(self, text: str) -> Shaped:
        """Return the suggestion made of `text`, the beginning of a line: it need not parse, but it
        closes nothing that is not open, and does not begin the next line again."""
        context = self._context
        rows = self._indented(text)
        whole = context.left + rows
        if context.closes_too_much(rows):
            return Shaped("", self._replace, Reason.SYNTAX)
        if context.below and context.below[0].strip().startswith(whole.strip()):
            return Shaped("", self._replace, Reason.REPEATS)
        return Shaped(self._item + rows, self._replace)

    def _shape(self, raw: str) -> tuple[str, Reason]:
        """Return the shaped text, or the reason why there is none."""
        is_beside = self.extent in (Extent.LINE, Extent.ABOVE)
        reason = Reason.WHITESPACE
        for variant in self._beside_rest(raw) if is_beside else self._on_free_line(raw):
            if not variant.strip():
                reason = Reason.REPEATS if reason is Reason.WHITESPACE else reason
            elif self._syntax.holds(variant):
                return variant, Reason.SHOWN
            else:
                reason = Reason.SYNTAX
        return "", reason

    def _end(self, extent: Extent, raw: str, max_lines: int) -> int:
        if (known := self._ends.get((extent, raw, max_lines))) is not None:
            return known
        end = unit_end(self._context, extent, raw, is_complete=True, max_lines=max_lines)
        return len(raw) if end is None else end

    def _beside_rest(self, raw: str) -> list[str]:
        """Return what may precede the rest of the cursor's line, in order of preference: text on
        the line itself, or lines of its own that push the rest down."""
        context = self._context
        end = self._end(Extent.LINE, raw, 1)
        touches = context.rest and not context.rest[0].isspace()
        inline = trim_rest(context, raw[:end] if touches else raw[:end].rstrip())
        if self.extent is Extent.LINE:
            if not raw[:end].strip():
                return []
            return [inline, *([inline + "\n"] if raw.startswith("\n", end) else [])]
        block = self._indented(raw[: self._end(Extent.ABOVE, raw, self._max_lines)])
        if (context.left + block).rstrip() == (context.left + context.rest).rstrip():
            return [""]
        lines = [block + "\n" + context.left, block + "\n"]
        return [*lines, inline] if "\n" in raw else [inline, *lines]

    def _on_free_line(self, raw: str) -> Iterator[str]:
        """Yield what may fill the empty rest of the cursor's line and lines below it: the unit,
        then, should that not parse, more lines of it, then fewer."""
        end = self._end(self.extent, raw, self._max_lines)
        ends = [m.start() for m in re.finditer(r"\n", raw)] + [len(raw)]
        ends = [e for e in ends[: self._max_lines] if raw[:e].strip()]
        longer = [e for e in ends if e > end] if self.extent is Extent.STATEMENT else []
        shorter = [e for e in reversed(ends) if e < end]
        seen: set[str] = set()
        is_kept = self._context.format.white is White.KEPT
        for stop in (end, *longer, *shorter):
            text = raw[:stop].rstrip("\n") if is_kept else raw[:stop].rstrip()
            text = trim_below(self._context, self._indented(text))
            if text not in seen:
                seen.add(text)
                yield text

    # --- indentation ------------------------------------------------------------------------

    def _indented(self, text: str) -> str:
        """Return `text` with the document's indentation; its first line is not moved beyond where
        a statement belongs on the cursor's line."""
        context = self._context
        if context.inside is Inside.STRING or context.format.white is White.KEPT:
            return text
        rows = text.split("\n")
        fixed = self._text_rows(rows) if len(rows) > 1 else set[int]()
        if context.left and not context.left.strip():
            rows = self._without_surplus(rows, fixed)
        above = context.above
        for number, row in enumerate(rows):
            whole = context.left + row if number == 0 else row
            if number not in fixed and (number or not context.left):
                rows[number] = whole = self._restyled(row, above)
            above = whole if whole.strip() else above
        return "\n".join(rows)

    def _text_rows(self, rows: list[str]) -> set[int]:
        """Return the rows that begin in a string or a here-document: there white space is text."""
        found: set[int] = set()
        state = Scanner(self._context.language).feed(self._context.left + rows[0] + "\n")
        for number, row in enumerate(rows[1:], 1):
            if state.is_in_multiline_string or state.heredoc is not None:
                found.add(number)
            state.feed(row + "\n")
        return found

    def _without_surplus(self, rows: list[str], fixed: set[int]) -> list[str]:
        """Return `rows` without the indentation that the cursor's line already has, if it is known
        how deep a statement belongs there."""
        context, first = self._context, rows[0]
        if context.expected is None or not first.strip():
            return rows
        if context.above[-1:] not in (*";{}",) and _LEADS_ON.match(first.lstrip()):
            return rows  # it continues the statement above
        here, extra = indent_width(context.left), indent_width(first)
        surplus = min(extra, max(here + extra - max(context.expected, here), 0))
        if not surplus:
            return rows
        shifted = [self._columns(extra - surplus) + first.lstrip(), *rows[1:]]
        moved = [n for n, row in enumerate(rows) if n and n not in fixed and row.strip()]
        if all(indent_width(rows[n]) >= here + extra for n in moved):
            for n in moved:
                shifted[n] = self._columns(indent_width(rows[n]) - surplus) + rows[n].lstrip()
        return shifted

    def _restyled(self, line: str, above: str) -> str:
        """Return `line`, below the visible line `above`, indented as the format or the document
        does it."""
        match = _INDENT.match(line)
        if match is None or not line.strip():
            return line.rstrip() if not line.strip() else line
        white, context = match[0], self._context
        if context.format.white is White.RECIPES:
            return recipe_line(line, above)
        if context.uses_tabs and " " in white:
            return self._columns(indent_width(white)) + line[len(white) :]
        if not context.uses_tabs and "\t" in white and context.format.white is not White.TABS_FIRST:
            return white.replace("\t", " " * context.unit) + line[len(white) :]
        return line

    def _columns(self, columns: int) -> str:
        """Return white space of that width, in the document's style."""
        tab = "\t" if self._context.uses_tabs else "    "
        return tab * (columns // 4) + " " * (columns % 4)


# --- text that is in the document already ---------------------------------------------------


def trim_rest(context: CursorContext, text: str) -> str:
    """Return `text`, one line, without an end that repeats the rest of the cursor's line.

    The cut that leaves the fewest brackets and strings open on the line wins. Among equals an
    overlap is cut if it is all of the rest, a terminator, or too long to be a coincidence."""
    rest = context.rest.strip()
    if not rest or not text.strip():
        return text
    best, score = text, _imbalance(context, text)
    for cut, is_telling in _cuts(context, text, rest):
        new = _imbalance(context, cut)
        if new < score or (is_telling and new == score):
            best, score = cut, new
    return best.rstrip() if context.rest[0].isspace() else best


def _imbalance(context: CursorContext, text: str) -> int:
    return Scanner(context.language).feed(context.left + text + context.rest).imbalance


def _cuts(context: CursorContext, text: str, rest: str) -> list[tuple[str, bool]]:
    """Return the shorter texts worth trying, longest first, each with whether the part left out is
    surely a repetition."""
    cuts: list[tuple[str, bool]] = []
    body = text.rstrip()
    for size in range(1, min(len(body), len(rest)) + 1):
        if not body.endswith(rest[:size]):
            continue
        # An overlap that begins or ends within a word is none.
        if size < len(body) and _is_word(body[-size - 1]) and _is_word(rest[0]):
            continue
        if size < len(rest) and _is_word(rest[size - 1]) and _is_word(rest[size]):
            continue
        visible = rest[:size].strip()
        is_telling = size == len(rest) or visible in _TERMINATORS or len(visible) >= MIN_OVERLAP
        cuts.append((body[: len(body) - size], is_telling))
    typed = Scanner(context.language).feed(context.left)
    excess = Scanner(context.language, quote=typed.quote).first_excess(text)
    if excess is not None and rest[0] in CLOSERS and text[excess] == rest[0]:
        cuts.append((text[:excess], False))
    if rest[0] in "\"'`" and (closing := text.find(rest[0])) >= 0:
        cuts.append((text[:closing], False))
    return cuts


def _is_word(char: str) -> bool:
    return char.isalnum() or char == "_"


def trim_below(context: CursorContext, text: str) -> str:
    """Return `text` without last lines that equal the next visible lines of the document.

    Its first line is on the cursor's line. A line below it, or the whole text on an empty line,
    repeats the document if it and all after it are the lines below, with the same indentation."""
    lines = text.split("\n")
    whole = [context.left + lines[0], *lines[1:]]
    for start in range(len(whole)):
        if not whole[start].strip() or (start == 0 and context.left.strip()):
            continue
        if _repeats(whole[start:], context.below):
            kept = lines[:start]
            while kept and not kept[-1].strip():
                kept.pop()
            return "\n".join(kept)
    return text


def _repeats(lines: list[str], below: tuple[str, ...]) -> bool:
    mine = [line.rstrip() for line in lines if line.strip()]
    theirs = below[: len(mine)]
    if not mine or len(theirs) < len(mine):
        return False
    pairs = list(zip(mine, theirs, strict=True))
    if any(indent_width(a) != indent_width(b) for a, b in pairs):
        return False
    last, their_last = mine[-1].strip(), theirs[-1].strip()
    if len(mine) > 1 and len(last) >= MIN_OVERLAP and their_last.startswith(last):
        pairs.pop()  # a last line may be unfinished
    return all(a.strip() == b.strip() for a, b in pairs)


# --- the syntax tree ------------------------------------------------------------------------


class SyntaxCheck:
    """Check of whether a candidate at one cursor breaks the parse. Without a tree none does.

    A document is usually broken at the cursor during typing. So the measure is the better of the
    document as it is and the document without the cursor's line: a suggestion may leave no more
    errors than that, and none in a clean document. A block that it opens on its last line is closed
    for the comparison. Where the document is broken beyond the line, error counts are unreliable,
    and the suggestion's own lines are judged alone.
    """

    def __init__(self, context: CursorContext) -> None:
        self._context = context
        self._known: dict[str, bool] = {}

    def holds(self, text: str) -> bool:
        """Return whether `text` at the cursor leaves no more errors than there were; cached."""
        if text not in self._known:
            self._known[text] = self._check(text)
        return self._known[text]

    def _check(self, text: str) -> bool:
        context = self._context
        cursor = context.cursor
        if context.parsed is None or context.inside is Inside.COMMENT:
            return True
        after = context.parsed.edited(Edit(Span(cursor, cursor), text))
        if after is None:
            return False
        errors = after.errors_near(Span(cursor, cursor + len(text)))
        if errors == 0 or self._before == 0:
            return errors == 0
        if closing := self._closing(text):
            end = context.line_end + len(text)
            closed = after.edited(Edit(Span(end, end), closing))
            written = Span(cursor, cursor + len(text + closing))
            if closed is not None and closed.errors_near(written) == 0:
                return True
        if self._without_line == 0:
            return False
        alone = stands_alone(context, text)
        if alone is not None:
            return alone and errors <= max(self._before, self._without_line) + MAX_NEW_ERRORS
        if re.fullmatch(r"[\s)\]};,]+", text):
            # Brackets that the lines above left open may be closed.
            return not context.closes_too_much(text)
        lines = Span(cursor - len(context.left.lstrip()), cursor + len(text))
        return errors <= min(self._before, self._without_line) or not after.errors(
            lines, starting=True
        )

    @cached_property
    def _before(self) -> int:
        """The errors in the document as it is."""
        cursor, parsed = self._context.cursor, self._context.parsed
        return parsed.errors_near(Span(cursor, cursor)) if parsed else 0

    @cached_property
    def _without_line(self) -> int:
        """The errors in the document without the cursor's line."""
        context = self._context
        if context.parsed is None or self._before == 0:
            return 0
        without = context.parsed.edited(Edit(Span(context.line_start, context.line_end), ""))
        cursor = Span(context.cursor, context.cursor)
        return self._before if without is None else without.errors_near(cursor)

    def _closing(self, text: str) -> str:
        """Return what closes the block that the cursor's line opens after `text`, or ""."""
        context, language = self._context, self._context.language
        whole = context.left + text + context.rest
        last = whole.rsplit("\n", 1)[-1]
        if language is None or not opens_block(last, language):
            return ""
        indent = last[: len(last) - len(last.lstrip())]
        due = Scanner(language).feed(whole).stack
        if due:
            return f"\n{indent}{''.join(reversed(due))}"
        body = _BODIES.get(language.name, "")
        if body == "pass":
            indent += "\t" if context.uses_tabs else " " * context.unit
        return f"\n{indent}{body}" if body else ""


def stands_alone(context: CursorContext, text: str) -> bool | None:
    """Return whether the cursor's line with `text` parses as a document, its open brackets closed;
    None if that says nothing, because it is part of something larger."""
    language = context.language
    if language is None or language.name in _FRAGMENTS or context.rest.strip():
        return None
    if context.inside is Inside.STRING or _CONTINUED.search(context.above):
        return None
    code = dedent(context.left + text).rstrip()
    if not re.match(r"[\w@#$\"'(!~*&]", code) or CONTINUES.match(code) or code.endswith(","):
        return None
    excess = Scanner(language).first_excess(code)
    if excess is not None:
        return False if code[:excess].rpartition("\n")[2].strip() else None
    code += "\n" + "".join(reversed(Scanner(language).feed(code).stack))
    if opens_block(code.rstrip(), language):
        code += "    pass\n" if language.name == "python" else _BODIES.get(language.name, "")
    for before, after in _WRAPPINGS.get(language.name, (_PLAIN,)):
        parsed = parse(language, before + code + after)
        if parsed is not None and not parsed.root.has_error:
            return True
    return False
