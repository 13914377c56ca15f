"""The end of a trial that has an outcome: the better model serves completions from now on."""

from __future__ import annotations

from pathlib import Path

from nearfield.catalog import user
from nearfield.catalog.choice import named
from nearfield.catalog.models import Catalog
from nearfield.errors import ConfigError
from nearfield.features.trial.result import TrialResult
from nearfield.features.trial.start import ROLE
from nearfield.features.trial.trial import end_trial


def adopt_model(found: TrialResult, model: str = "") -> tuple[str, Path]:
    """Let `model`, or the better one for "", complete by the user's settings, and end the trial.

    Return the model, and the settings' file. Raises `ConfigError` where it is neither of the two,
    or where none is known to be better, and `CatalogError` where it is here no longer.
    """
    trial = found.trial
    names = {
        trial.first: trial.first,
        trial.second: trial.second,
        trial.first_name: trial.first,
        trial.second_name: trial.second,
        "": found.better,
    }
    wanted = names.get(model)
    both = f"{trial.first_name} or {trial.second_name}"
    if wanted is None:
        raise ConfigError(f"{model} is not of this trial.", f"Name {both}.")
    if not wanted:
        raise ConfigError(f"None is known to be better. {found.words}", f"Name {both}.")
    named(wanted, Catalog.load())
    path = user.use(ROLE, wanted)
    if trial.is_running:
        end_trial(trial, f"You adopted {model or wanted}.")
    return wanted, path
