"""What ignore rules cost: the walk of a large tree, one answer, and the worst that a file may hold.

    python tests/bench/ignore_rules.py FOLDER

All times are the process's own. The folder's ignore files count as they are; vendored folders are
entered, so that site-packages can be measured.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from nearfield.files.ignore import MAX_RULE_BYTES, MAX_WILDCARDS_IN_FORCE, IgnoreRules, RuleFile
from nearfield.index import files

NAME, LONG_PATH = b"a" * 255, b"a/" * 1_900 + b"a" * 200
# As many of each as a file may hold.
WORST = {
    "names": b"name%d",
    "endings": b"*.end%d",
    "short wildcards": b"*%d*x",
    "stars": b"*a" * 60 + b"*%d",
    "classes": b"*[ab]?" * 20 + b"%d",
    "folders": b"/" + b"**/a*b/" * 20 + b"%d",
}


def seconds(work: Callable[[], object], times: int = 5) -> float:
    """The median."""
    runs: list[float] = []
    for _ in range(times):
        began = time.process_time()
        work()
        runs.append(time.process_time() - began)
    return statistics.median(runs)


def allowed(pattern: bytes) -> RuleFile:
    """As many such patterns as still count."""
    most = MAX_RULE_BYTES // len(pattern % 1)
    while True:
        rules = RuleFile((pattern % number for number in range(most)), MAX_RULE_BYTES)
        if rules.exact.wildcard_bytes <= MAX_WILDCARDS_IN_FORCE:
            return rules
        most = most * 9 // 10


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder
    files.VENDORED = frozenset({".git"})
    tree = files.Tree(folder)
    entries = list(tree.walk())
    taken = seconds(lambda: list(tree.walk()))
    print(
        f"walk: {len(entries)} entries in {taken:.3f} s, {taken / len(entries) * 1e6:.0f} us each"
    )
    paths = [entry.path for entry in entries if not entry.reason][:: max(len(entries) // 500, 1)]
    rules = IgnoreRules(folder)
    taken = seconds(lambda: [rules.why(path) for path in paths])
    print(f"one answer: {taken / len(paths) * 1e6:.0f} us")
    for kind, pattern in WORST.items():
        tell_worst(kind, allowed(pattern))


def tell_worst(kind: str, rules: RuleFile) -> None:
    """Print what one rule file costs: the first match understands the patterns."""
    first = seconds(lambda: rules.exact.match(LONG_PATH, folder=True), 1)
    name = seconds(lambda: rules.exact.match(NAME, folder=True))
    path = seconds(lambda: rules.exact.match(LONG_PATH, folder=True))
    print(
        f"{kind}: first match {first * 1e3:.0f} ms, a name of 255 bytes {name * 1e3:.2f} ms,"
        f" a path of 4,000 bytes {path * 1e3:.1f} ms"
    )


if __name__ == "__main__":
    main()
