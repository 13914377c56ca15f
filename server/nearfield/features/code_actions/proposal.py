"""The words of actions: what is wanted, and what is proposed. Plain data, no LSP types."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nearfield.features.code_actions.hunks import applied, unified
from nearfield.features.diagnostics import Diagnostic
from nearfield.types import Edit, Snapshot, Span


@dataclass(frozen=True, slots=True)
class ActionRequest:
    """Do `action` at `span` of `snapshot`. `instruction` says what a rewrite is to do, or the new
    name. `provider` names one outside this machine that the user wants it of."""

    action: str
    snapshot: Snapshot
    span: Span
    problems: tuple[Diagnostic, ...] = ()
    instruction: str = ""
    provider: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """An edit, and whether it is beyond the unit that the user pointed at, so that the client
    should let it be confirmed."""

    edit: Edit
    confirm: bool = False


@dataclass(frozen=True, slots=True)
class FileChange:
    """The changes of one file, in order, counted in `before`. `version` is that of the document,
    None for a file that is not open. `new` files do not exist; `before` is "" then."""

    uri: str
    path: str | None
    version: int | None
    before: str
    changes: tuple[Change, ...]
    new: bool = False

    @property
    def after(self) -> str:
        """The file with the changes."""
        return applied(self.before, [change.edit for change in self.changes])

    def diff(self, shown: str) -> str:
        """The unified diff, with `shown` as the file's name."""
        return unified(self.before, self.after, shown, self.new)


@dataclass(frozen=True, slots=True)
class Proposal:
    """What an action came to. `provider` and `model` are "" where none was asked. `wrong` is what
    the quality gate has against it ("" for nothing)."""

    title: str
    files: tuple[FileChange, ...]
    provider: str = ""
    model: str = ""
    wrong: str = ""


Report = Callable[[str], None]
"""Tells the user what is going on, in a few words."""
