"""Reading the index. Any number of processes may read at once.

Full text is in `text_store`, symbols in `symbol_store`, vectors in `vector_store`. One thread at a
time for each `Reader`; the file is opened read-only.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import apsw

from nearfield.index.interface import Counts, IndexUnusable, Place, Row, Source
from nearfield.index.schema_store import connect
from nearfield.index.symbol_store import Symbols
from nearfield.index.text_store import FullText
from nearfield.index.vector_store import Vectors

__all__ = ["Counts", "Place", "Reader", "Row", "Source"]


class Reader(Symbols):
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

    def vectors(self, name: str, dimensions: int) -> Vectors:
        """The vectors of the embedder of that name."""
        return Vectors(self._db, name, dimensions)

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

    def rows(self, ids: Iterable[int]) -> dict[int, Row]:
        """Chunks by id; those that are gone are missing."""
        rows = self._db.execute(
            "SELECT chunk.id, file.path, first, first + rows, kind.text,"
            " substr(symbol, length(symbol) - named + 1), symbol, language, chunk.digest, changed"
            " FROM json_each(?) AS wanted JOIN chunk ON chunk.id = wanted.value"
            " JOIN kind ON kind.id = chunk.kind JOIN file ON file.id ="
            " (SELECT id FROM file WHERE chunk <= wanted.value ORDER BY chunk DESC LIMIT 1)",
            (str(list(ids)),),
        )
        return {row[0]: Row(row[0], os.fsdecode(row[1]), *row[2:]) for row in rows}

    def source(self, path: str) -> Source | None:
        """See `Source`; None for a file that is not indexed."""
        rows = self._db.execute(
            "SELECT digest, text FROM file LEFT JOIN body ON body.file = file.id WHERE path = ?",
            (os.fsencode(path),),
        )
        for digest, text in rows:
            plain = zlib.decompress(text).decode("utf-8", "surrogatepass") if text else None
            return Source(digest, plain)
        return None

    def vectors_of(self, embedder: str) -> int:
        """How many vectors an embedder has made."""
        version = self._db.execute("PRAGMA data_version").get
        if version != self._version:
            self._version = version
            rows = self._db.execute(
                "SELECT name, count(*) FROM vector JOIN embedder ON embedder.id = vector.embedder"
                " GROUP BY vector.embedder"
            )
            self._vectors = {str(row[0]): int(row[1]) for row in rows}
        return self._vectors.get(embedder, 0)

    def counts(self) -> Counts:
        """How much there is."""
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
        return Counts(
            files=int(files),
            bytes=int(held or 0),
            chunks=int(chunks or 0),
            definitions=int(definitions or 0),
            vectors=int(self._db.execute("SELECT count(*) FROM vector").get or 0),
            disk_bytes=disk,
        )

    def skipped(self) -> dict[str, int]:
        """What the last build passed over, by reason."""
        tally = str(self._db.execute("SELECT value FROM meta WHERE key = 'skipped'").get or "")
        pairs = (line.partition(" ") for line in tally.split("\n") if line)
        return {reason: int(count) for count, _, reason in pairs}
