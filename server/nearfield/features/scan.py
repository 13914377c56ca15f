"""A small scanner over code: which brackets and strings are open.

It knows just enough of each language to count brackets outside strings and comments. It sees one
candidate and the line it is on, character by character, so that it can run while text streams in;
the syntax tree has the last word afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from nearfield.syntax.languages import Language

__all__ = ["CLOSERS", "OPENERS", "Scanner"]

OPENERS = {"(": ")", "[": "]", "{": "}"}
CLOSERS = frozenset(OPENERS.values())
_PROSE = frozenset({"markdown", "html", "yaml"})
"""Languages in which an apostrophe is usually just that."""
_MULTILINE_QUOTES = {
    "python": ('"""', "'''"),
    "javascript": ("`",),
    "typescript": ("`",),
    "typescriptreact": ("`",),
    "go": ("`",),
    "kotlin": ('"""',),
    "scala": ('"""',),
    "swift": ('"""',),
    "java": ('"""',),
    "toml": ('"""', "'''"),
    "shellscript": ('"', "'"),
    "rust": ('"',),
    "php": ('"', "'"),
    "sql": ("'",),
}


@dataclass(slots=True)
class Scanner:
    """The state after everything fed so far.

    `stack` holds the closers that are due; `excess` the closers that met nothing open; `quote` is
    the delimiter of the string that is open, `comment` whether a line comment is.
    """

    language: Language | None
    stack: list[str] = field(default_factory=list[str])
    excess: list[str] = field(default_factory=list[str])
    quote: str = ""
    comment: bool = False

    def copy(self) -> Scanner:
        """The same state, to go on from twice."""
        return Scanner(self.language, [*self.stack], [*self.excess], self.quote, self.comment)

    def feed(self, text: str) -> Scanner:
        """Go on with `text`, which is whole: a delimiter of three quotes may not be torn."""
        i = 0
        while i < len(text):
            i += self._step(text, i)
        return self

    def first_excess(self, text: str) -> int | None:
        """Where in `text` the first closer is that meets nothing open."""
        i, before = 0, len(self.excess)
        while i < len(text):
            width = self._step(text, i)
            if len(self.excess) > before:
                return i
            i += width
        return None

    @property
    def imbalance(self) -> int:
        """How many brackets and strings are left open or closed too often."""
        return len(self.stack) + len(self.excess) + bool(self.quote)

    @property
    def in_multiline_string(self) -> bool:
        """Whether a string is open that a line break does not end."""
        return self.quote in self._multiline()

    def _multiline(self) -> tuple[str, ...]:
        return _MULTILINE_QUOTES.get(self.language.name, ()) if self.language else ()

    def _step(self, text: str, i: int) -> int:
        """Take in what is at `i`; how many characters that was."""
        char = text[i]
        if char == "\n":
            self.comment = False
            if not self.in_multiline_string:
                self.quote = ""
            return 1
        if self.comment:
            return 1
        if self.quote:
            return self._in_string(text, i)
        if width := self._opens_string(text, i):
            return width
        if self.language and self.language.comment and text.startswith(self.language.comment, i):
            self.comment = True
        elif char in OPENERS:
            self.stack.append(OPENERS[char])
        elif char in CLOSERS:
            if self.stack and self.stack[-1] == char:
                self.stack.pop()
            else:
                self.excess.append(char)
        return 1

    def _in_string(self, text: str, i: int) -> int:
        if text[i] == "\\" and not (self.language and self.language.name == "sql"):
            return 2
        if text.startswith(self.quote, i):
            width = len(self.quote)
            self.quote = ""
            return width
        return 1

    def _opens_string(self, text: str, i: int) -> int:
        """The width of the delimiter that opens a string at `i`; 0 where none does."""
        name = self.language.name if self.language else ""
        if name in _PROSE:
            return 0
        for mark in (*self._multiline(), '"', "'"):
            if not text.startswith(mark, i):
                continue
            if mark == "'" and not self._is_quote(name, text, i):
                return 0
            self.quote = mark
            return len(mark)
        return 0

    @staticmethod
    def _is_quote(name: str, text: str, i: int) -> bool:
        """Whether the apostrophe at `i` opens a string: in Rust it may be a lifetime, in prose
        and in languages without a row an apostrophe."""
        if name == "rust":
            return text[i + 1 : i + 2] == "\\" or text[i + 2 : i + 3] == "'"
        if name:
            return True
        return not (i > 0 and text[i - 1].isalnum())
