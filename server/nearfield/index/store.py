"""Writing the index: a file goes in whole, in one transaction, or not at all.

Reading is in `search_store`, vectors in `vector_store`. One thread at a time.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw

from nearfield.index.chunks import Chunk
from nearfield.index.files import Stamp
from nearfield.index.schema_store import IndexUnusable, open_or_rebuild
from nearfield.index.symbols import NO_SYMBOLS, Outline
from nearfield.index.words import folded, indexed


@dataclass(frozen=True, slots=True)
class Known:
    """What the index holds of a file. `holder` is the process of which it is an open buffer."""

    id: int
    stamp: Stamp | None
    digest: bytes
    reason: str
    holder: int | None


@dataclass(frozen=True, slots=True)
class Content:
    """A file as it goes into the index. `reason` says why nothing of it does."""

    path: str
    stamp: Stamp | None
    digest: bytes
    bytes: int
    language: str = ""
    reason: str = ""
    text: str = ""
    chunks: Sequence[Chunk] = ()
    outline: Outline = NO_SYMBOLS
    changed: float = 0.0
    holder: int | None = None


class Store:
    """The index of one workspace, open for writing."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._db, self.said = open_or_rebuild(file)
        self._names: dict[str, int] = {}

    @property
    def connection(self) -> apsw.Connection:
        """For the modules beside this one."""
        return self._db

    def close(self) -> None:
        """Close the file; its log is folded into it."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Generator[None]:
        """All of it or nothing. Raises `IndexUnusable` when the disk is full or gone."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._names.clear()
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
        except (apsw.FullError, apsw.IOError, apsw.ReadOnlyError, apsw.CorruptError) as error:
            self._names.clear()
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise IndexUnusable(
                f"The index cannot be written ({type(error).__name__}).",
                "Free some space on the disk of the cache folder; what is indexed stays.",
            ) from error

    # --- files ---

    def known(self) -> dict[str, Known]:
        """Every file that the index holds, by path."""
        rows = self._db.execute("SELECT path, id, stamp, digest, reason, holder FROM file")
        return {os.fsdecode(row[0]): _known(row) for row in rows}

    def known_file(self, path: str) -> Known | None:
        """What is known of one file."""
        rows = self._db.execute(
            "SELECT path, id, stamp, digest, reason, holder FROM file WHERE path = ?",
            (os.fsencode(path),),
        )
        return next((_known(row) for row in rows), None)

    def put(self, content: Content) -> None:
        """Replace what is known of a file. Inside a transaction."""
        self.drop(content.path)
        self._db.execute(
            "INSERT INTO file (path, stamp, digest, bytes, language, reason, holder, changed)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                os.fsencode(content.path), _stamp_text(content.stamp), content.digest,
                content.bytes, content.language, content.reason, content.holder, content.changed,
            ),
        )  # fmt: skip
        file = self._db.last_insert_rowid()
        if content.chunks:
            self._put_chunks(file, content)
        if content.holder is not None:
            text = content.text.encode("utf-8", "surrogatepass")
            self._db.execute("INSERT INTO body VALUES (?, ?)", (file, zlib.compress(text)))
        self._put_symbols(file, content.outline)

    def _put_chunks(self, file: int, content: Content) -> None:
        shown = content.path.encode("utf-8", "replace").decode()
        path_words = indexed(shown)
        for chunk in content.chunks:
            self._db.execute(
                "INSERT INTO chunk (file, first, last, kind, name, symbol, digest)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    file, chunk.first, chunk.last, chunk.kind, _utf8(chunk.name),
                    _utf8(chunk.symbol), chunk.digest,
                ),
            )  # fmt: skip
            body = indexed(f"{chunk.text}\n{chunk.signatures}" if chunk.signatures else chunk.text)
            self._db.execute(
                "INSERT INTO words (rowid, path, symbol, body) VALUES (?, ?, ?, ?)",
                (
                    self._db.last_insert_rowid(), path_words, _utf8(indexed(chunk.symbol)),
                    _utf8(body),
                ),
            )  # fmt: skip

    def _put_symbols(self, file: int, outline: Outline) -> None:
        for one in outline.definitions:
            self._db.execute(
                "INSERT INTO definition (file, name, kind, container, row, column, first, last)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    file, self._name(one.name), one.kind, one.container, one.row, one.column,
                    one.first, one.last,
                ),
            )  # fmt: skip
        self._db.executemany(
            "INSERT OR REPLACE INTO reference VALUES (?, ?, ?)",
            [
                (self._name(name), file, " ".join(map(str, rows)))
                for name, rows in outline.references.items()
            ],
        )

    def _name(self, text: str) -> int:
        known = self._names.get(text)
        if known is None:
            row = self._db.execute("SELECT id FROM name WHERE text = ?", (text,)).get
            if row is None:
                fold = folded(text)
                self._db.execute("INSERT INTO name (text, folded) VALUES (?, ?)", (text, fold))
                row = self._db.last_insert_rowid()
                self._db.execute("INSERT INTO grams (rowid, folded) VALUES (?, ?)", (row, fold))
            known = self._names[text] = int(row)
        return known

    def drop(self, path: str) -> None:
        """Forget a file; one that is not known is no error. Inside a transaction."""
        row = self._db.execute("SELECT id FROM file WHERE path = ?", (os.fsencode(path),)).get
        if row is None:
            return
        self._db.execute(
            "DELETE FROM words WHERE rowid IN (SELECT id FROM chunk WHERE file = ?)", (row,)
        )
        self._db.execute("DELETE FROM file WHERE id = ?", (row,))

    def restamp(self, path: str, stamp: Stamp | None, changed: float) -> None:
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
        """How many files, chunks and vectors there are."""
        rows = self._db.execute(
            "SELECT (SELECT count(*) FROM file WHERE reason = ''), (SELECT count(*) FROM chunk),"
            " (SELECT count(*) FROM vector)"
        )
        files, chunks, vectors = next(iter(rows))
        return int(files), int(chunks), int(vectors)

    def say(self, facts: Mapping[str, str]) -> None:
        """Remember facts about the whole index."""
        with self.transaction():
            self._db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", list(facts.items()))

    def fact(self, key: str) -> str:
        """A fact that was said, "" when it was not."""
        row: Any = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).get
        return str(row) if row is not None else ""

    def clear(self) -> None:
        """Forget every file; the vectors stay, as they are by content."""
        with self.transaction():
            self._db.execute("INSERT INTO words (words) VALUES ('delete-all')")
            self._db.execute("DELETE FROM file")

    def tidy(self) -> None:
        """Drop the names that nothing uses any more, and let SQLite refresh its statistics."""
        self._names.clear()
        with self.transaction():
            self._db.execute(
                "DELETE FROM grams WHERE rowid IN (SELECT id FROM name WHERE id NOT IN"
                " (SELECT name FROM definition UNION SELECT name FROM reference))"
            )
            self._db.execute(
                "DELETE FROM name WHERE id NOT IN"
                " (SELECT name FROM definition UNION SELECT name FROM reference)"
            )
        self._db.execute("PRAGMA optimize")

    def checkpoint(self) -> None:
        """Fold the log into the file, as far as readers allow."""
        self._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)


def _known(row: tuple[Any, ...]) -> Known:
    return Known(row[1], _stamp(row[2]), row[3], row[4], row[5])


def _stamp_text(stamp: Stamp | None) -> str | None:
    if stamp is None:
        return None
    return f"{stamp.bytes} {stamp.mtime_ns} {stamp.ctime_ns} {stamp.inode}"


def _stamp(text: str | None) -> Stamp | None:
    return Stamp(*map(int, text.split())) if text else None


def _utf8(text: str) -> str:
    """`text` without lone surrogates, which SQLite does not take."""
    return text.encode("utf-8", "replace").decode()
