"""Vectors in the index: int8 for the ranking, one bit a dimension for the first look.

A vector belongs to a content (its digest) and an embedder, not to a file: a chunk that moves, or
comes back with a branch, is never embedded again. A query compares the signs of every vector, which
are held in memory (see `Bits`), and ranks the nearest few hundred by their int8 vectors.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import islice
from typing import Any

import apsw
import numpy as np

SCALE = 127.0
FIRST_LOOK = 200
"""Candidates of the 1-bit pass: on CoSQA MRR is 0.5199 with 128, 0.5223 with 200, 0.5227 with 512;
each costs a look into the table."""
LOAD_BATCH = 4_096
SPARE_SHARE = 0.5
"""Vectors of deleted contents may reach this share of the others before they are dropped: a branch
may come back.
"""


class SqliteVectors:
    """The vectors of one embedder. One thread at a time."""

    def __init__(self, db: apsw.Connection, name: str, dimensions: int) -> None:
        self._db = db
        self._name = name
        self._dimensions = dimensions
        self._id: int | None = self._known_id()
        self._bits = Bits(dimensions)
        self._version: object = None

    def _known_id(self) -> int | None:
        return self._db.execute("SELECT id FROM embedder WHERE name = ?", (self._name,)).get

    @property
    def is_empty(self) -> bool:
        """Return whether there are no vectors to search."""
        if self._id is None:
            self._id = self._known_id()
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

    def missing(self, near: Sequence[str], limit: int) -> list[str]:
        """Files that hold chunks without a vector, the most relevant first: `near` (open files),
        then the most recently changed."""
        rows = self._db.execute(
            "SELECT path FROM file WHERE reason = '' AND EXISTS (SELECT 1 FROM chunk WHERE"
            " chunk.id >= file.chunk AND chunk.id < file.chunk + file.chunks AND NOT EXISTS"
            " (SELECT 1 FROM vector WHERE embedder = ?1 AND vector.digest = chunk.digest))"
            " ORDER BY holder IS NULL, changed DESC LIMIT ?2",
            (self._id, max(limit, len(near) + limit)),
        )
        found = [os.fsdecode(row[0]) for row in rows]
        first = set(near)
        return sorted(found, key=lambda path: path not in first)[:limit]

    def pending(self) -> int:
        """Return the number of distinct contents without a vector."""
        row: Any = self._db.execute(
            "SELECT count(DISTINCT digest) FROM chunk WHERE NOT EXISTS (SELECT 1 FROM vector"
            " WHERE embedder = ? AND vector.digest = chunk.digest)",
            (self._id,),
        ).get
        return int(row or 0)

    def lacking(self, digests: Sequence[bytes]) -> list[bytes]:
        """Return the digests of `digests` without a vector, each once."""
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
        with self._db:
            self._db.executemany(
                "INSERT OR IGNORE INTO vector (embedder, digest, data) VALUES (?, ?, ?)",
                [
                    (self._id, digest, row.tobytes())
                    for digest, row in zip(digests, packed(vectors), strict=True)
                ],
            )
        self._version = None

    def nearest(self, query: Any, limit: int) -> list[tuple[int, float]]:
        """The chunks nearest to a unit vector, with the cosine; [] while there are no vectors."""
        if self._id is None:
            return []
        self._catch_up()
        candidates = self._bits.nearest(query, max(FIRST_LOOK, limit))
        rows = list(
            self._db.execute(
                "SELECT id, data FROM vector WHERE id IN (SELECT value FROM json_each(?))"
                " AND +embedder = ?",  # by id, not by the index of embedders
                (str(candidates), self._id),
            )
        )
        if not rows:
            return []
        held = np.frombuffer(b"".join(row[1] for row in rows), np.int8)
        matrix = held.reshape(len(rows), self._dimensions).astype(np.float32)
        cosines = matrix @ query / np.maximum(np.linalg.norm(matrix, axis=1), 1e-6)
        best = {rows[at][0]: float(cosines[at]) for at in np.argsort(-cosines)[:limit]}
        chunks = self._db.execute(
            "SELECT vector.id, chunk.id FROM json_each(?) AS wanted"
            " JOIN vector ON vector.id = wanted.value JOIN chunk USING (digest)",
            (str(list(best)),),
        )
        found = [(int(chunk), best[vector]) for vector, chunk in chunks]
        found.sort(key=lambda pair: (-pair[1], pair[0]))
        return found[:limit]

    def _catch_up(self) -> None:
        """Hold the bits of every vector that is stored."""
        version = self._db.execute("PRAGMA data_version").get
        if version == self._version:
            return
        self._version = version
        total = self._db.execute("SELECT count(*) FROM vector WHERE embedder = ?", (self._id,)).get
        if int(total or 0) < len(self._bits):
            self._bits = Bits(self._dimensions)  # some are deleted, and their ids are used again
        rows = self._db.execute(
            "SELECT id, data FROM vector WHERE id > ? AND embedder = ? ORDER BY id",
            (self._bits.last, self._id),
        )
        while batch := list(islice(rows, LOAD_BATCH)):
            held = np.frombuffer(b"".join(row[1] for row in batch), np.int8)
            ids = np.array([row[0] for row in batch], np.int64)
            self._bits.extend(ids, held.reshape(len(batch), self._dimensions))

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
        self._version = None
        return len(gone)


def packed(vectors: Any) -> Any:
    """Unit vectors as int8; each is scaled by its own largest component, as only the direction
    counts."""
    largest = np.maximum(np.abs(vectors).max(axis=1, keepdims=True), 1e-9)
    return np.round(vectors / largest * SCALE).astype(np.int8)


GROWTH = 1.25
"""Growth factor of the array when it is full."""


class Bits:
    """Sign bits of vectors by id. One thread at a time."""

    def __init__(self, dimensions: int) -> None:
        self._words = (dimensions + 63) // 64
        # A row for each word of the vectors: numpy is four times as fast row by row.
        self._matrix: Any = np.zeros((self._words, 0), np.uint64)
        self._ids: Any = np.zeros(0, np.int64)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def last(self) -> int:
        """The highest id, 0 when there is none."""
        return int(self._ids[self._count - 1]) if self._count else 0

    def extend(self, ids: Any, vectors: Any) -> None:
        """Take in vectors, one row for each id; the ids are higher than all before."""
        end = self._count + len(ids)
        if end > len(self._ids):
            room = max(int(len(self._ids) * GROWTH), end)
            self._matrix = _grown(self._matrix, room)
            self._ids = _grown(self._ids, room)
        self._matrix[:, self._count : end] = self._packed(vectors).T
        self._ids[self._count : end] = ids
        self._count = end

    def nearest(self, query: Any, count: int) -> list[int]:
        """The ids of the vectors with most signs in common with `query`, in no order; more than
        `count` where several are equally far."""
        if not self._count:
            return []
        signs = self._packed(query[None, :])[0]
        distances = np.zeros(self._count, np.uint16)
        for row, word in zip(self._matrix, signs, strict=True):
            distances += np.bitwise_count(row[: self._count] ^ word)
        within = np.cumsum(np.bincount(distances))
        furthest = int(np.searchsorted(within, min(count, self._count)))
        return [int(one) for one in self._ids[: self._count][distances <= furthest]]

    def _packed(self, vectors: Any) -> Any:
        rows = np.packbits(vectors > 0, axis=1)
        padded = np.zeros((len(rows), self._words * 8), np.uint8)
        padded[:, : rows.shape[1]] = rows
        return padded.view(np.uint64)


def _grown(array: Any, length: int) -> Any:
    """The same with room for `length` in the last dimension."""
    larger = np.zeros((*array.shape[:-1], length), array.dtype)
    larger[..., : array.shape[-1]] = array
    return larger
