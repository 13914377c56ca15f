"""The token that a client shows over loopback, by HTTP or by TCP.

Loopback keeps other machines out, but neither other users of this one nor the pages in a browser:
the token does. It comes from the environment, or from a file that only the user can read and that
is made at the first start.
"""

from __future__ import annotations

import errno
import hmac
import os
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nearfield.config.paths import data_dir
from nearfield.errors import ConfigError
from nearfield.files.private import private_folder, write_private

VARIABLE = "NEARFIELD_HTTP_TOKEN"
FILE = "http-token"
TOKEN_BYTES = 32
MIN_CHARS = 16
"""A shorter one given by the user could be guessed by trying."""


@dataclass(frozen=True, slots=True)
class Token:
    """`where` it is from, for the user; `fresh` when it was made just now."""

    value: str
    where: str
    fresh: bool = False

    def matches(self, shown: str) -> bool:
        """Return whether `shown` is it, in a time that does not depend on where they differ."""
        return hmac.compare_digest(shown.encode(), self.value.encode())


def token(environ: Mapping[str, str] | None = None) -> Token:
    """The token of the environment, else of the file, else a new one that is kept there. A file
    that others could have read is not trusted: a new one takes its place. Raises `ConfigError`."""
    environ = os.environ if environ is None else environ
    if given := environ.get(VARIABLE, "").strip():
        if len(given) < MIN_CHARS or not given.isascii() or not given.isprintable():
            raise ConfigError(
                f"The token in {VARIABLE} cannot be used.",
                f"Take {MIN_CHARS} or more printable ASCII characters.",
            )
        return Token(given, VARIABLE)
    path = data_dir(environ) / FILE
    try:
        kept = _kept(path)
        return Token(kept, str(path)) if kept else _made(path)
    except OSError as error:
        raise ConfigError(
            f"The token cannot be kept in {path}: {error.strerror}.", f"Or set {VARIABLE}."
        ) from error


def _kept(path: Path) -> str:
    """Return the token of the file; "" when there is none, or when others could read or
    write it.
    """
    # Neither a link to elsewhere nor a pipe that would never end.
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP):
            return ""
        raise
    with os.fdopen(descriptor, encoding="ascii", errors="replace") as file:
        about = os.fstat(file.fileno())
        private = os.name == "nt" or (about.st_mode & 0o077 == 0 and about.st_uid == os.getuid())
        if not stat.S_ISREG(about.st_mode) or not private:
            return ""
        kept = file.read(1024).strip()
    return kept if len(kept) >= MIN_CHARS and kept.isascii() else ""


def _made(path: Path) -> Token:
    value = secrets.token_urlsafe(TOKEN_BYTES)
    private_folder(path.parent)
    write_private(path, f"{value}\n".encode())
    return Token(value, str(path), fresh=True)
