"""The file of a team's use: sums by day, person, use and model. It has no code and no paths.

All calls block. Every failure is raised as `UsageUnusable`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import msgspec

from nearfield.errors import NearfieldError
from nearfield.routing.store import Database, Migration

FILE = "usage.db"


class UsageUnusable(NearfieldError):
    """The file cannot be read or written."""


class UsageRow(msgspec.Struct, frozen=True, kw_only=True):
    """Sums of a person on a day (UTC) for one use, with one model ("" where none answered).
    `read` and `written` are tokens; `refused` counts requests that a limit stopped."""

    day: str
    person: str
    use: str
    model: str
    requests: int = 0
    read: int = 0
    written: int = 0
    refused: int = 0


class UsageStore:
    """See the module. Safe from any thread, and beside other processes."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._file = Database(self.path, MIGRATIONS, self._unusable, durable=False)

    def close(self) -> None:
        """Close the file; a later call opens it again."""
        self._file.close()

    def add(self, rows: Sequence[UsageRow]) -> None:
        """Add to the sums."""
        with self._file.writing() as db:
            db.executemany(
                "INSERT INTO used VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (day, person, use, model) DO UPDATE SET"
                " requests = requests + excluded.requests, read = read + excluded.read,"
                " written = written + excluded.written, refused = refused + excluded.refused",
                [msgspec.structs.astuple(row) for row in rows],
            )

    def rows(self, since: str) -> list[UsageRow]:
        """Return the sums from a day on; none if there is no file."""
        if not self.path.exists():
            return []
        with self._file.connected() as db:
            found = db.execute(
                "SELECT * FROM used WHERE day >= ? ORDER BY day, person, use, model", (since,)
            ).fetchall()
        names = UsageRow.__struct_fields__
        return [UsageRow(**dict(zip(names, row, strict=True))) for row in found]

    def _unusable(self, error: Exception) -> UsageUnusable:
        return UsageUnusable(
            f"The file of use {self.path} cannot be used ({type(error).__name__}).",
            "Free some disk space, or move the file away to begin a new one.",
        )


def m301_used(db: sqlite3.Connection) -> None:
    """Create the table of sums."""
    db.execute(
        "CREATE TABLE used (day TEXT, person TEXT, use TEXT, model TEXT, requests INTEGER,"
        " read INTEGER, written INTEGER, refused INTEGER,"
        " PRIMARY KEY (day, person, use, model)) WITHOUT ROWID"
    )


MIGRATIONS: tuple[Migration, ...] = (m301_used,)
