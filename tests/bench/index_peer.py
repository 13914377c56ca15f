"""The same questions answered by peers, for comparison (NDCG@10, and MRR@100 on CoSQA).

    PYTHONPATH=FOLDER python tests/bench/index_peer.py semble --trees FOLDER [--static FOLDER]
    python tests/bench/index_peer.py ripgrep --trees FOLDER
    python tests/bench/index_peer.py ripgrep --cosqa QUESTIONS

semble and what it needs (`pip install --no-deps --target FOLDER semble model2vec vicinity
semble-grammars orjson`) are no requirement of ours. Its own model comes from a hub; `--own` uses
that, `--static` one in model2vec's format; otherwise it gets the embedder that is shipped here, so
that the two differ in all but that. ripgrep (`rg`, Debian's package) finds the files that hold most
of a question's words, and rank-bm25 (Okapi) ranks their pieces of 50 lines, as a person or an agent
without an index would.
"""

from __future__ import annotations

import argparse
import importlib
import random
import statistics
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from index_search import lines_of, mrr, ndcg, questions, tokens
from rank_bm25 import BM25Okapi

from nearfield.index.embedder import Embedder
from nearfield.index.words import STOP_WORDS

FILES = 200
"""So many of the files that hold most of a question's words are ranked."""
PIECE_LINES = 50


class Shipped:
    """The shipped embedder as semble calls one."""

    dim = Embedder.dimensions

    def __init__(self) -> None:
        self._embedder = Embedder(2)

    def encode(self, texts: Sequence[str], **_options: object) -> Any:
        """One row a text."""
        return self._embedder.embed(list(texts))


def with_ripgrep(root: Path, query: str) -> list[str]:
    """Paths below `root`, the best first."""
    words = [word for word in tokens(query) if word not in STOP_WORDS] or tokens(query)
    said = subprocess.run(
        ["rg", "--only-matching", "--ignore-case", "--fixed-strings", "--no-heading",
         "--with-filename", "--no-line-number", "--null", *(f"--regexp={word}" for word in words),
         "."],
        cwd=root, capture_output=True, check=False,
    ).stdout.decode("utf-8", "replace")  # fmt: skip
    found: defaultdict[str, set[str]] = defaultdict(set)
    for line in said.splitlines():
        path, _, word = line.partition("\0")
        found[path.removeprefix("./")].add(word.lower())
    files = sorted(found, key=lambda path: (-len(found[path]), path))[:FILES]
    pieces: list[tuple[str, list[str]]] = []
    for path in files:
        lines = (root / path).read_text("utf-8", "replace").split("\n")
        for start in range(0, len(lines), PIECE_LINES):
            text = "\n".join(lines[start : start + PIECE_LINES])
            pieces.append((path, tokens(text) or ["-"]))
    if not pieces:
        return []
    scores = BM25Okapi([piece for _, piece in pieces]).get_scores(tokens(query))
    return [pieces[at][0] for at in np.argsort(-scores)[:500]]


def repositories(trees: Path, made: Callable[[Path], Callable[[str], list[str]]]) -> None:
    """NDCG@10 over the trees' questions; `made` prepares one tree."""
    everything: list[float] = []
    times: list[float] = []
    for name, root, asked in questions(trees):
        began = time.perf_counter()
        search = made(root)
        prepared = time.perf_counter() - began
        values: list[float] = []
        for query, relevant in asked:
            began = time.perf_counter()
            paths = search(query["query"])
            times.append(time.perf_counter() - began)
            values.append(ndcg(paths, relevant))
        everything += values
        print(f"{name}: NDCG@10 {statistics.mean(values):.3f}, prepared in {prepared:.1f} s")
    print(f"all: NDCG@10 {statistics.mean(everything):.3f} of {len(everything)}")
    print(f"a question: median {statistics.median(times) * 1e3:.1f} ms")


def semble(model: Any) -> Callable[[Path], Callable[[str], list[str]]]:
    """semble, with `model` instead of its own unless that is None."""
    # Not among our requirements, so not there when this file is checked.
    dense = importlib.import_module("semble.index.dense")
    module = importlib.import_module("semble.index.index")
    if model is not None:

        def load_model(_path: str | None = None) -> tuple[Any, str]:
            return model, "given"

        for one in (dense, module):
            vars(one)["load_model"] = load_model

    def made(root: Path) -> Callable[[str], list[str]]:
        index = module.SembleIndex.from_path(root)
        return lambda query: [one.chunk.file_path for one in index.search(query, top_k=60)]

    return made


def cosqa(count: int) -> None:
    """ripgrep and rank-bm25 over one file a document, `count` questions drawn from all."""
    queries = lines_of("search_cosqa_queries")
    queries = random.Random(1).sample(queries, min(count, len(queries)))
    with tempfile.TemporaryDirectory() as folder:
        for document in lines_of("search_cosqa_corpus"):
            (Path(folder) / f"d{document['id']}.py").write_text(document["code"], "utf-8")
        value = mrr(lambda query: with_ripgrep(Path(folder), query), queries)
    print(f"CoSQA: MRR@100 {value} of {len(queries)}")


def main() -> None:
    """Ask all questions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peer", choices=("semble", "ripgrep"))
    parser.add_argument("--trees", type=Path)
    parser.add_argument("--cosqa", type=int)
    parser.add_argument("--own", action="store_true", help="semble's own model, from its hub")
    parser.add_argument("--static", type=Path, help="a model for semble, in model2vec's format")
    options = parser.parse_args()
    if options.cosqa:
        cosqa(options.cosqa)
    elif options.peer == "ripgrep":
        repositories(options.trees, lambda root: lambda query: with_ripgrep(root, query))
    elif options.static:
        model2vec = importlib.import_module("model2vec")
        repositories(options.trees, semble(model2vec.StaticModel.from_pretrained(options.static)))
    else:
        repositories(options.trees, semble(None if options.own else Shipped()))


if __name__ == "__main__":
    main()
