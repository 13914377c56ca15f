"""Reading the index: what full text and symbols answer. Any number of processes may read at once.

One thread at a time for each `Reader`; the file is opened read-only.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import apsw

from nearfield.index.schema_store import IndexUnusable, connect
from nearfield.index.words import folded

COMMON_SHARE = 0.05
"""A word that more than this share of the chunks hold says little about any of them."""
COMMON_ROWS = 5_000
"""…but only where counting them costs: a row costs about 1 us, so a query stays under 10 ms."""
PATH_WEIGHT, SYMBOL_WEIGHT, BODY_WEIGHT = 1.5, 3.0, 1.0
"""BM25's column weights, chosen on the repository questions; the optimum is flat from 1 to 2 and
from 2 to 5."""
FUZZY_GRAMS = 12


@dataclass(frozen=True, slots=True)
class Row:
    """A chunk as it is stored. `first` and `last` are rows from 0, `last` not included; `changed`
    is when its file changed, in seconds since the epoch."""

    id: int
    path: str
    first: int
    last: int
    kind: str
    name: str
    symbol: str
    language: str
    digest: bytes
    changed: float


@dataclass(frozen=True, slots=True)
class Place:
    """A definition or a reference. Rows and columns count from 0; `last` is included."""

    path: str
    name: str
    kind: str
    container: str
    row: int
    column: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Source:
    """What is needed to trust a file's text: the digest of what was indexed, and the text itself
    where it is an open buffer's."""

    digest: bytes
    text: str | None


@dataclass(frozen=True, slots=True)
class Counts:
    """How much the index holds."""

    files: int
    bytes: int
    chunks: int
    definitions: int
    vectors: int
    disk_bytes: int


class Reader:
    """The index of one workspace, open for reading."""

    def __init__(self, file: Path) -> None:
        """Raises `IndexUnusable` when there is no index that can be read."""
        self._file = file
        try:
            self._db = connect(file, write=False)
            self._db.execute("SELECT 1 FROM chunk LIMIT 1")
        except apsw.Error as error:
            raise IndexUnusable(
                "There is no index of this workspace yet.", "Run `nearfield index` to build it."
            ) from error

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @property
    def connection(self) -> apsw.Connection:
        """For the modules beside this one."""
        return self._db

    # --- full text ---

    def full_text(self, words: Sequence[str], limit: int) -> list[tuple[int, float]]:
        """Chunks that hold any of `words`, the best first, with BM25 as a positive number. Words
        that nearly every chunk holds are left out as long as another one is there."""
        telling = self._telling(words)
        if not telling:
            return []
        match = " OR ".join(f'"{word}"' for word in telling)
        rows = self._db.execute(
            "SELECT rowid, -bm25(words, ?, ?, ?) FROM words WHERE words MATCH ?"
            " ORDER BY rank LIMIT ?",
            (PATH_WEIGHT, SYMBOL_WEIGHT, BODY_WEIGHT, match, limit),
        )
        return [(int(row[0]), float(row[1])) for row in rows]

    def _telling(self, words: Sequence[str]) -> list[str]:
        total: int = self._db.execute("SELECT count(*) FROM chunk").get or 0
        most = max(COMMON_ROWS, int(total * COMMON_SHARE))
        found = {word: self._documents(word) for word in words}
        rare = [word for word, count in found.items() if 0 < count <= most]
        return rare or [word for word, count in found.items() if count > 0][:1]

    def _documents(self, word: str) -> int:
        """How many chunks hold the first form of `word` that the full text knows."""
        row = self._db.execute("SELECT count(*) FROM words WHERE words MATCH ?", (f'"{word}"',)).get
        return int(row or 0)

    # --- symbols ---

    def definitions(self, name: str, limit: int = 100) -> list[Place]:
        """Where `name` is defined, written just so; when nowhere, in any style of writing."""
        for column, value in (("text", name), ("folded", folded(name))):
            found = self._definitions(f"name.{column} = ?", (value,), limit)
            if found:
                return found
        return []

    def _definitions(self, where: str, values: tuple[str | int, ...], limit: int) -> list[Place]:
        rows = self._db.execute(  # `where` is one of our own constants
            "SELECT file.path, name.text, definition.kind, container, row, column, first, last"
            " FROM definition JOIN name ON name.id = definition.name"
            " JOIN file ON file.id = definition.file"
            f" WHERE {where} ORDER BY file.path, row LIMIT ?",
            (*values, limit),
        )
        return [Place(os.fsdecode(row[0]), *row[1:]) for row in rows]

    def similar_names(self, text: str, limit: int) -> list[str]:
        """Defined names that share letters with `text`, the closest first; for a mistyped name, or
        a part of one."""
        fold = folded(text)
        if len(fold) < 3:
            return []
        grams = [fold[i : i + 3] for i in range(len(fold) - 2)][:FUZZY_GRAMS]
        match = " OR ".join('"' + gram.replace('"', '""') + '"' for gram in dict.fromkeys(grams))
        rows = self._db.execute(
            "SELECT DISTINCT name.text, name.folded FROM grams JOIN name ON name.id = grams.rowid"
            " WHERE grams MATCH ? AND name.id IN (SELECT name FROM definition)",
            (match,),
        )
        wanted = set(grams)

        def closeness(name: str) -> float:
            held = {name[i : i + 3] for i in range(len(name) - 2)}
            return len(wanted & held) / len(wanted | held)

        scored = sorted(((closeness(fold_), name) for name, fold_ in rows), reverse=True)
        return [name for score, name in scored[:limit] if score >= 0.2]

    def defined_in(self, path: str) -> list[Place]:
        """What a file defines, in the order of its text."""
        return self._definitions("file.path = CAST(? AS BLOB)", (path,), 10_000)

    def files_named(self, stem: str, limit: int = 20) -> list[str]:
        """Files of which `stem` is the name without its ending, or the folder of a package."""
        rows = self._db.execute(
            "SELECT path FROM file WHERE reason = '' AND (CAST(path AS TEXT) GLOB ?1 OR"
            " CAST(path AS TEXT) GLOB ?2 OR CAST(path AS TEXT) GLOB ?3) LIMIT ?4",
            (f"*/{stem}.*", f"{stem}.*", f"*{stem}/__init__.py", limit),
        )
        return [os.fsdecode(row[0]) for row in rows]

    def references(self, name: str, limit: int = 1_000) -> list[Place]:
        """Where `name` is referred to, written just so."""
        rows = self._db.execute(
            "SELECT file.path, rows FROM reference JOIN name ON name.id = reference.name"
            " JOIN file ON file.id = reference.file WHERE name.text = ? ORDER BY file.path",
            (name,),
        )
        found: list[Place] = []
        for path, held in rows:
            for row in map(int, held.split()):
                found.append(Place(os.fsdecode(path), name, "reference", "", row, 0, row, row))
                if len(found) >= limit:
                    return found
        return found

    def chunks_defining(self, names: Iterable[str], limit: int) -> list[int]:
        """The chunks of which one of `names` is the name, written in any style; in the order of
        `names`."""
        found: list[int] = []
        for name in names:
            rows = self._db.execute(
                "SELECT DISTINCT chunk.id FROM name JOIN definition ON definition.name = name.id"
                " JOIN chunk ON chunk.file = definition.file AND chunk.first <= definition.row"
                " AND chunk.last > definition.row WHERE name.folded = ? LIMIT ?",
                (folded(name), limit),
            )
            found += [int(row[0]) for row in rows]
        return found[:limit]

    # --- chunks ---

    def rows(self, ids: Iterable[int]) -> dict[int, Row]:
        """Chunks by id; those that are gone are missing."""
        found: dict[int, Row] = {}
        for one in ids:
            for row in self._db.execute(
                "SELECT chunk.id, path, first, last, kind, name, symbol, language, chunk.digest,"
                " changed FROM chunk JOIN file ON file.id = chunk.file WHERE chunk.id = ?",
                (one,),
            ):
                found[one] = Row(row[0], os.fsdecode(row[1]), *row[2:])
        return found

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

    def counts(self) -> Counts:
        """How much there is."""
        files, held = next(
            iter(self._db.execute("SELECT count(*), sum(bytes) FROM file WHERE reason = ''"))
        )
        disk = sum(
            part.stat().st_size for part in (self._file, Path(f"{self._file}-wal")) if part.exists()
        )
        return Counts(
            files=int(files),
            bytes=int(held or 0),
            chunks=int(self._db.execute("SELECT count(*) FROM chunk").get or 0),
            definitions=int(self._db.execute("SELECT count(*) FROM definition").get or 0),
            vectors=int(self._db.execute("SELECT count(*) FROM vector").get or 0),
            disk_bytes=disk,
        )

    def skipped(self) -> dict[str, int]:
        """What the last build passed over, by reason."""
        tally = str(self._db.execute("SELECT value FROM meta WHERE key = 'skipped'").get or "")
        pairs = (line.partition(" ") for line in tally.split("\n") if line)
        return {reason: int(count) for count, _, reason in pairs}
