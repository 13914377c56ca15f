"""The common start of commands: the log level and the settings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nearfield.cli import logs
from nearfield.cli.output import fail, say

if TYPE_CHECKING:
    from nearfield.config.load import Loaded


def check_level(level: str) -> None:
    """End the command if there is no such log level."""
    if level not in logs.LEVELS:
        fail(f"There is no log level {level!r}.", f"Choose one of {', '.join(logs.LEVELS)}.")


def begin_log(level: str) -> None:
    """Set the log level."""
    check_level(level)
    logs.setup(level)


def settings_of(root: Path | None) -> Loaded:
    """Return the settings for a workspace folder; print their problems as warnings."""
    from nearfield.config.load import load

    loaded = load(root)
    for problem in loaded.problems:
        say(f"warning: {problem}")
    return loaded
