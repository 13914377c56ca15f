"""An index in PostgreSQL, which a team shares: one builder writes it, all others read.

Each workspace has a schema of its own. Code itself is not in it: its words, names, paths, positions
and vectors are. Displayed text comes from the reader's own checkout, if the file is the same there.
Needs `psycopg` (`pip install "nearfield[postgres]"`), and on the server `pgvector` and `pg_trgm`.
"""

from __future__ import annotations

from nearfield.index.interface import IndexStore, TeamReader
from nearfield.index.postgres.search_store import PostgresReader
from nearfield.index.postgres.store import PostgresStore
from nearfield.index.shared import Shared


def reader(shared: Shared) -> TeamReader:
    """Open the index for reading. Raises `NotShared`, `IndexUnusable`."""
    return PostgresReader(shared)


def taken(shared: Shared) -> IndexStore | None:
    """Open the index for writing, None while another builder does. Raises `IndexUnusable`."""
    return PostgresStore.taken(shared)
