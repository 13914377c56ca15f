"""Reading the index: chunks, files, and what it knows of names. Any number of processes may read.

The full text of names tells which files a name concerns; the rows are in each file's packed symbols
(`outlines`). The file is opened read-only; a reader is used by one thread at a time. `text_store`
has the full text, `vector_store` the vectors.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import apsw
import numpy as np

from nearfield.index.interface import (
    ChunkRow,
    IndexCounts,
    IndexedSymbol,
    IndexedText,
    IndexUnusable,
)
from nearfield.index.outlines import (
    DEFINED,
    IMPORTED,
    REFERRED,
    named,
    unpack_definitions,
    unpack_uses,
)
from nearfield.index.schema_store import connect
from nearfield.index.symbols import Definition
from nearfield.index.text_store import FullText
from nearfield.index.vector_store import SqliteVectors
from nearfield.index.words import FUZZY_GRAMS, FUZZY_NAMES, GRAM_CHARS, folded, grams, likest

STYLES_FILES = 500
"""Maximum number of files searched for a name in another naming style."""


class Symbols:
    """The names in one index."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db

    def definitions(self, name: str, limit: int = 100) -> list[IndexedSymbol]:
        """Return the definitions of exactly `name`, or else in any naming style; by
        path and row.
        """
        exact: list[IndexedSymbol] = []
        other: list[IndexedSymbol] = []
        for at, (path, definitions) in enumerate(self._defining(name)):
            if at >= STYLES_FILES and (other or len(exact) >= limit):
                break
            for one in definitions:
                if one.name == name:
                    exact.append(_placed(path, one))
                elif not exact and len(other) < limit and folded(one.name) == folded(name):
                    other.append(_placed(path, one))
            if len(exact) >= limit:
                break
        return (exact or other)[:limit]

    def similar_names(self, text: str, limit: int) -> list[str]:
        """Defined names that share letters with `text`, the closest first, folded; for a mistyped
        name, or a part of one."""
        fold = folded(text)
        if len(fold) < GRAM_CHARS:
            return []
        wanted = dict.fromkeys(grams(fold)[:FUZZY_GRAMS])
        held = np.concatenate([self._with_gram(gram) for gram in wanted])
        rows, shared = np.unique(held, return_counts=True)
        best = rows[np.argsort(-shared, kind="stable")[:FUZZY_NAMES]]
        names = {
            str(row[0])
            for row in self._db.execute(
                "SELECT folded FROM grams WHERE rowid IN (SELECT value FROM json_each(?))",
                (str([int(one) for one in best]),),
            )
        }
        close = (name for name in likest(fold, names) if self.defines(name))
        return list(islice(close, limit))

    def _with_gram(self, gram: str) -> Any:
        quoted = '"' + gram.replace('"', '""') + '"'
        sql = "SELECT group_concat(rowid) FROM grams WHERE grams MATCH ?"
        return np.fromstring(self._db.execute(sql, (quoted,)).get or "", np.int64, sep=",")

    def defines(self, name: str) -> bool:
        """Return whether any file defines `name`, in any style of writing."""
        sql = "SELECT 1 FROM names WHERE names MATCH ? LIMIT 1"
        return self._db.execute(sql, (f'"{named(DEFINED, name)}"',)).get is not None

    def defined_in(self, path: str) -> list[IndexedSymbol]:
        """Return the definitions of a file, in the order of its text."""
        rows = self._db.execute(
            "SELECT outline.definitions FROM file JOIN outline ON outline.file = file.id"
            " WHERE path = ?",
            (os.fsencode(path),),
        )
        return [_placed(path, one) for row in rows for one in unpack_definitions(row[0])]

    def references(self, name: str, limit: int = 1_000) -> list[IndexedSymbol]:
        """Return the references to exactly `name`."""
        found: list[IndexedSymbol] = []
        for file, path in self._files(REFERRED, name):
            packed = self._db.execute("SELECT uses FROM outline WHERE file = ?", (file,)).get
            for row in unpack_uses(packed or b"", name):
                found.append(IndexedSymbol(path, name, "reference", "", row, 0, row, row))
                if len(found) >= limit:
                    return found
        return found

    def chunks_defining(self, names: Iterable[str], limit: int) -> list[int]:
        """The chunks of which one of `names` is the name, written in any style; in the order of
        `names`."""
        found: dict[int, None] = {}
        for name in names:
            fold = folded(name)
            for path, definitions in self._defining(name):
                rows = [one.row for one in definitions if folded(one.name) == fold]
                found |= dict.fromkeys(self._chunks_at(path, rows))
                if len(found) >= limit:
                    return list(found)[:limit]
        return list(found)

    def imports(self, path: str) -> frozenset[str]:
        """The words of a file's imports."""
        words = self._db.execute(
            "SELECT imports FROM outline JOIN file ON file.id = outline.file WHERE path = ?",
            (os.fsencode(path),),
        ).get
        return frozenset(str(words or "").split())

    def importers(self, word: str) -> frozenset[str]:
        """The files that have `word` in an import."""
        return frozenset(path for _, path in self._files(IMPORTED, word))

    def _defining(self, name: str) -> Iterator[tuple[str, tuple[Definition, ...]]]:
        for file, path in self._files(DEFINED, name):
            sql = "SELECT definitions FROM outline WHERE file = ?"
            yield path, unpack_definitions(self._db.execute(sql, (file,)).get or b"")

    def _files(self, role: str, name: str) -> Iterator[tuple[int, str]]:
        rows = self._db.execute(
            "SELECT file.id, path FROM names JOIN file ON file.id = names.rowid"
            " WHERE names MATCH ? ORDER BY path",
            (f'"{named(role, name)}"',),
        )
        return ((int(row[0]), os.fsdecode(row[1])) for row in rows)

    def _chunks_at(self, path: str, rows: Iterable[int]) -> list[int]:
        """The chunks of a file that hold these rows."""
        return [
            int(found[0])
            for row in rows
            for found in self._db.execute(
                "SELECT chunk.id FROM file JOIN chunk ON chunk.id >= file.chunk"
                " AND chunk.id < file.chunk + file.chunks"
                " WHERE path = ? AND first <= ? AND first + rows > ?",
                (os.fsencode(path), row, row),
            )
        ]


def _placed(path: str, one: Definition) -> IndexedSymbol:
    return IndexedSymbol(
        path, one.name, one.kind, one.container, one.row, one.column, one.first, one.last
    )


class SqliteReader(Symbols):
    """The index of one workspace, open for reading."""

    def __init__(self, file: Path) -> None:
        """Raises `IndexUnusable` when there is no index that can be read."""
        self._file = file
        try:
            db = connect(file, write=False)
            db.execute("SELECT 1 FROM outline LIMIT 1")
        except apsw.Error as error:
            raise IndexUnusable(
                "There is no index of this workspace yet.", "Run `nearfield index` to build it."
            ) from error
        super().__init__(db)
        self._text = FullText(db)
        self._version: object = None
        self._vectors: dict[str, int] = {}
        self._paths_version: object = None
        self._paths = frozenset[str]()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @property
    def connection(self) -> apsw.Connection:
        """For the modules beside this one."""
        return self._db

    def vectors(self, name: str, dimensions: int) -> SqliteVectors:
        """The vectors of the embedder of that name."""
        return SqliteVectors(self._db, name, dimensions)

    def full_text(
        self, words: Sequence[str], limit: int, rarities: Mapping[str, float] | None = None
    ) -> list[tuple[int, float]]:
        """See `FullText.search`."""
        return self._text.search(words, limit, rarities)

    def paths(self) -> frozenset[str]:
        """All files that the index knows."""
        version = self._db.execute("PRAGMA data_version").get
        if version != self._paths_version:
            self._paths_version = version
            rows = self._db.execute("SELECT path FROM file")
            self._paths = frozenset(os.fsdecode(row[0]) for row in rows)
        return self._paths

    def files_named(self, stem: str, limit: int = 20) -> list[str]:
        """Files of which `stem` is the name without its ending, or the folder of a package."""
        rows = self._db.execute(
            "SELECT path FROM file WHERE reason = '' AND (CAST(path AS TEXT) GLOB ?1 OR"
            " CAST(path AS TEXT) GLOB ?2 OR CAST(path AS TEXT) GLOB ?3) LIMIT ?4",
            (f"*/{stem}.*", f"{stem}.*", f"*{stem}/__init__.py", limit),
        )
        return [os.fsdecode(row[0]) for row in rows]

    # --- chunks ---

    def rows(self, ids: Iterable[int]) -> dict[int, ChunkRow]:
        """Return chunks by id; deleted ones are missing."""
        rows = self._db.execute(
            "SELECT chunk.id, file.path, first, first + rows, kind.text,"
            " substr(symbol, length(symbol) - named + 1), symbol, language, chunk.digest, changed"
            " FROM json_each(?) AS wanted JOIN chunk ON chunk.id = wanted.value"
            " JOIN kind ON kind.id = chunk.kind JOIN file ON file.id ="
            " (SELECT id FROM file WHERE chunk <= wanted.value ORDER BY chunk DESC LIMIT 1)",
            (str(list(ids)),),
        )
        return {row[0]: ChunkRow(row[0], os.fsdecode(row[1]), *row[2:]) for row in rows}

    def source(self, path: str) -> IndexedText | None:
        """See `IndexedText`; None for a file that is not indexed."""
        rows = self._db.execute(
            "SELECT digest, text FROM file LEFT JOIN body ON body.file = file.id WHERE path = ?",
            (os.fsencode(path),),
        )
        for digest, text in rows:
            plain = zlib.decompress(text).decode("utf-8", "surrogatepass") if text else None
            return IndexedText(digest, plain)
        return None

    def vectors_of(self, embedder: str) -> int:
        """Return the number of vectors made by an embedder."""
        version = self._db.execute("PRAGMA data_version").get
        if version != self._version:
            self._version = version
            rows = self._db.execute(
                "SELECT name, count(*) FROM vector JOIN embedder ON embedder.id = vector.embedder"
                " GROUP BY vector.embedder"
            )
            self._vectors = {str(row[0]): int(row[1]) for row in rows}
        return self._vectors.get(embedder, 0)

    def counts(self) -> IndexCounts:
        """Return the size of the index."""
        files, held, chunks, definitions = next(
            iter(
                self._db.execute(
                    "SELECT count(*), sum(bytes), sum(chunks), sum(definitions) FROM file"
                    " WHERE reason = ''"
                )
            )
        )
        disk = sum(
            part.stat().st_size for part in (self._file, Path(f"{self._file}-wal")) if part.exists()
        )
        return IndexCounts(
            files=int(files),
            bytes=int(held or 0),
            chunks=int(chunks or 0),
            definitions=int(definitions or 0),
            vectors=int(self._db.execute("SELECT count(*) FROM vector").get or 0),
            disk_bytes=disk,
        )

    def fact(self, key: str) -> str:
        """Return a fact that the builder has recorded, "" where it has not."""
        return str(self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).get or "")

    def languages(self) -> dict[str, int]:
        """Return the number of indexed files by language, the commonest first."""
        rows = self._db.execute(
            "SELECT language, count(*) FROM file WHERE reason = '' GROUP BY 1 ORDER BY 2 DESC, 1"
        )
        return {str(language): int(count) for language, count in rows}

    def skipped(self) -> dict[str, int]:
        """Return the number of files that the last build skipped, by reason."""
        tally = str(self._db.execute("SELECT value FROM meta WHERE key = 'skipped'").get or "")
        pairs = (line.partition(" ") for line in tally.split("\n") if line)
        return {reason: int(count) for count, _, reason in pairs}
