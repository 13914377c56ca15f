"""Open brackets and strings, found by a small scanner over code.

The scanner knows just enough of each language to count brackets outside strings and comments. It
reads characters, so that it can run while text streams in; the syntax tree decides afterwards.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from nearfield.syntax.languages import Language

OPENERS = {"(": ")", "[": "]", "{": "}"}
CLOSERS = frozenset(OPENERS.values())
_PROSE = frozenset({"markdown", "html", "yaml"})
"""Languages in which an apostrophe usually opens no string."""
_MULTILINE_QUOTES = {
    "": ('"""',),  # Elixir, Julia, Dart, F#, Nim, Groovy, GraphQL and others
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
_HEREDOC = re.compile(
    r"<<(?P<how>[-~]?)[ \t]*(?P<quote>[\"'`]?)\\?(?P<word>[A-Za-z_]\w*)(?P=quote)"
)
_OPENER_WORDS = re.compile(
    r"(?:^\s*(?:def|class|module|if|unless|while|until|for|case|begin|function|local function)\b"
    r"|\b(?:do|then|else|repeat)\s*(?:\|[^|]*\|)?\s*$)"
)
_PHP_HEREDOC = re.compile(r"<<<[ \t]*(?P<quote>[\"']?)(?P<word>[A-Za-z_]\w*)(?P=quote)")


@dataclass(frozen=True, slots=True)
class Heredoc:
    """A here-document: the word that ends it, and whether that word may be indented."""

    word: str
    indented: bool

    def ends_with(self, row: str) -> bool:
        """Return whether the line `row` ends it."""
        return (row.strip().rstrip(";,)") if self.indented else row.rstrip("\r")) == self.word


def _heredoc_at(language: Language | None, text: str, i: int) -> tuple[Heredoc, int] | None:
    """Return the here-document whose operator is at `i`, and the operator's width."""
    name = language.name if language else ""
    if name == "php":
        found = _PHP_HEREDOC.match(text, i)
        return (Heredoc(found["word"], indented=True), len(found[0])) if found else None
    if name not in ("", "shellscript", "ruby") or text.startswith("<<<", i):
        return None
    found = _HEREDOC.match(text, i)
    if found is None or (i > 0 and text[i - 1] == "<"):
        return None
    told = bool(found["how"] or found["quote"])
    row = text[text.rfind("\n", 0, i) + 1 : i]
    if name == "shellscript" and "((" in row:  # arithmetic
        return None
    if name != "shellscript" and not (told or found["word"].isupper()):
        return None
    if not name and not told and text[found.end() : found.end() + 1] not in ("", "\n"):
        return None
    return Heredoc(found["word"], indented=bool(found["how"])), len(found[0])


@dataclass(slots=True)
class Scanner:
    """The state after the text fed up to now.

    `stack` has the closing brackets that are due, `excess` the ones that matched no opening one.
    `quote` is the delimiter of the open string, `comment` whether a line comment is open, `heredoc`
    the open here-document.
    """

    language: Language | None
    stack: list[str] = field(default_factory=list[str])
    excess: list[str] = field(default_factory=list[str])
    quote: str = ""
    comment: bool = False
    heredoc: Heredoc | None = None
    _begun: Heredoc | None = None
    _row: str = ""

    def copy(self) -> Scanner:
        """Return a scanner in the same state."""
        return replace(self, stack=[*self.stack], excess=[*self.excess])

    def feed(self, text: str) -> Scanner:
        """Read `text` and return the scanner. A delimiter of three quotes must not be split."""
        i = 0
        while i < len(text):
            i += self._step(text, i)
        return self

    def first_excess(self, text: str) -> int | None:
        """Return the offset in `text` of the first closing bracket without an opening one."""
        i, before = 0, len(self.excess)
        while i < len(text):
            width = self._step(text, i)
            if len(self.excess) > before:
                return i
            i += width
        return None

    @property
    def imbalance(self) -> int:
        """The number of brackets and strings that are left open or closed too often."""
        return len(self.stack) + len(self.excess) + bool(self.quote)

    @property
    def is_in_multiline_string(self) -> bool:
        """Return whether a string is open that continues after a line break."""
        return self.quote in self._multiline()

    def _multiline(self) -> tuple[str, ...]:
        return _MULTILINE_QUOTES.get(self.language.name if self.language else "", ())

    def _step(self, text: str, i: int) -> int:
        """Read the token at `i`; return its width."""
        char = text[i]
        if self.heredoc is not None:
            return self._in_heredoc(self.heredoc, text, i)
        if char == "\n":
            self.comment = False
            if not self.is_in_multiline_string:
                self.quote = ""
            self.heredoc, self._begun = self._begun, None
            return 1
        if self.comment:
            return 1
        if self.quote:
            return self._in_string(text, i)
        if char == "<" and self._begun is None and (found := _heredoc_at(self.language, text, i)):
            self._begun, width = found
            return width
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

    def _in_heredoc(self, heredoc: Heredoc, text: str, i: int) -> int:
        if text[i] == "\n":
            if heredoc.ends_with(self._row):
                self.heredoc = None
            self._row = ""
            return 1
        end = text.find("\n", i)
        row = text[i : len(text) if end < 0 else end]
        self._row += row
        return len(row)

    def _in_string(self, text: str, i: int) -> int:
        if text[i] == "\\" and not (self.language and self.language.name == "sql"):
            return 2
        if text.startswith(self.quote, i):
            width = len(self.quote)
            self.quote = ""
            return width
        return 1

    def _opens_string(self, text: str, i: int) -> int:
        """Return the width of the delimiter that opens a string at `i`, 0 if none does."""
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
        """Return whether the apostrophe at `i` opens a string. In Rust it may begin a lifetime, in
        other languages it may be punctuation, or begin a type variable as in OCaml."""
        if name == "rust":
            return text[i + 1 : i + 2] == "\\" or text[i + 2 : i + 3] == "'"
        if name:
            return True
        variable = text[i + 1 : i + 2].islower() and not (text[i + 2 : i + 3] or "'").isalnum()
        if variable and text[i + 2 : i + 3] not in ("'", ""):
            return False
        return not (i > 0 and text[i - 1].isalnum())


def opens_block(line: str, language: Language | None) -> bool:
    """Return whether a block begins after `line`: it ends with an open bracket or a colon, or, in
    languages with `end`, begins with a word that opens a block."""
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
