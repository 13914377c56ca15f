"""Where the user's settings live.

The folder is the platform's own (`~/.config/nearfield`, `~/Library/Application Support/nearfield`,
`%LOCALAPPDATA%\\nearfield`); the variable `NEARFIELD_CONFIG_DIR` moves it, which tests and portable
installations use. Nothing is created here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import platformdirs

CONFIG_DIR_VARIABLE = "NEARFIELD_CONFIG_DIR"
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
