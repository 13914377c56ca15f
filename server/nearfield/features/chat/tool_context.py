"""Context of a function: the folder, the editor, the knowledge of the code, and the limits.

One `ToolContext` per answer. Reads are counted against the limits of the settings, so that a model
that keeps reading comes to an end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from nearfield.config.schema import Chat
from nearfield.features.chat.folder import Folder
from nearfield.features.chat.protocol import ChatHost, ProposedFile, ToolRefused
from nearfield.features.diagnostics import Diagnostic
from nearfield.index.understand import readable_text
from nearfield.syntax.notebook import is_notebook
from nearfield.types import Snapshot, SymbolLocation

if TYPE_CHECKING:
    from nearfield.index.search import Hit

OWN_BYTES = 1_000_000
"""A larger file is never read as a whole."""


class Knows(Protocol):
    """The part of `features.workspace_context.knowledge.Knowledge` that functions use."""

    async def definitions(
        self, name: str, snapshot: Snapshot | None = None, *, limit: int = 20
    ) -> tuple[SymbolLocation, ...]:
        """Return the definitions of `name`."""
        ...

    async def named(self, text: str, *, limit: int) -> tuple[SymbolLocation, ...]:
        """Return the definitions with the name `text`, then those with names like it."""
        ...

    async def defined_in(self, path: str) -> tuple[SymbolLocation, ...]:
        """Return the definitions in the file at an absolute path, in the order of its text."""
        ...

    async def references(
        self, name: str, snapshot: Snapshot | None = None, *, limit: int = 200
    ) -> tuple[SymbolLocation, ...]:
        """Return the uses of `name`."""
        ...

    async def search(self, query: str, *, limit: int = 10, workspace: str = "") -> tuple[Hit, ...]:
        """The pieces of code that fit a query."""
        ...


@dataclass(slots=True)
class ToolContext:
    """See the module. `folder` is None where no workspace is open."""

    limits: Chat
    host: ChatHost
    knowledge: Knows | None = None
    inside: Folder | None = None
    snapshot: Snapshot | None = None
    bytes: int = 0
    files: set[str] = field(default_factory=set[str])
    written: Callable[[str, str | None, str], object] | None = None
    """Told a file that was changed: its path, its text before (None: there was none) and after."""
    note: str = ""
    """Result of the last change, for the audit."""

    @property
    def folder(self) -> Folder:
        """The workspace folder. Raises `ToolRefused` where none is open."""
        if self.inside is None:
            raise ToolRefused("No workspace folder is open, so there are no files to work on.")
        return self.inside

    async def read(self, name: str) -> tuple[str, str]:
        """The path inside the workspace and the text of a file: what the editor holds of it, else
        what is on the disk."""
        folder = self.folder
        path = await asyncio.to_thread(folder.inside, name)
        text = await self.host.open_text(str(folder.root / path))
        if text is None:
            _, found = await asyncio.to_thread(folder.read, name, OWN_BYTES)
            text = found.text
        shown = readable_text(path, text)
        text = text if shown is None else shown
        if path not in self.files and len(self.files) >= self.limits.max_files:
            raise ToolRefused(
                f"{self.limits.max_files} files have been read for this answer: that is the limit.",
                "Answer with what is known.",
            )
        self.files.add(path)
        return path, text

    def spend(self, text: str) -> str:
        """Count `text` as read, and answer it. Raises `ToolRefused` past the bound."""
        self.bytes += len(text.encode("utf-8", "replace"))
        if self.bytes > self.limits.max_bytes:
            raise ToolRefused(
                f"More than {self.limits.max_bytes} bytes have been read for this answer, which is"
                " the limit.",
                "Answer with what is known.",
            )
        return text

    async def change(self, path: str, before: str | None, after: str, title: str) -> bool:
        """Show the user a change of a file; return whether it was applied. Raises `Unwritable`, and
        `ToolRefused` for a notebook, whose cells belong to the editor.
        """
        if before is not None and is_notebook(path):
            raise ToolRefused(
                f"{path} is a notebook, which is not written as a file.",
                "Show the code of the cell, so that the user can put it in.",
            )
        folder, whole, encoding = self.folder, str(self.folder.root / path), ""
        if before is not None and await self.host.open_text(whole) is None:
            _, now = await asyncio.to_thread(folder.read, path, OWN_BYTES)
            now.encode(after)
            encoding = "" if now.is_unambiguous else now.encoding
        change = ProposedFile(whole, path, before, after, title, encoding)
        is_applied = await self.host.apply(change)
        if is_applied and self.written is not None:
            self.written(whole, before, after)
        return is_applied

    def diagnostics(self, path: str) -> Sequence[tuple[int, Diagnostic]]:
        """Return the known diagnostics of a file (inside, with '/'), each with its row."""
        return self.host.diagnostics(str(self.folder.root / path))
