"""The user's own files: models that they registered, and which model serves which role.

Both files are the user's, so they are changed as little as possible (`config.edit`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from nearfield.catalog.models import ROLES, ModelEntry, user_catalogue_file
from nearfield.config import edit
from nearfield.config.paths import user_config_file
from nearfield.errors import ConfigError


def register(entry: ModelEntry, environ: Mapping[str, str] | None = None) -> Path:
    """Add the entry to the user's catalogue, over one of the same name; returns that file's path.

    Raises `ConfigError` when the entry is wrong or the file cannot be read or written.
    """
    if wrong := "; ".join(entry.problems()):
        raise ConfigError(f"{entry.name} cannot be added: {wrong}.")
    path = user_catalogue_file(environ)
    table = msgspec.to_builtins(entry)
    table = {key: value for key, value in table.items() if key not in ("name", "origin")}
    edit.put(path, ("models", entry.name), table)
    return path


def unregister(name: str, environ: Mapping[str, str] | None = None) -> bool:
    """Take the entry out of the user's catalogue; False when it was not there.

    Raises `ConfigError` when the file cannot be read or written.
    """
    return edit.drop(user_catalogue_file(environ), ("models", name))


def use(role: str, model: str, environ: Mapping[str, str] | None = None) -> Path:
    """Let a model serve a role by a line in the user's `config.toml`, `[models] ROLE`; returns that
    file's path.

    `model` is a catalogue name, a path or "" (the best one that is here), not checked here. Raises
    `ConfigError` when the role is unknown or the file cannot be read or written.
    """
    if role not in ROLES:
        raise ConfigError(f"There is no role {role!r}.", f"The roles are {', '.join(ROLES)}.")
    path = user_config_file(environ)
    edit.put(path, ("models", role), model)
    return path
