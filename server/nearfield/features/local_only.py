"""The switch "local only": the strategy that counted before it is kept beside the settings, so that
it counts again even where the panel was restarted meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from nearfield.config.load import load
from nearfield.config.paths import user_config_file
from nearfield.config.schema import Strategy
from nearfield.errors import ConfigError
from nearfield.features.settings import put
from nearfield.files.private import read_private, write_atomically
from nearfield.files.read import UnreadableFile

LOCAL_ONLY: Strategy = "local_only"
USUAL: Strategy = "local_first"
"""The strategy after the switch is turned off where none was set before."""
FILE = "strategy-before-local-only"
MAX_BYTES = 100


def turn(on: bool) -> str:
    """Turn the switch; return the strategy that counts now. Raises `ConfigError`."""
    strategy = load().config.routing.strategy
    if on == (strategy == LOCAL_ONLY):
        return strategy
    if on:
        _keep(strategy)
    put("routing.strategy", LOCAL_ONLY if on else _kept())
    return load().config.routing.strategy


def _file() -> Path:
    return user_config_file().with_name(FILE)


def _keep(strategy: str) -> None:
    path = _file()
    try:
        write_atomically(path, f"{strategy}\n".encode())
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}.") from error


def _kept() -> str:
    try:
        said = read_private(_file(), MAX_BYTES).decode("ascii", "replace").strip()
    except (OSError, UnreadableFile):
        return USUAL
    return said if said in get_args(Strategy) and said != LOCAL_ONLY else USUAL
