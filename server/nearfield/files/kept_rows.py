"""Results of a long run, kept one by one, so that an interrupted run goes on where it was."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
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

    def __init__(
        self, path: Path, kind: type[Row], key: Callable[[Row], Hashable], *, named: bool = False
    ) -> None:
        """Read the rows that are there; those of a killed run end in half a line. A file that the
        user has `named` must end in a row, or be empty. Raises `ConfigError`."""
        self.path = path
        self._key = key
        self._rows: dict[Hashable, Row] = {}
        try:
            content = read_private(path, MAX_BYTES)
        except FileNotFoundError:
            content = b""
        except (OSError, UnreadableFile) as error:
            raise ConfigError(f"{path} cannot be used: {error}") from error
        *lines, torn = content.split(b"\n")
        self._is_torn = bool(torn)
        if named and content and not _ends_in_row(lines, torn, kind):
            raise ConfigError(
                f"{path} holds something else than rows of this command.",
                "Name a new file; this one was left as it is.",
            )
        for line in (*lines, torn):
            if row := _row(line, kind):
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


def _row(line: bytes, kind: type[Row]) -> Row | None:
    with suppress(msgspec.DecodeError, UnicodeDecodeError):
        return msgspec.json.decode(line, type=kind)
    return None


def _ends_in_row(lines: Sequence[bytes], torn: bytes, kind: type[Row]) -> bool:
    """Return whether the last whole line is a row; of a line that alone was torn, whether it begins
    as one."""
    if lines:
        return _row(lines[-1], kind) is not None
    begin = b'{"%s":' % kind.__struct_encode_fields__[0].encode()
    return torn[: len(begin)] == begin[: len(torn)]
