"""Review on planted bugs: is the wrong line named, and are right functions left in peace?

    python tests/bench/review.py [--cases N] [--every N] [--json]

A case is a function of `fix_humanevalfix` or `fix_quixbugs`, once with its bug and once without, as
a file with its documentation. Both are reviewed by the service that editors talk to. `line` counts
the wrong functions in which a finding is on a line that differs from the right one, `fixed` those
in which the replacement of one finding makes the tests pass, `alarms` the right functions in which
anything is found. Answers that were computed before are not used.
"""

from __future__ import annotations

import argparse
import asyncio
import difflib
import gzip
import json
import sys
import textwrap
import time

import msgspec
from fix import DATA, Case, cases, passes

from nearfield.config.load import load
from nearfield.config.schema import Cache, Index
from nearfield.features.review.findings import ReviewFinding
from nearfield.features.service import Service
from nearfield.features.status import ServiceState
from nearfield.types import Snapshot


def right_ones() -> dict[str, str]:
    """Each case's function as it should be, by the case's name."""
    found: dict[str, str] = {}
    with gzip.open(DATA / "fix_humanevalfix.jsonl.gz", "rt") as lines:
        for row in map(json.loads, lines):
            doc = textwrap.indent(f'"""{row["doc"]}\n"""', "    ")
            found[row["id"]] = f"{row['decl']}{doc}\n{row['good']}"
    with gzip.open(DATA / "fix_quixbugs.jsonl.gz", "rt") as lines:
        for row in map(json.loads, lines):
            head, _, body = row["solution"].partition(":\n")
            doc = textwrap.indent(row["docstring"], "    ")
            found[row["name"]] = f"{head}:\n{doc}\n{body}\n"
    return found


def wrong_rows(wrong: str, right: str) -> set[int]:
    """The rows of `wrong` that are other in `right`, from 0; where lines are missing, those around
    the gap."""
    before, after = wrong.splitlines(), right.splitlines()
    rows: set[int] = set()
    for kind, first, last, _, _ in difflib.SequenceMatcher(None, before, after).get_opcodes():
        if kind == "insert":
            rows |= {first - 1, first}
        elif kind != "equal":
            rows |= set(range(first, last))
    return rows


async def found_in(service: Service, case: Case, code: str) -> list[ReviewFinding]:
    """What a review finds."""
    path = f"/bench/{case.name}.py"
    snapshot = Snapshot(f"file://{path}", "python", 1, code, path, "/bench")
    return (await service.reviewer.review(snapshot)).findings


def repairs(case: Case, finding: ReviewFinding) -> bool:
    """Whether the finding's fix makes the tests pass."""
    if finding.replacement is None:
        return False
    start, end = finding.span.start, finding.span.end
    return passes(case.code[:start] + finding.replacement + case.code[end:], case.test)


async def measure(chosen: list[Case]) -> list[dict[str, object]]:
    """A row a case."""
    config = msgspec.structs.replace(
        load(None).config, cache=Cache(enabled=False), index=Index(enabled=False)
    )
    service = Service(config)
    rows: list[dict[str, object]] = []
    right = right_ones()
    try:
        await service.start()
        while service.status.state is not ServiceState.READY:
            if service.status.state is ServiceState.UNAVAILABLE:
                raise SystemExit(service.status.detail)
            await asyncio.sleep(0.05)
        for case in chosen:
            begun = time.monotonic()
            found = await found_in(service, case, case.code)
            named = wrong_rows(case.code, right[case.id])
            alarms = await found_in(service, case, right[case.id])
            rows.append(
                {
                    "id": case.id,
                    "any": bool(found),
                    "line": any(one.row in named for one in found),
                    "fixed": any(repairs(case, one) for one in found),
                    "alarm": bool(alarms),
                    "findings": len(found),
                    "seconds": (time.monotonic() - begun) / 2,
                }
            )
            print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    finally:
        await service.aclose()
    return rows


def main() -> None:
    """Run the cases and print the sums."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = asyncio.run(measure(list(cases())[:: options.every][: options.cases]))
    sums = {key: sum(bool(row[key]) for row in rows) for key in ("any", "line", "fixed", "alarm")}
    told = {"cases": len(rows), **sums, "findings": sum(int(str(r["findings"])) for r in rows)}
    print(json.dumps(told) if options.json else "  ".join(f"{k} {v}" for k, v in told.items()))


if __name__ == "__main__":
    main()
