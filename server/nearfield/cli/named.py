"""Files that the user names on the command line, which may lie anywhere, and their workspaces."""

from __future__ import annotations

from pathlib import Path

from nearfield.cli.output import fail
from nearfield.files.encoding import TextFile, text_file
from nearfield.files.read import UnreadableFile

MAX_BYTES = 16 << 20
"""A larger file is data."""
WORKSPACE_MARKS = (".git", ".nearfield.toml", ".hg")
"""A folder that holds one of these is the workspace of the files below it."""


def named_text(path: Path) -> TextFile:
    """Return the text of the file at `path`; end the command when it cannot be read."""
    try:
        return text_file(path, MAX_BYTES)
    except FileNotFoundError:
        fail(f"{path} cannot be read: No such file or directory.")
    except UnreadableFile as error:
        fail(error.message, error.hint)


def enclosing(folder: Path) -> Path:
    """Return the workspace around a folder: the nearest one with a mark, else the folder itself."""
    for one in (folder, *folder.parents):
        if any((one / mark).exists() for mark in WORKSPACE_MARKS):
            return one
    return folder
