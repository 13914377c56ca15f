"""A cursor in a document with its syntax tree, and the trees that all features share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from nearfield.syntax.languages import language_for
from nearfield.syntax.parser import ParseCache, Parsed
from nearfield.types import Selected, Snapshot

PARSE_IN_THREAD_CHARS = 10_000
"""A longer text is parsed off the event loop: 0.1 MB takes 7 ms the first time, and what is no code
a hundred times as long."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """A cursor in a parsed document."""

    snapshot: Snapshot
    parsed: Parsed | None
    offset: int
    selected: Selected | None = None


CursorOf = Callable[[Snapshot, int], Awaitable[Cursor]]
"""Return the cursor at an offset of a document, with its tree."""


class DocumentTrees:
    """The syntax trees of the documents that were asked about last. One event loop."""

    def __init__(self) -> None:
        self._trees = ParseCache()

    def closed(self, uri: str) -> None:
        """Drop the tree of a document."""
        self._trees.forget(uri)

    async def cursor(
        self, snapshot: Snapshot, offset: int, selected: Selected | None = None
    ) -> Cursor:
        """Return the cursor with the document's tree; a long text is parsed in a thread."""
        language = language_for(snapshot.language, snapshot.path)
        parse = self._trees.parse
        if len(snapshot.text) > PARSE_IN_THREAD_CHARS:
            parsed = await asyncio.to_thread(parse, snapshot.uri, language, snapshot.text)
        else:
            parsed = parse(snapshot.uri, language, snapshot.text)
        return Cursor(snapshot, parsed, offset, selected)
