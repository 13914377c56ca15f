"""Giving chunks their vectors, file by file, the most relevant first.

A chunk's text is not in the index: its file is read and cut again, which takes a hundredth of what
embedding does. A file that has changed since is passed over; the next build brings it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nearfield.index.builder import Understand
from nearfield.index.chunks import Chunk
from nearfield.index.early_store import EarlyWriter
from nearfield.index.files import Tree, digest_of, unfit
from nearfield.index.interface import IndexReader, VectorTable
from nearfield.index.search import TextEmbedder
from nearfield.index.understand import text_of, understand

FILES_A_ROUND = 32
"""Between rounds the most relevant files are determined again."""
BATCH_FILES = 16
ALL_FILES = 1 << 40
TEXTS_A_BATCH = 16
"""About 0.2 s of work: what a kill can lose, and how long anything more urgent can wait."""


def chunks_of(
    tree: Tree, reader: IndexReader, path: str, understand: Understand = understand
) -> Sequence[Chunk]:
    """The chunks of a file with their text; none when it is another one than the index knows."""
    source = reader.source(path)
    if source is None:
        return ()
    text = source.text
    if text is None:
        found = tree.read(path)
        if found is None or digest_of(found[1]) != source.digest:
            return ()
        text = text_of(path, found[1])
    return () if text is None or unfit(path, text) else understand(path, text).chunks


class Embedding:
    """Embeds what has no vector yet. One thread at a time, with the lock held."""

    def __init__(
        self,
        tree: Tree,
        reader: IndexReader,
        vectors: VectorTable,
        embedder: TextEmbedder,
        stop: Callable[[], bool] = lambda: False,
        understand: Understand = understand,
    ) -> None:
        self._understand = understand
        self._tree = tree
        self._reader = reader
        self._vectors = vectors
        self._embedder = embedder
        self._stop = stop
        vectors.prepare()

    def run(self, near: Sequence[str] = (), listener: Callable[[int], None] | None = None) -> int:
        """Embed until nothing is missing or `stop` says so; returns the number of new vectors.
        `listener` receives it as it grows.
        """
        made = 0
        passed: set[str] = set()
        while not self._stop():
            wanted = len(passed) + FILES_A_ROUND
            paths = [path for path in self._vectors.missing(near, wanted) if path not in passed]
            if not paths:
                break
            passed.update(paths)
            for batch in self._texts(paths):
                made += self._embed(batch)
                if listener is not None:
                    listener(made)
                if self._stop():
                    break
        return made

    def _texts(self, paths: Sequence[str]) -> list[dict[bytes, str]]:
        """Return the texts to embed of the files' chunks, by digest, in batches."""
        meanings: dict[bytes, str] = {}
        for path in paths:
            for chunk in chunks_of(self._tree, self._reader, path, self._understand):
                meanings.setdefault(chunk.digest, chunk.meaning)
        lacking = self._vectors.lacking(list(meanings))
        return [
            {digest: meanings[digest] for digest in lacking[start : start + TEXTS_A_BATCH]}
            for start in range(0, len(lacking), TEXTS_A_BATCH)
        ]

    def _embed(self, meanings: dict[bytes, str]) -> int:
        self._vectors.add(list(meanings), self._embedder.embed(list(meanings.values())))
        return len(meanings)


def make_early(
    tree: Tree,
    reader: IndexReader,
    vectors: VectorTable,
    early: EarlyWriter,
    stop: Callable[[], bool] = lambda: False,
    understand: Understand = understand,
    *,
    permanent: bool = False,
) -> bool:
    """Make early vectors for chunks that an earlier build has read; False when `stop` ended it.

    A build makes them only of what it reads, so they are missing after the table has changed or the
    file was lost. `vectors` are the real ones; only chunks without one need an early vector.
    `permanent` says that no real ones will follow. An interrupted call is continued by the next.
    """
    if not (permanent or early.exists) and (not vectors.is_empty or reader.counts().vectors):
        return True  # the file was removed when every chunk had its real vector
    held = early.held()
    if vectors.pending() <= len(held):
        return True
    paths = vectors.missing((), ALL_FILES)
    for start in range(0, len(paths), BATCH_FILES):
        if stop():
            return False
        chunks: dict[bytes, Chunk] = {}
        for path in paths[start : start + BATCH_FILES]:
            chunks.update((one.digest, one) for one in chunks_of(tree, reader, path, understand))
        early.add([chunks[one] for one in vectors.lacking(list(chunks)) if one not in held])
    return True
