"""The address of this user's HTTP server, which other commands ask it by.

It is kept beside the token, as readable as that. With several servers it is that of the last one.
"""

from __future__ import annotations

from contextlib import suppress

from nearfield.config.paths import data_dir
from nearfield.errors import ConfigError
from nearfield.files.private import private_folder, read_private, write_private
from nearfield.files.read import UnreadableFile

FILE = "http-address"
MAX_BYTES = 512


def remember(address: str) -> None:
    """Keep the address of a server that begins to listen. Raises `ConfigError`."""
    path = data_dir() / FILE
    try:
        private_folder(path.parent)
        write_private(path, address.encode())
    except OSError as error:
        raise ConfigError(f"The address cannot be kept in {path}: {error.strerror}.") from error


def forget(address: str) -> None:
    """Remove the address of a server that has ended, unless another has begun since."""
    with suppress(OSError):
        if known() == address:
            (data_dir() / FILE).unlink(missing_ok=True)


def known() -> str:
    """Return the address of the server that was started last; "" for none."""
    try:
        return read_private(data_dir() / FILE, MAX_BYTES).decode("ascii", "replace").strip()
    except (OSError, UnreadableFile):
        return ""
