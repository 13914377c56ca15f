"""`nearfield doctor`: what is installed, what is wrong, how fast it is, and what to do."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nearfield.cli import checks
from nearfield.cli.checks import Check, State
from nearfield.cli.output import ExitCode, print_json
from nearfield.errors import NearfieldError

if TYPE_CHECKING:
    from nearfield.catalog.choice import ModelChoice
    from nearfield.config.load import Loaded

MARKS = {State.OK: ("✓", "green"), State.NOTE: ("!", "yellow"), State.PROBLEM: ("✗", "red")}
# Below this a line of code takes more than a second or two to write.
SLOW_DECODE = 8.0


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
    loaded = load(workspace.resolve())
    report: list[Check] = []
    for check in _checks(loaded, workspace.resolve(), measured=not quick):
        report.append(check)
        if not as_json:
            _print(check)
    if as_json:
        print_json([_row(check) for check in report])
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


def _checks(loaded: Loaded, root: Path, *, measured: bool) -> Iterator[Check]:
    from nearfield.catalog.models import Catalog
    from nearfield.catalog.recommend import this_machine
    from nearfield.config.paths import user_config_file

    config, catalog = loaded.config, Catalog.load()
    yield checks.installation()
    yield checks.machine(catalog)
    yield from checks.settings(loaded, user_config_file())
    yield checks.grammars()
    yield from checks.models(catalog)
    chosen: ModelChoice | None = None
    if config.engine.enabled:
        completes, chosen = checks.role("complete", config, catalog)
        yield completes
        yield checks.role("chat", config, catalog)[0]
    if config.index.enabled:
        yield checks.ignore_rules(config, root)
    engine = checks.engine(config)
    yield engine
    if measured and chosen is not None and engine.state is State.OK:
        yield from _measured(loaded, chosen, bool(this_machine(catalog).gpu))
    yield from asyncio.run(checks.providers(config, root))
    if config.index.store:
        yield checks.shared_index(config, root)
    if measured:
        yield checks.hub(config)
    yield checks.editors()


def _measured(loaded: Loaded, choice: ModelChoice, has_gpu: bool) -> Iterator[Check]:
    from nearfield.cli.console import spinner
    from nearfield.cli.measure import measure
    from nearfield.providers.embedded import no_reuse

    with spinner(f"Measuring {choice.name}"):
        try:
            speed = asyncio.run(measure(loaded.config.engine, choice))
        except NearfieldError as error:
            yield Check("speed", State.PROBLEM, error.message, error.hint)
            return
    yield checks.build(speed.build, speed.gpu, has_gpu, checks.cpu_flags())
    found = (
        f"{choice.name}: reads {speed.prefill:.0f} and writes {speed.decode:.0f} tokens a second,"
        f" loaded in {speed.load_ms / 1000:.1f} s"
    )
    if speed.decode < SLOW_DECODE:
        todo = "Choose a smaller model: see `nearfield models recommend`."
        yield Check("speed", State.NOTE, found, todo)
    else:
        yield Check("speed", State.OK, found)
    if not speed.reuses_prefix:
        todo = "Choose a model without recurrent layers: `nearfield models use complete NAME`."
        yield Check("prompt reuse", State.NOTE, no_reuse(choice.name), todo)


def _exit_code(report: list[Check]) -> ExitCode:
    bad = {check.name for check in report if check.state is State.PROBLEM}
    serves = any(check.state is State.OK for check in report if check.name.startswith("provider "))
    if "answers" in bad or ("speed" in bad and not serves):
        return ExitCode.NO_PROVIDER
    return ExitCode.USAGE if "settings" in bad else ExitCode.DONE


def _row(check: Check) -> dict[str, str]:
    return {
        "name": check.name,
        "state": str(check.state),
        "found": check.found,
        "todo": check.todo,
    }


def _print(check: Check) -> None:
    from rich.text import Text

    from nearfield.cli.console import Console

    mark, style = MARKS[check.state]
    console = Console(soft_wrap=True)
    console.print(Text.assemble((f"{mark} ", style), (f"{check.name:13} ", "bold"), check.found))
    if check.todo:
        console.print(Text.assemble(" " * 16, ("→ ", style), check.todo))
