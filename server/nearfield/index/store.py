"""Writer of the index: a file is written whole, in one transaction, or not at all.

Reading is in `search_store`, vectors in `vector_store`. One thread at a time.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw

from nearfield.coerce import storable
from nearfield.index.files import FileStamp
from nearfield.index.interface import FileContent, IndexUnusable, KnownFile
from nearfield.index.outlines import (
    DEFINED,
    IMPORTED,
    REFERRED,
    named,
    pack_definitions,
    pack_uses,
)
from nearfield.index.schema_store import open_or_rebuild
from nearfield.index.search_store import Symbols
from nearfield.index.symbols import Outline
from nearfield.index.vector_store import SqliteVectors
from nearfield.index.weights import weighed
from nearfield.index.words import GRAM_CHARS, folded, indexed

__all__ = ["FileContent", "KnownFile", "SqliteStore"]


class SqliteStore:
    """The index of one workspace, open for writing."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._db, self.said = open_or_rebuild(file)
        self._symbols = Symbols(self._db)
        self._kinds: dict[str, int] = {}
        self._spelled: set[str] = set()
        """Names that are in `grams` for sure."""

    @property
    def connection(self) -> apsw.Connection:
        """For the modules beside this one."""
        return self._db

    def close(self) -> None:
        """Close the file; its log is folded into it."""
        self._db.close()

    def vectors(self, name: str, dimensions: int) -> SqliteVectors:
        """The vectors of the embedder of that name."""
        return SqliteVectors(self._db, name, dimensions)

    @contextmanager
    def transaction(self) -> Generator[None]:
        """Run a transaction, committed whole or rolled back. Raises `IndexUnusable` when the disk
        is full or missing.
        """
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._forget()
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
        except (apsw.FullError, apsw.IOError, apsw.ReadOnlyError, apsw.CorruptError) as error:
            self._forget()
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise IndexUnusable(
                f"The index cannot be written ({type(error).__name__}).",
                "Free some space on the disk of the cache folder; what is indexed stays.",
            ) from error

    def _forget(self) -> None:
        """Clear the caches after a rollback."""
        self._kinds.clear()
        self._spelled.clear()

    # --- files ---

    def known(self) -> dict[str, KnownFile]:
        """Every file that the index holds, by path."""
        rows = self._db.execute("SELECT path, id, stamp, digest, reason, holder FROM file")
        return {os.fsdecode(row[0]): _known(row) for row in rows}

    def known_file(self, path: str) -> KnownFile | None:
        """Return the index's record of one file, None if it has none."""
        rows = self._db.execute(
            "SELECT path, id, stamp, digest, reason, holder FROM file WHERE path = ?",
            (os.fsencode(path),),
        )
        return next((_known(row) for row in rows), None)

    def put(self, content: FileContent) -> None:
        """Replace what is known of a file. Inside a transaction."""
        before = frozenset(folded(one.name) for one in self._symbols.defined_in(content.path))
        self.drop(content.path)
        self._db.execute(
            "INSERT INTO file (path, stamp, digest, bytes, language, reason, holder, changed,"
            " chunk, chunks, definitions) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                os.fsencode(content.path), _stamp_text(content.stamp), content.digest,
                content.bytes, content.language, content.reason, content.holder, content.changed,
                self._put_chunks(content), len(content.chunks), len(content.outline.definitions),
            ),
        )  # fmt: skip
        file = self._db.last_insert_rowid()
        if content.holder is not None:
            text = content.text.encode("utf-8", "surrogatepass")
            self._db.execute("INSERT INTO body VALUES (?, ?)", (file, zlib.compress(text)))
        self._put_symbols(file, content.outline, before)

    def _put_chunks(self, content: FileContent) -> int | None:
        """Returns the id of the first one; the others follow it."""
        if not content.chunks:
            return None
        first = int(self._db.execute("SELECT ifnull(max(id), 0) + 1 FROM chunk").get)
        shown = content.path.encode("utf-8", "replace").decode()
        path_words = indexed(shown)
        for number, chunk in enumerate(content.chunks, first):
            symbol = _utf8(chunk.symbol)
            self._db.execute(
                "INSERT INTO chunk VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    number, chunk.first, chunk.last - chunk.first, self._kind(chunk.kind),
                    len(chunk.name), symbol, chunk.digest,
                ),
            )  # fmt: skip
            body = indexed(f"{chunk.text}\n{chunk.signatures}" if chunk.signatures else chunk.text)
            self._db.execute(
                "INSERT INTO words (rowid, body) VALUES (?, ?)",
                (number, _utf8(weighed(path_words, indexed(symbol), body))),
            )
        return first

    def _kind(self, text: str) -> int:
        known = self._kinds.get(text)
        if known is None:
            self._db.execute("INSERT OR IGNORE INTO kind (text) VALUES (?)", (text,))
            known = int(self._db.execute("SELECT id FROM kind WHERE text = ?", (text,)).get)
            self._kinds[text] = known
        return known

    def _put_symbols(self, file: int, outline: Outline, before: frozenset[str]) -> None:
        if not (outline.definitions or outline.references or outline.imports):
            return
        self._db.execute(
            "INSERT INTO outline VALUES (?, ?, ?, ?)",
            (
                file, pack_definitions(outline.definitions), pack_uses(outline.references),
                " ".join(sorted(outline.imports)),
            ),
        )  # fmt: skip
        defined = frozenset(folded(one.name) for one in outline.definitions)
        # Names stay in `grams` until `tidy`, so that saving a file does not write them again.
        new = [
            (name,)
            for name in defined - before - self._spelled
            if len(name) >= GRAM_CHARS and not self._symbols.defines(name)
        ]
        self._db.executemany("INSERT INTO grams (folded) VALUES (?)", new)
        self._spelled |= defined
        words = {named(DEFINED, name) for name in defined}
        words |= {named(REFERRED, name) for name in outline.references}
        words |= {named(IMPORTED, name) for name in outline.imports}
        self._db.execute("INSERT INTO names (rowid, body) VALUES (?, ?)", (file, " ".join(words)))

    def drop(self, path: str) -> None:
        """Forget a file; one that is not known is no error. Inside a transaction."""
        rows: list[Any] = self._db.execute(
            "SELECT id, ifnull(chunk, 0), chunks FROM file WHERE path = ?", (os.fsencode(path),)
        ).fetchall()
        for file, first, count in rows:
            chunks = [(one,) for one in range(first, first + count)]
            self._db.executemany("DELETE FROM words WHERE rowid = ?", chunks)
            self._db.executemany("DELETE FROM chunk WHERE id = ?", chunks)
            self._db.execute("DELETE FROM names WHERE rowid = ?", (file,))
            self._db.execute("DELETE FROM file WHERE id = ?", (file,))

    def restamp(self, path: str, stamp: FileStamp | None, changed: float) -> None:
        """The same content looks different now. Inside a transaction."""
        self._db.execute(
            "UPDATE file SET stamp = ?, holder = NULL, changed = ? WHERE path = ?",
            (_stamp_text(stamp), changed, os.fsencode(path)),
        )

    def release(self, path: str) -> None:
        """A buffer was closed: the disk counts again, and must be read."""
        self._db.execute(
            "UPDATE file SET holder = NULL, stamp = NULL WHERE path = ?", (os.fsencode(path),)
        )
        self._db.execute(
            "DELETE FROM body WHERE file IN (SELECT id FROM file WHERE path = ?)",
            (os.fsencode(path),),
        )

    # --- everything else ---

    def counts(self) -> tuple[int, int, int]:
        """Return the numbers of files, chunks and vectors."""
        rows = self._db.execute(
            "SELECT (SELECT count(*) FROM file WHERE reason = ''), (SELECT sum(chunks) FROM file),"
            " (SELECT count(*) FROM vector)"
        )
        files, chunks, vectors = next(iter(rows))
        return int(files), int(chunks or 0), int(vectors)

    def say(self, facts: Mapping[str, str]) -> None:
        """Remember facts about the whole index."""
        with self.transaction():
            rows = [(key, storable(value)) for key, value in facts.items()]
            self._db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", rows)

    def fact(self, key: str) -> str:
        """A fact that was said, "" when it was not."""
        row: Any = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).get
        return str(row) if row is not None else ""

    def clear(self) -> None:
        """Forget every file; the vectors stay, as they are by content."""
        with self.transaction():
            self._spelled.clear()
            for table in ("words", "names"):
                self._db.execute(f"INSERT INTO {table} ({table}) VALUES ('delete-all')")
            for table in ("grams", "chunk", "file"):
                self._db.execute(f"DELETE FROM {table}")

    def tidy(self) -> None:
        """Drop the names that nothing uses any more, and let SQLite refresh its statistics."""
        self._spelled.clear()
        defined = {
            str(row[0])
            for row in self._db.execute(
                "SELECT term FROM named WHERE term >= ? AND term < ?", (DEFINED, DEFINED + "\x7f")
            )
        }
        with self.transaction():
            for row, name in self._db.execute("SELECT rowid, folded FROM grams").fetchall():
                word = named(DEFINED, str(name))
                if word not in defined:
                    self._db.execute("DELETE FROM grams WHERE rowid = ?", (row,))
                defined.discard(word)  # once is enough
        self._db.execute("PRAGMA optimize")

    def checkpoint(self) -> None:
        """Fold the log into the file, as far as readers allow."""
        self._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)


def _known(row: tuple[Any, ...]) -> KnownFile:
    return KnownFile(row[1], _stamp(row[2]), row[3], row[4], row[5])


def _stamp_text(stamp: FileStamp | None) -> str | None:
    if stamp is None:
        return None
    return f"{stamp.bytes} {stamp.mtime_ns} {stamp.ctime_ns} {stamp.inode}"


def _stamp(text: str | None) -> FileStamp | None:
    return FileStamp(*map(int, text.split())) if text else None


def _utf8(text: str) -> str:
    """`text` without lone surrogates, which SQLite does not take."""
    return text.encode("utf-8", "replace").decode()
