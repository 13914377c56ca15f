"""What the index finds: repository questions (NDCG@10) and CoSQA (MRR@100), against BM25.

    python tests/bench/index_search.py cosqa [--keep FOLDER] [--curve]
    python tests/bench/index_search.py repos --trees FOLDER [--keep FOLDER] [--curve]
    python tests/bench/index_search.py rerank --trees FOLDER [--keep FOLDER] [--asked N]

`repos` wants the source trees of fastapi, flask, click, requests and model2vec, one folder each,
unpacked from `pip download --no-deps --no-binary :all: NAME`; a tree that is missing is passed
over, as is a question whose file that version does not have. The peer is rank-bm25 (Okapi) over the
same chunks and, for `repos`, over pieces of 50 lines. `--keep` keeps the indexes for another run.

`rerank` sorts the first hits of N drawn questions again: the index's score, mixed with how likely
the model takes the question to be after a chunk, or "Yes" to be after both. The weight is chosen on
every other question, and the rest is told beside the index's own order.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import math
import random
import re
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from rank_bm25 import BM25Okapi
from under_test import service

from nearfield.config.schema import Config
from nearfield.index import search
from nearfield.index.embedder import Embedder
from nearfield.index.search import Hit, Searcher
from nearfield.index.search_store import SqliteReader
from nearfield.index.workspace import Keeper, Workspace
from nearfield.providers.base import Scorer
from nearfield.types import ScoreRequest

DATA = Path(__file__).parents[3] / "shared" / "bench"
WORDS = re.compile(r"[a-z0-9]+")
NAMES, EARLY, VECTORS = "names and text", "with early vectors", "with vectors"
WEIGHTS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Of the vectors, for `--curve`, and of a model's opinion."""
CHARS = 600
"""Of a chunk, as a model that sorts again reads it."""


def lines_of(name: str) -> list[dict[str, Any]]:
    """The cases of one file."""
    file = DATA / f"{name}.jsonl.gz"
    if not file.exists():
        raise SystemExit(f"needs {file}")
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def tokens(text: str) -> list[str]:
    """What the peer searches by."""
    return WORDS.findall(text.lower())


def indexed(root: Path, keep: Path) -> dict[str, Searcher]:
    """Searchers of a folder at the stages of a first build."""
    fresh = Path(tempfile.mkdtemp(dir=keep))
    before, after = (Workspace.of(root, Config(), cache) for cache in (fresh, keep / "cache"))
    with Keeper(before) as keeper:
        keeper.build()
    with Keeper(after, threads=2) as keeper:
        keeper.build()
        keeper.embed()
    reader = SqliteReader(before.place.file)
    return {
        NAMES: Searcher(root, reader, None),
        EARLY: before.searcher(Embedder(2)),
        VECTORS: after.searcher(Embedder(2)),
    }


def mrr(ranked: Callable[[str], Sequence[str]], queries: Sequence[dict[str, Any]]) -> float:
    """MRR@100 over CoSQA's queries; `ranked` gives names of documents."""
    total = 0.0
    for query in queries:
        names = list(dict.fromkeys(ranked(query["query"])))[:100]
        gold = f"d{query['gold']}.py"
        total += 1 / (names.index(gold) + 1) if gold in names else 0.0
    return round(total / len(queries), 4)


def cosqa(options: argparse.Namespace, keep: Path) -> None:
    """One file a document, as an index sees it."""
    documents = lines_of("search_cosqa_corpus")
    queries = lines_of("search_cosqa_queries")
    root = keep / "cosqa"
    root.mkdir(parents=True, exist_ok=True)
    for document in documents:
        file = root / f"d{document['id']}.py"
        if not file.exists():
            file.write_text(document["code"], "utf-8")
    searchers = indexed(root, keep)
    peer = BM25Okapi([tokens(document["code"]) for document in documents])

    def by_peer(query: str) -> list[str]:
        scores = peer.get_scores(tokens(query))
        best = np.argsort(-scores)[:100]
        return [f"d{documents[at]['id']}.py" for at in best]

    def by_index(searcher: Searcher) -> Callable[[str], list[str]]:
        return lambda query: [hit.path for hit in searcher.search(query, k=100)]

    bm25 = mrr(by_peer, queries)
    for name, searcher in searchers.items():
        value = mrr(by_index(searcher), queries)
        print(f"CoSQA {name}: MRR@100 {value}, {value / bm25:.2f} x BM25 ({bm25})", flush=True)
        if options.curve and name != NAMES:
            for weight in WEIGHTS:
                with weighing(weight):
                    value = mrr(by_index(searcher), queries)
                print(f"  vectors' weight {weight}: {value}", flush=True)


@contextmanager
def weighing(weight: float) -> Generator[None]:
    """Questions in words with another weight of the vectors, early or not."""
    words = search.QueryKind.WORDS
    usual = search.VECTOR_WEIGHT[words], search.EARLY_WEIGHT[words]
    search.VECTOR_WEIGHT[words] = search.EARLY_WEIGHT[words] = weight
    yield
    search.VECTOR_WEIGHT[words], search.EARLY_WEIGHT[words] = usual


def ndcg(paths: Sequence[str], relevant: set[str]) -> float:
    """NDCG@10 over files, each relevant or not."""
    found = list(dict.fromkeys(paths))[:10]
    gain = sum(1 / math.log2(at + 2) for at, path in enumerate(found) if path in relevant)
    return gain / sum(1 / math.log2(at + 2) for at in range(min(10, len(relevant))))


def by_pieces(root: Path, files: Sequence[str]) -> Callable[[str], list[str]]:
    """BM25 over pieces of 50 lines."""
    pieces: list[tuple[str, list[str]]] = []
    for path in files:
        lines = (root / path).read_text("utf-8", "replace").split("\n")
        pieces += [
            (path, tokens("\n".join(lines[start : start + 50])) or ["-"])
            for start in range(0, len(lines), 50)
        ]
    peer = BM25Okapi([piece for _, piece in pieces])

    def ranked(query: str) -> list[str]:
        return [pieces[at][0] for at in np.argsort(-peer.get_scores(tokens(query)))[:200]]

    return ranked


Asked = list[tuple[dict[str, Any], set[str]]]
"""Questions, each with the files that answer it."""


def questions(trees: Path) -> Iterator[tuple[str, Path, Asked]]:
    """The projects of which there is a tree, with what is asked about them. A question of which no
    gold file is in the tree is left out."""
    queries = lines_of("search_repo_queries")
    for name in sorted({query["repo"] for query in queries}):
        found = sorted(one for one in trees.glob(f"{name}-*") if one.is_dir())
        if not found:
            print(f"{name}: no tree, passed over")
            continue
        root = found[-1]
        asked: Asked = []
        for query in (one for one in queries if one["repo"] == name):
            there = {one for one in query["gold"] + query["secondary"] if (root / one).exists()}
            if there.intersection(query["gold"]):
                asked.append((query, there))
        yield name, root, asked


def repos(options: argparse.Namespace, keep: Path) -> None:
    """Questions about five projects."""
    values: defaultdict[str, list[float]] = defaultdict(list)
    times: list[float] = []
    for _, root, asked in questions(options.trees):
        searchers = indexed(root, keep)
        files = [
            entry.path
            for entry in Workspace.of(root, Config(), keep).tree.walk()
            if not entry.reason
        ]
        peer = by_pieces(root, files)
        for query, relevant in asked:
            values["BM25, 50 lines"].append(ndcg(peer(query["query"]), relevant))
            for name, searcher in searchers.items():
                began = time.perf_counter()
                hits = searcher.search(query["query"], k=60)
                if name == VECTORS:
                    times.append(time.perf_counter() - began)
                values[name].append(ndcg([hit.path for hit in hits], relevant))
                for weight in WEIGHTS if options.curve and name != NAMES else ():
                    with weighing(weight):
                        hits = searcher.search(query["query"], k=60)
                    found = ndcg([hit.path for hit in hits], relevant)
                    values[f"{name}, weight {weight}"].append(found)
    for name, found in values.items():
        mean = statistics.mean(found)
        print(f"repository questions, {name}: NDCG@10 {mean:.3f} of {len(found)}")
    if times:
        print(f"a query with 60 results: median {statistics.median(times) * 1e3:.1f} ms")


Opinions = dict[str, list[float]]
"""What the model says of the first hits of a question, by the way in which it is asked."""


async def opinions(scorer: Scorer, query: str, hits: Sequence[Hit]) -> Opinions:
    """See the module's docstring."""
    found: Opinions = {"likelihood": [], "yes": []}
    for hit in hits:
        prefix = (
            f"File: {hit.path}\n```\n{hit.text[:CHARS]}\n```\nA question about this repository:"
        )
        text = f" {query}\nDoes this code answer it? Answer: Yes"
        tokens = await scorer.score(ScoreRequest("nearfield:rerank", prefix, text))
        asked = [one.logprob for one in tokens if one.start <= len(query)]
        found["likelihood"].append(sum(asked) / len(asked))
        no = max((sure for other, sure in tokens[-1].others if other == " No"), default=-20.0)
        found["yes"].append(tokens[-1].logprob - no)
    return found


def again(hits: Sequence[Hit], said: Sequence[float], weight: float) -> list[str]:
    """The paths of hits, of which the first ones are sorted by a mix."""

    def spread(values: Sequence[float]) -> list[float]:
        least, most = min(values), max(values)
        return [(one - least) / ((most - least) or 1.0) for one in values]

    own = spread([hit.score for hit in hits[: len(said)]])
    mixed = [(1 - weight) * a + weight * b for a, b in zip(own, spread(said), strict=True)]
    order = sorted(range(len(said)), key=lambda at: -mixed[at])
    return [hits[at].path for at in [*order, *range(len(said), len(hits))]]


async def rerank(options: argparse.Namespace, keep: Path) -> None:
    """Measure a second order of the first hits."""
    every = [
        (searcher, query["query"], relevant)
        for _, root, asked in questions(options.trees)
        for searcher in [indexed(root, keep)[options.stage]]
        for query, relevant in asked
    ]
    rows: list[tuple[list[Hit], set[str], Opinions]] = []
    async with service(options) as served:
        [scorer] = [one for one in served.providers.values() if isinstance(one, Scorer)]
        for searcher, query, relevant in random.Random(7).sample(every, options.asked):
            if hits := searcher.search(query, k=60):
                rows.append((hits, relevant, await opinions(scorer, query, hits[: options.hits])))
                print(f"{len(rows)} of {options.asked}", flush=True)
    for order, sign in (("best", 1.0), ("worst", -1.0)):
        found = [
            ndcg(
                again(hits, [sign * (hit.path in gold) for hit in hits[: options.hits]], 1.0), gold
            )
            for hits, gold, _ in rows
        ]
        print(f"the first hits in the {order} order: NDCG@10 {statistics.mean(found):.3f}")
    for way in ("likelihood", "yes"):

        def mean(some: Sequence[Any], weight: float, way: str = way) -> float:
            found = [ndcg(again(hits, said[way], weight), gold) for hits, gold, said in some]
            return statistics.mean(found)

        best = max((0.0, *WEIGHTS), key=lambda weight: mean(rows[::2], weight))
        for part, some in (("tuned", rows[::2]), ("kept", rows[1::2])):
            own, mixed = mean(some, 0.0), mean(some, best)
            print(f"{way}, {part}: NDCG@10 {own:.3f}, weight {best}: {mixed:.3f} of {len(some)}")


def main() -> None:
    """Run one of the three."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["cosqa", "repos", "rerank"])
    parser.add_argument("--trees", type=Path, default=Path())
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--curve", action="store_true")
    parser.add_argument("--asked", type=int, default=40, help="questions that are drawn")
    parser.add_argument("--hits", type=int, default=10, help="first hits that are sorted again")
    parser.add_argument("--stage", choices=(NAMES, EARLY, VECTORS), default=VECTORS)
    parser.add_argument("--model", default="", help="of `rerank`; the default one without it")
    parser.set_defaults(server="")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        keep = options.keep or Path(folder)
        if options.what == "rerank":
            asyncio.run(rerank(options, keep))
        else:
            (cosqa if options.what == "cosqa" else repos)(options, keep)


if __name__ == "__main__":
    main()
