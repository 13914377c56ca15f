"""Vectors available at once: the static embedder's, until the real ones are made.

They are made with names and text, in the same pass, and are kept in a file beside the index. A line
names their embedder and the file; then records follow, a digest and a vector as int8. The file only
grows until no chunk lacks its real vector, and is then removed, so the index does not carry them. A
record that a kill has cut off is overwritten, and a record without a chunk is skipped.
`embedding.make_early` remakes the vectors of another table.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from io import FileIO
from pathlib import Path
from typing import Any

import apsw
import numpy as np

from nearfield.files.private import private_file
from nearfield.index.chunks import DIGEST_BYTES, Chunk
from nearfield.index.static_embedder import StaticEmbedder
from nearfield.index.vector_store import Bits, packed

FIRST_LOOK = 400
"""Candidates of the 1-bit pass; see `vector_store.FIRST_LOOK`."""
REMEMBERED = 20_000
"""Chunks that are not written twice: a file that is typed in comes again and again with nearly the
same ones."""
READ_BATCH = 4_096
FILE_BYTES = 8
"""Tell a file from the one that was there before."""


class _File:
    """The file's form. A record is a digest and a vector."""

    def __init__(self, path: Path, embedder: StaticEmbedder) -> None:
        self._path = path
        self._embedder = embedder

    @property
    def _kind(self) -> bytes:
        return f"{self._embedder.name} {self._embedder.dimensions} ".encode()

    @property
    def _start(self) -> int:
        """Offset of the records: after the kind, the file's identifier, and the line's end."""
        return len(self._kind) + 2 * FILE_BYTES + 1

    @property
    def _record(self) -> int:
        return DIGEST_BYTES + self._embedder.dimensions


class EarlyWriter(_File):
    """Makes and stores early vectors, in the process that builds. What the disk refuses is left
    out: the real vectors follow in any case."""

    def __init__(self, path: Path, embedder: StaticEmbedder) -> None:
        """Cheap; nothing is read or written before there is something to add."""
        super().__init__(path, embedder)
        self._file: FileIO | None = None
        self._known: set[bytes] = set()

    def add(self, chunks: Sequence[Chunk]) -> None:
        """Make the vectors of chunks."""
        fresh = {one.digest: one for one in chunks}
        fresh = {digest: one for digest, one in fresh.items() if digest not in self._known}
        if not fresh:
            return
        if len(self._known) > REMEMBERED:
            self._known.clear()
        self._known.update(fresh)
        rows = packed(self._embedder.embed([one.meaning for one in fresh.values()]))
        records = b"".join(digest + row.tobytes() for digest, row in zip(fresh, rows, strict=True))
        whole = False
        with contextlib.suppress(OSError):
            whole = self._opened().write(records) == len(records)
        if not whole and self._file is not None:
            self._file.close()
            self._file = None  # what was written of a record is cut off when it is opened again

    def held(self) -> set[bytes]:
        """The digests of those that are there, of this embedder."""
        found: set[bytes] = set()
        with contextlib.suppress(OSError), self._path.open("rb") as file:
            if file.read(self._start).startswith(self._kind):
                while batch := file.read(READ_BATCH * self._record):
                    whole = len(batch) - len(batch) % self._record
                    found.update(
                        batch[at : at + DIGEST_BYTES] for at in range(0, whole, self._record)
                    )
        return found

    @property
    def exists(self) -> bool:
        """Return whether there is a file, of any embedder."""
        return self._path.is_file()

    def _opened(self) -> FileIO:
        if self._file is None:
            file = FileIO(private_file(self._path), "a+")
            file.seek(0)
            size = os.fstat(file.fileno()).st_size
            if size < self._start or file.read(len(self._kind)) != self._kind:
                file.truncate(0)
                file.write(self._kind + os.urandom(FILE_BYTES).hex().encode() + b"\n")
            else:
                file.truncate(size - (size - self._start) % self._record)
            self._file = file
        return self._file

    def close(self) -> None:
        """Keep what there is for the next one."""
        self._known.clear()
        if self._file is not None:
            self._file.close()
            self._file = None

    def remove(self) -> None:
        """Every chunk has its real vector."""
        self.close()
        with contextlib.suppress(OSError):  # a reader on Windows: the next time, then
            self._path.unlink(missing_ok=True)


class EarlyReader(_File):
    """Searches them. One thread at a time."""

    def __init__(self, path: Path, embedder: StaticEmbedder, db: apsw.Connection) -> None:
        """`db` is the index that the file lies beside."""
        super().__init__(path, embedder)
        self._db = db
        self._bits: Bits | None = None
        self._head = b""
        """Header of the file that was read last."""

    def __len__(self) -> int:
        """Return their number without loading the embedder; mostly 0, as the file is
        then deleted.
        """
        try:
            size = self._path.stat().st_size
        except OSError:
            if self._bits is not None:
                self._bits = None
                self._embedder.unload()
            return 0
        return size // self._record

    def nearest(self, query: str, limit: int) -> list[tuple[int, float]]:
        """The chunks nearest to a question, with the cosine."""
        try:
            wanted = self._embedder.embed([query])[0]
            with self._path.open("rb", buffering=0) as file:
                records = self._records(file, wanted, max(FIRST_LOOK, limit))
        except OSError:
            return []
        matrix = np.array([np.frombuffer(one[DIGEST_BYTES:], np.int8) for one in records])
        if not len(matrix):
            return []
        matrix = matrix.astype(np.float32)
        cosines = matrix @ wanted / np.maximum(np.linalg.norm(matrix, axis=1), 1e-6)
        best: dict[bytes, float] = {}
        for at in np.argsort(-cosines)[:limit]:
            best.setdefault(records[at][:DIGEST_BYTES], float(cosines[at]))
        found = [
            (int(row[0]), cosine)
            for digest, cosine in best.items()
            for row in self._db.execute("SELECT id FROM chunk WHERE digest = ?", (digest,))
        ]
        return found[:limit]

    def _records(self, file: Any, wanted: Any, count: int) -> list[bytes]:
        """Return the records whose signs are most like the question's."""
        bits = self._caught_up(file)
        if bits is None:
            return []
        records: list[bytes] = []
        for number in bits.nearest(wanted, count):
            file.seek(self._start + (number - 1) * self._record)
            records.append(file.read(self._record))
        return [one for one in records if len(one) == self._record]

    def _caught_up(self, file: Any) -> Bits | None:
        """The bits of every record; they are numbered from 1."""
        head = file.read(self._start)
        if not head.startswith(self._kind):
            return None
        if self._bits is None or head != self._head:
            self._bits, self._head = Bits(self._embedder.dimensions), head
        file.seek(self._start + self._bits.last * self._record)
        while batch := file.read(READ_BATCH * self._record):
            whole = len(batch) // self._record
            if not whole:
                break
            held = np.frombuffer(batch[: whole * self._record], np.int8)
            rows = held.reshape(whole, self._record)[:, DIGEST_BYTES:]
            first = self._bits.last + 1
            self._bits.extend(np.arange(first, first + whole, dtype=np.int64), rows)
        return self._bits
