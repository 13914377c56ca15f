"""Routing's storage between runs: consent, the egress ledger, the use of local models.

One SQLite file in the user's data directory (`NEARFIELD_DATA_DIR` moves it), readable by the user
alone, in WAL mode: several servers and the command line write to it at the same time. A row of the
ledger is committed with `synchronous=FULL` before anything is sent, so neither a killed process nor
a power cut loses it. Migrations are named functions that run once each, in order, and are recorded
in the file.

All methods block; callers on the event loop use a thread. Any fault of the file raises
`LedgerError`.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from nearfield.coerce import storable
from nearfield.config.paths import data_dir
from nearfield.files.links import real_folder
from nearfield.files.private import private_database
from nearfield.routing.consent import Consent, ConsentRecord
from nearfield.routing.ledger import (
    EntryFilter,
    LedgerEntry,
    LedgerError,
    LocalUse,
    RequestOutcome,
    Sending,
    Spending,
)

FILE = "nearfield.db"
# Another process holds the write lock for a few milliseconds at most; a stuck disk must show.
BUSY_SECONDS = 5.0


class Store:
    """See the module. Safe to call from any thread."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or data_dir() / FILE
        self._file = Database(self.path, MIGRATIONS, self._unusable)

    def close(self) -> None:
        """Close the file; a later call opens it again."""
        self._file.close()

    # --- consent ---

    def consent(self, workspace: str, provider: str, destination: str) -> Consent:
        """Return the user's decision. A yes is for one destination and ends when the provider's
        address changes; a no holds for any destination.
        """
        row = self._one(
            "SELECT consent, destination FROM consent WHERE workspace = ? AND provider = ?",
            (real_folder(workspace), provider),
        )
        if row is None or not workspace:
            return Consent.UNASKED
        said = Consent(row[0])
        return said if said is Consent.NEVER or row[1] == destination else Consent.UNASKED

    def say(self, workspace: str, provider: str, destination: str, consent: Consent) -> None:
        """Remember a decision."""
        with self._file.writing() as db:
            db.execute(
                "INSERT OR REPLACE INTO consent VALUES (?, ?, ?, ?, ?)",
                (real_folder(workspace), provider, destination, consent.value, time.time()),
            )

    def revoke(self, workspace: str | None, provider: str | None) -> int:
        """Forget decisions: of one workspace or provider, or all for None. Returns how many."""
        folder = None if workspace is None else real_folder(workspace)
        with self._file.writing() as db:
            return db.execute(
                "DELETE FROM consent WHERE (?1 IS NULL OR workspace = ?1)"
                " AND (?2 IS NULL OR provider = ?2)",
                (folder, provider),
            ).rowcount

    def said(self) -> list[ConsentRecord]:
        """Every decision, by workspace and provider."""
        rows = self._all("SELECT * FROM consent ORDER BY workspace, provider", ())
        return [ConsentRecord(r[0], r[1], r[2], Consent(r[3]), r[4]) for r in rows]

    # --- the ledger ---

    def begin(self, sending: Sending) -> int:
        """Record what is about to be sent; returns the entry's id once it is on the disk."""
        with self._file.writing() as db:
            cursor = db.execute(
                "INSERT INTO egress (at, workspace, provider, model, destination, task, files,"
                " bytes, redactions, digest, content, outcome)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    time.time(), sending.workspace, sending.provider, sending.model,
                    sending.destination, sending.task, json.dumps(sending.files), sending.bytes,
                    json.dumps(sending.redactions), sending.digest, sending.content,
                    RequestOutcome.SENDING,
                ),
            )  # fmt: skip
            return int(cursor.lastrowid or 0)

    def finish(
        self,
        entry: int,
        outcome: str,
        tokens_in: int | None,
        tokens_out: int | None,
        price: Decimal | None,
    ) -> None:
        """Record how it ended."""
        with self._file.writing() as db:
            db.execute(
                "UPDATE egress SET outcome = ?, tokens_in = ?, tokens_out = ?, price = ?"
                " WHERE id = ?",
                (outcome, tokens_in, tokens_out, None if price is None else str(price), entry),
            )

    def entries(self, wanted: EntryFilter | None = None, limit: int = -1) -> list[LedgerEntry]:
        """The entries that fit, newest first; all of them for a negative `limit`."""
        where, values = _where(wanted or EntryFilter())
        rows = self._all(
            f"SELECT {_COLUMNS} FROM egress WHERE {where} ORDER BY id DESC LIMIT ?",  # noqa: S608 - made of constants
            (*values, limit),
        )
        return [_entry(row) for row in rows]

    def count(self) -> int:
        """Return the number of all entries."""
        row = self._one("SELECT count(*) FROM egress", ())
        return int(row[0]) if row else 0

    def entry(self, number: int) -> LedgerEntry | None:
        """Return an entry, None if no entry has that id."""
        row = self._one(f"SELECT {_COLUMNS} FROM egress WHERE id = ?", (number,))  # noqa: S608 - made of constants
        return _entry(row) if row else None

    def prune(self, before: float) -> int:
        """Delete entries from before that time, and say how many. What was spent this month stays
        counted only while its entries do."""
        with self._file.writing() as db:
            return db.execute("DELETE FROM egress WHERE at < ?", (before,)).rowcount

    def spent(self, since: float) -> Spending:
        """Return the spending since then; requests without an answer cost nothing known."""
        dollars, unknown = Decimal(0), 0
        for price, outcome in self._all(
            "SELECT price, outcome FROM egress WHERE at >= ?", (since,)
        ):
            if price is not None:
                dollars += Decimal(price)
            elif outcome in list(RequestOutcome):
                unknown += 1
        return Spending(dollars, unknown)

    # --- what local models did ---

    def count_local(self, uses: Sequence[LocalUse]) -> None:
        """Add to the sums of their days."""
        with self._file.writing() as db:
            db.executemany(
                "INSERT INTO local_use VALUES (?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (day, task, provider, model) DO UPDATE SET"
                " requests = requests + excluded.requests,"
                " tokens_in = tokens_in + excluded.tokens_in,"
                " tokens_out = tokens_out + excluded.tokens_out",
                [
                    (u.day, u.task, u.provider, u.model, u.requests, u.tokens_in, u.tokens_out)
                    for u in uses
                ],
            )

    def local_use(self, since: float) -> list[LocalUse]:
        """The sums of the days since then, oldest first."""
        day = datetime.fromtimestamp(since).strftime("%Y-%m-%d")
        rows = self._all("SELECT * FROM local_use WHERE day >= ? ORDER BY day", (day,))
        return [LocalUse(*row) for row in rows]

    # --- the file ---

    def _one(self, sql: str, values: Sequence[Any]) -> tuple[Any, ...] | None:
        with self._file.connected() as db:
            return db.execute(sql, values).fetchone()

    def _all(self, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        with self._file.connected() as db:
            return db.execute(sql, values).fetchall()

    def _unusable(self, error: Exception) -> LedgerError:
        return LedgerError(
            f"The ledger {self.path} cannot be used ({type(error).__name__}: {error}),"
            " so nothing is sent outside this machine.",
            "Free some disk space, or move the file away to begin a new one.",
        )


Migration = Callable[[sqlite3.Connection], object]


class Database:
    """A SQLite file that is opened when it is first used. One connection, one lock; safe to call
    from any thread. Trouble with the file (`troubles`) is raised as what `unusable` makes of it."""

    def __init__(
        self,
        path: Path,
        migrations: Sequence[Migration],
        unusable: Callable[[Exception], Exception],
        *,
        troubles: tuple[type[Exception], ...] = (sqlite3.Error, OSError),
        durable: bool = True,
    ) -> None:
        """`durable`: what was committed survives a power cut, else the last of it may be lost."""
        self.path = path
        self._migrations = migrations
        self._unusable = unusable
        self._troubles = troubles
        self._durable = durable
        self._lock = threading.Lock()
        self._open: sqlite3.Connection | None = None

    def close(self) -> None:
        """Close the file; a later use opens it again."""
        with self._lock:
            if self._open is not None:
                self._open.close()
            self._open = None

    @contextmanager
    def connected(self) -> Generator[sqlite3.Connection]:
        """Return the connection, for this caller alone until the end of the block."""
        with self._lock:
            try:
                if self._open is None:
                    self._open = connect(self.path, self._migrations)
                    if not self._durable:
                        self._open.execute("PRAGMA synchronous = NORMAL")
                yield self._open
            except self._troubles as error:
                raise self._unusable(error) from error

    @contextmanager
    def writing(self) -> Generator[sqlite3.Connection]:
        """The connection in one transaction: see `write`."""
        with self.connected() as db, write(db):
            yield db


class _TextConnection(sqlite3.Connection):
    """A connection that takes every text, also the path of a folder whose name is no UTF-8."""

    def execute(self, sql: str, values: Any = (), /) -> sqlite3.Cursor:
        """See `sqlite3.Connection`."""
        return super().execute(sql, _stored(values))

    def executemany(self, sql: str, rows: Any, /) -> sqlite3.Cursor:
        """See `sqlite3.Connection`."""
        return super().executemany(sql, map(_stored, rows))


def _stored(value: Any) -> Any:
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, Mapping):
        return {name: _stored(one) for name, one in value.items()}
    return tuple(map(_stored, value)) if isinstance(value, list | tuple) else value


def connect(path: Path, migrations: Sequence[Migration]) -> sqlite3.Connection:
    """Open `path` (made when missing, for the user alone) and bring it up to date."""
    private_database(path)
    # Autocommit: transactions are begun and ended by `write` alone.
    db = sqlite3.connect(
        path,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
        factory=_TextConnection,
    )
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        _migrate(db, migrations)
    except sqlite3.Error:
        db.close()
        raise
    return db


@contextmanager
def write(db: sqlite3.Connection) -> Generator[None]:
    """Run a transaction with the write lock from its beginning: committed, or rolled back."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def _migrate(db: sqlite3.Connection, migrations: Sequence[Migration]) -> None:
    with write(db):
        db.execute("CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY, at REAL)")
        done = {row[0] for row in db.execute("SELECT name FROM migrations")}
        for migration in migrations:
            if migration.__name__ not in done:
                migration(db)
                db.execute(
                    "INSERT INTO migrations VALUES (?, ?)", (migration.__name__, time.time())
                )


def m001_consent(db: sqlite3.Connection) -> None:
    """Create the table of decisions, a row for each workspace and provider."""
    db.execute(
        "CREATE TABLE consent (workspace TEXT, provider TEXT, destination TEXT, consent TEXT,"
        " at REAL, PRIMARY KEY (workspace, provider))"
    )


def m002_egress(db: sqlite3.Connection) -> None:
    """Create the ledger, a row for each request that was sent or about to be."""
    db.execute(
        "CREATE TABLE egress (id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL,"
        " workspace TEXT, provider TEXT, model TEXT, destination TEXT, task TEXT, files TEXT,"
        " bytes INTEGER, redactions TEXT, digest TEXT, content TEXT, outcome TEXT NOT NULL,"
        " tokens_in INTEGER, tokens_out INTEGER, price TEXT)"
    )
    db.execute("CREATE INDEX egress_at ON egress (at)")


def m003_local_use(db: sqlite3.Connection) -> None:
    """Sums of what local models did, by day."""
    db.execute(
        "CREATE TABLE local_use (day TEXT, task TEXT, provider TEXT, model TEXT,"
        " requests INTEGER, tokens_in INTEGER, tokens_out INTEGER,"
        " PRIMARY KEY (day, task, provider, model))"
    )


MIGRATIONS: tuple[Migration, ...] = (m001_consent, m002_egress, m003_local_use)

_COLUMNS = (
    "id, at, workspace, provider, model, destination, task, files, bytes, redactions, digest,"
    " content, outcome, tokens_in, tokens_out, price"
)


def _where(wanted: EntryFilter) -> tuple[str, list[Any]]:
    conditions = (
        ("at >= ?", wanted.since),
        ("at < ?", wanted.until),
        ("workspace = ?", wanted.workspace),
        ("provider = ?", wanted.provider),
        ("task = ?", wanted.task),
        ("substr(outcome, 1, length(?)) = ?", wanted.outcome),
        ("id < ?", wanted.before),
    )
    held = [(sql, value) for sql, value in conditions if value is not None]
    values = [value for sql, value in held for _ in range(sql.count("?"))]
    return " AND ".join(sql for sql, _ in held) or "1", values


def _entry(row: tuple[Any, ...]) -> LedgerEntry:
    sending = Sending(
        workspace=row[2],
        provider=row[3],
        model=row[4],
        destination=row[5],
        task=row[6],
        files=tuple((path, start, end) for path, start, end in json.loads(row[7])),
        bytes=row[8],
        redactions=tuple((kind, count) for kind, count in json.loads(row[9])),
        digest=row[10],
        content=row[11],
    )
    price = None if row[15] is None else Decimal(row[15])
    return LedgerEntry(row[0], row[1], sending, row[12], row[13], row[14], price)
