"""One workspace's index as a whole: where it is, who builds it, and how it is brought up to date.

The process that holds the lock builds; every other one reads what is there. The lock is the
system's own, so that it is free again the moment its holder dies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import filelock

from nearfield.config.schema import Config
from nearfield.index.asked_embedder import AskedEmbedder
from nearfield.index.builder import Builder, Listener, Report
from nearfield.index.embedder import Embedder
from nearfield.index.embedding import Embedding
from nearfield.index.files import Tree
from nearfield.index.schema_store import Place, place_of
from nearfield.index.search import Searcher, TextEmbedder
from nearfield.index.search_store import Reader
from nearfield.index.store import Store
from nearfield.index.vector_store import Vectors


@dataclass(frozen=True, slots=True)
class Workspace:
    """What an index is of, and how: `root` is a folder, `place` where the index is kept."""

    root: Path
    place: Place
    exclude: tuple[str, ...]
    max_bytes: int
    vectors: bool
    embedder: str = ""
    """The provider that makes the vectors, with its model, "" for the one that is shipped."""

    @classmethod
    def of(cls, root: Path, config: Config, cache: Path) -> Workspace:
        """The workspace under the user's settings; makes the cache folder."""
        return cls(
            root=root,
            place=place_of(root, cache),
            exclude=(*config.files.exclude, *config.index.exclude),
            max_bytes=config.index.max_file_bytes,
            vectors=config.index.vectors,
            embedder=_embedder_of(config),
        )

    @property
    def tree(self) -> Tree:
        """The files."""
        return Tree(self.root, self.exclude, self.max_bytes)

    def searcher(
        self, embedder: Embedder | None = None, preferred: AskedEmbedder | None = None
    ) -> Searcher:
        """For searching; raises `IndexUnusable` when there is no index yet. `preferred` is what
        makes the vectors instead of the shipped model, where that is so."""
        shown = (embedder or Embedder()) if self.vectors else None
        chosen = preferred if self.vectors else None
        return Searcher(self.tree.root, Reader(self.place.file), shown, chosen)


def _embedder_of(config: Config) -> str:
    """Vectors of another model are others, though it is the same provider."""
    name = config.index.embedder
    if not name:
        return ""
    settings = config.providers.get(name)
    return f"{name}/{settings.model if settings is not None else config.models.complete}"


class Keeper:
    """The one that builds. Use it as a context manager; `taken` tells whether the lock was free."""

    def __init__(
        self,
        workspace: Workspace,
        *,
        threads: int = 1,
        stop: Callable[[], bool] = lambda: False,
        holder: int | None = None,
        embedder: TextEmbedder | None = None,
    ) -> None:
        """`threads` for the shipped embedder, unless another `embedder` is given; `stop` is asked
        between files and between batches."""
        self._workspace = workspace
        self._stop = stop
        self._holder = holder
        self._lock = filelock.FileLock(workspace.place.lock, timeout=0)
        self._embedder: TextEmbedder = embedder or Embedder(threads)
        self._store: Store | None = None
        self.taken = False

    def __enter__(self) -> Self:
        """Take the lock and open the index; raises `IndexUnusable`."""
        try:
            self._lock.acquire()
        except filelock.Timeout:
            return self
        self.taken = True
        try:
            self._store = Store(self._workspace.place.file)
        except BaseException:
            self._lock.release()
            raise
        self.builder = Builder(self._workspace.tree, self._store, self._stop, self._holder)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._store is not None:
            self._store.close()
            self._store = None
        self._lock.release()

    @property
    def said(self) -> str:
        """What happened to an older index, "" when nothing did."""
        return self._store.said if self._store is not None else ""

    def counts(self) -> tuple[int, int, int]:
        """How many files, chunks and vectors there are."""
        return self._store.counts() if self._store is not None else (0, 0, 0)

    def build(self, listener: Listener | None = None) -> Report:
        """Names and text."""
        return self.builder.build(listener)

    def embed(
        self,
        near: Sequence[str] = (),
        listener: Callable[[int, int], None] | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> int:
        """Vectors, until none is missing or `stop` says so; returns how many were made. `listener`
        hears how many of these there are and shall be in the end. Raises `NotEmbedded` when the
        embedder is not the shipped one and cannot be had."""
        if not self._workspace.vectors or self._store is None:
            return 0
        vectors = Vectors(self._store.connection, self._embedder.name, self._embedder.dimensions)
        reader = Reader(self._workspace.place.file)
        try:
            embedding = Embedding(
                self._workspace.tree, reader, vectors, self._embedder, stop or self._stop
            )
            total = vectors.pending()

            def heard(made: int) -> None:
                if listener is not None:
                    listener(made, total)

            made = embedding.run(near, heard)
        finally:
            reader.close()
        if made:
            vectors.tidy()
        return made
