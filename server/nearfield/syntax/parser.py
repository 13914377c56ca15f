"""Parsing: one tree a document, kept up to date edit by edit.

`ParseCache.parse` is told the document's text, finds what changed since the last time by itself
(so that a missed or reordered edit can do no harm) and gives the parser the old tree to reuse.
`Parsed` is an immutable view of one text and its tree. It speaks code points, as the rest of the
house does; tree-sitter speaks bytes of UTF-8, rows and byte columns, and that stays in here.

Bounded: a text that is too long, has a line that is too long, would harm the process
(`scanner_state`), takes too long to parse or is nested too deeply has no tree, and callers work by
lines. Everything may be called from any thread.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import tree_sitter

from nearfield.syntax.differences import changed_span
from nearfield.syntax.languages import Language
from nearfield.syntax.notebook import blanked, is_foreign
from nearfield.syntax.scanner_state import safe_grammar
from nearfield.types import Edit, Span

__all__ = ["ParseCache", "Parsed", "parse", "tree_of"]

MAX_CHARS = 2_000_000
"""Longer texts have no tree: they are never source code, and each edit would cost 20 ms."""
MAX_LINE_CHARS = 100_000
"""A text with a longer line has no tree: several grammars count columns from the line's start at
every token, which is quadratic in the line's length."""
PARSE_SECONDS, PARSE_SECONDS_A_MB = 0.2, 1.0
"""A parse is given up after so much processor time. 1 MB takes 0.07 s on a fast machine; text that
is no code may take minutes, and while it is parsed all else waits now and then."""
MOST_UNCLOSED = 2_000
"""A text with more brackets of a kind left open has no tree: where it ends, tree-sitter tries to
close them all at once, which cannot be interrupted (0.2 s for 50,000)."""
DEEPEST = 2_000
"""A tree with nodes twice as deep is given up, and some that are not quite so deep. Whoever goes up
or down in it takes steps in proportion, often once a node. Python's library has 29 levels."""
LOOK_SECONDS = 0.05
"""Finding that out takes 2 ms of a tree of 1 MB. One that takes longer is so wide, mostly of
errors, that every step in it does."""
RESTS = 20
"""A text that had no tree, and took so long to show it, is left alone for so many times as long."""
CHUNK_BYTES = (32_768, 2_048, 128, 16)
"""The parser asks for its text in pieces of these sizes, the largest that is there."""
BRACKETS = ("()", "[]", "{}", "<>")
CACHED_DOCUMENTS = 64
"""Trees kept; about 10 bytes of tree a byte of text."""

_lent = threading.local()


class Parsed:
    """A text, its tree, and the way between offsets and bytes. Immutable."""

    def __init__(
        self,
        language: Language,
        text: str,
        source: bytes,
        tree: tree_sitter.Tree,
        known: tuple[int, int] = (0, 0),
    ) -> None:
        self.language = language
        self.text = text
        self.source = source
        self.tree = tree
        self._known = known  # an offset and its byte, near which the next question will be

    @cached_property
    def root(self) -> tree_sitter.Node:
        """The node of the whole text."""
        return self.tree.root_node

    def byte(self, offset: int) -> int:
        """The byte at which the code point at `offset` begins."""
        if len(self.source) == len(self.text):
            return offset
        near, byte = self._nearest(offset, 0)
        if near <= offset:
            byte += len(_encode(self.text[near:offset]))
        else:
            byte -= len(_encode(self.text[offset:near]))
        self._known = (offset, byte)
        return byte

    def offset(self, byte: int) -> int:
        """The code point that begins at `byte`."""
        if len(self.source) == len(self.text):
            return byte
        offset, near = self._nearest(byte, 1)
        if near <= byte:
            offset += len(_decode(self.source[near:byte]))
        else:
            offset -= len(_decode(self.source[byte:near]))
        self._known = (offset, byte)
        return offset

    def _nearest(self, place: int, axis: int) -> tuple[int, int]:
        """The known pair of offset and byte whose offset (`axis` 0) or byte (1) is nearest."""
        pairs = ((0, 0), self._known, (len(self.text), len(self.source)))
        return min(pairs, key=lambda pair: abs(pair[axis] - place))

    def span(self, node: tree_sitter.Node) -> Span:
        """Where `node` is."""
        return Span(self.offset(node.start_byte), self.offset(node.end_byte))

    def path_to(self, offset: int) -> list[tree_sitter.Node]:
        """The nodes that hold the character at `offset` (at the text's end: the last one), from
        the root inwards."""
        byte = min(self.byte(offset), max(len(self.source) - 1, 0))
        cursor = self.tree.walk()
        path: list[tree_sitter.Node] = []
        while (node := cursor.node) is not None and node.start_byte <= byte < node.end_byte:
            path.append(node)
            if cursor.goto_first_child_for_byte(byte) is None:
                break
        return path

    def errors(self, span: Span, *, starting: bool = False) -> int:
        """How many ERROR and MISSING nodes touch `span`; with `starting`, how many begin in it."""
        start, end = self.byte(span.start), self.byte(span.end)
        broken = _broken(self.tree.walk(), max(start - 1, 0), end)
        return sum(1 for node in broken if not starting or node.start_byte >= start)

    @cached_property
    def all_errors(self) -> int:
        """How many ERROR and MISSING nodes there are."""
        return self.errors(Span(0, len(self.text))) if self.root.has_error else 0

    def edited(self, edit: Edit) -> Parsed | None:
        """The same document after `edit`, parsed with this tree's help; None when it is beyond the
        bounds. This view stays as it is."""
        text = self.text[: edit.span.start] + edit.text + self.text[edit.span.end :]
        written = Span(edit.span.start, edit.span.start + len(edit.text))
        safe = _grammar_for(self.language, text, written)
        return None if safe is None else self.reparsed(safe, text, edit.span, len(edit.text))

    def reparsed(
        self, safe: tree_sitter.Language, text: str, span: Span, new_length: int
    ) -> Parsed | None:
        """`text` is this text with `span` replaced by `new_length` characters, and `safe` the
        grammar that may be used for it; None when it takes too long or is nested too deeply."""
        if self.language.magics:
            # What is blanked may change far from the edit; cells are short.
            return _parsed(self.language, safe, text)
        start, old_end = self.byte(span.start), self.byte(span.end)
        inserted = _encode(text[span.start : span.start + new_length])
        source = self.source[:start] + inserted + self.source[old_end:]
        new_end = start + len(inserted)
        row, line_start = _row_of(self.source, start)
        tree = self.tree.copy()
        tree.edit(
            start,
            old_end,
            new_end,
            (row, start - line_start),
            _point(self.source, start, old_end, row, line_start),
            _point(source, start, new_end, row, line_start),
        )
        fresh = tree_of(safe, source, tree)
        if fresh is None or _too_deep(fresh):
            return None
        return Parsed(self.language, text, source, fresh, (span.start, start))


def parse(language: Language, text: str) -> Parsed | None:
    """`text` parsed afresh; None when it is beyond the bounds above."""
    safe = _grammar_for(language, text, Span(0, len(text)))
    return None if safe is None else _parsed(language, safe, text)


def _parsed(language: Language, safe: tree_sitter.Language, text: str) -> Parsed | None:
    source = _encode(text)
    parsed = _encode(blanked(text)) if language.magics else source
    tree = tree_of(safe, parsed, None)
    return None if tree is None or _too_deep(tree) else Parsed(language, text, source, tree)


def _grammar_for(language: Language, text: str, written: Span) -> tree_sitter.Language | None:
    """What `text` may be parsed with, None when it is beyond the bounds that can be told without
    parsing it; its lines outside `written` are known to be short."""
    if language.magics and is_foreign(text):
        return None
    if len(text) > MAX_CHARS or _longest_line_at(text, written) > MAX_LINE_CHARS:
        return None
    if any(text.count(opens) - text.count(closes) > MOST_UNCLOSED for opens, closes in BRACKETS):
        return None
    return safe_grammar(language, text)


@dataclass(slots=True)
class _Entry:
    """What is known of one document. `parsed` is None before the first parse, and when the last
    text had no tree; `again` is the moment from which that may be tried again. Whoever holds `lock`
    parses: of several who ask for the same text one does, and the others have it then."""

    language: Language
    parsed: Parsed | None = None
    again: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)


class ParseCache:
    """The trees of the documents that were worked on last."""

    def __init__(self, documents: int = CACHED_DOCUMENTS) -> None:
        self._documents = documents
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._lock = threading.Lock()

    def parse(self, uri: str, language: Language | None, text: str) -> Parsed | None:
        """The document `uri` as it is now; reuses what is known of it. None: no such grammar, or
        beyond the bounds above. Where that cost a parse, the next ones are spared for a while."""
        if language is None:
            return None
        with self._lock:
            entry = self._entries.get(uri)
            if entry is None or entry.language is not language:
                entry = self._entries[uri] = _Entry(language)
            self._entries.move_to_end(uri)
            while len(self._entries) > self._documents:
                self._entries.popitem(last=False)
        with entry.lock:
            return self._current(entry, text)

    @staticmethod
    def _current(entry: _Entry, text: str) -> Parsed | None:
        before, began = entry.parsed, time.monotonic()
        if before is None and began < entry.again:
            return None
        if before is not None and before.text == text:
            return before
        span, length = changed_span(before.text, text) if before else (Span(0, 0), len(text))
        safe = _grammar_for(entry.language, text, Span(span.start, span.start + length))
        if safe is None:
            return None
        if before is None:
            entry.parsed = _parsed(entry.language, safe, text)
        else:
            entry.parsed = before.reparsed(safe, text, span, length)
        entry.again = time.monotonic() + RESTS * (time.monotonic() - began)
        return entry.parsed

    def forget(self, uri: str) -> None:
        """The document was closed."""
        with self._lock:
            self._entries.pop(uri, None)


def tree_of(
    safe: tree_sitter.Language, source: bytes, old: tree_sitter.Tree | None
) -> tree_sitter.Tree | None:
    """The tree of a text in UTF-8, with the help of an older one that was edited alike; None when
    that takes too long. `safe` is what `scanner_state` allows for the text."""
    deadline = time.thread_time() + PARSE_SECONDS + PARSE_SECONDS_A_MB * len(source) / 1e6
    parsing = True

    def read(byte: int, _point: object) -> Any:
        if parsing:
            for buffer in _buffers():
                if len(source) - byte >= len(buffer):
                    buffer[:] = source[byte : byte + len(buffer)]
                    return buffer
            return source[byte:]
        # Asked for a node's text, the binding takes nothing but bytes, and lets go of them.
        return source[byte : byte + CHUNK_BYTES[0]]

    def late(_byte: int, _error: bool) -> bool:
        return time.thread_time() > deadline

    parser = tree_sitter.Parser(safe)
    try:
        if old is None:
            return parser.parse(read, progress_callback=late)
        return parser.parse(read, old, progress_callback=late)
    except ValueError:  # what the binding raises when `late` says so
        return None
    finally:
        parsing = False


def _too_deep(tree: tree_sitter.Tree) -> bool:
    """Whether there is a node at twice `DEEPEST`. The node above it at `DEEPEST` holds so many that
    one of those looked at is among them."""
    cursor = tree.walk()
    late = time.thread_time() + LOOK_SECONDS
    for number in range(0, tree.root_node.descendant_count, DEEPEST):
        cursor.goto_descendant(number)
        if cursor.depth > DEEPEST or time.thread_time() > late:
            return True
    return False


def _buffers() -> Sequence[bytearray]:
    """What the parser reads is lent to it in these: the binding (0.26) never lets go of an object
    that `read` returns, so that every text would stay in memory. The last few bytes do."""
    found: list[bytearray] | None = getattr(_lent, "buffers", None)
    if found is None:
        found = _lent.buffers = [bytearray(size) for size in CHUNK_BYTES]
    return found


def _broken(cursor: tree_sitter.TreeCursor, start: int, end: int) -> Iterator[tree_sitter.Node]:
    """The ERROR and MISSING nodes at and under `cursor` that reach beyond `start` and begin by
    `end`; of a hidden one its parent. Steps over whatever has none: it costs the tree's depth."""
    # A loop, because a broken text can nest thousands deep, and Python's calls cannot.
    depth = 0
    while (node := cursor.node) is not None:
        if node.has_error and node.start_byte <= end:
            # Of a missing token that the grammar hides only its parent tells.
            if node.is_error or not any(child.has_error for child in node.children):
                yield node
            if cursor.goto_first_child_for_byte(start) is not None:
                depth += 1
                continue
        while depth and (_begins_after(cursor, end) or not cursor.goto_next_sibling()):
            cursor.goto_parent()
            depth -= 1
        if not depth:
            return


def _begins_after(cursor: tree_sitter.TreeCursor, byte: int) -> bool:
    return cursor.node is not None and cursor.node.start_byte > byte


def _encode(text: str) -> bytes:
    """UTF-8. A lone surrogate, which a JSON document may hold, takes its three bytes."""
    return text.encode("utf-8", "surrogatepass")


def _decode(source: bytes) -> str:
    return source.decode("utf-8", "surrogatepass")


def _row_of(source: bytes, byte: int) -> tuple[int, int]:
    """The row that holds `byte`, and the byte at which that row begins."""
    return source.count(b"\n", 0, byte), source.rfind(b"\n", 0, byte) + 1


def _point(source: bytes, start: int, end: int, row: int, line_start: int) -> tuple[int, int]:
    """The point of `end`, counted on from `start`, which is in `row`."""
    rows = source.count(b"\n", start, end)
    if rows == 0:
        return row, end - line_start
    return row + rows, end - source.rfind(b"\n", start, end) - 1


def _longest_line_at(text: str, span: Span) -> int:
    """The length of the longest line that `span` touches."""
    first = text.rfind("\n", 0, span.start) + 1
    last = text.find("\n", span.end)
    lines = text[first : len(text) if last < 0 else last].split("\n")
    return max(map(len, lines))
