"""Early vectors for chunks that are known already.

A build makes them only of what it reads. So when the static embedder is another one than before,
or the file was lost while there were no real vectors yet, the chunks without a real vector get an
early one here. It can be stopped at any time, and goes on the next time where it was.
"""

from __future__ import annotations

from collections.abc import Callable

from nearfield.index.builder import Understand
from nearfield.index.chunks import Chunk
from nearfield.index.early_store import EarlyWriter
from nearfield.index.embedding import chunks_of
from nearfield.index.files import Tree
from nearfield.index.interface import IndexReader, VectorTable
from nearfield.index.understand import understand

FILES_AT_ONCE = 16
ALL = 1 << 40


def make_again(
    tree: Tree,
    reader: IndexReader,
    vectors: VectorTable,
    early: EarlyWriter,
    stop: Callable[[], bool] = lambda: False,
    understand: Understand = understand,
) -> bool:
    """Make what is missing, if anything is; False when `stop` has ended it. `vectors` are the real
    ones, of which this asks only what is not among them."""
    if not early.exists and (not vectors.empty or reader.counts().vectors):
        return True  # the file went when every chunk had its real vector
    held = early.held()
    if vectors.pending() <= len(held):
        return True
    paths = vectors.missing((), ALL)
    for start in range(0, len(paths), FILES_AT_ONCE):
        if stop():
            return False
        chunks: dict[bytes, Chunk] = {}
        for path in paths[start : start + FILES_AT_ONCE]:
            chunks.update((one.digest, one) for one in chunks_of(tree, reader, path, understand))
        early.add([chunks[one] for one in vectors.lacking(list(chunks)) if one not in held])
    return True
