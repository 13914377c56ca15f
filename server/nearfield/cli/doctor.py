"""`nearfield doctor`: what is installed, what is wrong, how fast it is, and what to do."""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated

import typer

from nearfield.cli.output import ExitCode, print_json
from nearfield.features.doctor.checks import Check, State
from nearfield.features.doctor.report import examine, row
from nearfield.files.links import resolved

MARKS = {State.OK: ("✓", "green"), State.NOTE: ("!", "yellow"), State.PROBLEM: ("✗", "red")}


def doctor(
    quick: Annotated[
        bool, typer.Option("--quick", help="Do not measure a model's speed, nor ask the hub.")
    ] = False,
    workspace: Annotated[
        Path, typer.Option(help="The workspace folder whose .nearfield.toml counts as well.")
    ] = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    why: Annotated[
        str,
        typer.Option(metavar="FILE:LINE:COL", help="Only say why nothing is shown at that place."),
    ] = "",
) -> None:
    """Look at everything that completions need, and say what to do about each problem.

    Exit codes: 0 all is well, 1 nothing is shown at the place of --why, 2 a setting cannot be used,
    3 no model can answer.
    """
    if why:
        _say_why(why, as_json)
        return
    from nearfield.cli import logs
    from nearfield.config.load import load

    logs.setup("error")
    loaded = load(resolved(workspace))
    report: list[Check] = []
    for check in examine(loaded, resolved(workspace), measured=not quick, measuring=_measuring):
        report.append(check)
        if not as_json:
            _print(check)
    if as_json:
        print_json([row(check) for check in report])
    raise typer.Exit(_exit_code(report))


def _say_why(target: str, as_json: bool) -> None:
    """Say what becomes of a suggestion at `target` while typing, and what to do about it."""
    from nearfield.cli import logs
    from nearfield.cli.complete import find_place
    from nearfield.cli.complete import why as asked
    from nearfield.cli.opening import settings_of
    from nearfield.features.reasons import words

    logs.setup("error")
    place = find_place(target)
    loaded = settings_of(Path(place.snapshot.root) if place.snapshot.root else None)
    trace = asyncio.run(asked(place, loaded))
    told = words(trace)
    if as_json:
        found = {"reason": trace.reason, "sentence": told.sentence, "advice": told.advice}
        print_json({**found, "provider": trace.provider, "model": trace.model})
    else:
        state = State.OK if trace.shown else State.NOTE
        _print(Check(trace.reason or "shown", state, told.sentence, told.advice))
    if not trace.shown:
        raise typer.Exit(ExitCode.NOTHING)


def _measuring(model: str) -> AbstractContextManager[object]:
    from nearfield.cli.console import spinner

    return spinner(f"Measuring {model}")


def _exit_code(report: list[Check]) -> ExitCode:
    bad = {check.name for check in report if check.state is State.PROBLEM}
    serves = any(check.state is State.OK for check in report if check.name.startswith("provider "))
    if "answers" in bad or ("speed" in bad and not serves):
        return ExitCode.NO_PROVIDER
    return ExitCode.USAGE if "settings" in bad else ExitCode.DONE


def _print(check: Check) -> None:
    from rich.text import Text

    from nearfield.cli.console import Console

    mark, style = MARKS[check.state]
    console = Console(soft_wrap=True)
    console.print(Text.assemble((f"{mark} ", style), (f"{check.name:13} ", "bold"), check.found))
    if check.todo:
        console.print(Text.assemble(" " * 16, ("→ ", style), check.todo))
