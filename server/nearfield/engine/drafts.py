"""Drafts of an answer that mostly copies a known text: the tokens that probably come next.

A draft is evaluated together with the token before it. The part that the model would have written
itself is kept, so a draft changes the cost of an answer and not the answer. Pure bookkeeping, no
llama.cpp.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence as SequenceOf

__all__ = ["MAX_DRAFT_TOKENS", "CopyDrafts"]

MAX_DRAFT_TOKENS = 15
"""With the token before it a batch of 16: a larger one is no cheaper a token on a processor, and a
step that a key has to wait for would be longer."""
MIN_DRAFT_TOKENS = 3
"""After a wrong draft. Kernels take four rows at a time."""
MAX_MATCH_TOKENS = 3
"""A longer match of the answer's end says no more about where in the copied text it is."""
NEAR_TOKENS = 24
"""A match of one token counts only this far ahead of the place where the answer departed."""


class CopyDrafts:
    """Follows an answer through `source`, the tokens of the text that it copies.

    The answer is at `_at` of it, or, while `_is_lost`, somewhere near: it said something else, and
    is found again by the tokens that it said last.
    """

    def __init__(self, source: SequenceOf[int]) -> None:
        self._source = list(source)
        self._places = defaultdict[int, list[int]](list)
        """The places after each token, so that finding one looks only where the last one is."""
        for place, token in enumerate(self._source, 1):
            self._places[token].append(place)
        self._at = 0
        self._is_lost = False
        self._said: list[int] = []
        self._length = MAX_DRAFT_TOKENS

    def next(self, room: int) -> list[int]:
        """Return the tokens that probably come next, at most `room`."""
        if self._is_lost:
            return []
        return self._source[self._at : self._at + max(0, min(room, self._length))]

    def settle(self, drafted: int, said: SequenceOf[int]) -> None:
        """Note the tokens that a step generated with a draft of `drafted` tokens."""
        if len(said) > drafted > 0:
            self._length = min(MAX_DRAFT_TOKENS, 2 * self._length + 1)
        for token in said:
            self._said.append(token)
            if not self._is_lost and self._source[self._at : self._at + 1] == [token]:
                self._at += 1
            else:
                self._find()

    def _find(self) -> None:
        """Find the place after the last tokens said: the longest match, the nearest of those; what
        is ahead counts as twice as near."""
        self._length = MIN_DRAFT_TOKENS
        found: list[tuple[int, int, int]] = []
        for place in self._places.get(self._said[-1], ()):
            length, ahead = self._matched(place), place - 1 - self._at
            if length > 1 or 0 <= ahead <= NEAR_TOKENS:
                found.append((length, -ahead if ahead >= 0 else 2 * ahead, place))
        self._is_lost = not found
        if found:
            self._at = max(found)[2]

    def _matched(self, place: int) -> int:
        most = min(MAX_MATCH_TOKENS, place, len(self._said))
        for length in range(most):
            if self._source[place - 1 - length] != self._said[-1 - length]:
                return length
        return most
