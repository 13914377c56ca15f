"""A document that is edited, and what is offered next."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Sequence

from nearfield.features.documents import DocumentChange, Documents
from nearfield.features.idle import IdleScheduler
from nearfield.features.next_edit.edits import NextEdit, NextEdits
from nearfield.features.next_edit.project_names import IndexedNames
from nearfield.features.trace import TraceLog
from nearfield.syntax.languages import language_for
from nearfield.syntax.parser import Cursor, Parsed, parse
from nearfield.types import Edit, Snapshot, Span


async def cursor_of(snapshot: Snapshot, offset: int) -> Cursor:
    """The cursor, with a tree that was parsed afresh."""
    return Cursor(snapshot, tree_of(snapshot.language, snapshot.text), offset)


def tree_of(language: str, text: str) -> Parsed | None:
    """The tree of `text`."""
    row = language_for(language)
    return parse(row, text) if row is not None else None


def next_edits(
    documents: Documents,
    clock: Callable[[], float] = time.monotonic,
    traces: TraceLog | None = None,
    facts: IndexedNames | None = None,
) -> NextEdits:
    """Return the feature over `documents`, without a model."""
    return NextEdits(documents, cursor_of, IdleScheduler(), clock, traces, facts=facts)


class Typist:
    """Somebody at a document. `now` is their clock, in seconds; a keystroke takes a tenth."""

    def __init__(self, text: str, language: str = "python", edits: NextEdits | None = None) -> None:
        self.now = 100.0
        self.clock = lambda: self.now
        self.snapshot = Snapshot("file:///a", language, 0, text)
        self.documents = Documents()
        self.documents.opened(self.snapshot)
        self.edits = edits or next_edits(self.documents, self.clock)
        self.offset = 0

    @property
    def text(self) -> str:
        """The text now."""
        return self.snapshot.text

    def edit(self, start: int, end: int, new: str) -> None:
        """Replace `start` to `end`; the cursor stands behind it."""
        before = self.snapshot
        text = before.text[:start] + new + before.text[end:]
        self.snapshot = Snapshot(before.uri, before.language, (before.version or 0) + 1, text)
        self.now += 0.1
        edits = [Edit(Span(start, end), new)]
        self.documents.changed(self.snapshot, edits)
        self.edits.changed(DocumentChange(before, self.snapshot, edits, self.clock()))
        self.offset = start + len(new)

    def type(self, text: str) -> None:
        """Type `text` at the cursor, key by key."""
        for char in text:
            self.edit(self.offset, self.offset, char)

    def erase(self, count: int) -> None:
        """Backspace."""
        for _ in range(count):
            self.edit(self.offset - 1, self.offset, "")

    def retype(self, old: str, new: str, nth: int = 0) -> None:
        """Go behind the `nth` place of `old`, delete it and type `new`."""
        self.offset = self.find(old, nth) + len(old)
        self.erase(len(old))
        self.type(new)

    def find(self, old: str, nth: int = 0) -> int:
        """Where `old` begins a word for the `nth` time."""
        places = [match.start() for match in re.finditer(rf"(?<!\w){re.escape(old)}", self.text)]
        return places[nth]

    def rest(self) -> None:
        """Do nothing for a second."""
        self.now += 1

    def stay(self) -> None:
        """Let the idle work of this document be planned."""
        document = self.documents.get(self.snapshot.uri)
        assert document is not None
        self.edits.idle(document)

    def offered(self, offset: int | None = None) -> tuple[NextEdit, ...]:
        """What is offered after a rest."""
        self.rest()
        where = self.offset if offset is None else offset
        return asyncio.run(self.edits.offered(self.snapshot, where))

    def accept(self, one: NextEdit) -> None:
        """Put it in."""
        assert self.text[one.span.start : one.span.end] == one.old
        self.edit(one.span.start, one.span.end, one.new)

    def accept_all(self, most: int = 50) -> str:
        """Take the first offer until there is none; the text then."""
        for _ in range(most):
            found = self.offered()
            if not found:
                return self.text
            self.accept(found[0])
        raise AssertionError("it never ends")


def shown(found: Sequence[NextEdit], text: str) -> list[tuple[int, str, str]]:
    """The offers as (line, old, new)."""
    return [(text.count("\n", 0, one.span.start) + 1, one.old, one.new) for one in found]
