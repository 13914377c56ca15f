"""A line of code as words, numbers, strings and marks; no grammar is needed for this."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

__all__ = ["Kind", "Token", "has_comma", "is_balanced", "tokens_of"]

_STRING = r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|`(?:\\.|[^`\\])*`'
_REST = r"[^\W\d]\w*|\d[\w.]*|[-+*/%&|^<>!=:]=+|->|=>|&&|\|\||\?\?|\?\.|\.\.\.|<<|>>|//|[^\s\w]"
_WITH_STRINGS = re.compile(f"{_STRING}|{_REST}")
_WITHOUT = re.compile(_REST)
_OPENS, _CLOSES = "([{", ")]}"


class Kind(Enum):
    """What a token is by its first character."""

    WORD = "word"
    NUMBER = "number"
    STRING = "string"
    MARK = "mark"


@dataclass(frozen=True, slots=True)
class Token:
    """`text` is at `start` of its line, behind the blanks `before`."""

    text: str
    start: int
    before: str

    @property
    def end(self) -> int:
        """Where it ends in its line."""
        return self.start + len(self.text)

    @property
    def kind(self) -> Kind:
        """What it is."""
        first = self.text[0]
        if first == "_" or first.isalpha():
            return Kind.WORD
        if first.isdigit():
            return Kind.NUMBER
        return Kind.STRING if first in "\"'`" and len(self.text) > 1 else Kind.MARK


def tokens_of(line: str, in_strings: bool = False) -> list[Token]:
    """The tokens of `line`; a string is one, or with `in_strings` what it holds and its quotes."""
    found: list[Token] = []
    end = 0
    for match in (_WITHOUT if in_strings else _WITH_STRINGS).finditer(line):
        found.append(Token(match[0], match.start(), line[end : match.start()]))
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
