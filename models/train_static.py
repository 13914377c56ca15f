"""Train a static embedder (a table with a row a word) on docstrings and their functions.

    while read name; do pip download --no-deps -d WHEELS "$name"; done < names.txt
    pip install numpy scipy safetensors tokenizers onnxruntime      # in an environment apart
    PYTHONPATH=server python models/train_static.py --wheels WHEELS --out FOLDER \
        [--bench ../shared/bench] [--steps N]

The pairs are functions of the wheels' files, with the first sentence of the docstring as what is
asked; wheels without a permissive licence in their metadata are passed over, and `static.json`
records those that were read. The rows begin as the shipped transformer's vectors of the words, cut
to 256 dimensions by principal components and weighted by how rare the word is, as model2vec does
it. Then they learn to tell a function by its docstring among a thousand. What is written is in
model2vec's format, but for one thing that `config.json` says: a word that stands in a text n times
counts 1 + log n times, which is worth 0.04 (MRR) against n. With `--bench` no function whose
docstring stands in CoSQA's corpus is learned from, and the table is scored there, alone (MRR@100).
"""

from __future__ import annotations

import argparse
import ast
import gzip
import hashlib
import json
import random
import re
import time
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file
from scipy import sparse
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

from nearfield.index.embedder import Embedder
from nearfield.index.static_embedder import SHIPPED

DIMENSIONS = 256
VOCABULARY = 30_000
UNKNOWN = "[UNK]"
SIF = 1e-3
"""Weight of a word of probability p: SIF / (SIF + p)."""
PAIRS_A_WHEEL = 6_000
"""So that one large project does not make half of all pairs."""
BATCH = 1_024
TEMPERATURE = 0.05
RATE = 0.003
"""With 0.01 it is 0.382 alone instead of 0.390 (CoSQA dev, MRR@100)."""
DROPPED = 0.25
"""Share of the words of a question that are left out, as a person who searches says less."""
NAMED_LANGUAGE = 0.3
"""Share of the questions that name a language."""
LANGUAGES = ("python", "python", "python", "javascript", "java", "code")

PERMISSIVE = re.compile(
    r"\b(MIT|BSD|Apache|ISC|PSF|Python Software Foundation|Unlicense|Zope|ZPL|0BSD|HPND"
    r"|Historical Permission)\b",
    re.IGNORECASE,
)
OTHER = re.compile(r"GPL|General Public|MPL|Mozilla|EUPL|CDDL|Proprietary", re.IGNORECASE)
PASSED_OVER = re.compile(r"(^|/)(_?vendor(ed)?|tests?|testing|_?extern(al)?s?)/|(^|/)test_")
LEFT_OUT = frozenset(["fastapi", "flask", "click", "requests", "model2vec"])
"""The questions of tests/bench are about these."""


@dataclass(frozen=True)
class Pair:
    """A question and the function that answers it."""

    asked: str
    code: str


def licence_of(wheel: zipfile.ZipFile) -> tuple[str, str, str]:
    """Name, version and licence as the metadata says."""
    name = next(one for one in wheel.namelist() if one.endswith(".dist-info/METADATA"))
    fields = HeaderParser().parsestr(wheel.read(name).decode("utf-8", "replace"))
    said = [fields["License-Expression"] or "", *(fields.get_all("Classifier") or [])]
    said = [one for one in said if one and (not one.startswith("Prog"))]
    licences = [one for one in said if one.startswith("License ::") or "::" not in one]
    text = "; ".join(licences) or (fields["License"] or "")[:60].split("\n")[0]
    return fields["Name"], fields["Version"], text


def sentence(doc: str) -> str:
    """The first sentence of a docstring, in one line."""
    first = re.split(r"\n\s*\n|\n\s*[:@]|\.\s", doc.strip() + " ", maxsplit=1)[0]
    return " ".join(first.split())


def functions(source: str) -> Iterator[Pair]:
    """The functions of a file that say what they do."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return
    lines = source.split("\n")
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        doc = ast.get_docstring(node) or ""
        asked = sentence(doc)
        if not 3 <= len(asked.split()) <= 40 or not asked.isascii():
            continue
        first, last = node.lineno - 1, node.end_lineno or node.lineno
        code = "\n".join(lines[first:last])
        # What is asked must not stand in the answer word for word, or that is all that is learned.
        shown = lines[first : node.body[0].lineno - 1] + doc[len(asked) :].split("\n")
        rest = lines[(node.body[0].end_lineno or 0) : last]
        if len(rest) >= 2 and len(code) < 6_000:
            yield Pair(asked, "\n".join([*shown, *rest])[:2_000])


def mined(folder: Path, known: set[str]) -> tuple[list[Pair], list[dict[str, Any]]]:
    """The pairs of all wheels and what the wheels are. Docstrings in `known` are passed over."""
    pairs: list[Pair] = []
    record: list[dict[str, Any]] = []
    seen: set[str] = set(known)
    for file in sorted(folder.glob("*.whl")):
        with zipfile.ZipFile(file) as wheel:
            name, version, licence = licence_of(wheel)
            if not PERMISSIVE.search(licence) or OTHER.search(licence) or name in LEFT_OUT:
                print(f"passed over: {name} ({licence})")
                continue
            mine: list[Pair] = []
            for path in wheel.namelist():
                if path.endswith(".py") and not PASSED_OVER.search(path):
                    mine += functions(wheel.read(path).decode("utf-8", "replace"))
        random.Random(name).shuffle(mine)  # noqa: S311 - nothing secret
        fresh = [one for one in mine if one.asked.lower() not in seen][:PAIRS_A_WHEEL]
        fresh = list({one.asked.lower(): one for one in fresh}.values())
        seen.update(one.asked.lower() for one in fresh)
        pairs += fresh
        record.append({"name": name, "version": version, "licence": licence, "pairs": len(fresh)})
    return pairs, record


def tokenizer_for(texts: Sequence[str]) -> Tokenizer:
    """Words, identifiers split into theirs, lower case; the most frequent ones."""
    tokenizer = Tokenizer(models.WordLevel(unk_token=UNKNOWN))
    borders = "(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])"
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Replace(Regex(borders), " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[^\W\d_]+|\d+"), "removed", invert=True)
    trainer = trainers.WordLevelTrainer(
        vocab_size=VOCABULARY, min_frequency=3, special_tokens=[UNKNOWN], show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def bags(tokenizer: Tokenizer, texts: Sequence[str]) -> Any:
    """One row a text: how much each word counts in it; nothing for words that are not known."""
    rows = [row.ids for row in tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]
    lengths = np.array([len(row) for row in rows])
    columns = np.concatenate([np.asarray(row, np.int32) for row in rows])
    at = np.repeat(np.arange(len(rows)), lengths)
    keep = columns != 0
    data = np.ones(keep.sum(), np.float32)
    size = tokenizer.get_vocab_size()
    bag = sparse.csr_matrix((data, (at[keep], columns[keep])), shape=(len(rows), size))
    bag.sum_duplicates()
    bag.data = (1 + np.log(bag.data)).astype(np.float32)
    return bag


def unit(rows: Any) -> Any:
    """Rows of length 1."""
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


def beginning(tokenizer: Tokenizer, counts: Any) -> Any:
    """The table to begin with."""
    teacher = Embedder(2)
    words = sorted(tokenizer.get_vocab().items(), key=lambda pair: pair[1])
    vectors = np.concatenate(
        [
            teacher.embed([word for word, _ in words[start : start + 1_024]])
            for start in range(0, len(words), 1_024)
        ]
    )
    mean = vectors.mean(axis=0)
    _, _, axes = np.linalg.svd(vectors - mean, full_matrices=False)
    axes = axes[:DIMENSIONS].T
    share = counts / counts.sum()
    weights = (SIF / (SIF + share))[:, None]
    table = unit((vectors - mean) @ axes) * weights
    table[0] = 0
    return table.astype(np.float32)


class Table:
    """The rows, and Adam's memory of each; only rows that a batch touches move."""

    def __init__(self, rows: Any) -> None:
        self.rows = rows
        self._mean = np.zeros_like(rows)
        self._square = np.zeros_like(rows)

    def pooled(self, bag: Any) -> tuple[Any, Any]:
        """Unit vectors of texts and their lengths before."""
        raw = bag @ self.rows
        lengths = np.maximum(np.linalg.norm(raw, axis=1, keepdims=True), 1e-6)
        return raw / lengths, lengths

    def step(self, parts: Sequence[tuple[Any, Any, Any, Any]], rate: float) -> None:
        """Move against the gradients: (bag, unit vectors, lengths, gradient of the vectors)."""
        total: Any = None
        for bag, vectors, lengths, gradient in parts:
            inward = gradient - vectors * (gradient * vectors).sum(axis=1, keepdims=True)
            moved = (bag.T @ (inward / lengths)).astype(np.float32)
            total = moved if total is None else total + moved
        touched = np.flatnonzero(np.abs(total).sum(axis=1))
        gradient = total[touched]
        self._mean[touched] = 0.9 * self._mean[touched] + 0.1 * gradient
        self._square[touched] = 0.99 * self._square[touched] + 0.01 * gradient**2
        self.rows[touched] -= rate * self._mean[touched] / (np.sqrt(self._square[touched]) + 1e-8)


def softmax(rows: Any) -> Any:
    """Along the last axis."""
    power = np.exp(rows - rows.max(axis=1, keepdims=True))
    return power / power.sum(axis=1, keepdims=True)


def asked_so(question: Any, common: Sequence[int], rng: np.random.Generator) -> Any:
    """Questions as they are typed: words are left out, and some name the language, which says
    nothing about one workspace's functions."""
    question = question.copy()
    question.data *= rng.random(len(question.data)) >= DROPPED
    rows = np.flatnonzero(rng.random(question.shape[0]) < NAMED_LANGUAGE)
    columns = rng.choice(common, len(rows))
    named = sparse.csr_matrix(
        (np.ones(len(rows), np.float32), (rows, columns)), shape=question.shape
    )
    return (question + named).tocsr()


def trained(
    table: Table,
    asked: Any,
    codes: Any,
    common: Sequence[int],
    steps: int,
    rng: np.random.Generator,
    listener: Any,
) -> None:
    """Contrastive in both directions; `common` are words that name the language."""
    order = rng.permutation(asked.shape[0])
    at = 0
    for number in range(steps):
        if at + BATCH > len(order):
            order, at = rng.permutation(asked.shape[0]), 0
        picked = order[at : at + BATCH]
        at += BATCH
        question, code = asked_so(asked[picked], common, rng), codes[picked]
        q, q_length = table.pooled(question)
        c, c_length = table.pooled(code)
        scores = q @ c.T / TEMPERATURE
        right = np.eye(len(picked), dtype=np.float32)
        pull = (softmax(scores) - right + (softmax(scores.T) - right).T) / 2
        pull /= TEMPERATURE * len(picked)
        table.step(
            [(question, q, q_length, pull @ c), (code, c, c_length, pull.T @ q)],
            RATE * (1 - number / steps),
        )
        if number % 100 == 99:
            loss = -np.log(np.diag(softmax(scores)) + 1e-12).mean()
            listener(number + 1, float(loss))


def lines_of(file: Path) -> list[dict[str, Any]]:
    """The cases of a file."""
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def mrr(tokenizer: Tokenizer, rows: Any, bench: Path) -> float:
    """MRR@100 on CoSQA's development half, by these vectors alone."""
    documents = lines_of(bench / "search_cosqa_corpus.jsonl.gz")
    queries = lines_of(bench / "search_cosqa_queries.jsonl.gz")
    vectors = unit(bags(tokenizer, [one["code"] for one in documents]) @ rows)
    found = unit(bags(tokenizer, [one["query"] for one in queries]) @ rows) @ vectors.T
    ids = np.array([one["id"] for one in documents])
    total = 0.0
    for query, scores in zip(queries, found, strict=True):
        best = ids[np.argsort(-scores)[:100]]
        ranks = np.flatnonzero(best == query["gold"])
        total += 1 / (ranks[0] + 1) if len(ranks) else 0.0
    return round(total / len(queries), 4)


def main() -> None:
    """Mine, train, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wheels", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--bench", type=Path)
    parser.add_argument("--steps", type=int, default=800)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {text}", flush=True)

    known: set[str] = set()
    if options.bench:
        for one in lines_of(options.bench / "search_cosqa_corpus.jsonl.gz"):
            known.update(pair.asked.lower() for pair in functions(one["code"]))
    kept = options.out / "pairs.json.gz"
    if kept.exists():
        raw, record = json.loads(gzip.decompress(kept.read_bytes()))
        pairs = [Pair(*one) for one in raw]
    else:
        pairs, record = mined(options.wheels, known)
        raw = [(one.asked, one.code) for one in pairs]
        kept.write_bytes(gzip.compress(json.dumps((raw, record)).encode(), 1))
    say(f"{len(pairs)} pairs of {len(record)} wheels")
    asked, codes = [one.asked for one in pairs], [one.code for one in pairs]
    tokenizer = tokenizer_for([*asked, *codes])
    bag_asked, bag_codes = bags(tokenizer, asked), bags(tokenizer, codes)
    counts = np.asarray(bag_asked.sum(axis=0) + bag_codes.sum(axis=0)).ravel() + 1
    table = Table(beginning(tokenizer, counts))
    scores: dict[str, float] = {}

    def scored(when: str) -> None:
        if options.bench:
            scores[when] = mrr(tokenizer, table.rows, options.bench)
            say(f"{when}: CoSQA dev, alone: MRR@100 {scores[when]}")

    scored("before")
    common = [tokenizer.token_to_id(word) for word in LANGUAGES if tokenizer.token_to_id(word)]
    trained(
        table, bag_asked, bag_codes, common, options.steps, np.random.default_rng(1),
        lambda number, loss: say(f"step {number}: loss {loss:.3f}"),
    )  # fmt: skip
    scored("after")
    # One scale for all, as model2vec has it; what it costs is within the score's noise.
    whole = np.round(table.rows / np.abs(table.rows).max() * 127).astype(np.int8)
    save_file({"embeddings": whole}, options.out / "model.safetensors")
    tokenizer.save(str(options.out / "tokenizer.json"), pretty=False)
    (options.out / "config.json").write_text(
        json.dumps({"normalize": True, "counts": "log"}) + "\n", "utf-8"
    )
    digests = {
        name: hashlib.sha256((options.out / name).read_bytes()).hexdigest()
        for name in ("model.safetensors", "tokenizer.json")
    }
    whole_record = {
        "name": SHIPPED,
        "source": "models/train_static.py, begun with vectors by all-MiniLM-L6-v2",
        "licence": "Apache-2.0",
        "dimensions": DIMENSIONS,
        "sha256": digests,
        "cosqa_dev_mrr_100": scores,
        "wheels": record,
    }
    text = json.dumps(whole_record, indent=1) + "\n"
    (options.out / "static.json").write_text(text, "utf-8")


if __name__ == "__main__":
    main()
