"""A pull as it is shown: a bar on a terminal, a line for each stage elsewhere."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self

import msgspec
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from nearfield.catalog.models import ModelEntry
from nearfield.catalog.part import Step, megabytes

_WORDS = {
    "waiting": "waiting for another process that fetches it",
    "checking": "checking what is here already",
    "fetching": "fetching",
}


def tell_step(step: Step) -> None:
    """One step as a JSON line on standard error, for programs that draw their own progress."""
    print(msgspec.json.encode(step).decode(), file=sys.stderr, flush=True)


class Pulling:
    """Shows the steps of one pull; call it with each. All of it goes to standard error, and `quiet`
    shows nothing."""

    def __init__(self, entry: ModelEntry, *, quiet: bool = False) -> None:
        self._entry = entry
        self._quiet = quiet
        self._said: tuple[str, str] | None = None
        self._bar: Progress | None = None
        if not quiet and sys.stderr.isatty():
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                DownloadColumn(),
                TransferSpeedColumn(),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
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

    def __call__(self, step: Step) -> None:
        """Show one step."""
        if self._quiet or step.phase == "done":
            return
        if self._bar is not None:
            words = f"{self._entry.name}: {_WORDS[step.phase]}"
            total = step.total or None
            self._bar.update(self._task, description=words, completed=step.done, total=total)
        elif self._said != (step.phase, step.source):
            self._said = (step.phase, step.source)
            print(f"{self._entry.name}: {_sentence(step)}", file=sys.stderr, flush=True)


def _sentence(step: Step) -> str:
    words = _WORDS[step.phase]
    if step.phase != "fetching":
        return words
    return f"{words} {megabytes(step.total - step.done)} from {step.source}"
