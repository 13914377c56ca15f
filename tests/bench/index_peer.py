"""The repository questions answered by semble, a peer, for comparison (NDCG@10).

    PYTHONPATH=FOLDER python tests/bench/index_peer.py --trees FOLDER

semble and what it needs (`pip install --no-deps --target FOLDER semble model2vec vicinity
semble-grammars orjson`) are no requirement of ours. Its own model comes from a hub; `--own` uses
that, otherwise it gets the embedder that is shipped here, so that the two differ in all but that.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from index_search import ndcg, questions

from nearfield.index.embedder import Embedder


class Shipped:
    """The shipped embedder as semble calls one."""

    dim = Embedder.dimensions

    def __init__(self) -> None:
        self._embedder = Embedder(2)

    def encode(self, texts: Sequence[str], **_options: object) -> Any:
        """One row a text."""
        return self._embedder.embed(list(texts))


def main() -> None:
    """Ask all questions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trees", type=Path, required=True)
    parser.add_argument("--own", action="store_true", help="semble's own model, from its hub")
    options = parser.parse_args()
    # Not among our requirements, so not there when this file is checked.
    import importlib

    dense = importlib.import_module("semble.index.dense")
    module = importlib.import_module("semble.index.index")
    if not options.own:
        shipped = Shipped()

        def load_model(_path: str | None = None) -> tuple[Shipped, str]:
            return shipped, "shipped"

        for one in (dense, module):
            vars(one)["load_model"] = load_model
    values: list[float] = []
    times: list[float] = []
    for name, root, asked in questions(options.trees):
        index = module.SembleIndex.from_path(root)
        for query, relevant in asked:
            began = time.perf_counter()
            found = index.search(query["query"], top_k=60)
            times.append(time.perf_counter() - began)
            values.append(ndcg([one.chunk.file_path for one in found], relevant))
        print(f"{name}: NDCG@10 {statistics.mean(values):.3f} of {len(values)} so far", flush=True)
    print(f"a query with 60 results: median {statistics.median(times) * 1e3:.1f} ms")


if __name__ == "__main__":
    main()
