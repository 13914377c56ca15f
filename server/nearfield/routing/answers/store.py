"""The file of kept answers: SQLite, oldest out first."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from nearfield.routing.store import Database


class AnswersUnusable(Exception):
    """The file cannot be read or written."""


class AnswerStore:
    """Texts by key, with an age and a total size. Blocks; safe from any thread. Trouble with the
    file is `AnswersUnusable`."""

    def __init__(self, path: Path) -> None:
        self._file = Database(
            path,
            (m001_answers,),
            lambda _: AnswersUnusable(str(path)),
            # It may lose its last rows in a power cut; it is a cache.
            durable=False,
        )

    def get(self, key: str, max_age_seconds: float) -> str | None:
        """The text of `key` when it is not older than that."""
        with self._file.connected() as db:
            row = db.execute(
                "SELECT text FROM answers WHERE key = ? AND at >= ?",
                (key, time.time() - max_age_seconds),
            ).fetchone()
        return row[0] if row else None

    def put(self, key: str, text: str, max_bytes: int) -> None:
        """Keep `text`, and delete the oldest until all fit into `max_bytes`."""
        with self._file.writing() as db:
            db.execute(
                "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?)",
                (key, time.time(), len(text.encode("utf-8", "surrogatepass")), text),
            )
            db.execute(
                "DELETE FROM answers WHERE key IN (SELECT key FROM (SELECT key, SUM(bytes) OVER"
                " (ORDER BY at DESC, key) AS total FROM answers) WHERE total > ?)",
                (max_bytes,),
            )

    def close(self) -> None:
        """Close the file; a later call opens it again."""
        self._file.close()


def m001_answers(db: sqlite3.Connection) -> None:
    """Create the table of answers; `bytes` counts UTF-8."""
    db.execute("CREATE TABLE answers (key TEXT PRIMARY KEY, at REAL, bytes INTEGER, text TEXT)")
    db.execute("CREATE INDEX answers_at ON answers (at)")
