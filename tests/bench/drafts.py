"""What n-gram drafts would gain on this machine: the reason why there are none.

    python tests/bench/drafts.py [--cases N]

Greedy single-line answers of the real model, then a replay of each with drafts: where the last N
tokens have occurred before in the prompt or the answer, the D tokens that followed them are put
into one batch with the next token. What a batch of each size costs is measured here; on a processor
it grows nearly with its size, so that a draft pays only when most of it is right.
"""

from __future__ import annotations

import argparse
import gzip
import json
import statistics
from pathlib import Path

from bare import BareModel

from nearfield.catalog.models import Catalog
from nearfield.engine.client import physical_cores

FOLDER = Path(__file__).parents[3] / "shared" / "bench"
SETS = ("fim_api", "fim_cross_file", "fim_single_line")
GRAMS = (2, 3, 4, 6)
DRAFTS = (4, 6, 8)
LEAST = 4
SIZES = range(1, max(DRAFTS) + 2)
LEAD = 2


def answers(model: BareModel, cases: int) -> list[tuple[list[int], list[int]]]:
    """Prompts and answers in tokens."""
    found: list[tuple[list[int], list[int]]] = []
    for name in SETS:
        with gzip.open(FOLDER / f"{name}.jsonl.gz", "rt") as lines:
            chosen = [json.loads(line) for line, _ in zip(lines, range(cases), strict=False)]
        for case in chosen:
            above = case["prefix"][-2500:].splitlines(keepends=True)
            last = "".join(above[-LEAD:])
            prompt = model.prompt("".join(above[:-LEAD]), case["suffix"][:600], last)
            answer = model.generate(prompt, 40, started=bool(last.strip()), single_line=True)
            found.append((prompt, model.tokens(answer.text)))
    return found


def replay(
    prompt: list[int], answer: list[int], cost: dict[int, float], gram: int, draft: int
) -> tuple[float, int, int]:
    """Milliseconds with drafts, how many there were, how many of their tokens were right."""
    held = list(prompt)
    spent, drafts, right, at = 0.0, 0, 0, 0
    while at < len(answer):
        held.append(answer[at])
        at += 1
        guess = continuation(held, gram)[:draft]
        if len(guess) < LEAST:
            spent += cost[1]
            continue
        good = 0
        while good < len(guess) and at + good < len(answer) and guess[good] == answer[at + good]:
            good += 1
        spent += cost[1 + len(guess)]
        drafts, right = drafts + 1, right + good
        held += answer[at : at + good]
        at += good
    return spent, drafts, right


def continuation(held: list[int], gram: int) -> list[int]:
    """What followed the last tokens where they occurred before."""
    key = held[-gram:]
    for at in range(len(held) - gram - 1, -1, -1):
        if held[at : at + gram] == key:
            return held[at + gram :]
    return []


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=10, help="of each set")
    options = parser.parse_args()
    catalog = Catalog.load()
    path = catalog.local_path(catalog.default)
    if path is None or not FOLDER.exists():
        raise SystemExit(f"needs the model {catalog.default} and {FOLDER.name}")
    model = BareModel(path, physical_cores())
    # In turns, so that other load on the machine hits all sizes alike.
    rounds = [[model.batch_ms(n) for n in SIZES] for _ in range(9)]
    cost = {
        n: statistics.median(times)
        for n, times in zip(SIZES, zip(*rounds, strict=True), strict=True)
    }
    print("ms a batch: " + ", ".join(f"{n}: {ms:.0f}" for n, ms in cost.items()))
    done = answers(model, options.cases)
    plain = sum(len(answer) * cost[1] for _, answer in done)
    print(f"{'N':>3}{'D':>3}{'drafts':>8}{'right':>7}{'speed':>8}")
    for gram in GRAMS:
        for draft in DRAFTS:
            runs = [replay(prompt, answer, cost, gram, draft) for prompt, answer in done]
            spent, drafts, right = (sum(column) for column in zip(*runs, strict=True))
            mean = right / drafts if drafts else 0.0
            print(f"{gram:3}{draft:3}{drafts:8}{mean:7.2f}{plain / spent:7.2f}x")


if __name__ == "__main__":
    main()
