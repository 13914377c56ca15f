"""Speeds and hits of models as they were measured on this machine, kept until they are measured
again."""

from __future__ import annotations

import msgspec

from nearfield.config.paths import data_dir
from nearfield.errors import ConfigError
from nearfield.files.private import private_folder, read_private, write_private
from nearfield.files.read import UnreadableFile

FILE = "measured.json"
MAX_BYTES = 1_000_000


class MeasuredModel(msgspec.Struct, frozen=True, kw_only=True):
    """A measurement `at` a time: tokens read and written a second, the milliseconds of loading, and
    how many of the `cases` were completed exactly."""

    at: float
    read: float
    write: float
    load_ms: float
    exact: int = 0
    cases: int = 0


def measured_models() -> dict[str, MeasuredModel]:
    """Return the last measurement of each model; none where the file cannot be read."""
    try:
        content = read_private(data_dir() / FILE, MAX_BYTES)
        return msgspec.json.decode(content, type=dict[str, MeasuredModel])
    except (OSError, UnreadableFile, msgspec.DecodeError):
        return {}


def keep_measured(name: str, found: MeasuredModel) -> None:
    """Keep a measurement. Raises `ConfigError` when it cannot be written."""
    path = data_dir() / FILE
    try:
        private_folder(path.parent)
        write_private(path, msgspec.json.encode({**measured_models(), name: found}))
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}.") from error
