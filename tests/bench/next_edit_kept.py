"""Kept rate and reversal ratio of an offered edit, both in characters of words.

- kept rate: of what the offer puts in, the share that is in what the author made of the line in
  the end (by the longest common subsequence of their words);
- reversal ratio: of what the offer puts in and takes out, the share that takes back what the last
  changes have taken out or put in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher

from next_edit_user import words

__all__ = ["Kept", "changed_words"]

LAST_CHANGES = 6
"""The changes that an offer can take back."""


class Kept:
    """The sums over all offers."""

    def __init__(self) -> None:
        self.new = self.kept = self.changed = self.reversed = 0

    def add(self, now: str, made: str, meant: str | None) -> None:
        """Count an offer that makes `made` of `now`; `meant` is None where that is not known."""
        if meant is None:
            return
        before, offered, final = words(now), words(made), words(meant)
        fresh = [
            index
            for tag, _, _, first, last in _operations(before, offered)
            if tag in ("insert", "replace")
            for index in range(first, last)
            if offered[index].strip()
        ]
        stays = {
            index
            for block in SequenceMatcher(None, offered, final, autojunk=False).get_matching_blocks()
            for index in range(block.a, block.a + block.size)
        }
        self.new += sum(len(offered[index]) for index in fresh)
        self.kept += sum(len(offered[index]) for index in fresh if index in stays)

    def reverse(
        self, now: str, made: str, last: Iterable[tuple[Counter[str], Counter[str]]]
    ) -> None:
        """Count what an offer takes back of the `last` changes (what each took out and put in)."""
        gone, put = changed_words(now, made)
        out: Counter[str] = Counter()
        brought: Counter[str] = Counter()
        for removed, added in list(last)[-LAST_CHANGES:]:
            out += removed - added
            brought += added - removed
        back = (put & (out - brought)) + (gone & (brought - out))
        self.changed += _length(put) + _length(gone)
        self.reversed += _length(back)

    def row(self) -> dict[str, float]:
        """The two figures."""
        return {
            "kept rate": round(self.kept / self.new, 3) if self.new else 1.0,
            "reversal ratio": round(self.reversed / self.changed, 3) if self.changed else 0.0,
        }


def changed_words(old: str, new: str) -> tuple[Counter[str], Counter[str]]:
    """The words that go and those that come where `new` is made of `old`."""
    before, after = words(old), words(new)
    gone: Counter[str] = Counter()
    put: Counter[str] = Counter()
    for tag, i1, i2, j1, j2 in _operations(before, after):
        if tag != "equal":
            gone.update(word for word in before[i1:i2] if word.strip())
            put.update(word for word in after[j1:j2] if word.strip())
    return gone, put


def _operations(
    before: Sequence[str], after: Sequence[str]
) -> Sequence[tuple[str, int, int, int, int]]:
    return SequenceMatcher(None, before, after, autojunk=False).get_opcodes()


def _length(found: Counter[str]) -> int:
    return sum(len(word) * count for word, count in found.items())
