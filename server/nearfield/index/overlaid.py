"""A team's index with what is different here laid over it.

A file that is in the index of this machine is not asked for in the database any more. How rare a
word is comes from the database for both, so that their scores compare. Chunks of this machine have
negative numbers.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from nearfield.index.interface import (
    ChunkRow,
    IndexCounts,
    IndexedSymbol,
    IndexedText,
    IndexUnusable,
    NearestChunks,
    TeamReader,
)
from nearfield.index.search_store import SqliteReader
from nearfield.index.words import folded, likest

LOOK_SECONDS = 1.0
"""Interval at which an index of this machine is looked for."""


class Overlaid:
    """See the module; an `IndexReader`. One thread at a time."""

    def __init__(self, team: TeamReader, file: Path) -> None:
        """`file` is the index of what is different here; it may not be there yet."""
        self._team = team
        self._file = file
        self._reader: SqliteReader | None = None
        self._looked = -LOOK_SECONDS

    def close(self) -> None:
        """Ask nothing after it."""
        self._team.close()
        if self._reader is not None:
            self._reader.close()

    @property
    def _here(self) -> SqliteReader | None:
        now = time.monotonic()
        if self._reader is None and now - self._looked >= LOOK_SECONDS:
            self._looked = now
            try:
                self._reader = SqliteReader(self._file)
            except IndexUnusable:
                return None  # nothing is different, or not examined yet
        return self._reader

    def _paths(self) -> frozenset[str]:
        return self._here.paths() if self._here is not None else frozenset()

    def vectors(self, name: str, dimensions: int) -> NearestChunks:
        """The vectors of the embedder of that name."""
        team = self._team.vectors(name, dimensions)
        here = self._here.vectors(name, dimensions) if self._here is not None else None
        return team if here is None else _Vectors(team, here)

    def vectors_of(self, embedder: str) -> int:
        """Return the number of vectors that an embedder has made for the team."""
        return self._team.vectors_of(embedder)

    def full_text(self, words: Sequence[str], limit: int) -> list[tuple[int, float]]:
        """See `IndexReader.full_text`."""
        found, rarities = self._team.weighed_text(words, limit)
        if self._here is None:
            return found
        mine = self._here.full_text([word for word in words if word in rarities], limit, rarities)
        merged = [*found, *((-chunk, score) for chunk, score in mine)]
        return sorted(merged, key=lambda pair: (-pair[1], pair[0]))[:limit]

    def rows(self, ids: Iterable[int]) -> dict[int, ChunkRow]:
        """Return chunks by id; deleted ones, and ones hidden by a local file, are missing."""
        wanted = list(ids)
        hidden = self._paths()
        found = self._team.rows([one for one in wanted if one > 0])
        rows = {number: row for number, row in found.items() if row.path not in hidden}
        if self._here is not None:
            for row in self._here.rows([-one for one in wanted if one < 0]).values():
                rows[-row.id] = ChunkRow(
                    -row.id, row.path, row.first, row.last, row.kind, row.name, row.symbol,
                    row.language, row.digest, row.changed,
                )  # fmt: skip
        return rows

    def source(self, path: str) -> IndexedText | None:
        """See `IndexedText`; None for a file that is not indexed."""
        return self._of(path).source(path)

    def _of(self, path: str) -> TeamReader | SqliteReader:
        """The index that knows a file."""
        here = self._here
        return here if here is not None and path in here.paths() else self._team

    def files_named(self, stem: str, limit: int = 20) -> list[str]:
        """See `IndexReader.files_named`."""
        mine = self._here.files_named(stem, limit) if self._here is not None else []
        return sorted({*self._team.files_named(stem, limit), *mine})[:limit]

    def definitions(self, name: str, limit: int = 100) -> list[IndexedSymbol]:
        """See `IndexReader.definitions`."""
        mine = self._here.definitions(name, limit) if self._here is not None else []
        found = self._merged(self._team.spelled_alike(name, limit), mine)
        return ([one for one in found if one.name == name] or found)[:limit]

    def _merged(
        self, team: Iterable[IndexedSymbol], here: Iterable[IndexedSymbol]
    ) -> list[IndexedSymbol]:
        hidden = self._paths()
        found = [*(place for place in team if place.path not in hidden), *here]
        return sorted(found, key=lambda place: os.fsencode(place.path))

    def similar_names(self, text: str, limit: int) -> list[str]:
        """See `IndexReader.similar_names`."""
        mine = self._here.similar_names(text, limit) if self._here is not None else []
        return likest(folded(text), {*self._team.similar_names(text, limit), *mine})[:limit]

    def defined_in(self, path: str) -> list[IndexedSymbol]:
        """Return the definitions of a file, in the order of its text."""
        return self._of(path).defined_in(path)

    def references(self, name: str, limit: int = 1_000) -> list[IndexedSymbol]:
        """Return the references to exactly `name`."""
        mine = self._here.references(name, limit) if self._here is not None else []
        return self._merged(self._team.references(name, limit), mine)[:limit]

    def chunks_defining(self, names: Iterable[str], limit: int) -> list[int]:
        """See `IndexReader.chunks_defining`; local ones come first."""
        wanted = list(names)
        mine = self._here.chunks_defining(wanted, limit) if self._here is not None else []
        hidden = self._paths()
        placed = self._team.placed_chunks(wanted, limit).items()
        team = (chunk for chunk, path in placed if path not in hidden)
        return [*(-one for one in mine), *team][:limit]

    def imports(self, path: str) -> frozenset[str]:
        """The words of a file's imports."""
        return self._of(path).imports(path)

    def importers(self, word: str) -> frozenset[str]:
        """The files that have `word` in an import."""
        mine = self._here.importers(word) if self._here is not None else frozenset[str]()
        return (self._team.importers(word) - self._paths()) | mine

    def counts(self) -> IndexCounts:
        """Return the size of the team's index."""
        return self._team.counts()

    def skipped(self) -> dict[str, int]:
        """Return the number of files that the team's last build skipped, by reason."""
        return self._team.skipped()


class _Vectors:
    """The vectors of one embedder, of both."""

    def __init__(self, team: NearestChunks, here: NearestChunks) -> None:
        self._team = team
        self._here = here

    def nearest(self, query: Any, limit: int) -> list[tuple[int, float]]:
        """See `NearestChunks`."""
        found = self._team.nearest(query, limit)
        found += [(-chunk, cosine) for chunk, cosine in self._here.nearest(query, limit)]
        return sorted(found, key=lambda pair: (-pair[1], pair[0]))[:limit]
