"""Whether a suggestion breaks the parse: its document is parsed with it in place.

A document at which someone is typing is usually broken already, just where the cursor is. So the
measure is the better of the document as it is and the document without the cursor's line: a
suggestion must leave no more errors than that; where the document was clean, none. A block that
it opens on its last line behind something typed, and that is still to be written, is closed for
the comparison. Where the document is broken beyond the line, error counts jump about, and the
suggestion's own lines are judged by themselves.
"""

from __future__ import annotations

import re
from functools import cached_property
from textwrap import dedent

from nearfield.features.completion.cursor_context import CONTINUES, Place, opens_block
from nearfield.syntax.brackets import Scanner
from nearfield.syntax.parser import Parsed, parse
from nearfield.types import Edit, Span

__all__ = ["SyntaxCheck"]

REACH = 4_000
"""Errors are counted this many characters around the cursor, and at the document's end, where an
unclosed bracket shows. Errors elsewhere are not the suggestion's."""
_FRAGMENTS = frozenset({"yaml", "json", "html", "css", "markdown", "sql", "toml"})
"""Languages whose lines say little by themselves."""
_MEMBERS = (("", ""), ("class A {\n", "\n}"))
_WRAPPINGS = {
    "php": (("<?php\n", ""), ("<?php class A {\n", "\n}")),
    "go": (("", ""), ("func f() {\n", "\n}"), ("type A struct {\n", "\n}")),
    "java": _MEMBERS,
    "javascript": _MEMBERS,
    "typescript": (*_MEMBERS, ("interface A {\n", "\n}")),
    "typescriptreact": (*_MEMBERS, ("interface A {\n", "\n}")),
    "csharp": _MEMBERS,
    "cpp": (*_MEMBERS, ("int f() {\n", "\n}")),
    "c": (("", ""), ("struct A {\n", "\n};"), ("int f() {\n", "\n}")),
    "kotlin": _MEMBERS,
    "swift": _MEMBERS,
    "scala": _MEMBERS,
}
"""What a line may need around it to be a document."""
SLACK = 1
"""In a broken document one more error than before says nothing."""
_BODIES = {"python": "pass", "ruby": "end", "lua": "end", "shellscript": ":"}


_GOES_ON = re.compile(r"(?:[,(\[=+\-*/|&.<>?\\]|\b(?:and|or|not|in|is))$")
"""A line that ends so is continued below."""


class SyntaxCheck:
    """Asks the tree about candidates at one place. Without a tree everything is sound."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._known: dict[str, bool] = {}

    def holds(self, text: str) -> bool:
        """Return whether `text` at the cursor leaves no more errors than there were. Remembers."""
        if text not in self._known:
            self._known[text] = self._check(text)
        return self._known[text]

    def _check(self, text: str) -> bool:
        place = self._place
        if place.parsed is None or place.inside == "comment":
            return True
        after = self._with(text)
        if after is None:
            return False
        errors = self._count(after, len(text))
        if errors == 0 or self._before == 0:
            return errors == 0
        if self._closes_well(after, text):
            return True
        if self._without_line == 0:
            return False
        alone = stands_alone(place, text)
        if alone is not None:
            return alone and errors <= max(self._before, self._without_line) + SLACK
        if re.fullmatch(r"[\s)\]};,]+", text):
            return self._closes_something(text)
        return errors <= min(self._before, self._without_line) or not after.errors(
            self._lines(text), starting=True
        )

    def _closes_something(self, text: str) -> bool:
        """Return whether brackets that the lines above left open are closed by `text`."""
        place = self._place
        return Scanner(place.language).feed(place.text_above).first_excess(text) is None

    def _with(self, text: str) -> Parsed | None:
        """The document with `text` at the cursor."""
        place = self._place
        if place.parsed is None:
            return None
        return place.parsed.edited(Edit(Span(place.cursor, place.cursor), text))

    def _lines(self, text: str) -> Span:
        """The cursor's line from its first character, to where `text` will end."""
        place = self._place
        return Span(place.cursor - len(place.left.lstrip()), place.cursor + len(text))

    @cached_property
    def _before(self) -> int:
        """The errors in the document as it is."""
        return self._count(self._place.parsed, 0) if self._place.parsed else 0

    @cached_property
    def _without_line(self) -> int:
        """The errors in the document without the cursor's line."""
        place = self._place
        if place.parsed is None or self._before == 0:
            return 0
        without = place.parsed.edited(Edit(Span(place.line_start, place.line_end), ""))
        return self._before if without is None else self._count(without, 0)

    def _count(self, parsed: Parsed, inserted: int) -> int:
        cursor, length = self._place.cursor, len(parsed.text)
        near = Span(max(cursor - REACH, 0), min(cursor + inserted + REACH, length))
        if near.end == length:
            return parsed.errors(near)
        return parsed.errors(near) + parsed.errors(Span(max(length - 1, near.end + 1), length))

    def _closes_well(self, after: Parsed, text: str) -> bool:
        """Whether the document `after`, with `text` in it, is clean once the block is closed that
        the cursor's line opens: its body is still to be written."""
        closing = self._closing(text)
        if not closing:
            return False
        end = self._place.line_end + len(text)
        closed = after.edited(Edit(Span(end, end), closing))
        return closed is not None and self._count(closed, len(text + closing)) == 0

    def _closing(self, text: str) -> str:
        """What closes the block that the line of the cursor opens behind `text`, or nothing."""
        place, language = self._place, self._place.language
        whole = place.left + text + place.rest
        last = whole.rsplit("\n", 1)[-1]
        if not opens_block(last, language) or language is None:
            return ""
        indent = last[: len(last) - len(last.lstrip())]
        deeper = indent + ("\t" if place.tabs else " " * place.unit)
        due = Scanner(language).feed(whole).stack
        if due:
            return f"\n{indent}{''.join(reversed(due))}"
        body = _BODIES.get(language.name, "")
        return f"\n{deeper if body == 'pass' else indent}{body}" if body else ""


def stands_alone(place: Place, text: str) -> bool | None:
    """Whether the cursor's line with `text` parses as a document of its own, its open brackets
    closed; None where that says nothing, because it is a part of something larger."""
    language = place.language
    if language is None or language.name in _FRAGMENTS or place.rest.strip():
        return None
    if place.inside == "string" or _GOES_ON.search(place.above):
        return None
    code = dedent(place.left + text).rstrip()
    if not re.match(r"[\w@#$\"'(!~*&]", code) or CONTINUES.match(code) or code.endswith(","):
        return None
    excess = Scanner(language).first_excess(code)
    if excess is not None:
        return False if code[:excess].rpartition("\n")[2].strip() else None
    state = Scanner(language).feed(code)
    code += "\n" + "".join(reversed(state.stack))
    if opens_block(code.rstrip(), language):
        code += "    pass\n" if language.name == "python" else _BODIES.get(language.name, "")
    for before, behind in _WRAPPINGS.get(language.name, (("", ""),)):
        parsed = parse(language, before + code + behind)
        if parsed is not None and not parsed.root.has_error:
            return True
    return False
