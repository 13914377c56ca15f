"""Somebody who edits a document word by word, and what they are offered."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from difflib import SequenceMatcher

from nearfield.features.next_edit.edits import NextEdit
from nearfield.features.service import Service
from nearfield.types import Edit, Snapshot, Span

__all__ = ["SUFFIXES", "Case", "Line", "User", "words"]

SUFFIXES = {".py": "python", ".ts": "typescript", ".tsx": "typescriptreact", ".js": "javascript",
            ".go": "go", ".rs": "rust"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    """A line that changes: `old` None for a new one."""

    old: str | None
    new: str


@dataclass(slots=True)
class Case:
    """A document, and what the user does to its lines, in rows of the document before."""

    name: str
    language: str
    lines: list[str] = field(default_factory=list[str])
    done: list[tuple[int, Line]] = field(default_factory=list[tuple[int, Line]])
    wanted: list[Line] = field(default_factory=list[Line])


class User:
    """Somebody at one document."""

    def __init__(self, service: Service, case: Case, number: int) -> None:
        self._service = service
        suffix = next(end for end, language in SUFFIXES.items() if language == case.language)
        path = f"/bench/{number}{suffix}"
        text = "\n".join(case.lines) + "\n"
        self.snapshot = Snapshot(f"file://{path}", case.language, 1, text, path, "/bench")
        self.offset = 0
        service.opened(self.snapshot)

    def edit(self, start: int, end: int, new: str) -> None:
        """Replace a piece of the text."""
        before = self.snapshot
        text = before.text[:start] + new + before.text[end:]
        self.snapshot = Snapshot(
            before.uri, before.language, (before.version or 0) + 1, text, before.path, before.root
        )
        self.offset = start + len(new)
        self._service.changed(self.snapshot, [Edit(Span(start, end), new)])

    def change(self, row: int, line: Line) -> None:
        """Do to a row what `line` says, word by word."""
        starts = [0]
        for one in self.snapshot.text.split("\n"):
            starts.append(starts[-1] + len(one) + 1)
        at = starts[row]
        if line.old is None:
            indent = line.new[: len(line.new) - len(line.new.lstrip())]
            if row:
                self.edit(at - 1, at - 1, "\n" + indent)
            else:
                self.edit(0, 0, "\n")
                self.offset = 0
            if line.new.strip():
                self.edit(self.offset, self.offset, line.new.lstrip())
            return
        old, new = words(line.old), words(line.new)
        for tag, i1, i2, j1, j2 in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
            piece = "".join(new[j1:j2])
            if tag == "equal":
                at += len(piece)
                continue
            self.edit(at, at + sum(map(len, old[i1:i2])), piece)
            at += len(piece)

    async def offered(self) -> NextEdit | None:
        """What is offered first."""
        edits = self._service.next_edits
        await asyncio.sleep(edits.settle_seconds(self.snapshot, self.offset))
        found = await edits.offered(self.snapshot, self.offset)
        return found[0] if found else None

    def line_after(self, offer: NextEdit) -> str:
        """The lines that `offer` makes."""
        text = self.snapshot.text
        start = text.rfind("\n", 0, offer.span.start) + 1
        end = text.find("\n", offer.span.end)
        return text[start : offer.span.start] + offer.new + text[offer.span.end : end]


def words(line: str) -> list[str]:
    """What a user replaces at once."""
    return re.findall(r"\w+|\s+|[^\w\s]", line)
