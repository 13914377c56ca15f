"""Vectors in the index: int8 for the ranking, one bit a dimension for the first look.

A vector belongs to a content (its digest) and an embedder, not to a file: a chunk that moves, or
comes back with a branch, is never embedded again. A query scans the bits of every vector (48 bytes
each, so 1 million in about 50 ms) and ranks the nearest few hundred by their int8 vectors.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import apsw
import numpy as np

SCALE = 127.0
FIRST_LOOK = 200
"""Candidates of the 1-bit pass: on CoSQA MRR is 0.5199 with 128, 0.5223 with 200, 0.5227 with 512,
and the time of the scan grows with them (2 ms with 128, 10 ms with 512, at 14,000 vectors)."""
SPARE_SHARE = 0.5
"""Vectors of contents that are gone may be this share of the others (a branch that may come back)
before they are dropped."""


class Vectors:
    """The vectors of one embedder. One thread at a time."""

    def __init__(self, db: apsw.Connection, name: str, dimensions: int) -> None:
        self._db = db
        self._name = name
        self._dimensions = dimensions
        self._id: int | None = db.execute("SELECT id FROM embedder WHERE name = ?", (name,)).get

    @property
    def _bits(self) -> str:
        return f"bits_{self._id}"

    @property
    def empty(self) -> bool:
        """Whether there is nothing to search in."""
        if self._id is None:
            return True
        one = self._db.execute("SELECT 1 FROM vector WHERE embedder = ? LIMIT 1", (self._id,)).get
        return one is None

    def prepare(self) -> None:
        """Make room for this embedder's vectors. The caller may write."""
        if self._id is not None:
            return
        with self._db:
            self._db.execute(
                "INSERT INTO embedder (name, dimensions) VALUES (?, ?)",
                (self._name, self._dimensions),
            )
            self._id = self._db.last_insert_rowid()
            self._db.execute(
                f"CREATE VIRTUAL TABLE {self._bits} USING vec0 (bits bit[{self._dimensions}])"
            )

    def missing(self, near: Sequence[str], limit: int) -> list[str]:
        """Files that hold chunks without a vector, the most relevant first: `near` (open files),
        then the most recently changed."""
        rows = self._db.execute(
            "SELECT path FROM file WHERE reason = '' AND EXISTS (SELECT 1 FROM chunk WHERE"
            " chunk.file = file.id AND NOT EXISTS (SELECT 1 FROM vector WHERE embedder = ?1 AND"
            " vector.digest = chunk.digest)) ORDER BY holder IS NULL, changed DESC LIMIT ?2",
            (self._id, max(limit, len(near) + limit)),
        )
        found = [os.fsdecode(row[0]) for row in rows]
        first = set(near)
        return sorted(found, key=lambda path: path not in first)[:limit]

    def pending(self) -> int:
        """How many different contents have no vector."""
        row: Any = self._db.execute(
            "SELECT count(DISTINCT digest) FROM chunk WHERE NOT EXISTS (SELECT 1 FROM vector"
            " WHERE embedder = ? AND vector.digest = chunk.digest)",
            (self._id,),
        ).get
        return int(row or 0)

    def lacking(self, digests: Sequence[bytes]) -> list[bytes]:
        """Those of `digests` that have no vector, each once."""
        return [
            digest
            for digest in dict.fromkeys(digests)
            if self._db.execute(
                "SELECT 1 FROM vector WHERE embedder = ? AND digest = ?", (self._id, digest)
            ).get
            is None
        ]

    def add(self, digests: Sequence[bytes], vectors: Any) -> None:
        """Store unit vectors, one row for each digest, in one transaction."""
        small = packed(vectors)
        with self._db:
            for digest, row, bits in zip(digests, small, _bits_of(vectors), strict=True):
                self._db.execute(
                    "INSERT OR IGNORE INTO vector (embedder, digest, data) VALUES (?, ?, ?)",
                    (self._id, digest, row.tobytes()),
                )
                if self._db.changes():
                    self._db.execute(
                        f"INSERT INTO {self._bits} (rowid, bits) VALUES (?, vec_bit(?))",
                        (self._db.last_insert_rowid(), bits.tobytes()),
                    )

    def nearest(self, query: Any, limit: int) -> list[tuple[int, float]]:
        """The chunks nearest to a unit vector, with the cosine; [] while there are no vectors."""
        if self._id is None:
            return []
        rows = list(
            self._db.execute(
                "SELECT vector.id, data FROM vector WHERE id IN (SELECT rowid FROM"
                f" {self._bits} WHERE bits MATCH vec_bit(?) AND k = ?)",
                (_bits_of(query[None, :])[0].tobytes(), max(FIRST_LOOK, limit)),
            )
        )
        if not rows:
            return []
        held = np.frombuffer(b"".join(row[1] for row in rows), np.int8)
        matrix = held.reshape(len(rows), self._dimensions).astype(np.float32)
        cosines = matrix @ query / np.maximum(np.linalg.norm(matrix, axis=1), 1e-6)
        found: list[tuple[int, float]] = []
        for at in np.argsort(-cosines):
            chunks = self._db.execute(
                "SELECT chunk.id FROM vector JOIN chunk USING (digest) WHERE vector.id = ?",
                (rows[at][0],),
            )
            found.extend((int(chunk[0]), float(cosines[at])) for chunk in chunks)
            if len(found) >= limit:
                break
        return found[:limit]

    def tidy(self) -> int:
        """Drop vectors that no chunk uses when they have become many; returns how many went."""
        unused = (
            "SELECT id FROM vector WHERE embedder = ? AND digest NOT IN (SELECT digest FROM chunk)"
        )
        gone = [row[0] for row in self._db.execute(unused, (self._id,))]
        total = self._db.execute("SELECT count(*) FROM vector WHERE embedder = ?", (self._id,)).get
        if not gone or len(gone) < SPARE_SHARE * (int(total or 0) - len(gone)):
            return 0
        with self._db:
            for one in gone:
                self._db.execute("DELETE FROM vector WHERE id = ?", (one,))
                self._db.execute(f"DELETE FROM {self._bits} WHERE rowid = ?", (one,))
        return len(gone)


def packed(vectors: Any) -> Any:
    """Unit vectors as int8; each is scaled by its own largest component, as only the direction
    counts."""
    largest = np.maximum(np.abs(vectors).max(axis=1, keepdims=True), 1e-9)
    return np.round(vectors / largest * SCALE).astype(np.int8)


def _bits_of(vectors: Any) -> Any:
    """The signs, one bit a dimension."""
    return np.packbits(vectors > 0, axis=1)
