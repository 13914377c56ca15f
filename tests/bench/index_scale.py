"""How an index with very many chunks is asked, and what it takes.

    python tests/bench/index_scale.py --chunks N [--keep FOLDER]

The chunks are those of Python's own library over and over, each time in other files and with
another digest, so every word is as frequent as there; each gets a random vector of the default
embedder's size. Times are wall and processor time of a whole query, its embedding included; the
processor's says more on a busy machine. `--keep` keeps the index for another run.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from index_speed import QUERIES, make_tree

from nearfield.config.schema import Config
from nearfield.index.builder import Builder
from nearfield.index.embedder import Embedder
from nearfield.index.files import Tree
from nearfield.index.search import Searcher
from nearfield.index.search_store import SqliteReader
from nearfield.index.store import FileContent, SqliteStore
from nearfield.index.vector_store import SqliteVectors
from nearfield.index.workspace import Workspace

LONG = [
    "how does the server decide which content type header is sent for a static file it serves",
    "where is the default value of the timeout of a connection set and which error is raised",
    "OrderdDict",
]
BATCH = 4_096


def contents(library: Path) -> list[FileContent]:
    """The library's files, read once; they are copied to `library` first, as the rules of a
    repository around Python itself would leave them out."""
    make_tree(library, 1)
    tree = Tree(library)
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder) / "i.db")
        builder = Builder(tree, store)
        found = [builder.content(entry.path, None) for entry in tree.walk() if not entry.reason]
        store.close()
    return [one for one in found if isinstance(one, FileContent) and one.chunks]


def copies(library: Path, root: Path, wanted: int) -> Iterator[FileContent]:
    """As many as make `wanted` chunks, with a file on disk for each."""
    originals = contents(library)
    made = 0
    for copy in count():
        for one in originals:
            path = f"turn{copy}/{one.path}"
            target = root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                os.link(library / one.path, target)
            chunks = [replace(chunk, text=f"{chunk.text}\n#{copy}") for chunk in one.chunks]
            yield replace(one, path=path, chunks=chunks)
            made += len(chunks)
            if made >= wanted:
                return


def make(workspace: Workspace, library: Path, wanted: int) -> None:
    """The index, with vectors."""
    store = SqliteStore(workspace.place.file)
    began = time.process_time()
    with store.transaction():
        for number, content in enumerate(copies(library, workspace.root, wanted)):
            store.put(content)
            if number % 500 == 499:
                store.connection.execute("COMMIT; BEGIN IMMEDIATE")
    store.tidy()
    print(f"names and text: {time.process_time() - began:.0f} s of processor time", flush=True)
    began = time.process_time()
    vectors = SqliteVectors(store.connection, Embedder.name, Embedder.dimensions)
    vectors.prepare()
    digests: list[Any] = store.connection.execute("SELECT DISTINCT digest FROM chunk").fetchall()
    rng = np.random.default_rng(1)
    for start in range(0, len(digests), BATCH):
        some = [row[0] for row in digests[start : start + BATCH]]
        rows = rng.normal(size=(len(some), Embedder.dimensions)).astype(np.float32)
        vectors.add(some, rows / np.linalg.norm(rows, axis=1, keepdims=True))
    store.checkpoint()
    store.close()
    print(f"vectors stored: {time.process_time() - began:.0f} s of processor time", flush=True)


@dataclass(frozen=True)
class Taken:
    """Milliseconds of one query."""

    wall: float
    processor: float


def ask(workspace: Workspace, turns: int = 8) -> None:
    """The time of queries, and the memory of the process that asks."""
    reader = SqliteReader(workspace.place.file)
    counts = reader.counts()
    print(
        f"{counts.files} files, {counts.chunks} chunks, {counts.vectors} vectors;"
        f" {counts.disk_bytes / 1e6:.0f} MB for {counts.bytes / 1e6:.0f} MB of source,"
        f" {counts.disk_bytes / counts.bytes:.2f} x"
    )
    for name, embedder in (("names and text", None), ("with vectors", Embedder())):
        searcher = Searcher(workspace.tree.root, reader, embedder)
        began = time.perf_counter()
        searcher.search("warm")
        print(f"{name}: the first query {(time.perf_counter() - began) * 1e3:.0f} ms")
        taken: list[Taken] = []
        for turn in range(turns + 1):
            for query in [*QUERIES, *LONG]:
                wall, used = time.perf_counter(), time.thread_time()
                searcher.search(query)
                one = Taken((time.perf_counter() - wall) * 1e3, (time.thread_time() - used) * 1e3)
                if turn:
                    taken.append(one)
        for what, times in (
            ("wall", sorted(one.wall for one in taken)),
            ("processor", sorted(one.processor for one in taken)),
        ):
            p50, p99 = times[len(times) // 2], times[int(len(times) * 0.99)]
            print(f"{name}: {what} p50 {p50:.1f} ms, p99 {p99:.1f} ms", flush=True)
    print(f"memory at most: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


def main() -> None:
    """Make it if need be, and ask in a process of its own, for its memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chunks", type=int, default=100_000)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--only-ask", action="store_true", help="(for the measurement of memory)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        keep = options.keep or Path(folder)
        root = keep / "tree"
        root.mkdir(parents=True, exist_ok=True)
        workspace = Workspace.of(root, Config(), keep / "cache")
        if options.only_ask:
            ask(workspace)
            return
        if not workspace.place.file.exists():
            make(workspace, keep / "library", options.chunks)
        again = [sys.executable, __file__, "--only-ask", "--keep", str(keep)]
        subprocess.run(again, check=True, env=os.environ)


if __name__ == "__main__":
    main()
