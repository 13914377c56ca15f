"""Tests that a model wrote, run where the user asked for it.

They run in a folder of their own, so that nothing of the workspace is written over, under the
rules for commands that a chat may start: the program is outside the workspace, the environment is
bare, and nothing outlives the time limit. The tested code itself does what it does.
"""

from __future__ import annotations

import asyncio
import shlex
import tempfile
from dataclasses import dataclass
from pathlib import Path

RUN_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """The result of a run; `exit_code` is None where nothing was run, and `output` says why."""

    exit_code: int | None
    output: str

    @property
    def words(self) -> str:
        """A sentence for the user."""
        if self.exit_code is None:
            return f"the tests were not run: {self.output}"
        if self.exit_code == 0:
            return "the tests were run, and pass."
        return f"the tests were run, and do not all pass:\n{self.output}"


async def run_tests(name: str, text: str, root: Path) -> RunOutcome:
    """Run the test file `name`, whose text is `text`, on the code of the workspace `root`."""
    from nearfield.features.chat.protocol import Refused
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
        except Refused as error:
            return RunOutcome(None, str(error))
    return RunOutcome(code, output)
