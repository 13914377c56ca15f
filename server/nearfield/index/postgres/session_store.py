"""A connection to the database, and the user's view of its errors.

Every error is an `IndexUnusable`. A message names the database without user and password.
"""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfield.files.lines import split_lines
from nearfield.index.interface import IndexUnusable
from nearfield.index.shared import Shared
from nearfield.index.vector_store import FIRST_LOOK
from nearfield.providers.address import is_loopback_host

if TYPE_CHECKING:
    import psycopg

CONNECT_SECONDS = 3
ASKED_MS = 5_000
"""A question that takes longer is given up; the slowest measured takes a hundredth."""
LOST_MS = 5_000
"""Time for an answer to a packet before the connection counts as lost."""
READING = (
    f"hnsw.ef_search TO {FIRST_LOOK}",  # as many as the first look wants, and no fewer
    "pg_trgm.similarity_threshold TO 0.1",  # candidates; `words.likest` decides
    "enable_seqscan TO off",  # every question has its index; the estimates for words do not know
    "jit TO off",  # compiling takes longer than any question
)
SYSTEM_ROOTS = 16_00_00
"""From this version on libpq can check a server's certificate against the system's roots."""


class DatabaseSession:
    """A connection with one workspace's schema in its search path. One thread at a time."""

    def __init__(self, shared: Shared, *, write: bool) -> None:
        """Connects. Raises `IndexUnusable`, at once when the last try was a moment ago."""
        self.shared = shared
        if shared.rest.is_resting and not write:
            raise IndexUnusable(shared.rest.why, shared.rest.hint)
        self._write = write
        self.db = _connected(shared, write=write)

    def close(self) -> None:
        """End the connection; safe to call twice, and when it is lost."""
        if self._write and not self.db.closed:
            # The database would let go of the lock by itself, but a moment later.
            with suppress(IndexUnusable):
                self.run("SELECT pg_advisory_unlock_all()")
        self.db.close()

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        with self.trouble():
            return self.db.execute(sql.encode(), parameters).fetchall()

    def value(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        """The first column of the first row, None when there is no row."""
        found = self.rows(sql, parameters)
        return found[0][0] if found else None

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        """Do something that yields nothing."""
        with self.trouble():
            self.db.execute(sql.encode(), parameters)

    @contextmanager
    def transaction(self) -> Generator[None]:
        """All of it or nothing; several statements travel together."""
        with self.trouble(), self.db.pipeline(), self.db.transaction():
            yield

    @contextmanager
    def trouble(self) -> Generator[None]:
        """Any trouble with the database is an `IndexUnusable`."""
        import psycopg

        try:
            yield
        except psycopg.Error as error:
            if self.db.broken or self.db.closed:
                why, hint = f"The shared index {self.shared.where} is out of reach.", ""
                self.shared.rest.failed(why, hint)
            else:
                why = f"The shared index {self.shared.where} cannot be used ({_kind(error)})."
                hint = _HINTS.get(_kind(error), "")
            raise IndexUnusable(why, hint) from error


_HINTS = {
    "InsufficientPrivilege": "Let an administrator of the database grant the rights that"
    " docs/shared-index.md lists.",
    "DiskFull": "Free some space on the database's machine; what is indexed stays.",
    "ReadOnlySqlTransaction": "Name the server that can be written, not its replica.",
}


def _kind(error: psycopg.Error) -> str:
    return type(error).__name__


def _connected(shared: Shared, *, write: bool) -> psycopg.Connection[Any]:
    try:
        import psycopg
        from psycopg.conninfo import conninfo_to_dict
    except ImportError as error:
        raise IndexUnusable(
            f"The shared index {shared.where} needs psycopg, which is not installed.",
            'Run `pip install "nearfield[postgres]"`, or take index.store out of your settings.',
        ) from error

    if not shared.url.startswith(("postgresql://", "postgres://")):
        raise IndexUnusable(
            "index.store is no address of a PostgreSQL database.",
            "Write postgresql://USER@HOST/DATABASE; the password belongs into PGPASSFILE.",
        )
    try:
        given = conninfo_to_dict(shared.url)
    except psycopg.ProgrammingError:
        # Not `from error`: its text repeats the address.
        raise IndexUnusable(
            "index.store cannot be read as an address.",
            "Write postgresql://USER@HOST/DATABASE; special characters as %XX.",
        ) from None
    if given.get("password"):
        raise IndexUnusable(
            "index.store holds a password.",
            "Take it out, and put it into ~/.pgpass, PGPASSFILE or PGPASSWORD.",
        )
    wanted: dict[str, Any] = {**given, **secured(given, os.environ, psycopg.pq.version())}
    wanted.setdefault("connect_timeout", CONNECT_SECONDS)
    wanted.setdefault("tcp_user_timeout", LOST_MS)
    wanted.setdefault("application_name", "nearfield")
    began = time.monotonic()
    try:
        db = psycopg.Connection[Any].connect(**wanted, autocommit=True)
        db.execute(f"SET search_path TO {_path(db, shared.schema)}".encode())
        if not write:
            db.execute("SET default_transaction_read_only TO on")
            db.execute(f"SET statement_timeout TO {ASKED_MS}".encode())
            for setting in READING:
                db.execute(f"SET {setting}".encode())
    except psycopg.Error as error:
        # libpq's first line says what is wrong; it names host and user, never a password.
        said = next(iter(split_lines(str(error))), "")
        why = f"The shared index {shared.where} is out of reach: {said}."
        hint = "Check index.store, the network and the password (PGPASSFILE)."
        shared.rest.failed(why, hint, time.monotonic() - began)
        raise IndexUnusable(why, hint) from error
    return db


def secured(
    given: Mapping[str, Any], environ: Mapping[str, str], libpq: int, home: Path | None = None
) -> dict[str, str]:
    """Return what an address needs so that the connection to another machine is encrypted and the
    machine verified. Empty if the user has named an `sslmode`, or all hosts are local.
    """
    if given.get("sslmode") or environ.get("PGSSLMODE"):
        return {}
    hosts = f"{given.get('host') or environ.get('PGHOST', '')}".split(",")
    hosts += f"{given.get('hostaddr') or environ.get('PGHOSTADDR', '')}".split(",")
    elsewhere = given.get("service") or environ.get("PGSERVICE")
    if not elsewhere and all(
        not host or host.startswith(("/", "@")) or is_loopback_host(host) for host in hosts
    ):
        return {}
    added = {"sslmode": "verify-full"}
    roots = (home or Path.home()) / ".postgresql" / "root.crt"
    named = given.get("sslrootcert") or environ.get("PGSSLROOTCERT")
    if not named and libpq >= SYSTEM_ROOTS and not roots.exists():
        added["sslrootcert"] = "system"
    return added


def _path(db: psycopg.Connection[Any], schema: str) -> str:
    """The schema, and those in which the extensions are."""
    found = db.execute(
        "SELECT quote_ident(nspname) FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace"
        " WHERE extname IN ('vector', 'pg_trgm')"
    ).fetchall()
    return ", ".join(dict.fromkeys([schema, *(str(row[0]) for row in found), "public"]))
