"""Whether a suggestion breaks the parse: its document is parsed with it in place.

A document at which someone is typing is usually broken already, just where the cursor is. So the
measure is the better of the document as it is and the document without the cursor's line: a
suggestion must leave no more errors than that. A block that it opens on its last line, and that is
still to be written, is closed for the comparison.
"""

from __future__ import annotations

from functools import cached_property

from nearfield.features.place import Place, opens_block
from nearfield.features.scan import Scanner
from nearfield.syntax.parser import Parsed
from nearfield.types import Edit, Span

__all__ = ["Soundness"]

REACH = 4_000
"""Errors are counted this many characters around the cursor, and at the document's end, where an
unclosed bracket shows. Errors elsewhere are not the suggestion's."""
_BODIES = {"python": "pass", "ruby": "end", "lua": "end", "shellscript": ":"}


class Soundness:
    """Asks the tree about candidates at one place. Without a tree everything is sound."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._known: dict[str, bool] = {}

    def holds(self, text: str) -> bool:
        """Whether `text` at the cursor leaves no more errors than there were. Remembers."""
        if text not in self._known:
            self._known[text] = self._check(text)
        return self._known[text]

    def _check(self, text: str) -> bool:
        if self._place.parsed is None or self._place.inside == "comment":
            return True
        if self._errors(text) <= self._allowed:
            return True
        closing = self._closing(text)
        return bool(closing) and self._errors(text + closing) <= self._allowed

    @cached_property
    def _allowed(self) -> int:
        place = self._place
        if place.parsed is None:
            return 0
        before = self._count(place.parsed, 0)
        if before == 0:
            return 0
        line = Span(place.line_start, place.line_end)
        without = place.parsed.edited(Edit(line, ""))
        return before if without is None else min(before, self._count(without, 0))

    def _errors(self, text: str) -> int:
        place = self._place
        if place.parsed is None:
            return 0
        after = place.parsed.edited(Edit(Span(place.cursor, place.cursor), text))
        return self._allowed + 1 if after is None else self._count(after, len(text))

    def _count(self, parsed: Parsed, inserted: int) -> int:
        cursor, length = self._place.cursor, len(parsed.text)
        near = Span(max(cursor - REACH, 0), min(cursor + inserted + REACH, length))
        if near.end == length:
            return parsed.errors(near)
        return parsed.errors(near) + parsed.errors(Span(max(length - 1, near.end + 1), length))

    def _closing(self, text: str) -> str:
        """What closes the block that the last line of `text` opens, or nothing."""
        place, language = self._place, self._place.language
        last = (place.left + text).rsplit("\n", 1)[-1]
        if not opens_block(last, language) or language is None or place.rest.strip():
            return ""
        indent = last[: len(last) - len(last.lstrip())]
        deeper = indent + ("\t" if place.tabs else " " * place.unit)
        due = Scanner(language).feed(place.left + text).stack
        if due:
            return f"\n{indent}{''.join(reversed(due))}" if due[-1] == "}" else ""
        body = _BODIES.get(language.name, "")
        return f"\n{deeper if body == 'pass' else indent}{body}" if body else ""
