"""The audit of calls: every function that a model wanted to call, and what became of it.

One table in the file of `routing.store`, made by a migration of its own. A row is on the disk
before the function runs. Everything here blocks. Any trouble with the file is a `LedgerError`.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nearfield.config.paths import data_dir
from nearfield.routing.ledger import LedgerError
from nearfield.routing.store import FILE, Database, Migration

RUNNING = "running"
"""The outcome of a call from before it is carried out until its end."""


@dataclass(frozen=True, slots=True)
class Called:
    """A call. `arguments` is JSON text without secrets, cut to a length. `decision` is how it was
    decided ("allowed", "once", "session", "no", "refused"). `outcome` is "running", "done",
    "failed", "denied" or "cancelled", with a reason after a colon; `at` is in seconds since the
    epoch.
    """

    id: int
    at: float
    workspace: str
    session: str
    provider: str
    model: str
    name: str
    arguments: str
    decision: str
    outcome: str
    ms: int
    bytes: int


class CallStore:
    """See the module. Safe to call from any thread."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or data_dir() / FILE
        self._file = Database(self.path, MIGRATIONS, self._unusable)

    def close(self) -> None:
        """Close the file; a later call opens it again."""
        self._file.close()

    def begin(self, call: Called) -> int:
        """Record a call before it is carried out; `id` and `at` are given here."""
        with self._file.writing() as db:
            cursor = db.execute(
                "INSERT INTO calls (at, workspace, session, provider, model, name, arguments,"
                " decision, outcome, ms, bytes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    time.time(), call.workspace, call.session, call.provider, call.model,
                    call.name, call.arguments, call.decision, call.outcome, call.ms, call.bytes,
                ),
            )  # fmt: skip
            return int(cursor.lastrowid or 0)

    def finish(self, number: int, decision: str, outcome: str, ms: int, read: int) -> None:
        """Record how it ended; `read` are the bytes that the model was told."""
        with self._file.writing() as db:
            db.execute(
                "UPDATE calls SET decision = ?, outcome = ?, ms = ?, bytes = ? WHERE id = ?",
                (decision, outcome, ms, read, number),
            )

    def calls(
        self,
        since: float | None = None,
        workspace: str | None = None,
        limit: int = -1,
        session: str | None = None,
    ) -> list[Called]:
        """The calls since then, of that workspace and that chat (None: all), newest first."""
        with self._file.connected() as db:
            rows: Sequence[tuple[Any, ...]] = db.execute(
                "SELECT id, at, workspace, session, provider, model, name, arguments, decision,"
                " outcome, ms, bytes FROM calls WHERE (?1 IS NULL OR at >= ?1)"
                " AND (?2 IS NULL OR workspace = ?2) AND (?4 IS NULL OR session = ?4)"
                " ORDER BY id DESC LIMIT ?3",
                (since, workspace, limit, session),
            ).fetchall()
        return [Called(*row) for row in rows]

    def prune(self, before: float) -> int:
        """Delete calls from before that time, and say how many."""
        with self._file.writing() as db:
            return db.execute("DELETE FROM calls WHERE at < ?", (before,)).rowcount

    def _unusable(self, error: Exception) -> LedgerError:
        return LedgerError(
            f"The audit {self.path} cannot be used ({type(error).__name__}), so no function"
            " is called.",
            "Free some disk space, or move the file away to begin a new one.",
        )


def m101_calls(db: sqlite3.Connection) -> None:
    """Create the table of calls."""
    db.execute(
        "CREATE TABLE calls (id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL,"
        " workspace TEXT, session TEXT, provider TEXT, model TEXT, name TEXT, arguments TEXT,"
        " decision TEXT, outcome TEXT NOT NULL, ms INTEGER, bytes INTEGER)"
    )
    db.execute("CREATE INDEX calls_at ON calls (at)")


MIGRATIONS: tuple[Migration, ...] = (m101_calls,)
