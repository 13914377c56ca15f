"""Shaping: from what a model writes to what is shown.

While text streams in, `feed` says when it is enough. `finish` makes a suggestion of it: cut where
the statement, block or scope ends, without what the document says already, indented and broken
into lines as the document is; or nothing, with the reason, when it would break the parse.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from functools import cached_property

from nearfield.features.completion.cursor_context import Kind, Place, indent_width, opens_block
from nearfield.features.completion.overlap import trim_below, trim_rest
from nearfield.features.completion.stop import unit_end
from nearfield.features.completion.syntax_check import SyntaxCheck
from nearfield.syntax.brackets import Scanner
from nearfield.syntax.parser import Parsed
from nearfield.syntax.white_space import White, recipe_line
from nearfield.types import Reason, Selected, Snapshot, Span

__all__ = ["Kind", "Shaped", "Shaper"]

_INDENT = re.compile(r"[ \t]+")
_STARTED = re.compile(r"\w+$")
_LEADS_ON = re.compile(r"(?:\.(?!\.)|\?[.?]|&&|\|[|>]?|[+*=>]|:(?!:)|(?:and|or|then|where)\b)")
"""A line that begins so may go on with the one above it, deeper than that."""


@dataclass(frozen=True, slots=True)
class Shaped:
    """A suggestion: replace `replace` by `text`; or none, with the reason."""

    text: str
    replace: Span
    reason: Reason = Reason.SHOWN


class Shaper:
    """Shapes one candidate for the cursor at `offset`.

    `parsed` is the tree of the snapshot's text, None where there is none. `selected` is the item
    selected in the client's popup: what is fed continues it, and the result starts with it.
    `multiline` is the setting of that name, `max_lines` the longest suggestion. From the moment
    `soon` (`time.monotonic()`) whole lines are enough, though the statement or block goes on.
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
        self._place = Place.of(snapshot, parsed, offset, selected, multiline)
        self._item = selected.text if selected else ""
        start = selected.span.start if selected else offset
        self._replace = Span(start, max(offset, selected.span.end) if selected else offset)
        self._max_lines = max_lines
        self._soon = soon
        self._sound = SyntaxCheck(self._place)
        self._fed = ""

    @property
    def kind(self) -> Kind:
        """How much a suggestion may be at this cursor."""
        return self._place.kind

    @property
    def single_line(self) -> bool:
        """Whether the model may stop at the first line break behind something visible."""
        return self.kind is Kind.LINE

    @property
    def at_line_end(self) -> bool:
        """Whether nothing visible stands behind the cursor on its line."""
        return not self._place.rest.strip()

    def feed(self, text: str) -> bool:
        """More of what the model writes; True when that is enough and the model can stop."""
        self._fed += text
        if "\n" not in self._fed:
            return False
        raw = _plain(self._fed)
        end = unit_end(self._place, self.kind, raw, ended=False, max_lines=self._max_lines)
        if end is None:
            return time.monotonic() >= self._soon and self._stands(raw)
        if self.kind is not Kind.STATEMENT:
            return True
        return self._sound.holds(raw[:end]) or raw[:end].count("\n") + 1 >= self._max_lines

    def _stands(self, raw: str) -> bool:
        """Whether the lines of `raw` can be shown by themselves: whole ones, that do not end with
        the head of a block."""
        lines, _, begun = raw.rpartition("\n")
        last = lines.rstrip().rpartition("\n")[2]
        if begun.strip() or not last.strip() or opens_block(last, self._place.language):
            return False
        return self._sound.holds(lines.rstrip())

    def restart(self) -> None:
        """Forget what was fed: another model starts over."""
        self._fed = ""

    def finish(self, text: str | None = None, *, complete: bool = True) -> Shaped:
        """The suggestion made of `text`, all that the model wrote (left out: all that was fed).
        `complete` is false when the model was cut short by a limit: an unfinished last line is
        then left out where there are others."""
        raw = _plain(self._fed if text is None else text)
        if not complete and "\n" in raw.rstrip("\n") and not raw.endswith("\n"):
            raw = raw[: raw.rindex("\n")]
        if not raw:
            return self._none(Reason.EMPTY)
        if not raw.strip():
            return self._none(Reason.WHITESPACE)
        shaped, reason = self._shape(raw)
        if reason is Reason.SYNTAX and (rest := self._without_started(raw)):
            shaped, reason = self._shape(rest)
        if reason:
            return self._none(reason)
        return Shaped(self._item + shaped.replace("\n", self._place.newline), self._replace)

    def _none(self, reason: Reason) -> Shaped:
        return Shaped("", self._replace, reason)

    def _without_started(self, raw: str) -> str:
        """What goes on behind the word at the cursor, "" where `raw` does not write that word
        anew: a server that does not heal tokens answers `ret` with `return x`."""
        started = _STARTED.search(self._place.left)
        word = started[0] if started else ""
        return raw[len(word) :] if word and raw.startswith(word) else ""

    def _shape(self, raw: str) -> tuple[str, Reason]:
        """The shaped text, or the reason why there is none."""
        if self.kind in (Kind.LINE, Kind.ABOVE):
            variants = self._beside_rest(raw)
        else:
            variants = self._on_free_line(raw)
        reason = Reason.WHITESPACE
        for variant in variants:
            if not variant.strip():
                reason = Reason.REPEATS if reason is Reason.WHITESPACE else reason
            elif self._sound.holds(variant):
                return variant, Reason.SHOWN
            else:
                reason = Reason.SYNTAX
        return "", reason

    def _beside_rest(self, raw: str) -> list[str]:
        """What may go in front of the rest of the cursor's line, in the order of preference: text
        on the line itself, or lines of its own that push the rest down."""
        place = self._place
        end = unit_end(place, Kind.LINE, raw, ended=True, max_lines=1) or 0
        touches = place.rest and not place.rest[0].isspace()
        inline = trim_rest(place, raw[:end] if touches else raw[:end].rstrip())
        if self.kind is Kind.LINE and not raw[:end].strip():
            return []
        if self.kind is Kind.LINE:
            return [inline, *([inline + "\n"] if raw.startswith("\n", end) else [])]
        end = unit_end(place, Kind.ABOVE, raw, ended=True, max_lines=self._max_lines) or 0
        block = self._indented(raw[:end])
        if (place.left + block).rstrip() == (place.left + place.rest).rstrip():
            return [""]
        lines = [block + "\n" + place.left, block + "\n"]
        return [*lines, inline] if "\n" in raw else [inline, *lines]

    def _on_free_line(self, raw: str) -> list[str]:
        """What may stand on the rest of the cursor's line, which is empty, and below it: the unit,
        and, should that not parse, more lines of it, then fewer."""
        end = unit_end(self._place, self.kind, raw, ended=True, max_lines=self._max_lines)
        ends = [m.start() for m in re.finditer(r"\n", raw)] + [len(raw)]
        ends = [e for e in ends[: self._max_lines] if raw[:e].strip()]
        first = len(raw) if end is None else end
        longer = [e for e in ends if e > first] if self.kind is Kind.STATEMENT else []
        shorter = [e for e in reversed(ends) if e < first]
        variants: list[str] = []
        for stop in (first, *longer, *shorter):
            text = trim_below(self._place, self._indented(self._ended(raw[:stop])))
            if text not in variants:
                variants.append(text)
        return variants

    def _ended(self, text: str) -> str:
        """`text` without white space at its end that says nothing."""
        return text.rstrip("\n") if self._place.format.white is White.KEPT else text.rstrip()

    def _indented(self, text: str) -> str:
        """`text` with the document's indentation; its first line is not moved beyond where a
        statement belongs on the cursor's line."""
        place = self._place
        if place.inside == "string" or place.format.white is White.KEPT:
            return text
        rows = text.split("\n")
        fixed = self._fixed(rows)
        if not place.left.strip():
            rows = self._without_surplus(rows, fixed) if place.left else rows
        above = place.above
        for number, row in enumerate(rows):
            whole = place.left + row if number == 0 else row
            if number not in fixed and (number or not place.left):
                rows[number] = whole = self._restyled(row, above)
            above = whole if whole.strip() else above
        return "\n".join(rows)

    def _fixed(self, rows: list[str]) -> set[int]:
        """The rows that begin in a string or a here-document: their white space is text."""
        state = Scanner(self._place.language).feed(self._place.left)
        fixed: set[int] = set()
        for number, row in enumerate(rows):
            if number and (state.in_multiline_string or state.heredoc is not None):
                fixed.add(number)
            state.feed(row + "\n")
        return fixed

    def _without_surplus(self, rows: list[str], fixed: set[int]) -> list[str]:
        """`rows` without the indentation that stands on the cursor's line already, where it is
        known how deep a statement belongs there."""
        place = self._place
        first, others = rows[0], rows[1:]
        if place.expected is None or not first.strip() or self._continues(first):
            return rows
        here, extra = indent_width(place.left), indent_width(first)
        surplus = min(extra, max(here + extra - max(place.expected, here), 0))
        if not surplus:
            return rows
        moved = [n for n, row in enumerate(rows) if n and n not in fixed and row.strip()]
        if all(indent_width(rows[n]) >= here + extra for n in moved):
            for n in moved:
                row = rows[n]
                others[n - 1] = self._width(indent_width(row) - surplus) + row.lstrip()
        return [self._width(extra - surplus) + first.lstrip(), *others]

    def _continues(self, first: str) -> bool:
        """Return whether the line `first` goes on with the statement above it."""
        return self._place.above[-1:] not in (*";{}",) and bool(_LEADS_ON.match(first.lstrip()))

    def _restyled(self, line: str, above: str) -> str:
        """`line`, under the visible line `above`, with its indentation in the white space of the
        format or the document."""
        match = _INDENT.match(line)
        if match is None or not line.strip():
            return line.rstrip() if not line.strip() else line
        white, place = match[0], self._place
        if place.format.white is White.RECIPES:
            return recipe_line(line, above)
        if place.tabs and " " in white:
            return self._width(indent_width(white)) + line[len(white) :]
        if not place.tabs and "\t" in white and place.format.white is not White.TABS_FIRST:
            return white.replace("\t", " " * place.unit) + line[len(white) :]
        return line

    @cached_property
    def _tab(self) -> str:
        return "\t" if self._place.tabs else "    "

    def _width(self, columns: int) -> str:
        """So many columns of the document's white space."""
        return self._tab * (columns // 4) + " " * (columns % 4)


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text
