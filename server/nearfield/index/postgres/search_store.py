"""Reader of the shared index: the same questions as of the file, each in one or two statements, as
each crosses a network.

The file's digest is returned with every place, so that displaying it needs no further statement.
Any number of processes may read, while one writes. One thread at a time for each reader.
"""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import PurePath
from typing import Any

from nearfield.index.interface import ChunkRow, IndexCounts, IndexedSymbol, IndexedText
from nearfield.index.postgres import text_store
from nearfield.index.postgres.schema_store import reading
from nearfield.index.postgres.vector_store import PostgresVectors
from nearfield.index.shared import Shared
from nearfield.index.words import FUZZY_NAMES, GRAM_CHARS, folded, likest

FRESH_SECONDS = 2.0
"""How long vector counts and files' digests are cached: a search asks for them again and again."""
SOURCES_HELD = 1_000

_PLACE = "path, name, kind, container, at, col, first, last"


class PostgresReader:
    """The shared index of one workspace, open for reading."""

    def __init__(self, shared: Shared) -> None:
        """Raises `NotShared` when the database holds none of this workspace, `IndexUnusable` when
        it cannot be asked."""
        self._session = reading(shared)
        self._made: dict[str, int] = {}
        self._made_at = -FRESH_SECONDS
        self._sources: OrderedDict[str, IndexedText] = OrderedDict()
        self._sources_at = 0.0

    def close(self) -> None:
        """End the connection."""
        self._session.close()

    def vectors(self, name: str, dimensions: int) -> PostgresVectors:
        """The vectors of the embedder of that name."""
        return PostgresVectors(self._session, name, dimensions)

    def vectors_of(self, embedder: str) -> int:
        """Return the approximate number of vectors that an embedder has made."""
        now = time.monotonic()
        if now - self._made_at >= FRESH_SECONDS:
            rows = self._session.rows("SELECT name, made FROM embedder")
            self._made = {str(name): int(made) for name, made in rows}
            self._made_at = now
        return self._made.get(embedder, 0)

    def full_text(self, words: Sequence[str], limit: int) -> list[tuple[int, float]]:
        """See `IndexReader.full_text`."""
        return self.weighed_text(words, limit)[0]

    def weighed_text(
        self, words: Sequence[str], limit: int
    ) -> tuple[list[tuple[int, float]], dict[str, float]]:
        """See `text_store.search`."""
        return text_store.search(self._session, words, limit) if words else ([], {})

    # --- files and chunks ---

    def files_named(self, stem: str, limit: int = 20) -> list[str]:
        """Files of which `stem` is the name without its ending, or the folder of a package."""
        raw = os.fsencode(stem).replace(b"\\", b"\\\\").replace(b"%", b"\\%").replace(b"_", b"\\_")
        rows = self._session.rows(
            "SELECT path FROM file WHERE reason = '' AND"
            " (path LIKE %s OR path LIKE %s OR path LIKE %s) ORDER BY path LIMIT %s",
            [b"%/" + raw + b".%", raw + b".%", b"%" + raw + b"/\\_\\_init\\_\\_.py", limit],
        )
        return [os.fsdecode(row[0]) for row in rows]

    def rows(self, ids: Iterable[int]) -> dict[int, ChunkRow]:
        """Return chunks by id; deleted ones are missing."""
        found = self._session.rows(
            "SELECT file.digest, chunk.id, path, first, first + rows, kind, name, symbol, language,"
            " chunk.digest, changed FROM chunk JOIN file ON file.id = chunk.file"
            " WHERE chunk.id = ANY(%s)",
            [list(ids)],
        )
        rows: dict[int, ChunkRow] = {}
        for digest, number, path, *rest in found:
            row = ChunkRow(number, os.fsdecode(path), *rest)
            self._remember(row.path, digest)
            rows[number] = row
        return rows

    def source(self, path: str) -> IndexedText | None:
        """Return the digest of a file, None if it is not indexed or its path leads outside the
        workspace, whatever the database says. The database holds no open buffers."""
        if not _is_within(path):
            return None
        if time.monotonic() - self._sources_at >= FRESH_SECONDS:
            self._sources.clear()  # the next build may know better
            self._sources_at = time.monotonic()
        if path not in self._sources:
            digest = self._session.value("SELECT digest FROM file WHERE path = %s", [_raw(path)])
            if digest is None:
                return None
            self._remember(path, digest)
        return self._sources[path]

    def digests(self, paths: Sequence[str]) -> dict[str, bytes]:
        """The content of files, as far as they are indexed."""
        rows = self._session.rows(
            "SELECT path, digest FROM file WHERE path = ANY(%s::bytea[])",
            [[_raw(path) for path in paths]],
        )
        return {os.fsdecode(path): digest for path, digest in rows}

    def _remember(self, path: str, digest: bytes) -> None:
        self._sources[path] = IndexedText(digest, None)
        self._sources.move_to_end(path)
        if len(self._sources) > SOURCES_HELD:
            self._sources.popitem(last=False)

    # --- symbols ---

    def definitions(self, name: str, limit: int = 100) -> list[IndexedSymbol]:
        """See `IndexReader.definitions`."""
        found = self.spelled_alike(name, limit)
        return [one for one in found if one.name == name] or found

    def spelled_alike(self, name: str, limit: int) -> list[IndexedSymbol]:
        """Return the definitions of `name` in any naming style, exact ones first."""
        rows = self._session.rows(
            f"SELECT digest, {_PLACE} FROM definition JOIN file ON file.id = definition.file"
            " WHERE folded = %s ORDER BY name <> %s, path, nth LIMIT %s",
            [folded(name), name, limit],
        )
        return self._places(rows)

    def similar_names(self, text: str, limit: int) -> list[str]:
        """See `IndexReader.similar_names`."""
        fold = folded(text)
        if len(fold) < GRAM_CHARS:
            return []
        rows = self._session.rows(
            "SELECT folded FROM spelled WHERE folded %% %s AND EXISTS (SELECT FROM definition"
            " WHERE definition.folded = spelled.folded)"
            " ORDER BY similarity(folded, %s) DESC, folded LIMIT %s",
            [fold, fold, FUZZY_NAMES],
        )
        return likest(fold, (str(row[0]) for row in rows))[:limit]

    def defined_in(self, path: str) -> list[IndexedSymbol]:
        """Return the definitions of a file, in the order of its text."""
        rows = self._session.rows(
            f"SELECT digest, {_PLACE} FROM definition JOIN file ON file.id = definition.file"
            " WHERE path = %s ORDER BY nth",
            [_raw(path)],
        )
        return self._places(rows)

    def _places(self, rows: Iterable[tuple[Any, ...]]) -> list[IndexedSymbol]:
        found: list[IndexedSymbol] = []
        for digest, path, *rest in rows:
            place = IndexedSymbol(os.fsdecode(path), *rest)
            self._remember(place.path, digest)
            found.append(place)
        return found

    def references(self, name: str, limit: int = 1_000) -> list[IndexedSymbol]:
        """Return the references to exactly `name`."""
        rows = self._session.rows(
            "SELECT path, row FROM mention JOIN file ON file.id = mention.file,"
            " unnest(at) WITH ORDINALITY AS rows (row, nth) WHERE name = %s"
            " ORDER BY path, nth LIMIT %s",
            [name, limit],
        )
        return [
            IndexedSymbol(os.fsdecode(path), name, "reference", "", row, 0, row, row)
            for path, row in rows
        ]

    def chunks_defining(self, names: Iterable[str], limit: int) -> list[int]:
        """See `IndexReader.chunks_defining`."""
        return list(self.placed_chunks(names, limit))

    def placed_chunks(self, names: Iterable[str], limit: int) -> dict[int, str]:
        """The same, with their files' paths."""
        folds = [folded(name) for name in names]
        rows = self._session.rows(
            "SELECT chunk.id, path FROM unnest(%s::text[]) WITH ORDINALITY AS wanted (fold, nth)"
            " JOIN definition ON folded = fold JOIN file ON file.id = definition.file"
            " JOIN chunk ON chunk.file = definition.file AND chunk.first <= definition.at"
            " AND chunk.first + chunk.rows > definition.at"
            " ORDER BY wanted.nth, path, definition.nth, chunk.id LIMIT %s",
            [folds, limit * 2],
        )
        found = {int(chunk): os.fsdecode(path) for chunk, path in rows}
        return dict(islice(found.items(), limit))

    def imports(self, path: str) -> frozenset[str]:
        """The words of a file's imports."""
        rows = self._session.rows(
            "SELECT word FROM imported JOIN file ON file.id = imported.file WHERE path = %s",
            [_raw(path)],
        )
        return frozenset(str(row[0]) for row in rows)

    def importers(self, word: str) -> frozenset[str]:
        """The files that have `word` in an import."""
        rows = self._session.rows(
            "SELECT path FROM imported JOIN file ON file.id = imported.file WHERE word = %s", [word]
        )
        return frozenset(os.fsdecode(row[0]) for row in rows)

    # --- everything ---

    def counts(self) -> IndexCounts:
        """Return the size of the index; `disk_bytes` is of this workspace in the database."""
        files, held, chunks, definitions, vectors, disk = self._session.rows(
            "SELECT count(*), sum(bytes), (SELECT count(*) FROM chunk),"
            " (SELECT count(*) FROM definition), (SELECT sum(made) FROM embedder),"
            " (SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relkind = 'r'"
            " AND relnamespace = %s::regnamespace) FROM file WHERE reason = ''",
            [self._session.shared.schema],
        )[0]
        return IndexCounts(
            files=int(files),
            bytes=int(held or 0),
            chunks=int(chunks),
            definitions=int(definitions),
            vectors=int(vectors or 0),
            disk_bytes=int(disk or 0),
        )

    def fact(self, key: str) -> str:
        """A fact that the builder said, "" when it did not."""
        return str(self._session.value("SELECT value FROM meta WHERE key = %s", [key]) or "")

    def skipped(self) -> dict[str, int]:
        """Return the number of files that the last build skipped, by reason."""
        pairs = (line.partition(" ") for line in self.fact("skipped").split("\n") if line)
        return {reason: int(count) for count, _, reason in pairs}


def _is_within(path: str) -> bool:
    """Return whether a path leads to somewhere in the workspace."""
    pure = PurePath(path)
    return not pure.anchor and ".." not in pure.parts and "\0" not in path


def _raw(path: str) -> bytes:
    return os.fsencode(path)
