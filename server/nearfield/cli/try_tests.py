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
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeGuard

from nearfield.files.lines import split_lines

RUN_SECONDS = 60.0
_FAILED = re.compile(r"^(?:FAILED|ERROR) [^\n]*?::(?:\w+::)*(\w+)", re.M)


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """The result of a run; `exit_code` is None where nothing was run, and `output` says why."""

    exit_code: int | None
    output: str
    left_out: tuple[str, ...] = ()
    """Tests that failed and are no longer in the file."""

    @property
    def words(self) -> str:
        """A sentence for the user."""
        if self.exit_code is None:
            return f"the tests were not run: {self.output}"
        if self.exit_code == 0 and self.left_out:
            names = ", ".join(self.left_out)
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
        paths = " ".join(shlex.quote(str(one)) for one in (root, root / "src"))
        options = ["-q", "-p", "no:cacheprovider", "--rootdir", folder, "-o", f"pythonpath={paths}"]
        try:
            program = allowed(["pytest"], ["pytest"], root)
            code, output = await run([program, *options, str(file)], file.parent, RUN_SECONDS, root)
        except ToolRefused as error:
            return RunOutcome(None, str(error))
    return RunOutcome(code, output)


async def run_new_tests(
    name: str, before: str | None, after: str, root: Path
) -> tuple[str, RunOutcome]:
    """Run the test file as `run_tests`, and leave out the tests of `after` that fail and are not in
    `before`, unless none would be left. Return the text, and the outcome of what is in it."""
    outcome = await run_tests(name, after, root)
    failed = dict.fromkeys(_FAILED.findall(outcome.output)) if outcome.exit_code == 1 else {}
    new = [one for one in failed if not re.search(rf"\bdef {one}\b", before or "")]
    if not new or (rest := without(after, frozenset(new))) is None:
        return after, outcome
    second = await run_tests(name, rest, root)
    if second.exit_code != 0:
        return after, outcome
    return rest, replace(second, left_out=tuple(new))


def without(text: str, names: frozenset[str]) -> str | None:
    """Return a Python test file without the functions `names`, and without classes that they leave
    empty; None if no test is left, or the text does not parse."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return None
    gone: list[ast.stmt] = []
    kept = False
    for node in tree.body:
        inner = node.body if isinstance(node, ast.ClassDef) else [node]
        tests = [one for one in inner if _is_test(one)]
        failed = [one for one in tests if one.name in names]
        kept = kept or len(failed) < len(tests)
        gone += [node] if failed and len(failed) == len(tests) else failed
    if not kept:
        return None
    lines = split_lines(text, keepends=True)
    for node in sorted(gone, key=lambda one: one.lineno, reverse=True):
        marks = getattr(node, "decorator_list", ())
        first = min([node.lineno, *(one.lineno for one in marks)]) - 1
        last = node.end_lineno or node.lineno
        while last < len(lines) and not lines[last].strip():
            last += 1
        del lines[first:last]
    return "".join(lines).rstrip("\r\n") + "\n"


def _is_test(node: ast.stmt) -> TypeGuard[ast.FunctionDef | ast.AsyncFunctionDef]:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test")
