"""Vectors in PostgreSQL, by pgvector: single bits for the first look, then the vectors themselves.

As in the file (see `index.vector_store`) a vector belongs to a content and an embedder. Its signs
are in an HNSW index, which takes a twentieth of the space of one over the vectors; the nearest few
hundred are ranked by their cosine. The numbers are the file's: integers up to 127, which half
precision holds exactly.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from nearfield.index.interface import IndexUnusable
from nearfield.index.postgres.session_store import DatabaseSession
from nearfield.index.vector_store import FIRST_LOOK, SPARE_SHARE, packed


class PostgresVectors:
    """The vectors of one embedder. One thread at a time."""

    def __init__(self, session: DatabaseSession, name: str, dimensions: int) -> None:
        self._session = session
        self._name = name
        self._dimensions = dimensions
        self._id: int | None = None

    def _table(self) -> str | None:
        """The embedder's table, None while there is none."""
        if self._id is None:
            found = self._session.value(
                "SELECT id FROM embedder WHERE name = %s AND dimensions = %s",
                [self._name, self._dimensions],
            )
            self._id = None if found is None else int(found)
        return None if self._id is None else f"vector_{self._id}"

    def _prepared(self) -> str:
        table = self._table()
        if table is None:
            raise IndexUnusable("The vectors were asked for before there was room for them.")
        return table

    @property
    def is_empty(self) -> bool:
        """Return whether there are no vectors to search."""
        table = self._table()
        return table is None or not self._session.rows(f"SELECT 1 FROM {table} LIMIT 1")

    def prepare(self) -> None:
        """Make room for this embedder's vectors. The caller may write."""
        if self._table() is not None:
            return
        session, wide = self._session, self._dimensions
        with session.trouble(), session.db.transaction():
            number = session.value(
                "INSERT INTO embedder (name, dimensions) VALUES (%s, %s) RETURNING id",
                [self._name, wide],
            )
            session.run(
                f"CREATE TABLE vector_{number} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
                f" digest bytea NOT NULL UNIQUE, data halfvec({wide}) NOT NULL)"
            )
            session.run(
                f"CREATE INDEX ON vector_{number} USING hnsw"
                f" ((binary_quantize(data)::bit({wide})) bit_hamming_ops)"
            )

    def missing(self, near: Sequence[str], limit: int) -> list[str]:
        """See `VectorTable`."""
        rows = self._session.rows(
            "SELECT path FROM file WHERE reason = '' AND EXISTS (SELECT FROM chunk WHERE"
            f" chunk.file = file.id AND NOT EXISTS (SELECT FROM {self._prepared()} v"
            " WHERE v.digest = chunk.digest)) ORDER BY changed DESC, path LIMIT %s",
            [max(limit, len(near) + limit)],
        )
        found = [os.fsdecode(row[0]) for row in rows]
        first = set(near)
        return sorted(found, key=lambda path: path not in first)[:limit]

    def pending(self) -> int:
        """Return the number of distinct contents without a vector."""
        found = self._session.value(
            "SELECT count(DISTINCT digest) FROM chunk WHERE NOT EXISTS"
            f" (SELECT FROM {self._prepared()} v WHERE v.digest = chunk.digest)"
        )
        return int(found)

    def lacking(self, digests: Sequence[bytes]) -> list[bytes]:
        """Return the digests of `digests` without a vector, each once."""
        rows = self._session.rows(
            f"SELECT digest FROM {self._prepared()} WHERE digest = ANY(%s::bytea[])",
            [list(digests)],
        )
        held = {bytes(row[0]) for row in rows}
        return [digest for digest in dict.fromkeys(digests) if digest not in held]

    def add(self, digests: Sequence[bytes], vectors: Any) -> None:
        """Store unit vectors, one row for each digest, in one transaction."""
        table = self._prepared()
        texts = [f"[{','.join(map(str, row.tolist()))}]" for row in packed(vectors)]
        with self._session.transaction():
            self._session.run(
                f"WITH new AS (INSERT INTO {table} (digest, data)"
                f" SELECT digest, data::halfvec({self._dimensions})"
                " FROM unnest(%s::bytea[], %s::text[]) AS t (digest, data)"
                " ON CONFLICT DO NOTHING RETURNING 1)"
                " UPDATE embedder SET made = made + (SELECT count(*) FROM new) WHERE id = %s",
                [list(digests), texts, self._id],
            )

    def nearest(self, query: Any, limit: int) -> list[tuple[int, float]]:
        """The chunks nearest to a unit vector, with the cosine; [] while there are no vectors."""
        table = self._table()
        if table is None:
            return []
        wide, asked = self._dimensions, max(FIRST_LOOK, limit)
        text = f"[{','.join(f'{number:.5g}' for number in query.tolist())}]"
        rows = self._session.rows(
            f"WITH asked AS MATERIALIZED (SELECT %s::halfvec({wide}) AS vector),"
            f" close AS MATERIALIZED (SELECT digest, data FROM {table}"
            f" ORDER BY binary_quantize(data)::bit({wide}) <~>"
            f" binary_quantize(%s::halfvec({wide}))::bit({wide}) LIMIT %s)"
            " SELECT chunk.id, 1 - (close.data <=> asked.vector) AS cosine"
            " FROM asked, close JOIN chunk USING (digest) ORDER BY cosine DESC, chunk.id LIMIT %s",
            [text, text, asked, limit],
        )
        return [(int(chunk), float(cosine)) for chunk, cosine in rows]

    def tidy(self) -> int:
        """Drop vectors that no chunk uses when they have become many; returns how many went."""
        table = self._prepared()
        unused = f"NOT EXISTS (SELECT FROM chunk WHERE chunk.digest = {table}.digest)"
        gone, total = self._session.rows(
            f"SELECT count(*) FILTER (WHERE {unused}), count(*) FROM {table}"
        )[0]
        if not gone or gone < SPARE_SHARE * (total - gone):
            return 0
        with self._session.transaction():
            self._session.run(f"DELETE FROM {table} WHERE {unused}")
            self._session.run(
                "UPDATE embedder SET made = %s WHERE id = %s", [total - gone, self._id]
            )
        return int(gone)
