"""How fast the index is built and asked, and what it takes.

    python tests/bench/index_speed.py [--copies N] [--vectors N]

The tree is Python's own library, copied `--copies` times (2 make 120,000 chunks), each copy with
names of its own so that no two chunks are the same. For the time of a query every chunk gets a
random vector; how fast real ones are made is measured on `--vectors` chunks.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nearfield.config.schema import Config
from nearfield.index.embedder import Embedder
from nearfield.index.embedding import Embedding
from nearfield.index.search import Searcher
from nearfield.index.search_store import SqliteReader
from nearfield.index.store import SqliteStore
from nearfield.index.vector_store import SqliteVectors
from nearfield.index.workspace import Keeper, Workspace

QUERIES = [
    "parse command line arguments", "read a zip file", "how is the cache invalidated",
    "OrderedDict",
    "open a socket with a timeout", "self.assertEqual(a, b)", "format the traceback", "HTTPServer",
    "def __init__(self, name)", "walk a directory tree", "urlopen", "wait for a process to end",
]  # fmt: skip


class RandomEmbedder:
    """Vectors without a model, under the default embedder's name."""

    name = Embedder.name
    dimensions = Embedder.dimensions

    def embed(self, texts: Sequence[str]) -> Any:
        """One random unit vector a text."""
        rows = np.random.default_rng(len(texts)).normal(size=(len(texts), self.dimensions))
        rows = rows.astype(np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def make_tree(root: Path, copies: int) -> None:
    """Copies of the library."""
    library = Path(sysconfig.get_path("stdlib"))
    files = [path for path in library.rglob("*.py") if "site-packages" not in path.parts]
    for copy in range(copies):
        for file in files:
            target = root / f"copy{copy}" / file.relative_to(library)
            target.parent.mkdir(parents=True, exist_ok=True)
            text = file.read_text("utf-8", "replace").replace("self", f"self{copy}")
            target.write_text(text.replace("def ", f"def c{copy}_" if copy else "def "), "utf-8")


def build(workspace: Workspace) -> None:
    """Cold and warm, in this process."""
    with Keeper(workspace) as keeper:
        began = time.process_time()
        report = keeper.build()
        used = time.process_time() - began
        print(
            f"cold build: {report.files} files, {report.bytes / 1e6:.1f} MB, {report.chunks} chunks"
            f" in {report.seconds:.1f} s; {report.bytes / 1e6 / used:.2f} MB a CPU second"
        )
        again = min(keeper.build().seconds for _ in range(3))
        print(f"nothing changed: {again:.2f} s, {report.seconds / again:.0f} x faster")
        path = "copy0/saved.py"
        lines = [f"def saved_{i}(a, b):\n    return a + b * {i}\n" for i in range(250)]
        times: list[float] = []
        for turn in range(10):
            text = "".join(lines) + f"x = {turn}\n"
            (workspace.root / path).write_text(text, "utf-8")
            start = time.perf_counter()
            keeper.builder.refresh([path])
            times.append(time.perf_counter() - start)
        (workspace.root / path).unlink()
        keeper.builder.refresh([path])
        print(f"a saved file of 500 lines: {statistics.median(times) * 1e3:.0f} ms to searchable")


def embed(workspace: Workspace, count: int) -> None:
    """Real vectors for some chunks, random ones for the others."""
    store, reader = SqliteStore(workspace.place.file), SqliteReader(workspace.place.file)
    vectors = SqliteVectors(store.connection, Embedder.name, Embedder.dimensions)
    for threads in (1, 2):
        made, wall, used = embed_some(workspace, reader, vectors, threads, count)
        print(
            f"vectors, {threads} threads: {made / wall:.0f} chunks a second,"
            f" {made / used:.0f} a CPU second"
        )
    Embedding(workspace.tree, reader, vectors, RandomEmbedder()).run()
    reader.close()
    store.checkpoint()
    store.close()


def embed_some(
    workspace: Workspace, reader: SqliteReader, vectors: SqliteVectors, threads: int, count: int
) -> tuple[int, float, float]:
    """Make `count` real vectors or a few more: how many, seconds, CPU seconds."""
    counted = [0]
    embedder = Embedder(threads)
    embedder.embed(["load the model"])
    began, used = time.perf_counter(), time.process_time()
    embedding = Embedding(workspace.tree, reader, vectors, embedder, lambda: counted[-1] >= count)
    embedding.run(listener=counted.append)
    return counted[-1], time.perf_counter() - began, time.process_time() - used


def ask(workspace: Workspace) -> None:
    """The time of a query, its embedding included."""
    reader = SqliteReader(workspace.place.file)
    counts = reader.counts()
    for name, embedder in (("names and text", None), ("with vectors", Embedder())):
        searcher = Searcher(workspace.tree.root, reader, embedder)
        for query in QUERIES:
            searcher.search(query)
        times: list[float] = []
        for _ in range(10):
            for query in QUERIES:
                began = time.perf_counter()
                searcher.search(query)
                times.append((time.perf_counter() - began) * 1e3)
        times.sort()
        print(
            f"query at {counts.chunks} chunks, {name}: p50 {times[len(times) // 2]:.1f} ms,"
            f" p99 {times[int(len(times) * 0.99)]:.1f} ms"
        )
    print(
        f"size: {counts.disk_bytes / 1e6:.0f} MB for {counts.bytes / 1e6:.0f} MB of source,"
        f" {counts.disk_bytes / counts.bytes:.2f} x with {counts.vectors} vectors"
    )


def main() -> None:
    """Measure all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--copies", type=int, default=2)
    parser.add_argument("--vectors", type=int, default=1_000)
    parser.add_argument("--only-build", type=Path, help="(for the measurement of memory)")
    options = parser.parse_args()
    if options.only_build:
        root = options.only_build / "tree"
        with Keeper(Workspace.of(root, Config(), options.only_build / "other")) as keeper:
            files = keeper.build().files
            keeper.embed(stop=lambda: True)
            Embedder().embed(["warm"] * 64)
        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"memory at most: {used:.0f} MiB, for {files} files and the embedder")
        return
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "tree"
        make_tree(root, options.copies)
        workspace = Workspace.of(root, Config(), Path(folder) / "cache")
        build(workspace)
        subprocess.run([sys.executable, __file__, "--only-build", folder], check=True)
        embed(workspace, options.vectors)
        ask(workspace)


if __name__ == "__main__":
    main()
