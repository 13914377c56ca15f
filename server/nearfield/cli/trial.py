"""`nearfield trial`: two models take turns at your completions until one is seen to be better."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from nearfield.cli.opening import settings_of
from nearfield.cli.output import ExitCode, emit, fail, print_json, reported, say
from nearfield.cli.table import Kind, print_table

if TYPE_CHECKING:
    from nearfield.features.trial.result import TrialArm, TrialResult

STOPPED = "Stopped."
COLUMNS: Mapping[str, Kind] = {
    "model": "name",
    "document-days": "number",
    "requests": "number",
    "shown": "number",
    "taken": "number",
    "kept": "number",
    "characters saved": "number",
    "p50 ms": "number",
    "p90 ms": "number",
    "by the other": "number",
}

app = typer.Typer(
    help="Try two models on your own work: they take turns by document and day.",
    no_args_is_help=True,
)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON value.")]


@app.command()
def start(
    role: Annotated[str, typer.Argument(help="complete")],
    model: Annotated[str, typer.Argument(help="A model of the catalogue, or a GGUF file.")],
    against: Annotated[
        str, typer.Option(help="The other one; by default the one that completes now.")
    ] = "",
    days: Annotated[int, typer.Option(min=1, max=80, help="It ends after these at last.")] = 28,
    as_json: AsJson = False,
) -> None:
    """Begin a trial. Running editors follow within half a minute."""
    from nearfield.catalog.models import Catalog
    from nearfield.features.trial.start import start_trial

    with reported(as_json, STOPPED):
        # Only the user's own settings count: a workspace starts no trial.
        config = settings_of(None).config
        trial = start_trial(role, model, against, config, Catalog.load(), days)
    if as_json:
        print_json({"id": trial.id, "first": trial.first_name, "second": trial.second_name})
        return
    emit(
        f"{trial.second_name} takes turns with {trial.first_name} at completions, by document and"
        f" day, for {days} days or until one is better. `nearfield trial status` shows it."
    )


@app.command()
def status(as_json: AsJson = False) -> None:
    """Print what both models did, and whether one is better. Exit code 1 if there was no trial."""
    with reported(as_json, STOPPED):
        found = _result()
    if as_json:
        print_json(shown(found) if found else None)
    elif found is not None:
        print_table(COLUMNS, map(_cells, found.arms))
        emit(found.words)
        emit(_state(found))
    if found is None:
        say("There is no trial. `nearfield trial start complete MODEL` begins one.")
        raise typer.Exit(ExitCode.NOTHING)


@app.command()
def end(as_json: AsJson = False) -> None:
    """End the trial now; the model of the settings completes again. Exit code 1 if none runs."""
    from nearfield.features.metrics.store import RecordStore
    from nearfield.features.trial.result import ENDED, end_now

    with reported(as_json, STOPPED), closing(RecordStore()) as store:
        found = end_now(store, ENDED)
    if found is None:
        say("No trial runs.")
        raise typer.Exit(ExitCode.NOTHING)
    if as_json:
        print_json(shown(found))
    else:
        emit(f"The trial has ended. {found.words}")


@app.command()
def adopt(
    model: Annotated[
        str, typer.Argument(help="One of the two; the better one, where that is known.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """End the trial, and let the better model complete from now on, by your config.toml."""
    from nearfield.features.trial.adopt import adopt_model

    with reported(as_json, STOPPED):
        found = _result()
        if found is None:
            fail("There was no trial.", "`nearfield trial start complete MODEL` begins one.")
        name, path = adopt_model(found, model)
    if as_json:
        print_json({"model": name, "config": str(path)})
    else:
        emit(f"Completions are served by {name} ({path}).")


def _result() -> TrialResult | None:
    from nearfield.features.metrics.store import RecordStore
    from nearfield.features.trial.result import look
    from nearfield.features.trial.trial import trial_file

    with closing(RecordStore()) as store:
        found = look(store)
    if found is None and os.path.lexists(trial_file()):
        fail(f"{trial_file()} cannot be read, so no trial runs.", "Delete it, or begin a new one.")
    return found


def shown(found: TrialResult) -> Any:
    """Return a result as JSON holds it, without the seed."""
    value = msgspec.to_builtins(found)
    del value["trial"]["seed"]
    return value


def _state(found: TrialResult) -> str:
    if found.trial.is_running:
        days = f"{found.days_left} day{'' if found.days_left == 1 else 's'}"
        return f"It goes on for up to {days}."
    return f"It has ended. {found.trial.why}"


def _cells(arm: TrialArm) -> tuple[str, ...]:
    return (
        arm.model,
        str(arm.document_days),
        str(arm.requests),
        str(arm.shown),
        str(arm.taken) + (f" ({arm.acceptance:.0%})" if arm.acceptance is not None else ""),
        f"{arm.kept:.0%}" if arm.kept is not None else "",
        str(arm.saved),
        f"{arm.p50_ms:.0f}" if arm.p50_ms is not None else "",
        f"{arm.p90_ms:.0f}" if arm.p90_ms is not None else "",
        str(arm.stand_ins),
    )
