"""Files that the user names on the command line: they may lie anywhere."""

from __future__ import annotations

from pathlib import Path

from nearfield.cli.output import fail
from nearfield.files.encoding import TextFile, text_file
from nearfield.files.read import UnreadableFile

MAX_BYTES = 16 << 20
"""A larger file is data."""


def named_text(path: Path) -> TextFile:
    """Return the text of the file at `path`; end the command when it cannot be read."""
    try:
        return text_file(path, MAX_BYTES)
    except FileNotFoundError:
        fail(f"{path} cannot be read: No such file or directory.")
    except UnreadableFile as error:
        fail(error.message, error.hint)
