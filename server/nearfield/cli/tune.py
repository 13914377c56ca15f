"""`nearfield models tune`: an adapter from the history of a repository, kept only if it helps."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nearfield.catalog.partial_file import megabytes
from nearfield.cli.opening import settings_of
from nearfield.cli.output import ExitCode, emit, print_json, reported
from nearfield.terminal import status

if TYPE_CHECKING:
    from nearfield.features.tune.tuner import TuneReport

STOPPED = "Stopped. What was learned is kept: run the same command again to go on."


def tune(
    model: Annotated[
        str, typer.Argument(help="A model of the catalogue; by default the one that completes.")
    ] = "",
    repository: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A git repository; the one here.")
    ] = None,
    name: Annotated[str, typer.Option(help="The new model's name.")] = "",
    minutes: Annotated[
        float, typer.Option(min=1, max=10_000, help="The most it may take, with the comparison.")
    ] = 60.0,
    cases: Annotated[
        int, typer.Option(min=20, max=10_000, help="Held-out holes, at most a fifth of all.")
    ] = 200,
    seed: Annotated[int, typer.Option(help="Chooses the places and their order.")] = 0,
    on_battery: Annotated[
        bool, typer.Option("--on-battery", help="Go on while the machine is unplugged.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON value.")] = False,
) -> None:
    """Train a LoRA adapter on the history of a repository. It is kept if it writes more of the
    newest code exactly as it was written than the model does, by more than chance. Nothing leaves
    this machine, and an interrupted run goes on where it was. Exit code 1 if it was not kept."""
    with reported(as_json, STOPPED):
        report = asyncio.run(_tune(model, repository, name, minutes, cases, seed, on_battery))
    if as_json:
        print_json(report)
    else:
        for line in lines(report):
            emit(line)
    if not report.kept:
        raise typer.Exit(ExitCode.NOTHING)


async def _tune(
    model: str,
    repository: Path | None,
    name: str,
    minutes: float,
    cases: int,
    seed: int,
    on_battery: bool,
) -> TuneReport:
    from nearfield.catalog.choice import choose
    from nearfield.catalog.models import Catalog
    from nearfield.config.paths import data_dir
    from nearfield.features.tune.tuner import TuneOrder, Tuner, be_nice, default_name

    root = repository or Path.cwd()
    config, catalog = settings_of(root).config, Catalog.load()
    model = model or choose("complete", config.models, catalog).name
    order = TuneOrder(
        model, root, name or default_name(model, root), minutes, cases, seed, on_battery
    )
    tuner = Tuner(order, config, catalog, data_dir())
    be_nice()
    try:
        return await tuner.tune(status)
    finally:
        status("")


def lines(report: TuneReport) -> list[str]:
    """Return what came of a run, in lines for a person."""
    found = [
        f"Learned from {report.cases} places of {report.commits - report.held_out_commits} commits:"
        f" {report.trained} shown in {report.steps} steps, loss {report.first_loss:.2f} to"
        f" {report.last_loss:.2f}; {report.minutes:.1f} minutes on the {report.device},"
        f" {megabytes(report.memory)}.",
        f"Judged by {report.holes} places of the {report.held_out_commits} newest commits:"
        f" {report.model} writes {report.base_exact} exactly, tuned {report.tuned_exact}"
        f" (similarity {report.base_similarity:.2f} and {report.tuned_similarity:.2f}).",
        f"It alone writes {report.only_base} exactly, tuned alone {report.only_tuned}"
        f" (p = {report.p:.2g}).",
    ]
    if report.kept:
        then = f"nearfield models use complete {report.name}"
        return [*found, f"{report.name} is in your catalogue ({report.adapter}). Next: `{then}`."]
    if report.only_tuned > report.only_base:
        return [*found, "That may be chance: the adapter is not kept."]
    return [*found, "That is no better: the adapter is not kept."]
