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

from nearfield.features.overlap import trim_below, trim_rest
from nearfield.features.place import Kind, Place, indent_width, opens_block
from nearfield.features.sound import Soundness
from nearfield.features.unit import unit_end
from nearfield.syntax.parser import Parsed
from nearfield.types import Reason, Selected, Snapshot, Span

__all__ = ["Kind", "Shaped", "Shaper"]

_INDENT = re.compile(r"[ \t]+")


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
        self._sound = Soundness(self._place)
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
        if reason:
            return self._none(reason)
        return Shaped(self._item + shaped.replace("\n", self._place.newline), self._replace)

    def _none(self, reason: Reason) -> Shaped:
        return Shaped("", self._replace, reason)

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
            text = trim_below(self._place, self._indented(raw[:stop].rstrip()))
            if text not in variants:
                variants.append(text)
        return variants

    def _indented(self, text: str) -> str:
        """`text` with the document's indentation; its first line is not moved beyond where a
        statement belongs on the cursor's line."""
        place = self._place
        if place.inside == "string":
            return text
        first, *others = text.split("\n")
        others = [self._restyled(line) for line in others]
        if place.left.strip():
            return "\n".join([first, *others])
        if not place.left:
            return "\n".join([self._restyled(first), *others])
        here, extra = indent_width(place.left), indent_width(first)
        surplus = min(extra, max(here + extra - max(place.expected, here), 0))
        if surplus and first.strip():
            first = self._width(extra - surplus) + first.lstrip()
            visible = [line for line in others if line.strip()]
            if visible and all(indent_width(line) >= here + extra for line in visible):
                others = [
                    self._width(indent_width(li) - surplus) + li.lstrip() if li.strip() else li
                    for li in others
                ]
        return "\n".join([first, *others])

    def _restyled(self, line: str) -> str:
        """`line` with its indentation in the document's own white space."""
        match = _INDENT.match(line)
        if match is None or not line.strip():
            return line.rstrip() if not line.strip() else line
        white = match[0]
        if self._place.tabs and " " in white:
            return self._width(indent_width(white)) + line[len(white) :]
        if not self._place.tabs and "\t" in white:
            return white.replace("\t", " " * self._place.unit) + line[len(white) :]
        return line

    @cached_property
    def _tab(self) -> str:
        return "\t" if self._place.tabs else "    "

    def _width(self, columns: int) -> str:
        """So many columns of the document's white space."""
        return self._tab * (columns // 4) + " " * (columns % 4)


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text
