"""Files that never enter a prompt for a provider outside this machine.

These are files that ignore rules leave out (see `files.ignore`), matches of the user's own patterns
(`privacy.withhold`, `files.exclude`), and files that hold keys by their nature. Ignore files are
read when needed; callers on the event loop use a thread.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from nearfield.files.ignore import SETTINGS, IgnoreRules, Ruling, SettingsRules, holds_keys
from nearfield.files.links import real_inside


class Withheld:
    """See the module. `patterns` are the user's; a bad one raises `ValueError` here."""

    def __init__(self, patterns: Sequence[str] = ()) -> None:
        self._settings = SettingsRules(patterns)
        if invalid := self._settings.invalid:
            raise ValueError(f"{invalid[0]!r} can match nothing")

    def why(self, workspace: str, path: str) -> Ruling | None:
        """Return why the file at `path` (as in `context.Source`) may not leave, None
        when it may.
        """
        if not path:
            return None
        if not workspace and not Path(path).is_absolute():
            return self._by_name(path)  # a document that is on no disk
        whole = Path(workspace, path)
        # Both as it is named and where links lead.
        named, real = os.path.abspath(whole), os.path.realpath(whole)  # noqa: PTH100
        if _inside(workspace, named) is not None and real_inside(whole, workspace) is None:
            return Ruling("outside")
        return self._ruling(workspace, named) or self._ruling(workspace, real)

    def _ruling(self, workspace: str, path: str) -> Ruling | None:
        """Return the ruling for an absolute path. Outside the workspace the rules of the file's own
        folder hold.
        """
        if found := _inside(workspace, path):
            root, inside = found
            return IgnoreRules(root, self._settings).why(inside)
        return self._by_name(path) or IgnoreRules(Path(path).parent).why(Path(path).name)

    def _by_name(self, path: str) -> Ruling | None:
        name = Path(path).as_posix().removeprefix(Path(path).anchor)
        if holds_keys(name):
            return Ruling("keys")
        return Ruling("settings", SETTINGS) if self._settings.match(name) else None


def _inside(workspace: str, path: str) -> tuple[str, str] | None:
    """The workspace's folder, as it is named or where it really is, and an absolute path in it."""
    for root in (workspace, os.path.realpath(workspace)) if workspace else ():
        if Path(path).is_relative_to(root):
            return root, Path(path).relative_to(root).as_posix()
    return None
