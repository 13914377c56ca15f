"""A workspace's index as a whole: its location, its builder, and how it is updated.

The process that holds the lock builds; all others read. The lock is the system's own, or the
database's, so that it is free again the moment its holder dies.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from nearfield.config.schema import Config
from nearfield.files.locks import LockHeld, locked
from nearfield.index.builder import Builder, BuildReport, Listener
from nearfield.index.early_store import EarlyReader, EarlyWriter
from nearfield.index.embedder import Embedder, is_installed
from nearfield.index.embedding import Embedding, make_early
from nearfield.index.files import Tree
from nearfield.index.interface import IndexReader, IndexStore, NotShared
from nearfield.index.parser_process import ParserProcess
from nearfield.index.schema_store import IndexFile, place_of
from nearfield.index.search import Searcher, TextEmbedder
from nearfield.index.search_store import SqliteReader
from nearfield.index.shared import Shared, shared_of, stores_of
from nearfield.index.static_embedder import StaticEmbedder
from nearfield.index.store import SqliteStore

if TYPE_CHECKING:
    from nearfield.index.here import Team


@dataclass(frozen=True)
class Workspace:
    """Subject and location of an index: `root` is a folder, `place` the index file."""

    root: Path
    place: IndexFile
    exclude: tuple[str, ...]
    max_bytes: int
    vectors: bool
    shared: Shared | None = None
    """The team's index, where that may hold this workspace; see `settled`."""

    @classmethod
    def of(cls, root: Path, config: Config, cache: Path) -> Workspace:
        """Return the workspace under the user's settings; makes the cache folder."""
        shared = shared_of(root, config)
        kept_back: list[str] = []
        if shared is not None and shared.role == "build":
            # A file that may not leave this machine is not in an index that does.
            kept_back = [one for one in config.privacy.withhold if not one.startswith("!")]
        return cls(
            root=root,
            place=place_of(root, cache),
            exclude=(*config.files.exclude, *config.index.exclude, *kept_back),
            max_bytes=config.index.max_file_bytes,
            vectors=config.index.vectors,
            shared=shared,
        )

    @property
    def tree(self) -> Tree:
        """The files."""
        return Tree(self.root, self.exclude, self.max_bytes)

    def part(self) -> Workspace:
        """Return the differences from the team's index, as a workspace with an index of its own
        beside the whole's. `reader` of this one lays it over the team's.
        """
        from nearfield.index.here import Team

        assert self.shared is not None  # noqa: S101 - only then there is a part
        return LocalPart(
            root=self.root,
            place=self._part_place,
            exclude=self.exclude,
            max_bytes=self.max_bytes,
            vectors=self.vectors,
            team=Team(self.shared, Path(os.path.realpath(self.root))),
        )

    @property
    def _part_place(self) -> IndexFile:
        file = self.place.file
        return replace(self.place, file=file.with_name(f"{file.stem}.here.db"))

    @property
    def where(self) -> str:
        """The index's file, or the database and the workspace's name in it; for people."""
        if self.shared is None:
            return str(self.place.file)
        return f"{self.shared.where} ({self.shared.name})"

    def as_reader(self) -> Workspace:
        """Return the same workspace, restricted to reading the team's index."""
        if self.shared is None or self.shared.role == "read":
            return self
        return replace(self, shared=replace(self.shared, role="read"))

    def settled(self) -> Workspace:
        """The same, with `shared` None unless that is the index to use: a reader's workspace that
        the database does not hold has its index here. Raises `IndexUnusable` when the database
        cannot be asked."""
        if self.shared is None or self.shared.role == "build":
            return self
        try:
            stores_of(self.shared).reader(self.shared).close()
        except NotShared:
            return replace(self, shared=None)
        return self

    def reader(self) -> IndexReader:
        """For reading what is there; raises `IndexUnusable` when there is no index yet."""
        if self.shared is None:
            return SqliteReader(self.place.file)
        from nearfield.index.overlaid import Overlaid

        stores = stores_of(self.shared)
        if self.shared.role == "build":
            return stores.reader(self.shared)
        try:
            return Overlaid(stores.reader(self.shared), self._part_place.file)
        except NotShared:
            return SqliteReader(self.place.file)

    def taken(self) -> tuple[IndexStore, Callable[[], None]] | None:
        """For writing, with what lets go of it; None while another one builds, or when only others
        may. Raises `IndexUnusable`."""
        if self.shared is not None:
            if self.shared.role != "build":
                return None
            shared = stores_of(self.shared).taken(self.shared)
            return None if shared is None else (shared, shared.close)
        held = ExitStack()
        try:
            held.enter_context(locked(self.place.lock, 0))
        except LockHeld:
            return None
        try:
            store = SqliteStore(self.place.file)
        except BaseException:
            held.close()
            raise
        held.callback(store.close)
        return store, held.close
        raise AssertionError

    def forget(self) -> bool:
        """Delete the index of this machine, unless it is being built; return whether it could. A
        team's index stays."""
        try:
            with locked(self.place.lock, 0):
                for ending in ("", "-wal", "-shm"):
                    file = self.place.file
                    file.with_name(file.name + ending).unlink(missing_ok=True)
                self.place.early.unlink(missing_ok=True)
        except LockHeld:
            return False
        return True

    def searcher(self, embedder: Embedder | None = None) -> Searcher:
        """Return a searcher of the index. Raises `IndexUnusable` when there is none yet."""
        reader = self.reader()
        if not self.vectors:
            return Searcher(self.tree.root, reader, None, max_bytes=self.max_bytes)
        early = None
        if isinstance(reader, SqliteReader):
            early = EarlyReader(self.place.early, StaticEmbedder(), reader.connection)
        return Searcher(
            self.tree.root, reader, embedder or Embedder(), early, max_bytes=self.max_bytes
        )


@dataclass(frozen=True)
class LocalPart(Workspace):
    """See `Workspace.part`."""

    team: Team | None = None

    @property
    def tree(self) -> Tree:
        """The files that are different."""
        from nearfield.index.here import HereTree

        assert self.team is not None  # noqa: S101 - `part` has given it
        return HereTree(self.team.root, self.exclude, self.max_bytes, self.team)


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
        self._embedder: TextEmbedder | None = embedder
        if embedder is None and is_installed():
            self._embedder = Embedder(threads)
        self._store: IndexStore | None = None
        self._static = StaticEmbedder()
        self._apart = ParserProcess()
        self._early: EarlyWriter | None = None
        if workspace.vectors and workspace.shared is None:
            self._early = EarlyWriter(workspace.place.early, self._static)
        self._release: Callable[[], None] = lambda: None
        self.taken = False
        self._whole = False

    def __enter__(self) -> Self:
        """Take the lock and open the index; raises `IndexUnusable`."""
        taken = self._workspace.taken()
        if taken is None:
            return self
        self._store, self._release = taken
        try:
            self.builder = Builder(
                self._workspace.tree,
                self._store,
                self._stop,
                self._holder,
                self._early.add if self._early is not None else lambda _chunks: None,
                self._apart.understand,
            )
        except BaseException:
            self._release()
            raise
        self.taken = True
        return self

    def end_parser(self) -> None:
        """End the process that parses, until it is needed again."""
        self._apart.close()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end_parser()
        if self._early is not None:
            self._early.close()
        if self._store is not None:
            self._store = None
            self._release()

    @property
    def said(self) -> str:
        """Return what happened to an older index, "" mostly."""
        return self._store.said if self._store is not None else ""

    def counts(self) -> tuple[int, int, int]:
        """Return the numbers of files, chunks and vectors."""
        return self._store.counts() if self._store is not None else (0, 0, 0)

    def build(self, listener: Listener | None = None) -> BuildReport:
        """Names and text, with their early vectors."""
        report = self.builder.build(listener)
        if self._store is not None and self._workspace.shared is None:
            # By this a file of the cache is known as that of a folder.
            self._store.say({"root": str(self._workspace.root)})
        if not (report.stopped or self._make_early()):
            report.stopped = True
        if self._workspace.shared is not None and self._store is not None and not report.stopped:
            from nearfield.index.here import commit_of

            # By this everybody else finds what is different where they are.
            self._store.say({"commit": commit_of(self._workspace.root)})
        return report

    def _make_early(self) -> bool:
        """Early vectors of what an earlier build has read, once; False when it was stopped."""
        if self._early is None or self._store is None or self._whole:
            return True
        # Asked only what has no vector, for which the dimensions do not matter.
        name = self._embedder.name if self._embedder is not None else ""
        vectors = self._store.vectors(name, self._static.dimensions)
        reader = self._workspace.reader()
        try:
            self._whole = make_early(
                self._workspace.tree,
                reader,
                vectors,
                self._early,
                self._stop,
                self._apart.understand,
                permanent=self._embedder is None,
            )
        finally:
            reader.close()
        return self._whole

    def embed(
        self,
        near: Sequence[str] = (),
        listener: Callable[[int, int], None] | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> int:
        """Embed until no vector is missing or `stop` says so; returns the number of new vectors.
        `listener` receives the done and total numbers. Does nothing without ONNX Runtime.
        """
        if not self._workspace.vectors or self._store is None or self._embedder is None:
            return 0
        vectors = self._store.vectors(self._embedder.name, self._embedder.dimensions)
        reader = self._workspace.reader()
        try:
            embedding = Embedding(
                self._workspace.tree,
                reader,
                vectors,
                self._embedder,
                stop or self._stop,
                self._apart.understand,
            )
            total = vectors.pending()

            def heard(made: int) -> None:
                if listener is not None:
                    listener(made, total)

            self._static.unload()  # the other embedder needs the room
            made = embedding.run(near, heard)
        finally:
            reader.close()
        if made:
            vectors.tidy()
        if made >= total and self._early is not None:
            self._early.remove()
        return made
