"""Interface of an index, independent of its storage.

There are two: a file on this machine (`store`, `search_store`, `vector_store`: the default, which
needs nothing) and a database that a team shares (`postgres/`). Both answer the same questions with
the same numbers, so that the ranking in `search` is one and the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from nearfield.errors import NearfieldError
from nearfield.index.chunks import Chunk
from nearfield.index.files import FileStamp
from nearfield.index.symbols import NO_SYMBOLS, Outline


class IndexUnusable(NearfieldError):
    """The index cannot be read or written."""


class NotShared(IndexUnusable):
    """The team's database can be reached and holds no index of this workspace."""


@dataclass(frozen=True, slots=True)
class KnownFile:
    """The index's record of a file. `holder` is the process of which it is an open buffer."""

    id: int
    stamp: FileStamp | None
    digest: bytes
    reason: str
    holder: int | None


@dataclass(frozen=True, slots=True)
class FileContent:
    """A file as it is written to the index. `reason` says why its text is left out."""

    path: str
    stamp: FileStamp | None
    digest: bytes
    bytes: int
    language: str = ""
    reason: str = ""
    text: str = ""
    chunks: Sequence[Chunk] = ()
    outline: Outline = NO_SYMBOLS
    changed: float = 0.0
    holder: int | None = None


@dataclass(frozen=True, slots=True)
class IndexedSymbol:
    """A definition or a reference. Rows and columns count from 0; `last` is included."""

    path: str
    name: str
    kind: str
    container: str
    row: int
    column: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class ChunkRow:
    """A chunk as it is stored. `first` and `last` are rows from 0, `last` not included; `changed`
    is when its file changed, in seconds since the epoch."""

    id: int
    path: str
    first: int
    last: int
    kind: str
    name: str
    symbol: str
    language: str
    digest: bytes
    changed: float


@dataclass(frozen=True, slots=True)
class IndexedText:
    """Evidence for trusting a file's text: the digest of the indexed text, and the text itself if
    it is an open buffer's.
    """

    digest: bytes
    text: str | None


@dataclass(frozen=True, slots=True)
class IndexCounts:
    """Size of the index."""

    files: int
    bytes: int
    chunks: int
    definitions: int
    vectors: int
    disk_bytes: int


class NearestChunks(Protocol):
    """Vectors that can be searched."""

    def nearest(self, query: Any, limit: int) -> list[tuple[int, float]]:
        """The chunks nearest to a unit vector, with the cosine; [] while there are no vectors."""
        ...


class VectorTable(NearestChunks, Protocol):
    """The vectors of one embedder. One thread at a time."""

    @property
    def is_empty(self) -> bool:
        """Return whether there are no vectors to search."""
        ...

    def prepare(self) -> None:
        """Make room for this embedder's vectors. The caller may write."""
        ...

    def missing(self, near: Sequence[str], limit: int) -> list[str]:
        """Files that hold chunks without a vector, the most relevant first: `near` (open files),
        then the most recently changed."""
        ...

    def pending(self) -> int:
        """Return the number of distinct contents without a vector."""
        ...

    def lacking(self, digests: Sequence[bytes]) -> list[bytes]:
        """Return the digests of `digests` without a vector, each once."""
        ...

    def add(self, digests: Sequence[bytes], vectors: Any) -> None:
        """Store unit vectors, one row for each digest, in one transaction."""
        ...

    def tidy(self) -> int:
        """Drop vectors that no chunk uses when they have become many; returns how many went."""
        ...


class IndexReader(Protocol):
    """An index, open for reading. Every question may raise `IndexUnusable`."""

    def close(self) -> None:
        """Ask nothing after it."""
        ...

    def vectors(self, name: str, dimensions: int) -> NearestChunks:
        """The vectors of the embedder of that name."""
        ...

    def vectors_of(self, embedder: str) -> int:
        """Return the number of vectors made by an embedder."""
        ...

    def full_text(self, words: Sequence[str], limit: int) -> list[tuple[int, float]]:
        """Chunks that hold any of `words`, the best first, with a positive score. Words that nearly
        every chunk holds are left out as long as another one is there."""
        ...

    def rows(self, ids: Iterable[int]) -> dict[int, ChunkRow]:
        """Return chunks by id; deleted ones are missing."""
        ...

    def source(self, path: str) -> IndexedText | None:
        """See `IndexedText`; None for a file that is not indexed."""
        ...

    def files_named(self, stem: str, limit: int = 20) -> list[str]:
        """Files of which `stem` is the name without its ending, or the folder of a package."""
        ...

    def definitions(self, name: str, limit: int = 100) -> list[IndexedSymbol]:
        """Return the definitions of exactly `name`, or else in any naming style; by
        path and row.
        """
        ...

    def similar_names(self, text: str, limit: int) -> list[str]:
        """Defined names that share letters with `text`, the closest first, folded; for a mistyped
        name, or a part of one."""
        ...

    def defined_in(self, path: str) -> list[IndexedSymbol]:
        """Return the definitions of a file, in the order of its text."""
        ...

    def references(self, name: str, limit: int = 1_000) -> list[IndexedSymbol]:
        """Return the references to exactly `name`."""
        ...

    def chunks_defining(self, names: Iterable[str], limit: int) -> list[int]:
        """The chunks of which one of `names` is the name, written in any style; in the order of
        `names`."""
        ...

    def imports(self, path: str) -> frozenset[str]:
        """The words of a file's imports."""
        ...

    def importers(self, word: str) -> frozenset[str]:
        """The files that have `word` in an import."""
        ...

    def counts(self) -> IndexCounts:
        """Return the size of the index."""
        ...

    def skipped(self) -> dict[str, int]:
        """Return the number of files that the last build skipped, by reason."""
        ...


class TeamReader(IndexReader, Protocol):
    """A team's index, open for reading, with what laying local files over it needs."""

    def fact(self, key: str) -> str:
        """Return a fact that the builder has recorded, "" where it has not."""
        ...

    def digests(self, paths: Sequence[str]) -> dict[str, bytes]:
        """Return the digests of the contents of files, as far as they are indexed."""
        ...

    def weighed_text(
        self, words: Sequence[str], limit: int
    ) -> tuple[list[tuple[int, float]], dict[str, float]]:
        """Return what `full_text` does, and how rare each word is."""
        ...

    def spelled_alike(self, name: str, limit: int) -> list[IndexedSymbol]:
        """Return where `name` is defined, in any style of writing, exact spellings first."""
        ...

    def placed_chunks(self, names: Iterable[str], limit: int) -> dict[int, str]:
        """Return what `chunks_defining` does, with the files' paths."""
        ...


class IndexStore(Protocol):
    """An index, open for writing by a single owner."""

    said: str
    """Fate of an older index, "" when there was none."""

    def close(self) -> None:
        """Another one may write."""
        ...

    def vectors(self, name: str, dimensions: int) -> VectorTable:
        """The vectors of the embedder of that name."""
        ...

    def transaction(self) -> AbstractContextManager[None]:
        """All of it or nothing. Raises `IndexUnusable`."""
        ...

    def known(self) -> dict[str, KnownFile]:
        """Every file that the index holds, by path."""
        ...

    def known_file(self, path: str) -> KnownFile | None:
        """Return the index's record of one file, None if it has none."""
        ...

    def put(self, content: FileContent) -> None:
        """Replace what is known of a file. Inside a transaction."""
        ...

    def drop(self, path: str) -> None:
        """Forget a file; one that is not known is no error. Inside a transaction."""
        ...

    def restamp(self, path: str, stamp: FileStamp | None, changed: float) -> None:
        """The same content looks different now. Inside a transaction."""
        ...

    def release(self, path: str) -> None:
        """A buffer was closed: the disk counts again, and must be read."""
        ...

    def counts(self) -> tuple[int, int, int]:
        """Return the numbers of files, chunks and vectors."""
        ...

    def say(self, facts: Mapping[str, str]) -> None:
        """Remember facts about the whole index."""
        ...

    def fact(self, key: str) -> str:
        """A fact that was said, "" when it was not."""
        ...

    def clear(self) -> None:
        """Forget every file; the vectors stay, as they are by content."""
        ...

    def tidy(self) -> None:
        """After a build: drop what nothing uses any more, refresh statistics."""
        ...
