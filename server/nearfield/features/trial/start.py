"""The start of a trial: both models, and whether this machine can hold and run the second."""

from __future__ import annotations

from pathlib import Path

from nearfield.catalog.choice import ModelChoice, choose, named
from nearfield.catalog.models import Catalog
from nearfield.catalog.partial_file import megabytes
from nearfield.catalog.recommend import this_machine
from nearfield.config.schema import EMBEDDED, Config
from nearfield.engine.memory import ceiling, expected
from nearfield.errors import ConfigError
from nearfield.features.trial.trial import DAYS, Trial, keep_trial, kept_trial, new_trial

ROLE = "complete"
"""The one role whose suggestions are taken or not."""


def start_trial(
    role: str, model: str, against: str, config: Config, catalog: Catalog, days: int = DAYS
) -> Trial:
    """Begin a trial of `model` against `against`, "" for the one that completes now.

    Touches the disk. Raises `ConfigError` and `CatalogError` with the reason why there is none.
    """
    if role != ROLE:
        raise ConfigError(f"A trial is of the role {ROLE}: only suggestions are taken or not.")
    running = kept_trial()
    if running is not None and running.is_running:
        raise ConfigError("A trial runs already.", "`nearfield trial end` ends it.")
    if not config.completion.record:
        raise ConfigError("Nothing is recorded.", "Set completion.record to true first.")
    first = next(iter(config.routing.roles.get(ROLE, ())), EMBEDDED)
    if first != EMBEDDED:
        raise ConfigError(
            f"Completions are served by {first}, and a trial is of the model of models.complete.",
            "Run `nearfield models use complete MODEL` with a model of this machine first.",
        )
    current = choose(ROLE, config.models, catalog)
    challenger = _challenger(model, against, current, catalog)
    _check_room(current, challenger, config, catalog)
    trial = new_trial(_value(current), _value(challenger), days)
    keep_trial(trial)
    return trial


def _challenger(model: str, against: str, current: ModelChoice, catalog: Catalog) -> ModelChoice:
    """Return the model of the two that does not complete now."""
    pair = [named(name, catalog) for name in (model, against) if name]
    others = [one for one in pair if not one.is_same(current)]
    if len(others) == 1:
        return others[0]
    if others:
        raise ConfigError(
            f"Completions are served by {current.name}, which is neither of both.",
            f"Run `nearfield models use complete {against}` first.",
        )
    raise ConfigError("A model is not tried against itself.", "Name another one.")


def _check_room(
    current: ModelChoice, challenger: ModelChoice, config: Config, catalog: Catalog
) -> None:
    machine = this_machine(catalog)
    entry = challenger.entry
    if entry is not None and not machine.carries(entry, ROLE):
        raise ConfigError(
            f"{entry.name} is too large to answer in time on this machine ({machine.words()}).",
            "`nearfield models recommend` names one that does.",
        )
    need = sum(expected(one.path) for one in (current, challenger))
    room = ceiling(config.engine.memory_limit_mb << 20)
    if need > room:
        raise ConfigError(
            f"Both models together need {megabytes(need)}, and models may take {megabytes(room)}.",
            "Try a smaller one, or raise engine.memory_limit_mb.",
        )


def _value(choice: ModelChoice) -> tuple[str, str]:
    """Return how the settings name a model, and how records do."""
    return (choice.name if choice.entry else str(Path(choice.path).absolute()), choice.name)
