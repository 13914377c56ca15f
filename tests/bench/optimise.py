"""Exact match of a model and of its optimised variant, case by case, and their speeds' ratio.

    python tests/bench/optimise.py SOURCE VARIANT [--cases N] [--threads N]

Of each set in ../shared/bench the first N cases: the line after the prefix, greedy, in the plain
infilling form, with the ends of what stands before and after (900 and 300 characters). A match is
the true line, white space at its ends aside. `lost` and `won` are the cases where only one of the
two was right: half of their sum's root is about what chance alone moves.
"""

from __future__ import annotations

import argparse
import gzip
import json
import statistics
from dataclasses import dataclass, field
from pathlib import Path

from bare import BareModel

DATA = Path(__file__).parents[3] / "shared" / "bench"
SETS = ("fim_single_line", "fim_api", "fim_cross_file")
BEFORE, AFTER = 900, 300


@dataclass
class Count:
    """What came of one set of cases."""

    cases: int = 0
    both: int = 0
    lost: int = 0
    won: int = 0
    faster: list[float] = field(default_factory=list[float])


def first_line(text: str) -> str:
    """The first line with something visible."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def main() -> None:
    """Run the bench."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("variant", type=Path)
    parser.add_argument("--cases", type=int, default=100)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    models = [BareModel(path, options.threads) for path in (options.source, options.variant)]
    print(f"{'set':18}{'cases':>6}{'source':>8}{'variant':>9}{'lost':>6}{'won':>5}{'prefill':>9}")
    for name in SETS:
        with gzip.open(DATA / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
            cases = [json.loads(line) for line in lines][: options.cases]
        count = Count()
        for case in cases:
            before, after = case["prefix"][-BEFORE:], case["suffix"][:AFTER]
            started = not before.endswith("\n") and bool(before.rpartition("\n")[2].strip())
            answers = [model.fim(before, after, started=started) for model in models]
            source, variant = (first_line(a.text) == first_line(case["truth"]) for a in answers)
            count.cases += 1
            count.both += source and variant
            count.lost += source and not variant
            count.won += variant and not source
            count.faster.append(answers[0].prefill_ms / answers[1].prefill_ms)
        print(
            f"{name:18}{count.cases:6}{count.both + count.lost:8}{count.both + count.won:9}"
            f"{count.lost:6}{count.won:5}{statistics.median(count.faster):9.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
