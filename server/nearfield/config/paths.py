"""Paths of the user's settings and data.

The folders are the platform's own (settings: `~/.config/nearfield`, `~/Library/Application
Support/nearfield`, `%LOCALAPPDATA%\\nearfield`). Environment variables move them, for tests and
portable installations. Nothing is created here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import platformdirs

CONFIG_DIR_VARIABLE = "NEARFIELD_CONFIG_DIR"
DATA_DIR_VARIABLE = "NEARFIELD_DATA_DIR"
USER_FILE = "config.toml"
WORKSPACE_FILE = ".nearfield.toml"


def user_config_file(environ: Mapping[str, str] | None = None) -> Path:
    """The user's `config.toml`, which need not exist."""
    environ = os.environ if environ is None else environ
    moved = environ.get(CONFIG_DIR_VARIABLE, "")
    folder = Path(moved) if moved else platformdirs.user_config_path("nearfield", appauthor=False)
    return folder / USER_FILE


def workspace_config_file(workspace: Path) -> Path:
    """The `.nearfield.toml` of a workspace folder, which need not exist."""
    return workspace / WORKSPACE_FILE


def data_dir(environ: Mapping[str, str] | None = None) -> Path:
    """The user's data directory of Nearfield."""
    environ = os.environ if environ is None else environ
    moved = environ.get(DATA_DIR_VARIABLE, "")
    return Path(moved) if moved else platformdirs.user_data_path("nearfield", appauthor=False)
