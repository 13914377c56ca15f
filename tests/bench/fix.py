"""Fixing on `fix_humanevalfix` and `fix_quixbugs`: the action against the same model asked plainly.

    python tests/bench/fix.py [--cases N] [--every N] [--from N] [--json]

A case is a Python file with one wrong function and its documentation. Ours is what the action "fix"
proposes there, by the service that editors talk to. Plain is the same model through its chat
template, asked to fix the function; its first code block takes the function's place. Nobody is told
what is wrong. Each outcome runs the case's own tests in a process of its own. Answers that were
computed before are not used. `edits` counts the proposals, `parses` those after which the file
parses; what cannot be trusted is refused and not shown.
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

import msgspec

from nearfield.config.load import load
from nearfield.config.schema import Cache, Index
from nearfield.errors import EditRefused
from nearfield.features.code_actions.proposal import ActionRequest
from nearfield.features.service import Service
from nearfield.features.status import ServiceState
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
    async for delta in service.providers["embedded"].chat(request):
        text += delta.text
    block = re.search(r"```[\w+]*\n(.*?)(?:```|\Z)", text, re.DOTALL)
    above = case.code[: case.code.index(f"def {case.name}(")]
    return f"{above}\n{block[1] if block else text}"


async def measure(chosen: list[Case]) -> list[dict[str, object]]:
    """A row a case."""
    config = msgspec.structs.replace(
        load(None).config, cache=Cache(enabled=False), index=Index(enabled=False)
    )
    service = Service(config)
    rows: list[dict[str, object]] = []
    try:
        await service.start()
        while service.status.state is not ServiceState.READY:
            if service.status.state is ServiceState.UNAVAILABLE:
                raise SystemExit(service.status.detail)
            await asyncio.sleep(0.05)
        for case in chosen:
            begun = time.monotonic()
            edited = await ours(service, case)
            middle = time.monotonic()
            plain = await plainly(service, case)
            rows.append(
                {
                    "id": case.id,
                    "edit": edited is not None,
                    "parses": edited is not None and parses(edited),
                    "ours": edited is not None and passes(edited, case.test),
                    "plain": passes(plain, case.test),
                    "seconds": middle - begun,
                    "plain_seconds": time.monotonic() - middle,
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
    parser.add_argument("--from", type=int, default=0, dest="first")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = asyncio.run(measure(list(cases())[options.first :: options.every][: options.cases]))

    def count(*keys: str) -> int:
        return sum(all(row[key] for key in keys) for row in rows)

    sums = {
        "cases": len(rows),
        "edits": count("edit"),
        "parses": count("parses"),
        "ours": count("ours"),
        "plain": count("plain"),
        "only_ours": count("ours") - count("ours", "plain"),
        "only_plain": count("plain") - count("ours", "plain"),
    }
    print(json.dumps(sums) if options.json else "  ".join(f"{k} {v}" for k, v in sums.items()))


if __name__ == "__main__":
    main()
