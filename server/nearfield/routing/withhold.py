"""Which files never enter a prompt for a provider outside this machine.

Three sets of patterns, all as in `.gitignore`: files that hold keys by their nature, the user's
(`privacy.withhold`, `files.exclude`), and those of the workspace's own `.gitignore` and
`.nearfieldignore`, in each folder from its root down to the file. What one set withholds no other
can release. Ignore files are read when needed and kept until they change; callers on the event loop
go through a thread.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import pathspec

from nearfield.files.secret_names import SECRET_FILES

IGNORE_FILES = (".gitignore", ".nearfieldignore")


class Withheld:
    """See the module. `patterns` are the user's; a bad one raises `ValueError` here."""

    def __init__(self, patterns: Sequence[str] = ()) -> None:
        # Upper-case names are the same files to a person, and on most file systems to a computer.
        self._secret = pathspec.GitIgnoreSpec.from_lines(SECRET_FILES)
        self._user = pathspec.GitIgnoreSpec.from_lines(patterns)
        self._read: dict[Path, tuple[int, pathspec.GitIgnoreSpec]] = {}

    def why(self, workspace: str, path: str) -> str:
        """Why the file at `path` (as in `errand.Source`) may not leave, "" when it may."""
        if not path:
            return ""
        name = _relative(workspace, path)
        if self._secret.match_file(name.lower()):
            return "its name says that it holds keys"
        if self._user.match_file(name):
            return "your settings withhold it"
        if workspace and (rule := self._ignored(Path(workspace), name)):
            return f"{rule} ignores it"
        return ""

    def _ignored(self, root: Path, name: str) -> str:
        """The ignore file that rules `name` out: the last rule that speaks of it decides."""
        parts = PurePosixPath(name).parts
        if not parts or parts[0] in ("/", "..") or PurePosixPath(name).is_absolute():
            return ""
        for ignore in IGNORE_FILES:
            verdict, by = False, ""
            for depth in range(len(parts)):
                file = root.joinpath(*parts[:depth], ignore)
                spec = self._spec(file)
                said = spec.check_file("/".join(parts[depth:])).include if spec else None
                if said is not None:
                    verdict, by = said, file.relative_to(root).as_posix()
            if verdict:
                return by
        return ""

    def _spec(self, file: Path) -> pathspec.GitIgnoreSpec | None:
        try:
            changed = file.stat().st_mtime_ns
            held = self._read.get(file)
            if held is not None and held[0] == changed:
                return held[1]
            lines = file.read_text("utf-8", errors="replace").splitlines()
        except OSError:
            return None
        spec = pathspec.GitIgnoreSpec.from_lines(line for line in lines if _valid(line))
        self._read[file] = (changed, spec)
        return spec


def _relative(workspace: str, path: str) -> str:
    """`path` as seen from the workspace where it is inside, with '/'."""
    if workspace and Path(path).is_absolute():
        inside = os.path.relpath(os.path.realpath(path), os.path.realpath(workspace))
        path = path if inside.startswith("..") else inside
    name = path.replace("\\", "/")
    return os.path.normpath(name).replace("\\", "/") if name else name


def _valid(line: str) -> bool:
    """Whether git's rules take the line; one that they do not is skipped, as git does."""
    try:
        pathspec.GitIgnoreSpec.from_lines([line])
    except ValueError:
        return False
    return True
