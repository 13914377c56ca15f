"""Answers that need no model: what was said before at this place, typed through or deleted back to.

An entry is keyed by what stands around the cursor, not by offsets, so that edits elsewhere, above
or below, do not lose it. Entries are candidates: the caller checks a hit against the text as it is
now before it is shown.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

from nearfield.features.completion.confidence import Confidence
from nearfield.types import Reason

BEFORE_CHARS = 1000
"""What must be equal before the cursor: some 25 lines, about what decides a small model's next
line. Less would answer in look-alike places, all of the prompt would lose every entry at any
edit."""

AFTER_CHARS = 300
"""What must be equal after it."""

ENTRIES = 256
"""Over all documents; some 2 KB each. llama.vim keeps 250."""

CLOSERS = ")]}>\"'`"
"""What editors insert by themselves right after the cursor when an opener is typed."""

MOST_CLOSERS = 2

_TAIL = 24
"""Characters searched for at once; long enough to be rare, short enough to be found quickly."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a model said: `text` as it may be shown, "" with a `reason` when there was nothing.
    `result` stands for the whole document with it in place, in which it was checked."""

    text: str
    reason: Reason = Reason.SHOWN
    confidence: Confidence | None = None
    provider: str = ""
    model: str = ""
    result: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """What was said at a place. `before` and `after` are what stood around the cursor; `whole`
    tells whether each of them reaches to the document's beginning or end."""

    before: str
    after: str
    whole: tuple[bool, bool]
    said: Said


@dataclass(frozen=True, slots=True)
class Hit:
    """An answer that fits: the user has typed the first `typed` characters of its text."""

    said: Said
    typed: int

    @property
    def rest(self) -> str:
        """What is left to be suggested."""
        return self.said.text[self.typed :]


class CompletionCache:
    """The last `ENTRIES` answers, by document, the most recently used last."""

    def __init__(self, entries: int = ENTRIES) -> None:
        self._most = entries
        self._entries: OrderedDict[tuple[str, str, str], tuple[str, Entry]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, uri: str, text: str, offset: int, said: Said) -> None:
        """Remember what was said at `offset` of `text`."""
        first, last = max(0, offset - BEFORE_CHARS), min(len(text), offset + AFTER_CHARS)
        whole = (first == 0, last == len(text))
        entry = Entry(text[first:offset], text[offset:last], whole, said)
        key = (uri, entry.before, entry.after)
        self._entries.pop(key, None)
        self._entries[key] = (uri, entry)
        while len(self._entries) > self._most:
            self._entries.popitem(last=False)

    def find(self, uri: str, text: str, offset: int) -> Iterator[Hit]:
        """Entries that fit at `offset` of `text`, newest first. An entry that said nothing fits
        only at its very place, one that is typed to its end not at all."""
        for owner, entry in reversed(self._entries.values()):
            if owner != uri or not _fits_after(entry, text, offset):
                continue
            typed = _typed(entry, text, offset)
            if typed is not None:
                yield Hit(entry.said, typed)

    def forget(self, uri: str | None = None) -> None:
        """Drop what was said for `uri`, or everything."""
        if uri is None:
            self._entries.clear()
            return
        for key in [key for key in self._entries if key[0] == uri]:
            del self._entries[key]


def _fits_after(entry: Entry, text: str, offset: int) -> bool:
    for extra in range(MOST_CLOSERS + 1):
        if extra and text[offset + extra - 1 : offset + extra] not in tuple(CLOSERS):
            return False
        ends = offset + extra + len(entry.after) == len(text)
        if text.startswith(entry.after, offset + extra) and (ends or not entry.whole[1]):
            return True
    return False


def _typed(entry: Entry, text: str, offset: int) -> int | None:
    """How much of the entry's text stands left of the cursor; None when it does not fit."""
    said, tail = entry.said.text, entry.before[-_TAIL:]
    most = len(said) - 1 if said else 0
    low, high = max(0, offset - most - len(tail)), offset
    while high >= low and (at := text.rfind(tail, low, high)) >= 0:
        end = at + len(tail)
        if _fits_before(entry, text, end) and text.startswith(said[: offset - end], end):
            return offset - end
        high = end - 1
    return None


def _fits_before(entry: Entry, text: str, end: int) -> bool:
    begin = end - len(entry.before)
    if begin < 0 or not text.startswith(entry.before, begin):
        return False
    return begin == 0 or not entry.whole[0]
