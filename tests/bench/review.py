"""Review on planted bugs: is the wrong line named, and are right functions left in peace?

    python tests/bench/review.py [--model NAME] [--cases N] [--part tune|test] [--rows FILE]

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
import textwrap

from fix import DATA, Case, cases, passes
from under_test import Row, options, part, rows_of, service, told

from nearfield.features.review.findings import ReviewFinding
from nearfield.features.service import Service
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


async def measure(chosen: argparse.Namespace) -> list[Row]:
    """A row a case."""
    right, by_name = right_ones(), {case.id: case for case in cases()}
    async with service(chosen) as served:

        async def run(name: str) -> Row:
            case = by_name[name]
            found = await found_in(served, case, case.code)
            named = wrong_rows(case.code, right[case.id])
            alarms = await found_in(served, case, right[case.id])
            return {
                "any": bool(found),
                "line": any(one.row in named for one in found),
                "fixed": any(repairs(case, one) for one in found),
                "alarm": bool(alarms),
                "found": [(one.row, one.message, one.replacement) for one in found],
                "alarms": [(one.row, one.message, one.replacement) for one in alarms],
            }

        return await rows_of(chosen, part(list(by_name), chosen), run)


def main() -> None:
    """Run the cases and print the sums."""
    parser = argparse.ArgumentParser(description=__doc__)
    options(parser)
    rows = asyncio.run(measure(parser.parse_args()))
    print(told(rows, ("any", "line", "fixed", "alarm")))


if __name__ == "__main__":
    main()
