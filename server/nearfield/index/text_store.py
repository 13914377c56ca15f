"""Full text: the chunks that hold the words of a question, the best first, by BM25.

What a word weighs in a chunk is stored with it (see `weights`), so a question only reads lists of
chunks and adds up. The lists of a common word are read from the heaviest on, and no further than
needed: its lighter places could not come first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import apsw
import numpy as np

from nearfield.index.weights import forms

COMMON_SHARE = 0.05
"""A word that more than this share of the chunks hold says little about any of them."""
COMMON_ROWS = 5_000
"""…but only where that are many."""
MAX_ROWS = 5_000
"""Maximum number of chunks read for one word; a twentieth of a microsecond each."""


class FullText:
    """The words of the chunks. One thread at a time."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db

    def search(
        self, words: Sequence[str], limit: int, rarities: Mapping[str, float] | None = None
    ) -> list[tuple[int, float]]:
        """Chunks that hold any of `words`, the best first, with a positive score. Words that nearly
        every chunk holds are left out as long as another one is there. `rarities` says how rare
        each word is where this is a part of something larger."""
        total = int(self._db.execute("SELECT sum(chunks) FROM file").get or 0)
        found = [held for word in words if (held := _Held(self._db, word, total)).documents]
        telling = [held for held in found if not held.common] or found[:1]
        if rarities is not None:
            telling = found
            for held in found:
                held.rarity = rarities[held.word]
        if not telling:
            return []
        chunks = np.concatenate([held.chunks for held in telling])
        scores = np.concatenate([held.parts * held.rarity for held in telling])
        different, places = np.unique(chunks, return_inverse=True)
        sums = np.bincount(places, scores)
        best = np.arange(len(sums))
        if len(sums) > limit:
            best = np.argpartition(-sums, limit)[:limit]
        best = best[np.lexsort((best, -sums[best]))]
        return [(int(different[at]), float(sums[at])) for at in best]


class _Held:
    """The chunks that hold one word, by how much it weighs in them."""

    def __init__(self, db: apsw.Connection, word: str, total: int) -> None:
        self.word = word
        lists: list[Any] = []
        parts: list[float] = []
        taken = left = 0
        for form, part in forms(word):
            if taken < MAX_ROWS:
                lists.append(_chunks_with(db, form))
                parts.append(part)
                taken += len(lists[-1])
            else:
                left += _count_with(db, form)
        # Two words of one stem may weigh differently in one chunk: the heavier counts.
        self.chunks, first = np.unique(np.concatenate(lists), return_index=True)
        self.parts = np.repeat(parts, [len(ids) for ids in lists])[first]
        self.documents = min(len(self.chunks) + left, total)
        self.common = self.documents > max(COMMON_ROWS, total * COMMON_SHARE)
        # The same as SQLite's own.
        rarity = math.log((total - self.documents + 0.5) / (self.documents + 0.5))
        self.rarity = max(rarity, 1e-6)


def _chunks_with(db: apsw.Connection, form: str) -> Any:
    # One string for all of them takes a fifth of the time that one row for each does.
    joined = db.execute(
        "SELECT group_concat(rowid) FROM (SELECT rowid FROM words WHERE words MATCH ? LIMIT ?)",
        (f'"{form}"', MAX_ROWS),
    ).get
    return np.fromstring(joined or "", np.int64, sep=",")


def _count_with(db: apsw.Connection, form: str) -> int:
    return int(db.execute("SELECT count(*) FROM words WHERE words MATCH ?", (f'"{form}"',)).get)
