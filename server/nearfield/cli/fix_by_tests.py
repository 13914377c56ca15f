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

from nearfield.cli.output import fail, say
from nearfield.cli.patch import Patch
from nearfield.cli.try_tests import RUN_SECONDS, RunOutcome
from nearfield.errors import NearfieldError
from nearfield.terminal import notes_on_terminal
from nearfield.types import Snapshot, Span

if TYPE_CHECKING:
    from nearfield.cli.outcome import ActionOutcome
    from nearfield.features.review.findings import ReviewFinding
    from nearfield.features.service import Service

MAX_TRIED = 5
"""Fixes of a review that are tried at most."""
_USAGE, _NO_TESTS = 4, 5
"""What pytest ends with where it was asked wrongly, and where there are no tests."""
_CONFTEST = '''"""Imports of one file get another text of it."""

import os
import sys
from importlib.machinery import SourceFileLoader

FILE, TEXT = {file!r}, {text!r}
collect_ignore_glob = ["*"]
sys.dont_write_bytecode = True
sys.path += {folders!r}
read, stamp = SourceFileLoader.get_data, SourceFileLoader.path_stats


def get_data(self, path):
    return TEXT.encode() if os.path.realpath(path) == FILE else read(self, path)


def path_stats(self, path):
    if os.path.realpath(path) == FILE:
        raise OSError  # without a stamp no compiled file is used
    return stamp(self, path)


SourceFileLoader.get_data, SourceFileLoader.path_stats = get_data, path_stats
'''


@dataclass(frozen=True, slots=True)
class NamedTests:
    """Tests that the user allowed to run: a file, or one test in it (`FILE::NAME`); of the fixed
    file itself its doctests."""

    name: str
    root: Path

    async def run(self, path: Path, text: str) -> RunOutcome:
        """Run them as if `text` were the text of the file at `path`."""
        from nearfield.features.chat.protocol import ToolRefused
        from nearfield.features.chat.shell import allowed, run

        try:
            program = allowed(["pytest"], ["pytest"], self.root)
        except ToolRefused as error:
            return RunOutcome(None, str(error))
        folders = [str(self.root), str(self.root / "src")]
        real = await asyncio.to_thread(os.path.realpath, path)
        code = _CONFTEST.format(file=real, text=text, folders=folders)
        with tempfile.TemporaryDirectory() as folder:
            conftest = Path(folder, "conftest.py")
            await asyncio.to_thread(conftest.write_text, code, encoding="utf-8")
            options = ["-q", "-x", "--tb=short", "-p", "no:cacheprovider"]
            if (Path.cwd() / self.name.partition("::")[0]).samefile(path):
                # pytest reads a file that it is given by itself, to rewrite its assertions.
                options += ["--doctest-modules", "--assert=plain"]
            # A folder that is named first has its conftest.py read before anything else.
            command = [program, *options, folder, str(Path.cwd() / self.name)]
            try:
                exit_code, output = await run(command, self.root, RUN_SECONDS, self.root)
            except ToolRefused as error:
                # Of code that does not end, its tests fail.
                return RunOutcome(1, str(error))
        return RunOutcome(exit_code, output)


def runnable(name: str, root: Path, snapshot: Snapshot) -> NamedTests:
    """Return the tests `name`, after a run on the text as it is. Ends the command where they cannot
    be run."""
    if snapshot.language != "python":
        fail("Only fixes of Python are tried with tests.", "Leave --tests out.")
    file = Path.cwd() / name.partition("::")[0]
    if not file.is_file() or file.suffix != ".py":
        fail(f"{file} is no file with tests in Python.", "For example: --tests tests/test_app.py")
    if not file.resolve().is_relative_to(root.resolve()):
        fail(f"{file} is outside the workspace {root}.", "Name tests of the same workspace.")
    tests = NamedTests(name, root)
    ran = asyncio.run(tests.run(Path(snapshot.path or ""), snapshot.text))
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
    path = Path(snapshot.path or "")
    first = outcome.texts.get(path)
    outcome.run = await tests.run(path, first.after) if first else None
    if outcome.run is not None and outcome.run.exit_code == 0:
        return
    if notes_on_terminal():
        say("The tests do not pass with the first answer: looking for fixes by a review …")
    tried, note = 0, ""
    try:
        async with aclosing(_fixes(service, snapshot, spans)) as findings:
            async for finding in findings:
                tried += 1
                text = _fixed(snapshot.text, finding)
                ran = await tests.run(path, text)
                if ran.exit_code == 0:
                    _take(outcome, path, Patch(snapshot.text, text), ran, finding)
                    return
        note = f"other fixes of a review that were tried: {tried}. None passes."
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
) -> AsyncGenerator[ReviewFinding]:
    """Yield the findings at `spans` that come with a fix. Raises as `Reviewer.review`."""
    left = MAX_TRIED
    for span in spans:
        rows = range(_row(snapshot, span.start), _row(snapshot, span.end) + 1)
        review = await service.reviewer.review(snapshot, rows)
        for finding in review.findings:
            if finding.replacement is not None and left:
                left -= 1
                yield finding


def _fixed(text: str, finding: ReviewFinding) -> str:
    span = finding.span
    return f"{text[: span.start]}{finding.replacement}{text[span.end :]}"


def _row(snapshot: Snapshot, offset: int) -> int:
    return snapshot.text.count("\n", 0, offset)
