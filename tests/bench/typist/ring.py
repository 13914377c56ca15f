"""The ring of chunks with which llama.vim shows a model other places."""

from __future__ import annotations

import random
import re

Chunk = tuple[str, ...]

LIKE, ALIKE = 0.5, 0.9


class Ring:
    """Chunks of lines: queued when they are picked, sent with requests once they were taken."""

    CHUNKS, SIZE, SCOPE, QUEUE = 16, 64, 1024, 16
    UPDATE_SECONDS, REST_SECONDS = 1.0, 3.0

    def __init__(self, rng: random.Random) -> None:
        self.name = ""
        self._rng = rng
        self._held: list[Chunk] = []
        self._queued: list[Chunk] = []

    def around(self, lines: list[str], row: int) -> list[str]:
        """Return some lines around a row."""
        half = self.SIZE // 2
        return self._part(lines[max(0, row - half) : row + half + 1])

    def pick(self, text: list[str]) -> None:
        """Queue a chunk of `text`, unless a like one is there."""
        if len(text) < 3:
            return
        chunk = tuple(text if len(text) + 1 < self.SIZE else self._part(text))
        if chunk in self._held or chunk in self._queued:
            return
        self._queued = [one for one in self._queued if likeness(one, chunk) <= ALIKE]
        self._held = [one for one in self._held if likeness(one, chunk) <= ALIKE]
        self._queued = [*self._queued[-self.QUEUE + 1 :], chunk]

    def evict_like(self, text: list[str]) -> None:
        """Drop what resembles the place of the cursor."""
        self._held = [one for one in self._held if likeness(one, tuple(text)) <= LIKE]

    def take(self) -> bool:
        """Move the oldest queued chunk to the ring; return whether there was one."""
        if not self._queued:
            return False
        self._held = [*self._held[-self.CHUNKS + 1 :], self._queued.pop(0)]
        return True

    def extra(self) -> list[dict[str, str]]:
        """Return the chunks as a request has them."""
        return [{"text": "\n".join(one) + "\n", "filename": self.name} for one in self._held]

    def _part(self, text: list[str]) -> list[str]:
        half = self.SIZE // 2
        first = self._rng.randint(0, max(0, len(text) - half))
        return text[first : min(first + half, len(text)) + 1]


def likeness(one: Chunk, other: Chunk) -> float:
    """Return the share of words that two chunks have in common."""
    mine, theirs = (re.split(r"\W+", "\n".join(chunk)) for chunk in (one, other))
    known = set(mine)
    return 2 * sum(word in known for word in theirs) / max(1, len(mine) + len(theirs))
