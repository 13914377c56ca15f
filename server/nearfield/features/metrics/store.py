"""The database of suggestion records: one row per request, deleted by age.

It is a file of its own in the user's data directory, so that its failures affect nothing else;
several servers write to it. All calls block. Every failure is raised as `RecordUnusable`.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nearfield.config.paths import data_dir
from nearfield.errors import NearfieldError
from nearfield.features.metrics import sums_store
from nearfield.features.metrics.sums_store import SuggestionSums
from nearfield.features.suggestion_record import SuggestionRecord, Taken
from nearfield.routing.store import Database, Migration

FILE = "suggestions.db"

_NAMES = (
    *("id", "at", "method", "language", "situation", "provider", "model", "reason", "ms"),
    *("evaluated", "reused", "generated", "confidence", "chars", "lines", "taken", "saved"),
    *("survived", "stages", "trial"),
)
"""The columns in table order."""


@dataclass(frozen=True, slots=True)
class RatingCount:
    """The answers of one kind by one model that the user called good and bad."""

    kind: str
    model: str
    good: int
    bad: int


class RecordUnusable(NearfieldError):
    """The file cannot be read or written."""


class RecordStore:
    """Reads and writes the records; thread-safe."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or data_dir() / FILE
        self.file = Database(
            self.path,
            MIGRATIONS,
            self._unusable,
            # ValueError: a value that SQLite cannot store.
            troubles=(sqlite3.Error, OSError, ValueError),
            # A power cut may lose the last minute.
            durable=False,
        )

    def close(self) -> None:
        """Close the file; a later call opens it again."""
        self.file.close()

    def save(self, rows: Sequence[SuggestionRecord], before: float | None = None) -> list[int]:
        """Write new and changed records in one transaction, and delete those older than `before`.
        Returns their ids in order."""
        ids: list[int] = []
        with self.file.writing() as db:
            for row in rows:
                cursor = db.execute(
                    "INSERT OR REPLACE INTO suggestions VALUES"
                    " (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    [_column(row, name) for name in _NAMES],
                )
                ids.append(row.id or int(cursor.lastrowid or 0))
            if before is not None:
                db.execute("DELETE FROM suggestions WHERE at < ?", (before,))
                db.execute("DELETE FROM ratings WHERE at < ?", (before,))
                sums_store.forget_days(db, before)
            sums_store.add_settled(db, time.time())
        return ids

    def settle(self) -> bool:
        """Add some of the records that change no more to the sums; return whether there are more.
        Nothing happens if there is no file."""
        if not self.path.exists():
            return False
        with self.file.writing() as db:
            return sums_store.add_settled(db, time.time())

    def sums(self, since: float) -> SuggestionSums:
        """Return the sums of the days from `since` on; nothing if there is no file."""
        if not self.path.exists():
            return SuggestionSums([], [], [], [], [])
        with self.file.connected() as db:
            return sums_store.sums_since(db, since)

    def rate(self, at: float, kind: str, provider: str, model: str, *, good: bool) -> None:
        """Write the user's word on an answer."""
        with self.file.writing() as db:
            db.execute(
                "INSERT INTO ratings VALUES (?, ?, ?, ?, ?)", (at, kind, provider, model, good)
            )

    def ratings(self, since: float) -> list[RatingCount]:
        """Return the user's words on answers since then, by kind and model; none if there is no
        file."""
        if not self.path.exists():
            return []
        with self.file.connected() as db:
            found = db.execute(
                "SELECT kind, model, sum(good), sum(1 - good) FROM ratings WHERE at >= ?"
                " GROUP BY kind, model ORDER BY kind, model",
                (since,),
            ).fetchall()
        return [RatingCount(*row) for row in found]

    def rows(self, since: float) -> list[SuggestionRecord]:
        """Return the records since then, oldest first; none if there is no file."""
        return self._rows("at >= ?", since)

    def rows_of_trial(self, trial: str) -> list[SuggestionRecord]:
        """Return the records that belong to the trial of that id, oldest first."""
        return self._rows("trial >= ? || ' ' AND trial < ?1 || '!'", trial)

    def _rows(self, where: str, value: object) -> list[SuggestionRecord]:
        if not self.path.exists():
            return []
        with self.file.connected() as db:
            found = db.execute(
                f"SELECT * FROM suggestions WHERE {where} ORDER BY id",  # noqa: S608 - ours
                (value,),
            ).fetchall()
        rows = [SuggestionRecord(**dict(zip(_NAMES, values, strict=True))) for values in found]
        for row in rows:
            row.taken, row.stages = Taken(row.taken), json.loads(str(row.stages))
        return rows

    def _unusable(self, error: Exception) -> RecordUnusable:
        return RecordUnusable(
            f"The record of suggestions {self.path} cannot be used ({type(error).__name__}).",
            "Free some disk space, or move the file away to begin a new one.",
        )


def m201_suggestions(db: sqlite3.Connection) -> None:
    """Create the table: one row per request to a model or the cache."""
    db.execute(
        "CREATE TABLE suggestions (id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL,"
        " method TEXT, language TEXT, situation TEXT, provider TEXT, model TEXT, reason TEXT,"
        " ms REAL, evaluated INTEGER, reused INTEGER, generated INTEGER, confidence REAL,"
        " chars INTEGER, lines INTEGER, taken TEXT, saved INTEGER, survived REAL)"
    )
    db.execute("CREATE INDEX suggestions_at ON suggestions (at)")


def m202_stages(db: sqlite3.Connection) -> None:
    """Add the milliseconds of each stage of a next edit, as JSON."""
    db.execute("ALTER TABLE suggestions ADD COLUMN stages TEXT NOT NULL DEFAULT '{}'")


def m203_sums(db: sqlite3.Connection) -> None:
    """Create the sums by day."""
    sums_store.make_tables(db)


def m204_trial(db: sqlite3.Connection) -> None:
    """Add which arm of which trial a record belongs to."""
    db.execute("ALTER TABLE suggestions ADD COLUMN trial TEXT NOT NULL DEFAULT ''")
    db.execute("CREATE INDEX suggestions_trial ON suggestions (trial) WHERE trial != ''")


def m205_ratings(db: sqlite3.Connection) -> None:
    """Create the user's words on answers that are no suggestions."""
    db.execute(
        "CREATE TABLE ratings (at REAL NOT NULL, kind TEXT NOT NULL, provider TEXT NOT NULL,"
        " model TEXT NOT NULL, good INTEGER NOT NULL)"
    )


def _column(row: SuggestionRecord, name: str) -> object:
    return json.dumps(row.stages) if name == "stages" else getattr(row, name)


MIGRATIONS: tuple[Migration, ...] = (
    m201_suggestions,
    m202_stages,
    m203_sums,
    m204_trial,
    m205_ratings,
)
