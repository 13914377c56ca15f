"""What a suggestion is worth to the person who sees it, in keys."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from enum import StrEnum

from script import keys_of

from nearfield.syntax.differences import common_prefix

LEAST_SAVED = 2
"""Keys: for less nobody moves a hand to Tab."""
LEAST_SAVED_BY_WORDS = 3
LEAST_SAVED_BY_MENDING = 5

_WORD = re.compile(r"[ \t]*(?:\w+|[^\w\s]+)|\n[ \t]*")


class Take(StrEnum):
    """A way to take a suggestion."""

    ALL = "all"
    LINE = "line"
    WORDS = "words"
    MENDED = "mended"


@dataclass(frozen=True, slots=True)
class Mend:
    """A taken line in which the `wrong` characters at `at` must become `right`; `after` follow."""

    at: int
    wrong: str
    right: str
    after: str

    @property
    def back(self) -> int:
        """The keys that go back to it, word by word."""
        return len(_WORD.findall(self.after))

    @property
    def deletions(self) -> int:
        """The keys that delete it, word by word."""
        return len(_WORD.findall(self.wrong))

    @property
    def keys(self) -> int:
        """All keys, with the one that goes to the line's end again."""
        return self.back + self.deletions + len(self.right) + bool(self.after)


@dataclass(frozen=True, slots=True)
class Worth:
    """`text` is what is put in, by `keys` keys, in place of `instead` keys."""

    take: Take
    text: str
    keys: int
    instead: int
    mend: Mend | None = None

    @property
    def saved(self) -> int:
        """The keys that are saved."""
        return self.instead - self.keys


def worth(shown: str, wanted: str) -> Worth | None:
    """Return the best way to take what is `shown` where `wanted` will be written, None if it is not
    worth a key."""
    shown = shown.rstrip()
    right = common_prefix(shown, wanted)
    ways: list[Worth] = []
    if shown and right == len(shown):
        ways.append(_plain(Take.ALL, shown, 1))
    line, line_break, _ = shown.partition("\n")
    if line_break and right >= len(line) > 0:
        ways.append(_plain(Take.LINE, line, 1))
    count = end = 0
    for word in _WORD.finditer(shown):
        if word.end() > right:
            break
        count, end = count + 1, word.end()
        if keys_of(shown[:end]) - count >= LEAST_SAVED_BY_WORDS:
            ways.append(_plain(Take.WORDS, shown[:end], count))
    ways = [way for way in ways if way.saved >= LEAST_SAVED]
    if best := max(ways, key=lambda way: way.saved, default=None):
        return best
    return _mended(line, wanted.partition("\n")[0])


def _plain(take: Take, text: str, keys: int) -> Worth:
    return Worth(take, text, keys, keys_of(text))


def _mended(line: str, wanted: str) -> Worth | None:
    """Return how a line that is wrong at one place is taken and mended."""
    at = common_prefix(line, wanted)
    most = min(len(line), len(wanted)) - at
    tail = common_prefix(line[::-1], wanted[::-1])
    tail = min(tail, most)
    wrong, right = line[at : len(line) - tail], wanted[at : len(wanted) - tail]
    if difflib.SequenceMatcher(None, line, wanted, autojunk=False).ratio() < 0.75:
        return None
    mend = Mend(at, wrong, right, line[len(line) - tail :])
    found = Worth(Take.MENDED, line, 1 + mend.keys, keys_of(wanted), mend)
    return found if found.saved >= LEAST_SAVED_BY_MENDING else None
