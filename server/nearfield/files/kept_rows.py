"""Results of a long run, kept one by one, so that an interrupted run goes on where it was."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from contextlib import suppress
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from nearfield.errors import ConfigError
from nearfield.files.private import append_private, private_folder, read_private
from nearfield.files.read import UnreadableFile

MAX_BYTES = 64 << 20

Row = TypeVar("Row", bound=msgspec.Struct)


class KeptRows(Generic[Row]):
    """Rows in a file of the user's own, one JSON object a line; of two with one `key` the last."""

    def __init__(self, path: Path, kind: type[Row], key: Callable[[Row], Hashable]) -> None:
        """Read the rows that are there; those of a killed run end in half a line. Raises
        `ConfigError`."""
        self.path = path
        self._key = key
        self._rows: dict[Hashable, Row] = {}
        try:
            content = read_private(path, MAX_BYTES)
        except FileNotFoundError:
            content = b""
        except (OSError, UnreadableFile) as error:
            raise ConfigError(f"{path} cannot be used: {error}") from error
        self._is_torn = bool(content) and not content.endswith(b"\n")
        for line in content.split(b"\n"):
            with suppress(msgspec.DecodeError, UnicodeDecodeError):
                row = msgspec.json.decode(line, type=kind)
                self._rows[key(row)] = row

    def get(self, key: Hashable) -> Row | None:
        """Return the row of `key`."""
        return self._rows.get(key)

    def add(self, row: Row) -> None:
        """Keep a row at once. Raises `ConfigError` where it cannot be written."""
        self._rows[self._key(row)] = row
        content = b"\n" * self._is_torn + msgspec.json.encode(row) + b"\n"
        try:
            if not self.path.parent.exists():
                private_folder(self.path.parent)
            append_private(self.path, content)
        except OSError as error:
            raise ConfigError(f"{self.path} cannot be written: {error.strerror}.") from error
        self._is_torn = False
