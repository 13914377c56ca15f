"""The open documents, as the client's notifications describe them.

pygls has a document model of its own. It is not used: it splits all lines on every access, at
places where LSP does not, and the object that it hands out changes while a request awaits.
Here a keystroke costs one splice of the text and the lines that it touches; what requests get is a
frozen `Snapshot`.

Text is kept free of lone surrogates (a client can send half an emoji): each becomes U+FFFD, which
is as long in UTF-16, so that positions stay right.

Positions become offsets here and nowhere else. A position counts lines from 0 and, within a line,
units of the negotiated encoding (bytes of UTF-8, 16-bit units of UTF-16, or code points). An offset
counts code points from the document's start. Clamping is the specification's: a column beyond its
line means the line's end, a line beyond the document the document's end. A position within a
character means that character's start.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Protocol

from lsprotocol.types import (
    Position,
    PositionEncodingKind,
    Range,
    TextDocumentContentChangeEvent,
    TextDocumentContentChangePartial,
)

from nearfield.coerce import clean
from nearfield.files import uris
from nearfield.files.lines import LINE_END
from nearfield.lsp.notebooks import Notebook, Notebooks
from nearfield.types import Cell, Edit, Snapshot, Span

UTF8 = PositionEncodingKind.Utf8.value
UTF16 = PositionEncodingKind.Utf16.value
UTF32 = PositionEncodingKind.Utf32.value

_CODEC = {UTF8: ("utf-8", 1), UTF16: ("utf-16-le", 2)}

FOLLOWED_CHARS = 16_000_000
"""Maximum length of a document that is held: no edit of a longer text is cheap (20 ms for 50 MB),
and no user completes in it. Eight times the default of `files.max_bytes`, so that a document just
over that limit is followed and gets suggestions again once it is shorter.
"""

ABOVE_CHARS = 100_000
"""Maximum characters of the cells above: three times what a prompt has room for."""

MAX_KEYS = 1024
"""URIs whose key is remembered: more than a client has documents open."""


class LineTable:
    """The offsets at which lines start: always at least one, the first is 0.

    An edit moves every later line, and rewriting 20,000 numbers a keystroke is too slow. So the
    numbers from index `_settled` on lag behind by `_lag`. An edit moves that border to its own
    place, which costs the distance to the edit before it: nothing during typing.
    """

    __slots__ = ("_lag", "_settled", "_starts")

    def __init__(self, text: str) -> None:
        if "\r" in text:
            self._starts = [0, *(match.end() for match in LINE_END.finditer(text))]
        else:  # the same in a third of the time
            lengths = map(len, text.split("\n"))
            self._starts = [0, *accumulate(map((1).__add__, lengths))]
            self._starts.pop()
        self._settled = len(self._starts)
        self._lag = 0

    def __len__(self) -> int:
        return len(self._starts)

    def start(self, line: int) -> int:
        """Return where `line` (from 0) starts. Raises IndexError when there is no such line."""
        return self._starts[line] + (self._lag if line >= self._settled else 0)

    def content_end(self, line: int, text: str) -> int:
        """Return where the visible part of `line` ends: before its line end. `text` is the
        document's.
        """
        if line + 1 >= len(self._starts):
            return len(text)
        end = self.start(line + 1)
        if text[end - 1] == "\n" and end - 2 >= self.start(line) and text[end - 2] == "\r":
            return end - 2
        return end - 1

    def line_at(self, offset: int) -> int:
        """The line that holds `offset`."""
        return self._count_up_to(offset, bisect_right) - 1

    def edit(self, start: int, end: int, inserted: int, text: str) -> None:
        """Follow one edit: [start, end) of the text before it became `inserted` characters, which
        made it `text`."""
        # A character at p makes p + 1 a line's start, and whether a CR does depends on what follows
        # it: so the starts from `start` to `end` are in doubt, and none beyond.
        first = max(1, self._count_up_to(start, bisect_left))
        beyond = max(first, self._count_up_to(end, bisect_right))
        self._settle(beyond)
        last = start + inserted
        found = [
            match.end()
            for match in LINE_END.finditer(text, max(0, start - 1), min(len(text), last + 1))
            if start <= match.end() <= last
        ]
        self._starts[first:beyond] = found
        self._settled = first + len(found)
        self._lag += inserted - (end - start)

    def _count_up_to(self, offset: int, bisect: Callable[..., int]) -> int:
        """Return the number of starts before `offset` (`bisect_left`), or up to it
        (`bisect_right`).
        """
        settled = self._settled
        if settled == len(self._starts) or offset < self._starts[settled] + self._lag:
            return bisect(self._starts, offset, 0, settled)
        return bisect(self._starts, offset - self._lag, settled)

    def _settle(self, border: int) -> None:
        """Move the border between numbers that are true and numbers that lag."""
        starts, lag = self._starts, self._lag
        if self._settled == len(starts):
            lag = self._lag = 0
        if border > self._settled:
            starts[self._settled : border] = [s + lag for s in starts[self._settled : border]]
        elif lag:
            starts[border : self._settled] = [s - lag for s in starts[border : self._settled]]
        self._settled = border


class DocumentFollower(Protocol):
    """A reader of the documents that are held."""

    def opened(self, snapshot: Snapshot) -> None:
        """Handle a document that was opened, or replaced as a whole."""
        ...

    def changed(self, snapshot: Snapshot, edits: Sequence[Edit]) -> None:
        """Handle an edited document; each edit counts in the text that the one before it left."""
        ...

    def closed(self, uri: str) -> None:
        """Handle a document that was closed, or can be held no longer."""
        ...


class TextDocument:
    """An open document.

    `followed` is false once it was too long to be held, or `lost` because a change could not be
    read; `text` is then "". `version` is the client's, `version_known` to it; for a client without
    versions it is our own count, so that an answer for an earlier text is recognised. `notebook` is
    the notebook of a cell.
    """

    def __init__(
        self,
        uri: str,
        language: str,
        version: int | None,
        text: str,
        notebook: Notebook | None = None,
    ) -> None:
        self.uri = uri
        self.language = language.lower()
        self.version: int = 0
        self.version_known = False
        self.lost = False
        self.notebook = notebook
        self.above: Callable[[TextDocument], tuple[Cell, ...]] = lambda _document: ()
        """Asked for the cells above, of a cell."""
        self.path = uris.path_of(uri if notebook is None else notebook.uri)
        self.root: str | None = None
        self.text = ""
        self.followed = True
        self._lines: LineTable | None = None
        self._snapshot: Snapshot | None = None
        self._count(version)
        self._set(clean(text))

    @property
    def lines(self) -> LineTable:
        """Return where the lines start; made when first needed."""
        if self._lines is None:
            self._lines = LineTable(self.text)
        return self._lines

    def snapshot(self) -> Snapshot:
        """The document as it is now."""
        above = self.above(self) if self.notebook is not None else None
        if self._snapshot is None or self._snapshot.above != above:
            self._snapshot = Snapshot(
                self.uri,
                self.language,
                self.version,
                self.text,
                self.path,
                self.root,
                above,
            )
        return self._snapshot

    @property
    def file(self) -> str | None:
        """The path of the file whose content this document is, None for a cell."""
        return self.path if self.notebook is None else None

    @property
    def wire_version(self) -> int | None:
        """The version as the client knows it."""
        return self.version if self.version_known else None

    def is_at(self, snapshot: Snapshot) -> bool:
        """Return whether it is unchanged: a client may send one version twice."""
        return self.version == snapshot.version and self.text == snapshot.text

    def lose(self) -> None:
        """Discard the text until the client sends all of it, as it is no longer known."""
        self._snapshot = None
        self._set("")
        self.followed, self.lost = False, True

    def offset_at(self, position: Position, encoding: str) -> int:
        """The offset of a position, clamped."""
        return offset_at(self.text, self.lines, position, encoding)

    def span_of(self, where: Range, encoding: str) -> Span:
        """The offsets of a range, clamped."""
        return span_of(self.text, self.lines, where, encoding)

    def range_of(self, span: Span, encoding: str) -> Range:
        """The range of a span."""
        return range_of(self.text, self.lines, span, encoding)

    def change(
        self,
        version: int | None,
        changes: Sequence[TextDocumentContentChangeEvent],
        encoding: str,
    ) -> list[Edit]:
        """Apply one notification's changes in order; each sees the text that the one before left.

        Returns them as edits, each in offsets of the text before it.
        """
        self._count(version)
        self._snapshot = None
        edits: list[Edit] = []
        for change in changes:
            text = clean(change.text)
            if not isinstance(change, TextDocumentContentChangePartial):
                edits.append(Edit(Span(0, len(self.text)), text))
                self._set(text)
            elif self.followed:
                edit = Edit(self.span_of(change.range, encoding), text)
                edits.append(edit)
                self._splice(edit)
        return edits

    def _splice(self, edit: Edit) -> None:
        start, end = edit.span.start, edit.span.end
        lines = self.lines
        text = "".join((self.text[:start], edit.text, self.text[end:]))
        if len(text) > FOLLOWED_CHARS:
            self._set(text)
            return
        self.text = text
        lines.edit(start, end, len(edit.text), text)

    def _count(self, version: int | None) -> None:
        self.version_known = version is not None
        self.version = self.version + 1 if version is None else version

    def _set(self, text: str) -> None:
        self._lines = None
        self.lost = False
        self.followed = len(text) <= FOLLOWED_CHARS
        self.text = text if self.followed else ""


class TextDocuments:
    """All open documents by URI, however a client spells it from one message to the next. A
    follower learns of every change of a document that is held."""

    def __init__(self) -> None:
        self._follower: DocumentFollower | None = None
        self._open: dict[str, TextDocument] = {}
        self.notebooks = Notebooks()
        self._roots: dict[str, str] = {}  # the URIs of the workspace's folders, by their paths

    @property
    def roots(self) -> tuple[str, ...]:
        """The workspace's folders."""
        return tuple(self._roots)

    def __iter__(self) -> Iterator[TextDocument]:
        return iter(tuple(self._open.values()))

    def get(self, uri: str) -> TextDocument | None:
        """The document, None when the client has not opened it."""
        return self._open.get(_key(uri))

    def is_current(self, document: TextDocument, snapshot: Snapshot) -> bool:
        """Return whether `document` is still open, and unchanged since `snapshot`."""
        return self.get(document.uri) is document and document.is_at(snapshot)

    def open(self, uri: str, language: str, version: int | None, text: str) -> TextDocument:
        """Take in a document; one that was open already is replaced."""
        notebook = self.notebooks.holding(uri)
        document = TextDocument(uri, language, version, text, notebook)
        document.root = self._root_of(document.path)
        document.above = self._above
        self._open[_key(uri)] = document
        if self._follower is not None and document.followed:
            self._follower.opened(document.snapshot())
        return document

    def change(
        self,
        uri: str,
        version: int | None,
        changes: Sequence[TextDocumentContentChangeEvent],
        encoding: str,
    ) -> bool:
        """Apply one notification's changes; return whether the document is open."""
        document = self.get(uri)
        if document is None:
            return False
        was_followed = document.followed
        edits = document.change(version, changes, encoding)
        if (follower := self._follower) is None:
            return True
        if was_followed and document.followed:
            follower.changed(document.snapshot(), edits)
        elif document.followed:
            follower.opened(document.snapshot())
        elif was_followed:
            follower.closed(document.uri)
        return True

    def lose(self, uri: str) -> None:
        """Discard a document's text, as a change of it cannot be read."""
        if (document := self.get(uri)) is not None:
            document.lose()
            self._tell_closed(document)

    def close(self, uri: str) -> None:
        """Forget a document."""
        document = self._open.pop(_key(uri), None)
        if document is None:
            return
        if document.notebook is not None:
            self.notebooks.left(document.notebook, document.uri)
        self._tell_closed(document)

    def follow(self, follower: DocumentFollower) -> None:
        """Let `follower` know the open documents, and every change from now on."""
        self._follower = follower
        for document in self:
            if document.followed:
                follower.opened(document.snapshot())

    def _tell_closed(self, document: TextDocument) -> None:
        if self._follower is not None:
            self._follower.closed(document.uri)

    def _above(self, cell: TextDocument) -> tuple[Cell, ...]:
        """The cells above `cell` in its notebook, the nearest of them."""
        cells = cell.notebook.cells if cell.notebook is not None else []
        at = cells.index(cell.uri) if cell.uri in cells else 0
        found: list[Cell] = []
        chars = 0
        for uri in reversed(cells[:at]):
            if chars >= ABOVE_CHARS:
                break
            document = self.get(uri)
            if document is not None and document.followed:
                found.append(Cell(document.language, document.text))
                chars += len(document.text)
        return tuple(reversed(found))

    def uri_of(self, path: str) -> str:
        """The URI of a file that is not open, in the form that the client uses for its folder."""
        root = self._root_of(path)
        return uris.uri_of(path) if root is None else uris.uri_beside(path, root, self._roots[root])

    def set_roots(self, folders: Sequence[str]) -> None:
        """These are the workspace's folders."""
        self._hold_roots(folders)

    def change_roots(self, added: Sequence[str], removed: Sequence[str]) -> None:
        """The workspace's folders changed by these URIs."""
        gone = set(map(uris.path_of, removed))
        kept = [uri for root, uri in self._roots.items() if root not in gone]
        self._hold_roots([*kept, *added])

    def _hold_roots(self, folders: Iterable[str]) -> None:
        known = ((uris.path_of(uri), uri) for uri in folders)
        self._roots = {path: uri for path, uri in known if path}
        for document in self._open.values():
            document.root = self._root_of(document.path)

    def _root_of(self, path: str | None) -> str | None:
        """The innermost workspace folder that holds `path`."""
        if path is None:
            return None
        holding = [root for root in self.roots if _holds(root, path)]
        return max(holding, key=len, default=None)


def _holds(root: str, path: str) -> bool:
    trimmed = root.rstrip("/\\")
    return path.startswith(trimmed) and path[len(trimmed) : len(trimmed) + 1] in ("/", "\\")


@lru_cache(MAX_KEYS)
def _key(uri: str) -> str:
    """Return a key that is the same for all spellings of a file's URI; another URI is
    its own key.
    """
    return uri if uris.notebook_of(uri) else uris.path_of(uri) or uri


def units(text: str, encoding: str) -> int:
    """The length of `text` in units of `encoding`."""
    if encoding == UTF32 or text.isascii():
        return len(text)
    codec, width = _CODEC[encoding]
    return len(text.encode(codec)) // width


def characters(line: str, column: int, encoding: str) -> int:
    """Return the number of characters of `line` before `column` (units of `encoding`),
    at most all.
    """
    if column <= 0:
        return 0
    # A character is at least one unit, so only the first `column` characters matter.
    head = line[:column]
    if encoding == UTF32 or head.isascii():
        return len(head)
    codec, width = _CODEC[encoding]
    # Cut in the middle of a character, the rest of it is not decodable: that is the clamping.
    return len(head.encode(codec)[: column * width].decode(codec, "ignore"))


def offset_at(text: str, lines: LineTable, position: Position, encoding: str) -> int:
    """The offset of `position`, clamped into the document."""
    if position.line < 0:
        return 0
    if position.line >= len(lines):
        return len(text)
    start = lines.start(position.line)
    end = lines.content_end(position.line, text)
    if position.character <= 0:
        return start
    # Slicing before looking keeps a 2 MB line cheap when the cursor is at its start.
    end = min(end, start + position.character)
    return start + characters(text[start:end], position.character, encoding)


def position_at(text: str, lines: LineTable, offset: int, encoding: str) -> Position:
    """The position of `offset`, clamped into the document."""
    offset = min(max(offset, 0), len(text))
    line = lines.line_at(offset)
    start = lines.start(line)
    return Position(line, units(text[start:offset], encoding))


def span_of(text: str, lines: LineTable, where: Range, encoding: str) -> Span:
    """The offsets of a range; its ends may come in either order."""
    start = offset_at(text, lines, where.start, encoding)
    end = offset_at(text, lines, where.end, encoding)
    return Span(min(start, end), max(start, end))


def range_of(text: str, lines: LineTable, span: Span, encoding: str) -> Range:
    """The range of a span."""
    return Range(
        position_at(text, lines, span.start, encoding), position_at(text, lines, span.end, encoding)
    )
