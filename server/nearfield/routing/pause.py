"""The user's pause: while it lasts, no model is asked, from wherever.

A frontend pauses its own process. `nearfield pause` pauses every process of the user's at once, by
a file beside the ledger that each looks for before it asks a model.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from nearfield.config.paths import data_dir
from nearfield.errors import ConfigError, NotReady
from nearfield.files.private import private_file, private_folder

FILE = "paused"
ADVICE = "Resume it where it was paused, or by `nearfield resume`."


def _file() -> Path:
    return data_dir() / FILE


@dataclass(slots=True)
class UserPause:
    """The pause as one process sees it. `is_here`: its own user has paused this process."""

    is_here: bool = False
    _path: Path = field(default_factory=_file)

    @property
    def is_on(self) -> bool:
        """Return whether no model may be asked."""
        # Asked several times a keystroke, and a tenth of the price of pathlib's.
        return self.is_here or os.path.exists(self._path)  # noqa: PTH110

    def check(self) -> None:
        """Raise `NotReady` while no model may be asked."""
        if self.is_on:
            raise NotReady("Nearfield is paused.", ADVICE)

    def pause_all(self) -> None:
        """Pause every process of the user's. Raises `ConfigError`."""
        try:
            private_folder(self._path.parent)
            private_file(self._path)
        except OSError as error:
            raise ConfigError(f"The pause cannot be kept: {error.strerror}.") from error

    def resume_all(self) -> None:
        """End every pause but that of other processes' own. Raises `ConfigError`."""
        self.is_here = False
        try:
            with suppress(FileNotFoundError):
                self._path.unlink()
        except OSError as error:
            raise ConfigError(f"The pause cannot be ended: {error.strerror}.") from error
