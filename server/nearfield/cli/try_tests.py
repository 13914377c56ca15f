"""Tests that a model wrote, run where the user asked for it.

They run in a folder of their own, so that nothing of the workspace is written over, under the
rules for commands that a chat may start: the program is outside the workspace, the environment is
bare, and nothing outlives the time limit. The tested code itself does what it does.
"""

from __future__ import annotations

import ast
import asyncio
import re
import shlex
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeGuard

from nearfield.cli.patch import Patch
from nearfield.files.lines import split_lines

RUN_SECONDS = 60.0
MAX_RUNS = 8
"""How often the tests are run at most, each time without what failed before."""
_FAILED = re.compile(r"^(?:FAILED|ERROR) [^\n]*?::(?:\w+::)*(\w+)", re.M)
_SHOWN_CHARS = 80


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """The result of a run; `exit_code` is None where nothing was run, and `output` says why."""

    exit_code: int | None
    output: str
    left_out: tuple[str, ...] = ()
    """Tests that failed and are no longer in the file, and assertions of others."""

    @property
    def words(self) -> str:
        """A sentence for the user."""
        if self.exit_code is None:
            return f"the tests were not run: {self.output}"
        if self.exit_code == 0 and self.left_out:
            names = "; ".join(self.left_out)
            return (
                f"the tests were run, and pass without {names}, left out because the code fails"
                " there: either is wrong."
            )
        if self.exit_code == 0:
            return "the tests were run, and pass."
        return f"the tests were run, and do not all pass:\n{self.output}"


async def run_tests(name: str, text: str, root: Path) -> RunOutcome:
    """Run the test file `name`, whose text is `text`, on the code of the workspace `root`."""
    from nearfield.features.chat.protocol import ToolRefused
    from nearfield.features.chat.shell import allowed, run

    if not name.endswith(".py"):
        return RunOutcome(None, "only tests in Python are run.")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, name)
        await asyncio.to_thread(file.write_text, text, encoding="utf-8")
        # Without settings of its own, pytest takes those of the folders above, as of /tmp.
        await asyncio.to_thread(Path(folder, "pytest.ini").touch)
        paths = " ".join(shlex.quote(str(one)) for one in (root, root / "src"))
        options = ["-q", "--tb=short", "-p", "no:cacheprovider", "--rootdir", folder]
        options += ["-o", f"pythonpath={paths}"]
        try:
            program = allowed(["pytest"], ["pytest"], root)
            code, output = await run([program, *options, str(file)], file.parent, RUN_SECONDS, root)
        except ToolRefused as error:
            return RunOutcome(None, str(error))
    return RunOutcome(code, output)


async def run_new_tests(
    name: str, before: str | None, after: str, root: Path
) -> tuple[str, RunOutcome]:
    """Run the test file as `run_tests`, and leave out what fails of the tests that are not in
    `before`: an assertion, or a test that has no other. If none would be left, all stay. Return the
    text, and the outcome of what is in it."""
    first = outcome = await run_tests(name, after, root)
    text, gone = after, list[str]()
    end = time.monotonic() + RUN_SECONDS
    for _ in range(MAX_RUNS - 1):
        if outcome.exit_code != 1 or time.monotonic() > end:
            break
        failed = dict.fromkeys(_FAILED.findall(outcome.output))
        new = [one for one in failed if not re.search(rf"\bdef {one}\b", before or "")]
        at = re.findall(rf"^\S*?{re.escape(name)}:(\d{{1,9}}): in ", outcome.output, re.M)
        found = without(text, frozenset(new), frozenset(map(int, at))) if new else None
        if found is None:
            return after, first
        text = found.text
        gone += found.left_out
        outcome = await run_tests(name, text, root)
    if outcome.exit_code != 0:
        return after, first
    return text, replace(outcome, left_out=tuple(gone))


async def run_all_new_tests(
    changed: Mapping[Path, Patch], root: Path
) -> tuple[dict[Path, Patch], RunOutcome]:
    """Run new tests. Return the files without those that fail, and the first outcome that is not
    good."""
    kept: dict[Path, Patch] = {}
    runs: list[RunOutcome] = []
    for path, patch in changed.items():
        text, ran = await run_new_tests(path.name, patch.before, patch.after, root)
        kept[path] = Patch(patch.before, text)
        runs.append(ran)
    return kept, next((one for one in runs if one.exit_code != 0), runs[0])


@dataclass(frozen=True, slots=True)
class Reduced:
    """A test file without some of its tests or assertions, which `left_out` names."""

    text: str
    left_out: tuple[str, ...]


def without(
    text: str, names: frozenset[str], failed: frozenset[int] = frozenset()
) -> Reduced | None:
    """Return a Python test file without the assertions at the lines `failed` of the tests `names`.
    A test goes whole if no such line is known in it, or if it has no other assertion, and a class
    with its last test. None if no test is left, or if the text cannot be parsed."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return None
    gone: list[ast.stmt] = []
    left_out: list[str] = []
    is_any_kept = False
    for node in tree.body:
        inner = node.body if isinstance(node, ast.ClassDef) else [node]
        tests = [one for one in inner if _is_test(one)]
        whole: list[ast.stmt] = []
        for test in tests:
            if test.name not in names:
                continue
            if (assertion := _failed_assertion(test, failed)) is None:
                whole.append(test)
                left_out.append(test.name)
            else:
                gone.append(assertion)
                left_out.append(f"{test.name}: {_shown(assertion)}")
        is_any_kept = is_any_kept or len(whole) < len(tests)
        gone += [node] if whole and len(whole) == len(tests) else whole
    if not is_any_kept:
        return None
    lines = split_lines(text, keepends=True)
    for node in sorted(gone, key=lambda one: one.lineno, reverse=True):
        _take_out(lines, node)
    return Reduced("".join(lines).rstrip("\r\n") + "\n", tuple(left_out))


def _take_out(lines: list[str], node: ast.stmt) -> None:
    """Remove a statement with what belongs to it: decorators, the remark above an assertion, and
    the empty lines below a test."""
    marks = getattr(node, "decorator_list", ())
    first = min([node.lineno, *(one.lineno for one in marks)]) - 1
    last = node.end_lineno or node.lineno
    if _is_assertion(node):
        while lines[first - 1].lstrip().startswith("#"):
            first -= 1
    else:
        while last < len(lines) and not lines[last].strip():
            last += 1
    del lines[first:last]


def _failed_assertion(
    test: ast.FunctionDef | ast.AsyncFunctionDef, failed: frozenset[int]
) -> ast.stmt | None:
    """Return the assertion of `test` that is at a line of `failed`, None if the test has to go."""
    assertions = [one for one in test.body if _is_assertion(one)]
    hit = [
        one for one in test.body
        if any(one.lineno <= line <= (one.end_lineno or one.lineno) for line in failed)
    ]  # fmt: skip
    return hit[0] if len(assertions) > 1 and hit and hit[0] in assertions else None


def _is_assertion(node: ast.stmt) -> bool:
    if isinstance(node, ast.With):
        return any("raises" in ast.unparse(item.context_expr).lower() for item in node.items)
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        return ast.unparse(node.value.func).startswith("self.assert")
    return isinstance(node, ast.Assert)


def _shown(node: ast.stmt) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= _SHOWN_CHARS else f"{text[: _SHOWN_CHARS - 1]}…"


def _is_test(node: ast.stmt) -> TypeGuard[ast.FunctionDef | ast.AsyncFunctionDef]:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test")
