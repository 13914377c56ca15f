"""Choosing among fixes by tests that the user named.

Where the tests fail with the answer to "fix", the fixes of a review are tried one by one, and the
first with which they pass takes its place. The tests run where they are, with the new text in place
of the file's: nothing of the workspace is written.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nearfield.cli.ending import run_to_end
from nearfield.cli.named import named_text
from nearfield.cli.output import fail, say
from nearfield.cli.patch import Patch
from nearfield.cli.try_tests import RUN_SECONDS, RunOutcome
from nearfield.errors import NearfieldError
from nearfield.files.encoding import TextFile, Unwritable
from nearfield.files.lines import line_number, split_lines
from nearfield.files.links import resolved
from nearfield.terminal import notes_on_terminal
from nearfield.types import Edit, Snapshot, Span

if TYPE_CHECKING:
    from nearfield.cli.outcome import ActionOutcome
    from nearfield.features.review.findings import ReviewFinding
    from nearfield.features.service import Service

MAX_TRIED = 5
"""Fixes of a review that are tried at most."""
_USAGE, _NO_TESTS = 4, 5
"""What pytest ends with where it was asked wrongly, and where there are no tests."""
_PLUGIN = "nearfield_tried_text"
_CODE = '''"""Imports of one file get another text of it."""

import linecache
import os
import sys
from importlib.machinery import PathFinder, SourceFileLoader

FILE, CONTENT, LINES = {file!r}, {content!r}, {lines!r}
open({begun!r}, "x").close()
sys.dont_write_bytecode = True
sys.path += {folders!r}
linecache.cache[FILE] = len(CONTENT), None, LINES, FILE  # what tracebacks show
read, stamp = SourceFileLoader.get_data, SourceFileLoader.path_stats


def get_data(self, path):
    return CONTENT if os.path.realpath(path) == FILE else read(self, path)


def path_stats(self, path):
    if os.path.realpath(path) == FILE:
        raise OSError  # without a stamp no compiled file is used
    return stamp(self, path)


class Finder:
    """Is asked before pytest, which reads files by itself to rewrite their assertions."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        spec = PathFinder.find_spec(name, path, target)
        is_ours = spec is not None and spec.origin and os.path.realpath(spec.origin) == FILE
        return spec if is_ours else None


SourceFileLoader.get_data, SourceFileLoader.path_stats = get_data, path_stats
sys.meta_path.insert(0, Finder)
'''
"""A plugin of pytest, which leaves a file that says that it has begun. It comes by a variable of
the environment: were its folder an argument, pytest would read settings and a conftest.py of the
folders above, where others may have put them.
"""


@dataclass(frozen=True, slots=True)
class NamedTests:
    """Tests that the user allowed to run: a file, or one test in it (`FILE::NAME`); of the fixed
    file `path` itself its doctests. `held` has how that file is written."""

    name: str
    root: Path
    path: Path
    held: TextFile

    async def run(self, text: str) -> RunOutcome:
        """Run them as if `text` were the text of the file."""
        from nearfield.features.chat.protocol import ToolRefused
        from nearfield.features.chat.shell import allowed, run

        try:
            program = allowed(["pytest"], ["pytest"], self.root)
        except ToolRefused as error:
            return RunOutcome(None, str(error))
        try:
            content = self.held.encode(text)
        except Unwritable as error:
            return RunOutcome(1, str(error))
        file = await asyncio.to_thread(os.path.realpath, self.path)
        options = ["-q", "-x", "--tb=short", "-p", "no:cacheprovider", "-p", _PLUGIN]
        if (Path.cwd() / self.name.partition("::")[0]).samefile(self.path):
            options.append("--doctest-modules")
        command = [program, *options, str(Path.cwd() / self.name)]
        with tempfile.TemporaryDirectory() as folder:
            plugin, begun = Path(folder, f"{_PLUGIN}.py"), Path(folder, "begun")
            code = _CODE.format(
                begun=str(begun),
                file=file,
                content=content,
                lines=split_lines(text, keepends=True),
                folders=[str(self.root), str(self.root / "src")],
            )
            await asyncio.to_thread(plugin.write_text, code, encoding="utf-8")
            variables = {"PYTHONPATH": folder}
            try:
                exit_code, output = await run(command, self.root, RUN_SECONDS, self.root, variables)
            except ToolRefused as error:
                # Of code that does not end, its tests fail.
                exit_code, output = 1, str(error)
            if not await asyncio.to_thread(begun.exists):
                return RunOutcome(None, f"pytest does not start: {output}")
        return RunOutcome(exit_code, output)


def runnable(name: str, root: Path, snapshot: Snapshot) -> NamedTests:
    """Return the tests `name`, after a run on the text as it is. Ends the command where they cannot
    be run."""
    if snapshot.language != "python":
        fail("Only fixes of Python are tried with tests.", "Leave --tests out.")
    file = Path.cwd() / name.partition("::")[0]
    if not file.is_file() or file.suffix != ".py":
        fail(f"{file} is no file with tests in Python.", "For example: --tests tests/test_app.py")
    if not resolved(file).is_relative_to(resolved(root)):
        fail(f"{file} is outside the workspace {root}.", "Name tests of the same workspace.")
    path = Path(snapshot.path or "")
    tests = NamedTests(name, root, path, named_text(path))
    ran = run_to_end(tests.run(snapshot.text))
    if ran.exit_code == _NO_TESTS:
        fail(f"There are no tests in {name}.", "Of the fixed file itself the doctests are run.")
    if ran.exit_code in (None, _USAGE):
        fail(f"The tests cannot be run: {ran.output.strip()}")
    if ran.exit_code == 0:
        say("note: the tests pass without a fix too, so they say little about one.")
    return tests


async def choose(
    service: Service,
    snapshot: Snapshot,
    spans: Sequence[Span],
    tests: NamedTests,
    outcome: ActionOutcome,
) -> None:
    """Put the first fix of a review with which the tests pass into the place of an answer with
    which they fail. What they say of the text that is left goes to `outcome`."""
    from nearfield.features.code_actions.hunks import applied

    first = outcome.texts.get(tests.path)
    outcome.run = await tests.run(first.after) if first else None
    if outcome.run is not None and outcome.run.exit_code == 0:
        return
    if notes_on_terminal():
        say("The tests do not pass with the first answer: looking for fixes by a review …")
    tried: set[str] = set()
    try:
        async with aclosing(_fixes(service, snapshot, spans)) as fixes:
            async for finding, edit in fixes:
                text = applied(snapshot.text, [edit])
                if text in tried:  # two functions may be in one piece of a review
                    continue
                tried.add(text)
                ran = await tests.run(text)
                if ran.exit_code == 0:
                    _take(outcome, tests.path, Patch(snapshot.text, text), ran, finding)
                    return
                if len(tried) == MAX_TRIED:
                    break
        note = f"other fixes of a review that were tried: {len(tried)}. None passes."
    except NearfieldError as error:
        note = f"no other fix was looked for: {error}"
    outcome.note = f"{outcome.note} {note}".lstrip()


def _take(
    outcome: ActionOutcome, path: Path, patch: Patch, run: RunOutcome, finding: ReviewFinding
) -> None:
    note = "the first answer did not pass the tests; this is a fix of a review."
    outcome.texts, outcome.run, outcome.refused = {path: patch}, run, []
    outcome.note = f"{outcome.note} {note}".lstrip()
    outcome.provider, outcome.model = finding.provider, finding.model
    outcome.prompt = outcome.wrong = ""


async def _fixes(
    service: Service, snapshot: Snapshot, spans: Sequence[Span]
) -> AsyncGenerator[tuple[ReviewFinding, Edit]]:
    """Yield the findings at `spans` that come with a fix, and the fix. Raises as
    `Reviewer.review`."""
    for span in spans:
        first, last = (line_number(snapshot.text, at) for at in (span.start, span.end))
        review = await service.reviewer.review(snapshot, range(first, last + 1))
        for finding in review.findings:
            if finding.replacement is not None:
                yield finding, Edit(finding.span, finding.replacement)
