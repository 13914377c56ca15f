"""The shared index in PostgreSQL beside the one in a file: what it finds, and how fast.

    python tests/unit/index/postgres/server.py FOLDER &        # says the URL
    python tests/bench/index_shared.py repos --store URL --trees FOLDER
    python tests/bench/index_shared.py scale --store URL --chunks N --keep FOLDER

`repos` asks the questions of index_search.py, `scale` those of index_scale.py over as many chunks
as that makes; both over both kinds, in one run. A database on this machine shows what the database
takes; a network adds its round trips, of which a search has about five.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from index_scale import BATCH, LONG, copies
from index_search import ndcg, questions
from index_speed import QUERIES

from nearfield.config.schema import Config, Index
from nearfield.index.embedder import Embedder
from nearfield.index.search import Searcher
from nearfield.index.workspace import Keeper, Workspace

TURNS = 8
BATCH_FILES = 64


def workspaces(root: Path, cache: Path, store: str) -> dict[str, Workspace]:
    """One folder, kept in both ways."""
    shared = Config(index=Index(store=store, role="build", name=f"bench/{root.name}"))
    return {
        "SQLite": Workspace.of(root, Config(), cache),
        "PostgreSQL": Workspace.of(root, shared, cache),
    }


def repos(options: argparse.Namespace, keep: Path) -> None:
    """Questions about five projects."""
    values: dict[str, list[float]] = {}
    times: dict[str, list[float]] = {}
    embedder = Embedder(2)
    for _, root, asked in questions(options.trees):
        for name, workspace in workspaces(root, keep / "cache", options.store).items():
            with Keeper(workspace, embedder=embedder) as keeper:
                keeper.build()
                keeper.embed()
            reader = workspace.reader()
            for what, searcher in (
                ("with vectors", Searcher(workspace.tree.root, reader, embedder)),
                ("names and text", Searcher(workspace.tree.root, reader, None)),
            ):
                for query, relevant in asked:
                    began = time.perf_counter()
                    hits = searcher.search(query["query"], k=60)
                    times.setdefault(f"{name}, {what}", []).append(time.perf_counter() - began)
                    found = ndcg([hit.path for hit in hits], relevant)
                    values.setdefault(f"{name}, {what}", []).append(found)
            reader.close()
    for name, found in values.items():
        median = statistics.median(times[name]) * 1e3
        print(f"{name}: NDCG@10 {statistics.mean(found):.3f} of {len(found)}; {median:.1f} ms")


def fill(workspace: Workspace, library: Path, wanted: int) -> None:
    """The index, with random vectors."""
    taken = workspace.taken()
    if taken is None:
        raise SystemExit("another one builds it")
    store, release = taken
    if store.counts()[1] >= wanted:
        release()
        return
    began = time.perf_counter()
    batch = []
    digests: dict[bytes, None] = {}
    for content in copies(library, workspace.root, wanted):
        batch.append(content)
        digests |= dict.fromkeys(chunk.digest for chunk in content.chunks)
        if len(batch) >= BATCH_FILES:
            with store.transaction():
                for one in batch:
                    store.put(one)
            batch.clear()
    with store.transaction():
        for one in batch:
            store.put(one)
    store.tidy()
    print(f"names and text stored: {time.perf_counter() - began:.0f} s", flush=True)
    began = time.perf_counter()
    vectors = store.vectors(Embedder.name, Embedder.dimensions)
    vectors.prepare()
    rng = np.random.default_rng(1)
    every = list(digests)
    for start in range(0, len(every), BATCH):
        some = every[start : start + BATCH]
        rows = rng.normal(size=(len(some), Embedder.dimensions)).astype(np.float32)
        vectors.add(some, rows / np.linalg.norm(rows, axis=1, keepdims=True))
    release()
    print(f"{len(every)} vectors stored: {time.perf_counter() - began:.0f} s", flush=True)


def scale(options: argparse.Namespace, keep: Path) -> None:
    """The time of queries."""
    root = keep / "tree"
    root.mkdir(parents=True, exist_ok=True)
    embedder = Embedder()
    for name, workspace in workspaces(root, keep / "cache", options.store).items():
        print(name, flush=True)
        fill(workspace, keep / "library", options.chunks)
        reader = workspace.reader()
        counts = reader.counts()
        print(
            f"  {counts.files} files, {counts.chunks} chunks, {counts.vectors} vectors;"
            f" {counts.disk_bytes / 1e6:.0f} MB for {counts.bytes / 1e6:.0f} MB of source"
        )
        for what, using in (("names and text", None), ("with vectors", embedder)):
            searcher = Searcher(workspace.tree.root, reader, using)
            searcher.search("warm")
            times: list[float] = []
            for turn in range(TURNS + 1):
                for query in [*QUERIES, *LONG]:
                    began = time.perf_counter()
                    searcher.search(query)
                    if turn:
                        times.append((time.perf_counter() - began) * 1e3)
            times.sort()
            p50, p99 = times[len(times) // 2], times[int(len(times) * 0.99)]
            print(f"  {what}: p50 {p50:.1f} ms, p99 {p99:.1f} ms", flush=True)
        reader.close()


def main() -> None:
    """Run one of the two."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["repos", "scale"])
    parser.add_argument("--store", required=True)
    parser.add_argument("--trees", type=Path, default=Path())
    parser.add_argument("--chunks", type=int, default=100_000)
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        keep = options.keep or Path(folder)
        (repos if options.what == "repos" else scale)(options, keep)


if __name__ == "__main__":
    main()
