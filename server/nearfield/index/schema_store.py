"""The index's file: where it is, how it is opened, and how an older one becomes today's.

One SQLite file a workspace, in WAL mode, so that one process writes while others read. Migrations
are named functions, run once each and recorded in the file. A file that is damaged, or comes from a
newer Nearfield, is set aside and a new one begun: everything in it can be built again.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import apsw
import sqlite_vec

from nearfield.files.private import private_database, private_draft, private_folder
from nearfield.index.interface import IndexUnusable

__all__ = [
    "IndexFile",
    "IndexUnusable",
    "connect",
    "migrate",
    "open_or_rebuild",
    "place_of",
    "set_aside",
    "trouble",
]

BUSY_MS = 5_000
"""Another process holds the write lock for one batch, about 0.2 s; longer means a stuck disk."""
CACHE_KIB = 8_192
MAP_BYTES = 1 << 28
"""Size of the mapping for searches. Writing is no faster with one, and it counts as the indexer's
memory.
"""


@dataclass(frozen=True, slots=True)
class IndexFile:
    """Location of an index. `kept` is False when the cache folder cannot be written: then it is in
    memory (or the temporary folder) and lives as long as it is open.
    """

    file: Path
    kept: bool

    @property
    def lock(self) -> Path:
        """Held by the one process that builds."""
        return self.file.with_suffix(".lock")

    @property
    def early(self) -> Path:
        """The vectors that are there before the real ones."""
        return self.file.with_suffix(".early")

    def discard(self) -> None:
        """Remove an index that is not kept; nothing may use it any more."""
        if not self.kept:
            shutil.rmtree(self.file.parent, ignore_errors=True)


def place_of(root: Path, cache: Path) -> IndexFile:
    """The place for the workspace at `root`; makes the folder."""
    real = os.path.realpath(root)
    key = hashlib.blake2b(os.fsencode(real), digest_size=8).hexdigest()
    label = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(real).name)[:40] or "root"
    name = f"{label}-{key}.db"
    folder = cache / "index"
    try:
        private_folder(cache)
        private_folder(folder, sweep=True)
        private_draft(folder, ".probe").unlink()
    except OSError:
        memory = Path("/dev/shm")  # noqa: S108 - a private folder is made inside
        base = memory if os.access(memory, os.W_OK) else None
        return IndexFile(Path(tempfile.mkdtemp(prefix="nearfield-", dir=base)) / name, kept=False)
    return IndexFile(folder / name, kept=True)


def connect(file: Path, *, write: bool) -> apsw.Connection:
    """Open the file with the vector functions loaded. Raises `apsw.Error`, and `OSError`
    when a new file cannot be made."""
    flags = apsw.SQLITE_OPEN_READONLY
    if write:
        private_database(file)
        flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
    connection = apsw.Connection(str(file), flags=flags)
    connection.set_busy_timeout(BUSY_MS)
    connection.enable_load_extension(True)
    connection.load_extension(sqlite_vec.loadable_path())
    connection.enable_load_extension(False)
    connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
    if not write:
        connection.execute(f"PRAGMA mmap_size={MAP_BYTES}")
    else:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA foreign_keys=ON")
    return connection


def names_and_text(db: apsw.Connection) -> None:
    """Files, chunks, symbols, full text."""
    db.execute(
        """
        CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
        -- `stamp` is how the file looked, NULL when it must be read again; `reason` is why its
        -- content is not indexed, '' when it is; `holder` is the process whose open buffer it is.
        CREATE TABLE file (
            id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE, stamp TEXT, digest BLOB,
            bytes INTEGER NOT NULL, language TEXT NOT NULL, reason TEXT NOT NULL, holder INTEGER,
            changed REAL NOT NULL
        );
        -- The text of open buffers; that of other files is on the disk.
        CREATE TABLE body (
            file INTEGER PRIMARY KEY REFERENCES file ON DELETE CASCADE, text BLOB NOT NULL
        );
        CREATE TABLE chunk (
            id INTEGER PRIMARY KEY, file INTEGER NOT NULL REFERENCES file ON DELETE CASCADE,
            first INTEGER NOT NULL, last INTEGER NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL,
            symbol TEXT NOT NULL, digest BLOB NOT NULL
        );
        CREATE INDEX chunk_file ON chunk (file);
        CREATE INDEX chunk_digest ON chunk (digest);
        CREATE TABLE name (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE, folded TEXT NOT NULL);
        CREATE INDEX name_folded ON name (folded);
        CREATE TABLE definition (
            id INTEGER PRIMARY KEY, file INTEGER NOT NULL REFERENCES file ON DELETE CASCADE,
            name INTEGER NOT NULL, kind TEXT NOT NULL, container TEXT NOT NULL,
            row INTEGER NOT NULL, column INTEGER NOT NULL, first INTEGER NOT NULL,
            last INTEGER NOT NULL
        );
        CREATE INDEX definition_file ON definition (file);
        CREATE INDEX definition_name ON definition (name);
        CREATE TABLE reference (
            name INTEGER NOT NULL, file INTEGER NOT NULL REFERENCES file ON DELETE CASCADE,
            rows TEXT NOT NULL, PRIMARY KEY (name, file)
        ) WITHOUT ROWID;
        CREATE INDEX reference_file ON reference (file);
        CREATE VIRTUAL TABLE words USING fts5 (
            path, symbol, body, content='', contentless_delete=1,
            tokenize="porter unicode61 remove_diacritics 2"
        );
        CREATE VIRTUAL TABLE term USING fts5vocab (words, row);
        CREATE VIRTUAL TABLE grams USING fts5 (
            folded, content='', contentless_delete=1, tokenize="trigram", detail=none
        );
        """
    )


def vectors(db: apsw.Connection) -> None:
    """Vectors by content, for every embedder that was ever used."""
    db.execute(
        """
        CREATE TABLE embedder (
            id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, dimensions INTEGER NOT NULL
        );
        CREATE TABLE vector (
            id INTEGER PRIMARY KEY, embedder INTEGER NOT NULL REFERENCES embedder,
            digest BLOB NOT NULL, data BLOB NOT NULL, UNIQUE (embedder, digest)
        );
        """
    )


def bits_in_memory(db: apsw.Connection) -> None:
    """The 1-bit tables, one for each embedder, are not needed any more."""
    for (one,) in list(db.execute("SELECT id FROM embedder")):
        db.execute(f"DROP TABLE IF EXISTS bits_{one}")


def packed(db: apsw.Connection) -> None:
    """A third of the room: full text without positions, symbols packed file by file, and chunks
    that find their file by its range. The vectors stay; all else is read again."""
    for table in ("term", "words", "grams", "reference", "definition", "name", "chunk", "body"):
        db.execute(f"DROP TABLE {table}")
    db.execute(
        """
        DROP TABLE file;
        -- `stamp` is how the file looked, NULL when it must be read again; `reason` is why its
        -- content is not indexed, '' when it is; `holder` is the process whose open buffer it is.
        -- The file's chunks are the `chunks` ones from `chunk` on.
        CREATE TABLE file (
            id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE, stamp TEXT, digest BLOB,
            bytes INTEGER NOT NULL, language TEXT NOT NULL, reason TEXT NOT NULL, holder INTEGER,
            changed REAL NOT NULL, chunk INTEGER, chunks INTEGER NOT NULL,
            definitions INTEGER NOT NULL
        );
        CREATE INDEX file_chunk ON file (chunk);
        -- The text of open buffers; that of other files is on the disk.
        CREATE TABLE body (
            file INTEGER PRIMARY KEY REFERENCES file ON DELETE CASCADE, text BLOB NOT NULL
        );
        CREATE TABLE kind (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
        -- `rows` from `first` on; the last `named` characters of `symbol` are the chunk's name.
        CREATE TABLE chunk (
            id INTEGER PRIMARY KEY, first INTEGER NOT NULL, rows INTEGER NOT NULL,
            kind INTEGER NOT NULL REFERENCES kind, named INTEGER NOT NULL, symbol TEXT NOT NULL,
            digest BLOB NOT NULL
        );
        CREATE INDEX chunk_digest ON chunk (digest);
        -- What `outlines` packs.
        CREATE TABLE outline (
            file INTEGER PRIMARY KEY REFERENCES file ON DELETE CASCADE, definitions BLOB NOT NULL,
            uses BLOB NOT NULL, imports TEXT NOT NULL
        );
        -- Words by chunk, as `weights.weighed` makes them.
        CREATE VIRTUAL TABLE words USING fts5 (
            body, content='', contentless_delete=1, detail=none,
            tokenize="porter unicode61 remove_diacritics 2"
        );
        -- Names by file, as `outlines.named` makes them, and which there are.
        CREATE VIRTUAL TABLE names USING fts5 (
            body, content='', contentless_delete=1, detail=none, tokenize="ascii tokenchars '_'"
        );
        CREATE VIRTUAL TABLE named USING fts5vocab (names, row);
        -- The names that are defined, by three letters.
        CREATE VIRTUAL TABLE grams USING fts5 (
            folded, tokenize="trigram", detail=none, columnsize=0
        );
        """
    )


MIGRATIONS: tuple[Callable[[apsw.Connection], None], ...] = (
    names_and_text,
    vectors,
    bits_in_memory,
    packed,
)


def migrate(db: apsw.Connection) -> bool:
    """Bring the file to today's schema, in one transaction. False: it knows more than we do."""
    known = [step.__name__ for step in MIGRATIONS]
    with db:
        db.execute("CREATE TABLE IF NOT EXISTS migration (name TEXT PRIMARY KEY, at TEXT NOT NULL)")
        done = {row[0] for row in db.execute("SELECT name FROM migration")}
        if done - set(known):
            return False
        for step in MIGRATIONS:
            if step.__name__ not in done:
                step(db)
                db.execute("INSERT INTO migration VALUES (?, datetime('now'))", (step.__name__,))
    return True


def open_or_rebuild(file: Path) -> tuple[apsw.Connection, str]:
    """Open for writing; returns the connection and one sentence on why an old file was set aside,
    "" when none was. Call it with the builder's lock held. Raises `IndexUnusable`."""
    why = ""
    if file.exists():
        try:
            connection = connect(file, write=True)
            sound = connection.execute("PRAGMA quick_check(1)").get == "ok"
            if sound and migrate(connection):
                return connection, ""
            connection.close()
            why = "comes from a newer Nearfield" if sound else "is damaged"
        except (apsw.NotADBError, apsw.CorruptError, apsw.SQLError):
            why = "is damaged"
        except (apsw.Error, OSError) as error:
            raise _unusable(file, error) from error
        set_aside(file)
    try:
        connection = connect(file, write=True)
        migrate(connection)
    except (apsw.Error, OSError) as error:
        raise _unusable(file, error) from error
    said = f"The index {why}; it was set aside as {file.name}.old and is built anew." if why else ""
    return connection, said


def set_aside(file: Path) -> None:
    """Rename the file, so that a person can examine it; replaces the one set aside before."""
    for suffix in ("-wal", "-shm"):
        Path(f"{file}{suffix}").unlink(missing_ok=True)
    file.replace(f"{file}.old")


@contextmanager
def trouble() -> Generator[None]:
    """Any trouble with the file is an `IndexUnusable`."""
    try:
        yield
    except apsw.Error as error:
        raise IndexUnusable(
            f"The index cannot be used ({type(error).__name__}).",
            "Check the free space and the permissions of the cache folder.",
        ) from error


def _unusable(file: Path, error: Exception) -> IndexUnusable:
    return IndexUnusable(
        f"The index {file} cannot be used ({type(error).__name__}).",
        "Check the free space and the permissions of that folder.",
    )
