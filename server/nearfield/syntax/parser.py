"""Parsing: one tree per document, updated incrementally.

`ParseCache.parse` takes the document's text, finds the changes since the last call by itself (so
that a missed or reordered edit does no harm) and reuses the old tree. `Parsed` is an immutable view
of a text and its tree. It uses code points; tree-sitter's UTF-8 bytes, rows and byte columns stay
in this module.

A text has no tree if it is too long, has too long a line, would crash the process, takes too long
to parse or is nested too deeply; callers then work by lines. Everything is thread-safe.

A crash is what grammars with their own scanner can cause. Each keeps a stack (of indentations, of
open strings) that it serializes after each token into 1,024 bytes. Those of YAML, Python and Ruby
write up to two bytes past that, into a pointer of the parser. Upper bounds on what they write come
from the text alone, so a text that passes is safe however it is parsed.
`tests/bench/grammar_fuzz.py` compares the bounds with what the scanners write.
"""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import Any

import tree_sitter

from nearfield.syntax.checked import checked
from nearfield.syntax.differences import changed_span
from nearfield.syntax.languages import Language, grammar, is_installed, language_for
from nearfield.syntax.notebook import blanked, is_foreign
from nearfield.types import Edit, Selected, Snapshot, Span

MAX_CHARS = 2_000_000
"""A longer text has no tree: it is never source code, and each edit would take 20 ms."""
MAX_LINE_CHARS = 100_000
"""A text with a longer line has no tree: several grammars count columns from the line's start at
every token, which is quadratic."""
PARSE_SECONDS, PARSE_SECONDS_A_MB = 0.2, 1.0
"""Processor time after which a parse is aborted. 1 MB takes 0.07 s on a fast machine; text that is
no code may take minutes, and blocks other threads now and then."""
MAX_UNCLOSED = 2_000
"""A text with more open brackets of a kind has no tree: at its end tree-sitter tries to close them
all at once, which cannot be interrupted (0.2 s for 50,000)."""
MAX_DEPTH = 2_000
"""A tree twice as deep is dropped, and some that are a little less deep: walks up and down take
steps in proportion, often for each node. Python's standard library has 29 levels."""
DEPTH_SECONDS = 0.05
"""Maximum time to find that out; 2 ms for a tree of 1 MB. A tree that takes longer is so wide,
mostly of errors, that every step in it is slow."""
BACKOFF_FACTOR = 20
"""After a failed parse the next one waits this many times as long as the failed one took."""
CHUNK_BYTES = (32_768, 2_048, 128, 16)
"""Sizes of the pieces in which the parser reads its text, the largest that fits."""
BRACKETS = ("()", "[]", "{}", "<>")
REACH_CHARS = 4_000
"""Distance from an edit within which errors count as near."""
MAX_DOCUMENTS = 64
"""Trees kept; about 10 bytes of tree per byte of text."""

PARSE_IN_THREAD_CHARS = 10_000
"""A longer text is parsed off the event loop: 0.1 MB takes 7 ms the first time, and what is no code
a hundred times as long."""

MAX_STATE_BYTES = 1_000
"""The largest state a text may lead to: 24 bytes less than the parser's buffer."""

_PYTHON_WIDTHS = 370
"""Number of indentations that fit: two bytes each, besides at most 257 for open strings."""
_PYTHON_WIDER = ("\t", "\\\n", "\\\r")
"""Text that makes an indentation wider than its characters, or continues it on the next line."""
_RUBY_WORD_CHARS = 255
"""The length of a heredoc's word is read back from one byte; after a longer word the scanner reads
from the wrong position."""

_YAML_SHORT_ROW = 60
"""Length of a line that is not examined: it has at most half as many indicators."""

_INDENTATION = re.compile(r"^[ \t]*", re.MULTILINE)
_INDICATOR = re.compile(r"[-?:](?= |\Z)")
_HEREDOC = re.compile(r"<<[-~]?(\w+|'[^']*|\"[^\"]*|`[^`]*)")
_RUBY_QUOTES = ('"', "'", "`", "/", "%")
"""Every string, symbol and pattern begins with one of these."""

_local = threading.local()


class Parsed:
    """A text, its tree, and the conversion between offsets and bytes. Immutable."""

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
        self._known = known  # an offset and its byte, probably near the next one to convert

    @cached_property
    def root(self) -> tree_sitter.Node:
        """The node of the whole text."""
        return self.tree.root_node

    def byte(self, offset: int) -> int:
        """Return the byte at which the code point at `offset` begins."""
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
        """Return the offset of the code point that begins at `byte`."""
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
        """Return the known pair whose offset (`axis` 0) or byte (`axis` 1) is nearest."""
        pairs = ((0, 0), self._known, (len(self.text), len(self.source)))
        return min(pairs, key=lambda pair: abs(pair[axis] - place))

    def span(self, node: tree_sitter.Node) -> Span:
        """Return the span of `node`."""
        return Span(self.offset(node.start_byte), self.offset(node.end_byte))

    def path_to(self, offset: int) -> list[tree_sitter.Node]:
        """Return the nodes that contain the character at `offset` (at the text's end the last one),
        from the root inwards."""
        byte = min(self.byte(offset), max(len(self.source) - 1, 0))
        cursor = self.tree.walk()
        path: list[tree_sitter.Node] = []
        while (node := cursor.node) is not None and node.start_byte <= byte < node.end_byte:
            path.append(node)
            if cursor.goto_first_child_for_byte(byte) is None:
                break
        return path

    def errors(self, span: Span, *, starting: bool = False) -> int:
        """Count the ERROR and MISSING nodes that touch `span`, or, if `starting`, begin in it."""
        start, end = self.byte(span.start), self.byte(span.end)
        broken = _broken(self.tree.walk(), max(start - 1, 0), end)
        return sum(1 for node in broken if not starting or node.start_byte >= start)

    def errors_near(self, span: Span) -> int:
        """Count the errors near `span`, and at the text's end, where an unclosed bracket shows.
        Errors elsewhere have other causes than an edit of `span`."""
        length = len(self.text)
        near = Span(max(span.start - REACH_CHARS, 0), min(span.end + REACH_CHARS, length))
        found = self.errors(near)
        if near.end < length:
            found += self.errors(Span(max(length - 1, near.end + 1), length))
        return found

    @cached_property
    def all_errors(self) -> int:
        """The number of ERROR and MISSING nodes."""
        return self.errors(Span(0, len(self.text))) if self.root.has_error else 0

    def error_spans(self, most: int) -> list[Span]:
        """Return the spans of the first ERROR and MISSING nodes, at most `most`, in order."""
        broken = _broken(self.tree.walk(), 0, len(self.source)) if self.root.has_error else ()
        return [self.span(node) for node in islice(broken, most)]

    def edited(self, edit: Edit) -> Parsed | None:
        """Return the document after `edit`, parsed incrementally; None if it exceeds the bounds.
        This view does not change."""
        text = self.text[: edit.span.start] + edit.text + self.text[edit.span.end :]
        written = Span(edit.span.start, edit.span.start + len(edit.text))
        safe = _grammar_for(self.language, text, written)
        return None if safe is None else self.reparsed(safe, text, edit.span, len(edit.text))

    def reparsed(
        self, safe: tree_sitter.Language, text: str, span: Span, new_length: int
    ) -> Parsed | None:
        """Return the view of `text`, which is this text with `span` replaced by `new_length`
        characters. None if parsing takes too long or the tree is too deep. `safe` is the grammar to
        use."""
        if self.language.magics:
            # Blanked magics may change far from the edit; cells are short.
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
        if fresh is None or _is_too_deep(fresh):
            return None
        return Parsed(self.language, text, source, fresh, (span.start, start))


@dataclass(frozen=True, slots=True)
class Cursor:
    """A cursor in a parsed document."""

    snapshot: Snapshot
    parsed: Parsed | None
    offset: int
    selected: Selected | None = None


CursorOf = Callable[[Snapshot, int], Awaitable[Cursor]]
"""Return the cursor at an offset of a document, with its tree."""


def parse(language: Language, text: str) -> Parsed | None:
    """Parse `text`; return None if it exceeds the bounds above, or without the grammar."""
    safe = _grammar_for(language, text, Span(0, len(text)))
    return None if safe is None else _parsed(language, safe, text)


def _parsed(language: Language, safe: tree_sitter.Language, text: str) -> Parsed | None:
    source = _encode(text)
    parsed = _encode(blanked(text)) if language.magics else source
    tree = tree_of(safe, parsed, None)
    return None if tree is None or _is_too_deep(tree) else Parsed(language, text, source, tree)


def _grammar_for(language: Language, text: str, written: Span) -> tree_sitter.Language | None:
    """Return the grammar to parse `text` with, None if it exceeds the bounds that can be checked
    without parsing. Lines outside `written` are known to be short."""
    if not is_installed(language) or (language.magics and is_foreign(text)):
        return None
    first = text.rfind("\n", 0, written.start) + 1
    last = text.find("\n", written.end)
    lines = text[first : len(text) if last < 0 else last].split("\n")
    if len(text) > MAX_CHARS or max(map(len, lines)) > MAX_LINE_CHARS:
        return None
    if any(text.count(opens) - text.count(closes) > MAX_UNCLOSED for opens, closes in BRACKETS):
        return None
    return safe_grammar(language, text)


@dataclass(slots=True)
class _CachedTree:
    """The tree of a document. `parsed` is None before the first parse, or without a tree;
    `retry_at` is the moment from which parsing may be tried again. `lock` is held while parsing, so
    that concurrent calls with the same text parse it once."""

    language: Language
    parsed: Parsed | None = None
    retry_at: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)


class ParseCache:
    """The trees of the most recently used documents."""

    def __init__(self, max_documents: int = MAX_DOCUMENTS) -> None:
        self._max_documents = max_documents
        self._documents: OrderedDict[str, _CachedTree] = OrderedDict()
        self._lock = threading.Lock()

    async def cursor(
        self, snapshot: Snapshot, offset: int, selected: Selected | None = None
    ) -> Cursor:
        """Return the cursor with the document's tree; a long text is parsed in a thread."""
        uri, text = snapshot.uri, snapshot.text
        language = language_for(snapshot.language, snapshot.path)
        if len(text) > PARSE_IN_THREAD_CHARS:
            parsed = await asyncio.to_thread(self.parse, uri, language, text)
        else:
            parsed = self.parse(uri, language, text)
        return Cursor(snapshot, parsed, offset, selected)

    def parse(self, uri: str, language: Language | None, text: str) -> Parsed | None:
        """Return the document `uri` with the text `text`, parsed incrementally. None without a
        grammar or beyond the bounds above; after a costly failure also for a while."""
        if language is None:
            return None
        with self._lock:
            document = self._documents.get(uri)
            if document is None or document.language is not language:
                document = self._documents[uri] = _CachedTree(language)
            self._documents.move_to_end(uri)
            while len(self._documents) > self._max_documents:
                self._documents.popitem(last=False)
        with document.lock:
            return self._current(document, text)

    @staticmethod
    def _current(document: _CachedTree, text: str) -> Parsed | None:
        before, began = document.parsed, time.monotonic()
        if before is None and began < document.retry_at:
            return None
        if before is not None and before.text == text:
            return before
        span, length = changed_span(before.text, text) if before else (Span(0, 0), len(text))
        safe = _grammar_for(document.language, text, Span(span.start, span.start + length))
        if safe is None:
            return None
        if before is None:
            document.parsed = _parsed(document.language, safe, text)
        else:
            document.parsed = before.reparsed(safe, text, span, length)
        document.retry_at = time.monotonic() + BACKOFF_FACTOR * (time.monotonic() - began)
        return document.parsed

    def forget(self, uri: str) -> None:
        """Drop the document's tree."""
        with self._lock:
            self._documents.pop(uri, None)


def tree_of(
    safe: tree_sitter.Language, source: bytes, old: tree_sitter.Tree | None
) -> tree_sitter.Tree | None:
    """Return the tree of a text in UTF-8, based on an older tree with the same edits applied; None
    if that takes too long. `safe` is that of `safe_grammar` for the text."""
    deadline = time.thread_time() + PARSE_SECONDS + PARSE_SECONDS_A_MB * len(source) / 1e6
    parsing = True

    def read(byte: int, _point: object) -> Any:
        if parsing:
            for buffer in _buffers():
                if len(source) - byte >= len(buffer):
                    buffer[:] = source[byte : byte + len(buffer)]
                    return buffer
            return source[byte:]
        # For a node's text the binding accepts only bytes, and releases them.
        return source[byte : byte + CHUNK_BYTES[0]]

    def is_late(_byte: int, _error: bool) -> bool:
        return time.thread_time() > deadline

    parser = tree_sitter.Parser(safe)
    try:
        if old is None:
            return parser.parse(read, progress_callback=is_late)
        return parser.parse(read, old, progress_callback=is_late)
    except ValueError:  # raised by the binding if `is_late` returns True
        return None
    finally:
        parsing = False


def _is_too_deep(tree: tree_sitter.Tree) -> bool:
    """Return whether a node is at twice `MAX_DEPTH`. Its ancestor at `MAX_DEPTH` has enough
    descendants for one of the sampled nodes to be among them.
    """
    cursor = tree.walk()
    deadline = time.thread_time() + DEPTH_SECONDS
    for number in range(0, tree.root_node.descendant_count, MAX_DEPTH):
        cursor.goto_descendant(number)
        if cursor.depth > MAX_DEPTH or time.thread_time() > deadline:
            return True
    return False


def _buffers() -> Sequence[bytearray]:
    """Return this thread's buffers for the parser's input. The binding (0.26) never releases an
    object that `read` returns, so every text would stay in memory; now only the last bytes do."""
    found: list[bytearray] | None = getattr(_local, "buffers", None)
    if found is None:
        found = _local.buffers = [bytearray(size) for size in CHUNK_BYTES]
    return found


def _broken(cursor: tree_sitter.TreeCursor, start: int, end: int) -> Iterator[tree_sitter.Node]:
    """Yield the ERROR and MISSING nodes under `cursor` that extend beyond `start` and begin by
    `end`; for a hidden one its parent. Skips subtrees without errors."""
    # A loop, because a broken text can nest thousands of levels deep, unlike Python's calls.
    depth = 0
    while (node := cursor.node) is not None:
        if node.has_error and node.start_byte <= end:
            # A missing token that the grammar hides shows only in its parent.
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
    """Encode as UTF-8; a lone surrogate, which a JSON document may hold, takes three bytes."""
    return text.encode("utf-8", "surrogatepass")


def _decode(source: bytes) -> str:
    return source.decode("utf-8", "surrogatepass")


def _row_of(source: bytes, byte: int) -> tuple[int, int]:
    """Return the row that contains `byte`, and the byte at which that row begins."""
    return source.count(b"\n", 0, byte), source.rfind(b"\n", 0, byte) + 1


def _point(source: bytes, start: int, end: int, row: int, line_start: int) -> tuple[int, int]:
    """Return the point of `end`, counted from `start`, which is in `row`."""
    rows = source.count(b"\n", start, end)
    if rows == 0:
        return row, end - line_start
    return row + rows, end - source.rfind(b"\n", start, end) - 1


def safe_grammar(language: Language, text: str) -> tree_sitter.Language | None:
    """Return the grammar to parse `text` with, None if it must not be parsed."""
    if max_state_bytes(language, text) <= MAX_STATE_BYTES:
        return grammar(language)
    # Such YAML and Python is nested more than a hundred levels deep, so it is generated. Ruby need
    # not be: the text does not tell how many strings are open at once.
    guarded = checked(language) if language.name == "ruby" else None
    return guarded.grammar if guarded is not None else None


def max_state_bytes(language: Language, text: str) -> int:
    """Return an upper bound on the bytes that the scanner of `language` writes at any token of
    `text`; 0 for scanners that check the limit."""
    bound = _BOUNDS.get(language.name)
    return bound(text) if bound is not None else 0


def _yaml(text: str) -> int:
    """Return ten bytes plus four for each open block.

    The columns of open blocks increase. A line opens at most two at its indentation, and one at
    each `-`, `?` or `:` after that; those right of the next line's indentation end with it.
    """
    text = _replaced(text, ("\r", "\n"), ("\t", " "), ("\0", " "))
    rows = text.split("\n")
    widths = {len(found) for found in set(_INDENTATION.findall(text))}
    deepest = max(widths)
    # At least as many `-`, `?` and `:` as may open a block in one line.
    long_rows = (row for row in rows if len(row) > _YAML_SHORT_ROW)
    counts = [row.count("- ") + row.count("? ") + row.count(": ") + 1 for row in long_rows]
    most = max([_YAML_SHORT_ROW // 2, *counts])
    blocks = 2 * len(widths) + deepest + most + 1
    if 10 + 4 * blocks > MAX_STATE_BYTES:
        columns = {
            found.start()
            for row in {row[:deepest] for row in rows}
            for found in _INDICATOR.finditer(row)
        }
        blocks = 2 * len(widths) + len(columns) + most + 1
    return 10 + 4 * blocks


def _replaced(text: str, *plain: tuple[str, str]) -> str:
    """Return `text` with the first of each pair replaced by the second."""
    for sign, instead in plain:
        if sign in text:
            text = text.replace(sign, instead)
    return text


def _python(text: str) -> int:
    """Return two bytes, plus one for each open string up to 255, plus two for each open block.
    Their indentations increase, so at most as many are open as there are different ones.
    """
    if not any(sign in text for sign in _PYTHON_WIDER) and " " * _PYTHON_WIDTHS not in text:
        return 257 + 2 * _PYTHON_WIDTHS
    # A continued line adds its white space to that of the next one.
    text = _replaced(text, ("\\\r\n", ""), ("\\\n", ""), ("\\\r", ""), ("\r", "\n"), ("\f", "\n"))
    widths = {len(found) + 7 * found.count("\t") for found in set(_INDENTATION.findall(text))}
    return 257 + 2 * len(widths)


def _ruby(text: str) -> int:
    """Return two bytes, plus five for each open string, plus four and the word for each heredoc.

    Only a parser knows where they end: in a text with errors a quote that ends a string may open
    one. So all of them count.
    """
    words = [len(word.lstrip("'\"`")) for word in _HEREDOC.findall(text)]
    if not words:
        return 0  # for strings alone the scanner checks the limit
    if max(words) > _RUBY_WORD_CHARS:
        return MAX_STATE_BYTES + max(words)
    return 2 + 5 * sum(map(text.count, _RUBY_QUOTES)) + sum(words) + 4 * len(words)


_BOUNDS: dict[str, Callable[[str], int]] = {"yaml": _yaml, "python": _python, "ruby": _ruby}
