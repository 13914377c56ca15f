"""How sure the model must be for a suggestion to be worth showing: the curve.

    python tests/bench/confidence.py [--cases N] [--rows FILE] [--from FILE] [--as-shipped]

The real server completes every case as somebody who types would ask, and shows whatever comes. A
suggestion is right when its first line is the true one, white space at the end aside. For each
threshold of the mean, and of the least, log-probability: how many are still shown, how many of
these are right, how many right ones are lost and how many wrong ones are gone. `--rows` writes one
JSON line a case, `--from` prints the curve of such a file again. `--as-shipped` leaves the
thresholds as users have them, and only counts: an answer ends there at the first token below.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import tempfile
from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from editor import Editor

DATA = Path(__file__).parents[3] / "shared" / "bench"
SUFFIXES = {"python": ".py", "cpp": ".cpp", "java": ".java", "csharp": ".cs"}
SETTINGS = {
    # The machine that measures may be slow: what comes late counts here too. How much of the
    # document the model is shown does not depend on it.
    "completion": {
        "min_confidence": -100.0,
        "min_token_confidence": -100.0,
        "deadline_ms": 60_000,
        "debounce_ms": 0,
    },
}
AS_SHIPPED = {"completion": {"deadline_ms": 60_000, "debounce_ms": 0}}
KEPT = (1.0, 0.99, 0.98, 0.95, 0.9, 0.85, 0.8)
"""Shares of the right suggestions that a threshold leaves."""
BOTH_MEAN = (-100.0, -0.8, -0.6, -0.5)
BOTH_LEAST = (-100.0, -1.5, -1.2, -1.0, -0.8)


@dataclass(frozen=True, slots=True)
class Case:
    """A hole behind `before`, filled by `truth`."""

    source: str
    before: str
    after: str
    truth: str
    language: str = "python"


@dataclass(frozen=True, slots=True)
class Row:
    """What came of one: `reason` where nothing was shown."""

    source: str
    right: bool
    mean: float | None
    least: float | None
    reason: str


def cases(most: int) -> Generator[Case]:
    """So many of each file; single lines from their start and from a third of them."""
    for entry in _entries("fim_single_line", most):
        line = entry["truth"].rstrip("\n")
        indent = len(line) - len(line.lstrip())
        for source, at in (("line", 0), ("third", indent + (len(line) - indent) // 3)):
            yield Case(source, entry["prefix"] + line[:at], "\n" + entry["suffix"], line[at:])
    for entry in _entries("fim_api", most):
        yield Case("api", entry["prefix"], entry["suffix"], entry["truth"], entry["lang"])
    for entry in _entries("fim_cross_file", most):
        yield Case("cross file", entry["prefix"], entry["suffix"], entry["truth"])


def _entries(name: str, most: int) -> list[dict[str, Any]]:
    with gzip.open(DATA / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines][:most]


def ask(editor: Editor, folder: Path, number: int, case: Case) -> Row:
    """Complete one case."""
    uri = (folder / f"case{number}{SUFFIXES.get(case.language, '.py')}").as_uri()
    line = case.before.rpartition("\n")[2]
    editor.open(uri, case.before + case.after, case.language)
    column = len(line.encode("utf-16-le")) // 2
    items = editor.complete(uri, case.before.count("\n"), column, invoked=False)
    trace = editor.trace()[0]
    editor.close(uri)
    shown = items[0]["insertText"] if items else ""
    right = bool(items) and _first(shown) == _first(case.truth)
    return Row(case.source, right, trace["mean_logprob"], trace["min_logprob"], trace["reason"])


def _first(text: str) -> str:
    return next((line.rstrip() for line in text.split("\n") if line.strip()), "")


def curve(rows: Sequence[Row], name: str) -> None:
    """Print what thresholds of that kind leave."""
    known = [(row.mean if name == "mean" else row.least, row.right) for row in rows]
    shown = [(value, right) for value, right in known if value is not None]
    right = sorted(value for value, good in shown if good)
    if not right:
        return
    wrong = len(shown) - len(right)
    print(f"\n{name:9}{'shown':>7}{'precise':>9}{'right kept':>12}{'wrong gone':>12}")
    for kept in KEPT:
        least = right[min(len(right) - 1, round(len(right) * (1 - kept)))]
        left = [good for value, good in shown if value >= least]
        good = sum(left)
        print(
            f"{least:<9.2f}{len(left) / len(shown):7.0%}{good / len(left):9.0%}"
            f"{good / len(right):12.0%}{1 - (len(left) - good) / max(1, wrong):12.0%}"
        )


def counts(rows: Sequence[Row]) -> None:
    """Print the cases by source."""
    print(f"{'source':12}{'cases':>7}{'shown':>7}{'right':>7}")
    for source in dict.fromkeys(row.source for row in rows):
        of = [row for row in rows if row.source == source]
        shown = sum(not row.reason for row in of)
        print(f"{source:12}{len(of):7}{shown:7}{sum(row.right for row in of):7}")


def report(rows: Sequence[Row]) -> None:
    """Print the cases by source, and both curves."""
    counts(rows)
    given = [row for row in rows if not row.reason]
    curve(given, "mean")
    curve(given, "least")
    print(f"\n{'mean':9}{'least':9}{'shown':>7}{'precise':>9}{'right kept':>12}{'wrong gone':>12}")
    good = sum(row.right for row in given)
    for mean in BOTH_MEAN:
        for least in BOTH_LEAST:
            left = [r for r in given if (r.mean or 0) >= mean and (r.least or 0) >= least]
            right = sum(row.right for row in left)
            gone = 1 - (len(left) - right) / max(1, len(given) - good)
            print(
                f"{mean:<9.1f}{least:<9.1f}{len(left) / len(given):7.0%}"
                f"{right / max(1, len(left)):9.0%}{right / max(1, good):12.0%}{gone:12.0%}"
            )


def main() -> None:
    """Run the cases, or read them, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=100)
    parser.add_argument("--rows", type=Path)
    parser.add_argument("--from", dest="kept", type=Path)
    parser.add_argument("--as-shipped", action="store_true")
    options = parser.parse_args()
    if options.kept:
        report([Row(**json.loads(line)) for line in options.kept.read_text().splitlines()])
        return
    rows: list[Row] = []
    settings = AS_SHIPPED if options.as_shipped else SETTINGS
    with tempfile.TemporaryDirectory() as name, Editor(Path(name), settings) as editor:
        editor.wait_ready(300)
        every = list(cases(options.cases))
        random.Random(1).shuffle(every)  # so that a run that is broken off has some of each
        for number, case in enumerate(every):
            rows.append(ask(editor, Path(name), number, case))
            if options.rows:
                with options.rows.open("a", encoding="utf-8") as out:
                    out.write(json.dumps(asdict(rows[-1])) + "\n")
    if options.as_shipped:
        counts(rows)
    else:
        report(rows)


if __name__ == "__main__":
    main()
