"""Documentation, explanations, tests and rewrites by a model, each judged by a program.

    python tests/bench/answers.py document|explain|test|types|errors|faster [--model NAME]

Ours is what the service proposes that editors talk to. The functions are those of `functions.py`,
of the rewrites the right ones of `fix_humanevalfix` and `fix_quixbugs`, which have tests.

- document: `styled` has a docstring with a summary on its first line, `exact` one that describes
  every parameter and nothing else in its list of them; `right` is both.
- explain: a fact is planted in each function in turn: a call of a function with a telling name, a
  value that is returned, or an error in an edge case. `right` answers name it.
- test: `runs` has tests that pytest can collect, `passes` those that all pass, `kills` those of
  which one fails once an operator or a number of the function is changed. `kept` passes once the
  tests that fail on the function as it is are left out, as `nearfield test --run` does.
- types, errors, faster: `edit` is proposed, `right` has the function's own tests pass afterwards.
"""

from __future__ import annotations

import argparse
import ast
import asyncio
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from fix import Case, cases, passes
from functions import Function, functions, mutant
from review import right_ones
from under_test import Row, options, part, rows_of, service, told

from nearfield.cli.try_tests import run_new_tests
from nearfield.errors import EditRefused
from nearfield.features.code_actions.proposal import ActionRequest, Proposal
from nearfield.features.service import Service
from nearfield.types import Snapshot, Span

COUNT = 30
SECONDS = 20.0
KEYS = {
    "document": ("edit", "styled", "exact", "right"),
    "explain": ("right", "call", "value", "edge"),
    "test": ("edit", "runs", "passes", "kills", "kept", "kept_kills"),
}
REWRITES = ("types", "errors", "faster")


async def proposed(service: Service, action: str, code: str, name: str, folder: Path) -> Proposal:
    """The proposal of an action on the function `name`."""
    path = folder / "module.py"
    snapshot = Snapshot(path.as_uri(), "python", 1, code, str(path), str(folder))
    at = code.index(f"def {name}(")
    return await service.actions.propose(ActionRequest(action, snapshot, Span(at, at)))


async def document(service: Service, one: Function) -> Row:
    """Judge the docstring that is proposed."""
    try:
        proposal = await proposed(service, "document", one.module, one.name, Path("/bench"))
    except EditRefused as error:
        return {"edit": False, "why": str(error)}
    after = proposal.files[0].after
    tree = ast.parse(after)
    node = next(n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == one.name)
    doc = ast.get_docstring(node) or ""
    styled = bool(re.match(r"[A-Z`].*[^\s]", doc)) and not re.match(r"\w+:", doc)
    exact = described(doc) == sorted(one.parameters)
    return {"edit": True, "styled": styled, "exact": exact, "right": styled and exact, "doc": doc}


def described(doc: str) -> list[str]:
    """The parameters that a docstring has entries for: Google's, NumPy's or Sphinx's."""
    found = re.findall(r"^\s*:param (?:[\w\[\], .|]+ )?\*{0,2}(\w+):", doc, re.M)
    if section := re.search(r"^(?:Args|Arguments|Parameters):\n((?:[ \t]+.*\n?|\n)+)", doc, re.M):
        rows = [row for row in section[1].splitlines() if row.strip()]
        depth = min(len(row) - len(row.lstrip()) for row in rows)
        own = [row[depth:] for row in rows if not row[depth:][:1].isspace()]
        found += [
            m[1] for row in own if (m := re.match(r"[-*` ]*\**(\w+)`?\s*(?:\(.*?\))?\s*:", row))
        ]
    if section := re.search(r"^Parameters\n-+\n((?:.*\n?)+?)(?=^\w+\n-+|\Z)", doc, re.M):
        found += re.findall(r"^(\w+)\s*(?::.*)?$", section[1], re.M)
    return sorted(found)


def planted(one: Function, number: int) -> tuple[str, str, re.Pattern[str]]:
    """The function with a fact in it, the fact's kind, and what an answer that names it holds."""
    first = one.parameters[0]
    node = ast.parse(one.code).body[0]
    assert isinstance(node, ast.FunctionDef)
    lines, at = one.code.split("\n"), node.body[0].lineno - 1
    indent = lines[at][: len(lines[at]) - len(lines[at].lstrip())]
    kind = ("call", "value", "edge")[number % 3]
    fact, pattern = {
        "call": (f"report_usage({first})", r"report[_ ]usage|\breports?\b.*\busage"),
        "value": (f'if {first} == "*":\n{indent * 2}return "n/a"', r"n/a"),
        "edge": (
            f"if {first} is None:\n{indent * 2}raise LookupError('nothing to work on')",
            r"LookupError|\b(?:raise|error|exception|fail)\w*\b.*\bNone\b|\bNone\b.*\b(?:raise|error|exception|fail)",
        ),
    }[kind]
    head = "def report_usage(value):\n    ...\n\n\n" if kind == "call" else ""
    code = "\n".join([*lines[:at], f"{indent}{fact}", *lines[at:]])
    return (
        "\n\n\n".join(filter(None, (one.head, head.strip(), code))),
        kind,
        re.compile(pattern, re.S | re.I),
    )


async def explain(service: Service, one: Function, number: int) -> Row:
    """Judge the explanation of a function with a planted fact."""
    code, kind, pattern = planted(one, number)
    snapshot = Snapshot("file:///bench/module.py", "python", 1, code, "/bench/module.py", "/bench")
    at = code.index(f"def {one.name}(") + 4
    span = Span(at - 4, len(code))
    found = await service.explainer.explain(snapshot, span)
    text = found.explanation.text
    return {
        "kind": kind,
        "right": bool(pattern.search(text)),
        kind: bool(pattern.search(text)),
        "text": text,
    }


async def test(service: Service, one: Function) -> Row:
    """Judge the tests that are proposed, in a folder with the function as its module."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "module.py").write_text(one.module)
        (folder / "pyproject.toml").write_text("[tool.pytest.ini_options]\n")
        try:
            proposal = await proposed(service, "test", one.module, one.name, folder)
        except EditRefused as error:
            return {"edit": False, "why": str(error)}
        file = proposal.files[0]
        path = Path(file.path or "")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.after)
        row: Row = {
            "edit": True,
            "tests": file.after,
            **await _judged(folder, path, one),
        }
        return row


async def _judged(folder: Path, path: Path, one: Function) -> Row:
    text = path.read_text()
    code, output = await asyncio.to_thread(_pytest, folder, path)
    row: Row = {"runs": code in (0, 1), "passes": code == 0, "output": output[-1500:]}
    kept, ran = await run_new_tests(path.name, None, text, folder)
    path.write_text(kept)
    row["kept"] = ran.exit_code == 0
    changed = mutant(one.module, one.name, one.id)
    if row["kept"] and changed:
        (folder / "module.py").write_text(changed)
        row["kept_kills"] = (await asyncio.to_thread(_pytest, folder, path))[0] == 1
        row["kills"] = row["passes"] and row["kept_kills"]
    return row


def _pytest(folder: Path, path: Path) -> tuple[int, str]:
    options = ["-q", "-p", "no:cacheprovider", "--rootdir", str(folder), "-o", "addopts="]
    command = [sys.executable, "-m", "pytest", *options, "-o", f"pythonpath={folder}", str(path)]
    try:
        ran = subprocess.run(command, capture_output=True, timeout=SECONDS, cwd=folder, text=True)
    except subprocess.TimeoutExpired:
        return -1, "it takes too long"
    return ran.returncode, ran.stdout


async def rewrite(service: Service, action: str, case: Case) -> Row:
    """Judge a rewrite by the function's own tests."""
    try:
        proposal = await proposed(service, action, case.code, case.name, Path("/bench"))
    except EditRefused as error:
        return {"edit": False, "why": str(error)}
    after = proposal.files[0].after
    right = await asyncio.to_thread(passes, after, case.test)
    return {"edit": True, "right": right, "after": after}


def right_cases() -> list[Case]:
    """The right functions with their tests."""
    right = right_ones()
    found = [Case(one.id, right[one.id], one.name, one.test) for one in cases()]
    return [one for one in found if f"def {one.name}(" in one.code]


async def measure(what: str, chosen: argparse.Namespace) -> list[Row]:
    """A row a case."""
    async with service(chosen) as served:
        if what in REWRITES:
            # Each of the three actions has functions of its own.
            some = right_cases()[REWRITES.index(what) :: 3][:COUNT]
            by_name = {one.id: one for one in some}
            names = part(list(by_name), chosen)
            return await rows_of(chosen, names, lambda name: rewrite(served, what, by_name[name]))
        some = functions(COUNT, documented=what == "test")
        numbers = {one.id: (number, one) for number, one in enumerate(some)}

        async def run(name: str) -> Row:
            number, one = numbers[name]
            if what == "explain":
                return await explain(served, one, number)
            return await (document if what == "document" else test)(served, one)

        return await rows_of(chosen, part(list(numbers), chosen), run)


def main() -> None:
    """Run the cases and print the sums."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", choices=(*KEYS, *REWRITES))
    options(parser)
    chosen = parser.parse_args()
    rows = asyncio.run(measure(chosen.what, chosen))
    print(chosen.what, told(rows, KEYS.get(chosen.what, ("edit", "right"))))


if __name__ == "__main__":
    main()
