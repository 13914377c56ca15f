"""Fit the complexity score, measure it by cross-validation, draw its curve.

    python tests/bench/routing_train.py ../shared/bench/routing_outcomes.jsonl.gz [--write]

Folds never part the variants of one problem: the HumanEval problems come in eight languages, and a
score that has seen one of them knows the others. An AUC is taken within each fold and averaged over
repeated partitions, because a pooled one mixes folds of different base rates. `--write` writes the
coefficients into the package, and the curve beside this file.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nearfield.routing import complexity

Array = NDArray[np.float64]
Index = NDArray[np.int64]
Predict = Callable[[Index, Index, Array], Array]

HERE = Path(__file__).parent
PACKAGED = Path(complexity.__file__).with_name("complexity.json")

# "fails": the features that alone tell most, chosen anew inside every fold (12 to 30 make little
# difference, all of them lose 0.015). "gains": there is too little of it (242 cases) to choose
# from, so it has those that were expected to matter before anything was measured.
FAILS_FEATURES = 20
GAINS_FEATURES = ("characters", "words", "imports", "examples")
RIDGE = 100.0
FOLDS, PARTITIONS = 5, 10
# The threshold is where the curve is furthest above chance, among shares up to this one: a default
# that sends most tasks away would not be "local first", whatever the curve says beyond.
MOST_ESCALATED = 1 / 3


def auc(positive: Array, score: Array) -> float:
    """The chance that a positive case scores above a negative one."""
    order = np.argsort(score, kind="stable")
    rank = np.empty(len(score))
    rank[order] = np.arange(1, len(score) + 1)
    for value in np.unique(score):
        same = score == value
        rank[same] = rank[same].mean()
    yes = positive == 1
    wins = rank[yes].sum() - yes.sum() * (yes.sum() + 1) / 2
    return float(wins / (yes.sum() * (~yes).sum()))


def fit(x: Array, y: Array) -> tuple[Array, float]:
    """Logistic regression with a ridge on standardised features: weights and intercept for plain
    ones. Newton's method; some ten steps."""
    mean, spread = x.mean(0), x.std(0) + 1e-9
    z = np.c_[np.ones(len(x)), (x - mean) / spread]
    ridge = np.eye(z.shape[1]) * RIDGE
    ridge[0, 0] = 0
    w = np.zeros(z.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-z @ w))
        step = np.linalg.solve(
            (z * (p * (1 - p))[:, None]).T @ z + ridge, z.T @ (p - y) + ridge @ w
        )
        w -= step
        if np.abs(step).max() < 1e-9:
            break
    weights = w[1:] / spread
    return weights, float(w[0] - weights @ mean)


class Data:
    """The outcomes as arrays; `group` numbers the problems."""

    def __init__(self, path: Path) -> None:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            self.rows: list[dict[str, Any]] = [json.loads(line) for line in lines]
        seen = [complexity.features(row["prompt"]) for row in self.rows]
        self.names = list(seen[0])
        self.x = np.array([[one[name] for name in self.names] for one in seen])
        self.small = np.array([float(row["small_pass"]) for row in self.rows])
        self.large = np.array([float(row["large_pass"]) for row in self.rows])
        self.fails = 1 - self.small
        self.gains = self.large * self.fails
        self.length = np.array([float(len(row["prompt"])) for row in self.rows])
        problems = [_problem(row["task_id"]) for row in self.rows]
        known = {name: number for number, name in enumerate(sorted(set(problems)))}
        self.group = np.array([known[name] for name in problems])

    def folds(self, seed: int) -> Index:
        """The fold of each case."""
        of_group = np.random.default_rng(seed).permutation(self.group.max() + 1) % FOLDS
        return of_group[self.group].astype(np.int64)

    def chosen(self, cases: Index) -> Index:
        """The features that alone tell most of "fails" on these cases."""
        tells = [
            abs(auc(self.fails[cases], self.x[cases, i]) - 0.5) for i in range(len(self.names))
        ]
        return np.argsort(tells)[::-1][:FAILS_FEATURES].astype(np.int64)

    def named(self, names: tuple[str, ...]) -> Index:
        return np.array([self.names.index(name) for name in names], dtype=np.int64)

    def predict_fails(self, train: Index, test: Index, _y: Array) -> Array:
        columns = self.chosen(train)
        weights, intercept = fit(self.x[np.ix_(train, columns)], self.fails[train])
        return self.x[np.ix_(test, columns)] @ weights + intercept

    def predict_gains(self, train: Index, test: Index, _y: Array) -> Array:
        columns = self.named(GAINS_FEATURES)
        weights, intercept = fit(self.x[np.ix_(train, columns)], self.gains[train])
        return self.x[np.ix_(test, columns)] @ weights + intercept

    def predict_length(self, _train: Index, test: Index, _y: Array) -> Array:
        return self.length[test]


def _problem(task: str) -> str:
    return "_".join(task.replace("/", "_").split("_")[:2])


def cross_validate(data: Data, y: Array, predict: Predict) -> Array:
    """The AUC of every fold of every partition."""
    found: list[float] = []
    for seed in range(PARTITIONS):
        fold = data.folds(seed)
        for number in range(FOLDS):
            train, test = np.where(fold != number)[0], np.where(fold == number)[0]
            found.append(auc(y[test], predict(train, test, y)))
    return np.array(found)


def out_of_fold(data: Data, y: Array, predict: Predict) -> Array:
    """Each case's probability from models that have not seen its problem, over all partitions."""
    total = np.zeros(len(y))
    for seed in range(PARTITIONS):
        fold = data.folds(seed)
        for number in range(FOLDS):
            train, test = np.where(fold != number)[0], np.where(fold == number)[0]
            total[test] += 1 / (1 + np.exp(-predict(train, test, y)))
    return total / PARTITIONS


def curve(data: Data, score: Array) -> Array:
    """Pass rate when the so many cases with the highest score go to the large model: one value for
    each number of cases from none to all."""
    order = np.argsort(-score, kind="stable")
    return (data.small.sum() + np.r_[0, np.cumsum((data.large - data.small)[order])]) / len(score)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("outcomes", type=Path)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    data = Data(given.outcomes)
    print(f"{len(data.rows)} cases, {data.group.max() + 1} problems, {len(data.names)} features")
    report: dict[str, dict[str, float]] = {}
    for name, y, predict in (
        ("fails", data.fails, data.predict_fails),
        ("gains", data.gains, data.predict_gains),
    ):
        ours, length = (
            cross_validate(data, y, predict),
            cross_validate(data, y, data.predict_length),
        )
        report[name] = {
            "auc": round(float(ours.mean()), 3),
            "auc_length": round(float(length.mean()), 3),
            "folds_better": round(float((ours > length).mean()), 2),
        }
        print(name, report[name], f"fold spread {ours.std():.3f}")
    by_gains = out_of_fold(data, data.gains, data.predict_gains)
    by_fails = out_of_fold(data, data.fails, data.predict_fails)
    curves = {
        "fails": curve(data, by_fails),
        "gains": curve(data, by_gains),
        "length": curve(data, data.length),
        "oracle": curve(data, data.large - data.small),
    }
    n = len(data.rows)
    ends = curves["fails"][0], curves["fails"][-1]
    line = ends[0] + (ends[1] - ends[0]) * np.arange(n + 1) / n
    for name, values in curves.items():
        above = values - line
        print(f"{name}: best {above.max():+.4f} above chance at share {above.argmax() / n:.2f}, "
              f"mean {above.mean():+.4f}")  # fmt: skip
    share = int((curves["fails"] - line)[: int(n * MOST_ESCALATED) + 1].argmax())
    threshold = float(np.sort(by_fails)[::-1][share - 1])
    passes = f"passes {curves['fails'][share]:.3f} (chance {line[share]:.3f})"
    print(f"threshold {threshold:.3f}: escalates {share / n:.2f}, {passes}")
    if given.write:
        write(data, given.outcomes, report, threshold, share / n)
        draw(curves, line, share, HERE)


def write(
    data: Data, source: Path, report: dict[str, dict[str, float]], threshold: float, share: float
) -> None:
    """Fit on everything and write the package's data file."""
    everything = np.arange(len(data.rows))
    columns = {
        "fails": data.chosen(everything),
        "gains": data.named(GAINS_FEATURES),
    }
    coefficients: dict[str, dict[str, float]] = {}
    for name, y in (("fails", data.fails), ("gains", data.gains)):
        weights, intercept = fit(data.x[:, columns[name]], y)
        table = {
            data.names[i]: round(float(w), 5) for i, w in zip(columns[name], weights, strict=True)
        }
        coefficients[name] = {"intercept": round(intercept, 5), **dict(sorted(table.items()))}
    document = {
        "about": "Coefficients of routing/complexity.py, written by tests/bench/routing_train.py",
        "data": {
            "cases": len(data.rows),
            "what": "per-problem results of Qwen2.5-Coder 1.5B (small) and 7B (large) on EvalPlus,"
            " MultiPL-E and BigCodeBench",
            "sha256": hashlib.sha256(source.read_bytes()).hexdigest(),
        },
        "cross_validation": report,
        "threshold": round(threshold, 4),
        "share_escalated": round(share, 3),
        "coefficients": coefficients,
    }  # fmt: skip
    PACKAGED.write_text(json.dumps(document, indent=2) + "\n", "utf-8")


COLOURS = {"oracle": "#999999", "gains": "#0b6e4f", "fails": "#3b6fb6", "length": "#c2571a"}


def draw(curves: dict[str, Array], line: Array, share: int, folder: Path) -> None:
    """The curve as a table (one row a percent) and as a picture."""
    n = len(line) - 1
    with (folder / "routing_curve.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["share_escalated", *curves, "chance"])
        for percent in range(101):
            at = round(percent * n / 100)
            values = [*(values[at] for values in curves.values()), line[at]]
            table.writerow([percent / 100, *(round(float(value), 4) for value in values)])
    low, high = float(line.min()) - 0.01, float(curves["oracle"].max()) + 0.01

    def place(at: int, value: float) -> str:
        return f"{60 + 520 * at / n:.1f},{340 - 300 * (value - low) / (high - low):.1f}"

    def path(values: Array, style: str) -> str:
        points = " ".join(
            place(round(p * n / 200), float(values[round(p * n / 200)])) for p in range(201)
        )
        return f'<polyline fill="none" {style} points="{points}"/>'

    x = 60 + 520 * share / n
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 400" font-family="sans-serif"'
        ' font-size="12">',
        '<rect width="640" height="400" fill="white"/>',
        f'<line x1="{x:.1f}" y1="40" x2="{x:.1f}" y2="340" stroke="#cccccc"/>',
        f'<text x="{x + 4:.1f}" y="52" fill="#666666">default {share / n:.0%}</text>',
        path(line, 'stroke="#bbbbbb" stroke-dasharray="4 4"'),
        *(path(v, f'stroke="{COLOURS[name]}" stroke-width="2"') for name, v in curves.items()),
        *(
            f'<text x="470" y="{270 + 16 * i}" fill="{COLOURS[name]}">by {name}</text>'
            for i, name in enumerate(curves)
        ),
        '<text x="240" y="380">share of tasks given to the large model</text>',
        '<text x="16" y="24">pass rate</text>',
        *(
            f'<text x="20" y="{344 - 300 * (v - low) / (high - low):.1f}">{v:.2f}</text>'
            for v in np.arange(round(low + 0.02, 2), high, 0.05)
        ),
        *(f'<text x="{52 + 520 * p / 4:.1f}" y="358">{p / 4:.0%}</text>' for p in range(5)),
        "</svg>",
    ]  # fmt: skip
    (folder / "routing_curve.svg").write_text("\n".join(parts) + "\n", "utf-8")


if __name__ == "__main__":
    main()
