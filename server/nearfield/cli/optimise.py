"""`nearfield models optimise`: make a model faster on this machine, if it stays as good."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from nearfield.catalog.choice import choose
from nearfield.catalog.models import Catalog
from nearfield.catalog.part import megabytes
from nearfield.cli.output import ExitCode, emit, print_json, reported, say
from nearfield.config.load import load
from nearfield.errors import CatalogError, ConfigError
from nearfield.terminal import notes_on_terminal

if TYPE_CHECKING:
    from nearfield.config.schema import Models
    from nearfield.features.optimise.make import Outcome, Step

WORDS = {
    "reading": "reading code to see which weights matter",
    "writing": "writing the variant",
    "comparing": "comparing it with the model",
}
# About how a run's time falls to its phases.
PARTS = {"reading": (0.0, 0.2), "writing": (0.2, 0.5), "comparing": (0.7, 0.3)}


def optimise(
    name: Annotated[
        str, typer.Argument(help="A model on this machine; the one that completes if none.")
    ] = "",
    remove: Annotated[bool, typer.Option("--remove", help="Use the model as published.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON value.")] = False,
) -> None:
    """Write a model anew in the form that this processor reads fastest, and keep that if it holds.

    Takes some minutes, once, and disk for a second copy. It is measured on code of Python's own
    library and kept only when it reads at least 1.15 times as fast and writes as many lines right,
    2 % of them aside. Exit codes: 0 it is used from now on, 1 nothing is kept, 130 interrupted.
    """
    with reported(as_json, "Stopped. Nothing is kept."):
        catalog = Catalog.load()
        config = load(None).config
        if not name:
            name = _completing(config.models, catalog)
        if remove:
            _removed(catalog, name, as_json)
            return
        if catalog.get(name).is_static:
            raise ConfigError(f"{name} is a table already: there is nothing to optimise.")
        from nearfield.features.optimise import make

        with _shown(name, quiet=as_json) as show:
            outcome = make.optimise(catalog, name, config.engine, show)
    if as_json:
        print_json(_row(name, outcome))
    else:
        _print(name, outcome)
    if outcome.variant is None:
        raise typer.Exit(ExitCode.NOTHING)


def _completing(models: Models, catalog: Catalog) -> str:
    """The name of the model that completes. Raises `CatalogError` where it has none."""
    choice = choose("complete", models, catalog)
    if choice.entry is None:
        raise CatalogError(
            f"{choice.path} is named in your settings, but is not in your catalogue.",
            f"Run `nearfield models add NAME {choice.path}`, then use and optimise NAME.",
        )
    return choice.entry.name


def _removed(catalog: Catalog, name: str, as_json: bool) -> None:
    from nearfield.features.optimise import make

    freed = make.remove(catalog, name)
    if as_json:
        print_json({"name": name, "freed_bytes": freed})
    elif freed:
        emit(f"{name}: {megabytes(freed)} freed; the model is used as published.")
    if not freed:
        say(f"{name} has not been optimised.")
        raise typer.Exit(ExitCode.NOTHING)


def _row(name: str, outcome: Outcome) -> dict[str, Any]:
    return {
        "name": name,
        "kept": outcome.variant is not None,
        "reason": outcome.reason or None,
        "variant": msgspec.to_builtins(outcome.variant),
        "compared": msgspec.to_builtins(outcome.compared),
    }


def _print(name: str, outcome: Outcome) -> None:
    variant = outcome.variant
    if variant is None:
        emit(f"Nothing is kept for {name}: {outcome.reason}.")
        return
    emit(
        f"{name} is optimised: it reads {variant.prefill:.2f} and writes {variant.decode:.2f} times"
        f" as fast as published, and wrote {variant.right_after} of {variant.lines} lines of code"
        f" right (as published {variant.right_before})."
    )
    emit("It is used from the next start on. `--remove` goes back.")


@contextlib.contextmanager
def _shown(name: str, *, quiet: bool) -> Generator[Callable[[Step], None]]:
    """A bar on a terminal, a line for each phase elsewhere; all on standard error."""
    if quiet or not notes_on_terminal():
        said: set[tuple[int, str]] = set()

        def line(step: Step) -> None:
            if not quiet and (step.recipe, step.phase) not in said:
                said.add((step.recipe, step.phase))
                say(f"{name}: {_sentence(step)}")

        yield line
        return
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn

    from nearfield.cli.console import progress

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    with progress(*columns) as bar:
        task = bar.add_task(name, total=1.0)

        def move(step: Step) -> None:
            start, share = PARTS[step.phase]
            words = f"{name}: {_sentence(step)}"
            bar.update(task, description=words, completed=start + share * step.done)

        yield move


def _sentence(step: Step) -> str:
    again = f" (attempt {step.recipe})" if step.recipe > 1 else ""
    return WORDS[step.phase] + again
