"""Fixing on `fix_humanevalfix` and `fix_quixbugs`: the action against the same model asked plainly.

    python tests/bench/fix.py [--model NAME] [--cases N] [--part tune|test] [--rows FILE]
    python tests/bench/fix.py --rows FILE --reviews FILE

A case is a Python file with one wrong function and its documentation. Ours is what the action "fix"
proposes there, by the service that editors talk to. Plain is the same model through its chat
template, asked to fix the function; its first code block takes the function's place. Nobody is told
what is wrong. Each outcome runs the case's own tests in a process of its own. Answers that were
computed before are not used. `edits` counts the proposals, `parses` those after which the file
parses; what cannot be trusted is refused and not shown.

With `--reviews`, rows of `review.py` on the same cases, no model is asked. Counted are the right
ones of what `nearfield fix --tests` chooses among the answers and the fixes of the reviews: once by
the function's doctests, and once by tests as good as the case's own.
"""

from __future__ import annotations

import argparse
import ast
import asyncio
import gzip
import json
import re
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from under_test import Row, options, part, rows_of, service, told

from nearfield.errors import EditRefused
from nearfield.features.code_actions.proposal import ActionRequest
from nearfield.features.service import Service
from nearfield.types import ChatRequest, Message, Role, Snapshot, Span

DATA = Path(__file__).parents[3] / "shared" / "bench"
SECONDS = 10.0
"""A test that takes longer loops."""
PLAIN_TOKENS = 1024


@dataclass(frozen=True, slots=True)
class Case:
    """A wrong file, the name of the function in it, and the tests."""

    id: str
    code: str
    name: str
    test: str


def cases() -> Iterator[Case]:
    """Both sets, in their order."""
    with gzip.open(DATA / "fix_humanevalfix.jsonl.gz", "rt") as lines:
        for row in map(json.loads, lines):
            doc = textwrap.indent(f'"""{row["doc"]}\n"""', "    ")
            yield Case(row["id"], f"{row['decl']}{doc}\n{row['buggy']}", row["entry"], row["test"])
    with gzip.open(DATA / "fix_quixbugs.jsonl.gz", "rt") as lines:
        for row in map(json.loads, lines):
            above, head, body = re.split(
                rf"^(def {row['name']}\(.*\):\n)", row["buggy_program"], maxsplit=1, flags=re.M
            )
            doc = textwrap.indent(row["docstring"], "    ")
            yield Case(row["name"], f"{above}{head}{doc}\n{body}\n", row["name"], row["tests"])


def passes(code: str, test: str) -> bool:
    """Whether `test` ends well with `code` above it, in a process without the user's site."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "case.py"
        path.write_text(f"{code}\n{test}\n")
        try:
            ran = subprocess.run(
                [sys.executable, "-I", str(path)], capture_output=True, timeout=SECONDS, cwd=folder
            )
        except subprocess.TimeoutExpired:
            return False
        return ran.returncode == 0


def parses(code: str) -> bool:
    """Whether Python takes it."""
    try:
        ast.parse(code)
    except SyntaxError:
        return False
    return True


async def ours(service: Service, case: Case) -> str | None:
    """The file after the proposed edit; None where nothing is proposed."""
    path = f"/bench/{case.name}.py"
    snapshot = Snapshot(f"file://{path}", "python", 1, case.code, path, "/bench")
    at = case.code.index(f"def {case.name}(")
    try:
        proposal = await service.actions.propose(ActionRequest("fix", snapshot, Span(at, at)))
    except EditRefused:
        return None
    return proposal.files[0].after


async def plainly(service: Service, case: Case) -> str:
    """The file with the first code block of the model's answer in the function's place."""
    asked = f"Fix the bug in this Python function:\n\n```python\n{case.code}```"
    request = ChatRequest((Message(Role.USER, asked),), max_tokens=PLAIN_TOKENS, temperature=0.0)
    text = ""
    [provider] = [one for one in service.providers.values() if one.capabilities.chat]
    async for delta in provider.chat(request):
        text += delta.text
    block = re.search(r"```[\w+]*\n(.*?)(?:```|\Z)", text, re.DOTALL)
    above = case.code[: case.code.index(f"def {case.name}(")]
    return f"{above}\n{block[1] if block else text}"


def doctests_pass(code: str) -> bool:
    """Whether the examples in the documentation hold; there may be none."""
    run = "\nimport doctest\nraise SystemExit(doctest.testmod().failed)"
    return ">>>" not in code or passes(code, run)


def chosen_by_tests(rows: list[Row], reviews: list[Row]) -> None:
    """Print how many answers are right, and how many after a choice among them and reviews."""
    by_name = {case.id: case for case in cases()}
    found = {row["id"]: row["found"] for row in reviews}
    sums = {"answers": 0, "by doctests": 0, "by the case's tests": 0}
    both = [row for row in rows if row["id"] in found]
    for row in both:
        case = by_name[row["id"]]
        texts = [row["edited"]] if row["edited"] else []
        for at, _, replacement in found[case.id]:
            lines = case.code.split("\n")
            if replacement is not None:
                blanks = lines[at][: len(lines[at]) - len(lines[at].lstrip())]
                lines[at] = blanks + replacement
                texts.append("\n".join(lines))
        right = [passes(text, case.test) for text in texts]
        held = [at for at, text in enumerate(texts) if doctests_pass(text)]
        sums["answers"] += row["ours"]
        sums["by doctests"] += bool(right) and right[held[0] if held else 0]
        sums["by the case's tests"] += any(right)
    print(f"cases {len(both)}", sums)


async def measure(chosen: argparse.Namespace) -> list[Row]:
    """A row a case."""
    by_name = {case.id: case for case in cases()}
    async with service(chosen) as served:

        async def run(name: str) -> Row:
            case = by_name[name]
            edited = await ours(served, case)
            row: Row = {
                "edit": edited is not None,
                "parses": edited is not None and parses(edited),
                "ours": edited is not None and await asyncio.to_thread(passes, edited, case.test),
                "edited": edited,
            }
            if chosen.plain:
                begun = time.monotonic()
                plain = await plainly(served, case)
                row["plain_seconds"] = round(time.monotonic() - begun, 1)
                row["plain"] = await asyncio.to_thread(passes, plain, case.test)
            return row

        return await rows_of(chosen, part(list(by_name), chosen), run)


def main() -> None:
    """Run the cases and print the sums."""
    parser = argparse.ArgumentParser(description=__doc__)
    options(parser)
    parser.add_argument(
        "--ours", action="store_false", dest="plain", help="leave the plain way out"
    )
    parser.add_argument("--reviews", type=Path, help="rows of review.py: see above")
    chosen = parser.parse_args()
    if chosen.reviews:
        files = (chosen.rows, chosen.reviews)
        held = [[*map(json.loads, file.read_text().splitlines())] for file in files]
        chosen_by_tests(*held)
        return
    rows = asyncio.run(measure(chosen))
    only = sum(row["ours"] and not row.get("plain") for row in rows)
    print(told(rows, ("edit", "parses", "ours", "plain")), f" only ours {only}")


if __name__ == "__main__":
    main()
