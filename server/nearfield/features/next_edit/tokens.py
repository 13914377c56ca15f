"""A line of code as words, numbers, strings and marks, without a grammar."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

__all__ = ["LineToken", "TokenKind", "has_comma", "is_balanced", "tokens_of"]

_STRING = r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|`(?:\\.|[^`\\])*`'
_REST = r"[^\W\d]\w*|\d[\w.]*|[-+*/%&|^<>!=:]=+|->|=>|&&|\|\||\?\?|\?\.|\.\.\.|<<|>>|//|[^\s\w]"
_WITH_STRINGS = re.compile(f"{_STRING}|{_REST}")
_WITHOUT = re.compile(_REST)
_OPENS, _CLOSES = "([{", ")]}"


class TokenKind(Enum):
    """The kind of a token, by its first character."""

    WORD = "word"
    NUMBER = "number"
    STRING = "string"
    MARK = "mark"


@dataclass(frozen=True, slots=True)
class LineToken:
    """A token that begins at `start` of its line, after the blanks `before`."""

    text: str
    start: int
    before: str

    @property
    def end(self) -> int:
        """Return its end in the line."""
        return self.start + len(self.text)

    @property
    def kind(self) -> TokenKind:
        """Return its kind."""
        first = self.text[0]
        if first == "_" or first.isalpha():
            return TokenKind.WORD
        if first.isdigit():
            return TokenKind.NUMBER
        return TokenKind.STRING if first in "\"'`" and len(self.text) > 1 else TokenKind.MARK


def tokens_of(line: str, in_strings: bool = False) -> list[LineToken]:
    """Return the tokens of `line`; a string is one, or with `in_strings` its content and quotes."""
    found: list[LineToken] = []
    end = 0
    for match in (_WITHOUT if in_strings else _WITH_STRINGS).finditer(line):
        found.append(LineToken(match[0], match.start(), line[end : match.start()]))
        end = match.end()
    return found


def is_balanced(texts: Sequence[str]) -> bool:
    """Return whether every bracket among `texts` is opened and closed among them."""
    expected: list[str] = []
    for text in texts:
        if text in _OPENS:
            expected.append(_CLOSES[_OPENS.index(text)])
        elif text in _CLOSES and (not expected or expected.pop() != text):
            return False
    return not expected


def has_comma(texts: Sequence[str]) -> bool:
    """Return whether there is a comma among `texts` that is in none of their brackets."""
    depth = 0
    for text in texts:
        depth += (text in _OPENS) - (text in _CLOSES)
        if text == "," and not depth:
            return True
    return False
