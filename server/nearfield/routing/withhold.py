"""Which files never enter a prompt for a provider outside this machine.

Those that ignore rules leave out (see `files.ignore`), those of the user's own patterns
(`privacy.withhold`, `files.exclude`), and files that hold keys by their nature. Ignore files are
read when needed; callers on the event loop go through a thread.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from nearfield.files.ignore import SETTINGS, IgnoreRules, Ruling, SettingsRules, holds_keys


class Withheld:
    """See the module. `patterns` are the user's; a bad one raises `ValueError` here."""

    def __init__(self, patterns: Sequence[str] = ()) -> None:
        self._settings = SettingsRules(patterns)
        if invalid := self._settings.invalid:
            raise ValueError(f"{invalid[0]!r} can match nothing")

    def why(self, workspace: str, path: str) -> Ruling | None:
        """Why the file at `path` (as in `errand.Source`) may not leave, None when it may."""
        if not path:
            return None
        if not workspace and not Path(path).is_absolute():
            return self._by_name(path)  # a document that is on no disk
        whole = Path(workspace, path)
        # Both as it is named and where links lead.
        named, real = os.path.abspath(whole), os.path.realpath(whole)  # noqa: PTH100
        if workspace and _leads_out(workspace, named, real):
            return Ruling("outside")
        return self._ruling(workspace, named) or self._ruling(workspace, real)

    def _ruling(self, workspace: str, path: str) -> Ruling | None:
        """What the rules say of an absolute path. Outside the workspace those hold that the file's
        own folder is under."""
        for root in dict.fromkeys((workspace, os.path.realpath(workspace)) if workspace else ()):
            if Path(path).is_relative_to(root):
                inside = Path(path).relative_to(root).as_posix()
                return IgnoreRules(root, self._settings).why(inside)
        return self._by_name(path) or IgnoreRules(Path(path).parent).why(Path(path).name)

    def _by_name(self, path: str) -> Ruling | None:
        name = Path(path).as_posix().removeprefix(Path(path).anchor)
        if holds_keys(name):
            return Ruling("keys")
        return Ruling("settings", SETTINGS) if self._settings.match(name) else None


def _leads_out(workspace: str, named: str, real: str) -> bool:
    """Whether a link in the workspace leads to what is not in it: the user has allowed the
    workspace's files, and this is none."""
    root = os.path.realpath(workspace)
    is_inside = any(Path(named).is_relative_to(one) for one in (os.path.abspath(workspace), root))  # noqa: PTH100
    return is_inside and not Path(real).is_relative_to(root)
