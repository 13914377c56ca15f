"""A pull as it is shown: a bar on a terminal, a line for each stage elsewhere."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import msgspec
from rich.progress import (
    BarColumn,
    DownloadColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from nearfield.catalog.models import ModelEntry
from nearfield.catalog.partial_file import PullStep, megabytes
from nearfield.cli.console import progress
from nearfield.terminal import escaped, notes_on_terminal, say

_WORDS = {
    "waiting": "waiting for another process that fetches it",
    "checking": "checking what is here already",
    "fetching": "fetching",
}


def tell_step(step: PullStep) -> None:
    """Write one step as a JSON line on standard error, for programs that draw their own
    progress.
    """
    say(escaped(msgspec.json.encode(step).decode(), "ascii"))


class PullProgress:
    """Display of the steps of one pull; call it with each. All output is on standard error, and
    `quiet` shows nothing.
    """

    def __init__(self, entry: ModelEntry, *, quiet: bool = False) -> None:
        self._entry = entry
        self._quiet = quiet
        self._said: tuple[str, str] | None = None
        self._bar = None
        if not quiet and notes_on_terminal():
            self._bar = progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                DownloadColumn(),
                TransferSpeedColumn(),
                TimeRemainingColumn(),
            )
            self._task = self._bar.add_task(entry.name, total=entry.bytes or None)

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, step: PullStep) -> None:
        """Show one step."""
        if self._quiet or step.phase == "done":
            return
        if self._bar is not None:
            words = f"{self._entry.name}: {_WORDS[step.phase]}"
            total = step.total or None
            self._bar.update(self._task, description=words, completed=step.done, total=total)
        elif self._said != (step.phase, step.source):
            self._said = (step.phase, step.source)
            say(f"{self._entry.name}: {_sentence(step)}")


def _sentence(step: PullStep) -> str:
    words = _WORDS[step.phase]
    if step.phase != "fetching":
        return words
    return f"{words} {megabytes(step.total - step.done)} from {step.source}"
