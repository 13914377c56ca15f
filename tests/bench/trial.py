"""Simulate trials of two models: how often equal ones are told apart, and how soon unequal ones.

    python tests/bench/trial.py [--trials N] [--rate R] [--effects E …] [--json]

A day has a number of documents, each in the arm that a coin says. A document-day has suggestions by
a geometric distribution, and a rate of its own by a beta distribution around that of its arm, which
makes them alike (`ICC` is their correlation). A document that comes back has its own taste. The
result is looked at after every single document-day, and the trial ends at the first that decides.
"""

from __future__ import annotations

import argparse
import json
import random
from dataclasses import asdict, dataclass

from nearfield.features.trial.sequential import ArmSums, rate_interval

RATE = 0.3
DAYS = 28


@dataclass(frozen=True, slots=True)
class Workload:
    """The documents of a day, the mean suggestions of each, and how alike those are."""

    documents: int
    suggestions: float
    icc: float


WORKLOADS = (
    Workload(3, 3.0, 0.1),
    Workload(5, 10.0, 0.2),
    Workload(10, 5.0, 0.0),
    Workload(10, 5.0, 0.3),
    Workload(20, 10.0, 0.1),
)
EFFECTS = (0.0, 0.05, 0.1, 0.15)


def counts(chance: random.Random, load: Workload, rate: float) -> tuple[int, int]:
    """The suggestions of one document-day, and those taken."""
    shown = 1
    while chance.random() > 1 / load.suggestions:
        shown += 1
    if load.icc:
        strength = 1 / load.icc - 1
        rate = chance.betavariate(rate * strength, (1 - rate) * strength)
    return shown, sum(chance.random() < rate for _ in range(shown))


def trial(chance: random.Random, load: Workload, effect: float, rate: float) -> tuple[int, int]:
    """The sign of the difference that was decided, 0 for none, and the day of it."""
    arms = (ArmSums(), ArmSums())
    tastes = [chance.gauss(0.0, 0.05) for _ in range(load.documents * 3)]
    for day in range(1, DAYS + 1):
        for document in chance.sample(range(len(tastes)), load.documents):
            arm = chance.randrange(2)
            own = min(max(rate + arm * effect + tastes[document], 0.02), 0.98)
            arms[arm].add(*counts(chance, load, own))
            found = rate_interval(*arms)
            if found is not None and found.is_decided:
                return (1 if found.low > 0 else -1), day
    return 0, DAYS


def main() -> None:
    """Simulate and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=RATE)
    parser.add_argument("--effects", type=float, nargs="+", default=EFFECTS)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows: list[dict[str, object]] = []
    for number, load in enumerate(WORKLOADS):
        for effect in options.effects:
            chance = random.Random(f"{number} {effect}")
            ends = [trial(chance, load, effect, options.rate) for _ in range(options.trials)]
            days = sorted(day for sign, day in ends if sign)
            rows.append(
                {
                    **asdict(load),
                    "effect": effect,
                    "decided": len(days) / len(ends),
                    "wrong": sum(sign < 0 for sign, _ in ends) / len(ends),
                    "median_day": days[len(days) // 2] if days else None,
                }
            )
    if options.json:
        print(json.dumps(rows))
        return
    for row in rows:
        print("  ".join(f"{name} {value}" for name, value in row.items()))


if __name__ == "__main__":
    main()
