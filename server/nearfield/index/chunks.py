"""Chunks: a file cut into pieces that a person would give one name.

Every line that is not blank is in exactly one chunk, in order. A function or method is a chunk; the
head of a class, with the signatures of its members, is another, so that it can be found by its
abilities. Top-level code between definitions is grouped. Long pieces are cut where a statement
begins. Prose is cut at headings and paragraphs, and a text without a tree at blank lines.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import tree_sitter

from nearfield.index.files import PROSE_SUFFIXES
from nearfield.index.symbols import CONTAINERS, FUNCTIONS, Definition
from nearfield.syntax.parser import Parsed

MAX_CHARS = 2_000
"""A chunk is cut from here on. The embedder reads 128 tokens, about 500 characters of code; what
it does not see is still found by its words."""
SMALL_CLASS_CHARS = 700
"""A class up to this size stays in one piece."""
SIGNATURE_CHARS = 120
MAX_SIGNATURES = 40
DOC_CHARS = 300
DIGEST_BYTES = 8
"""Among a million chunks two share a digest with a chance of 1 in 30 million; then one has the
vector of the other."""

_HEADING = re.compile(r"\s{0,3}(#{1,6})\s+(.*)")
_FENCE = re.compile(r"\s{0,3}(```|~~~)")
_COMMENT_SIGNS = re.compile(r"^\s*(?:///?!?|#+|--+|/\*+!?|\*+/?|<!--)\s?|(?:\*/|-->)\s*$")
_DOCSTRING = re.compile(
    r"^[ \t]*+[rRuUbB]{0,2}(\"\"\"|''')(.*?)(?:\1|\Z)", re.DOTALL | re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Chunk:
    """The rows `first` up to, not including, `last`; `signatures` are of a class's members."""

    first: int
    last: int
    kind: str
    name: str
    symbol: str
    text: str
    signatures: str = ""

    @property
    def meaning(self) -> str:
        """The text that is embedded. The path is not in it: a renamed file keeps its vectors."""
        parts = (self.symbol.replace(".", " "), self.text, self.signatures)
        return "\n".join(part for part in parts if part)

    @property
    def digest(self) -> bytes:
        """Equal for chunks with the same `meaning`."""
        content = self.meaning.encode("utf-8", "surrogatepass")
        return hashlib.blake2b(content, digest_size=DIGEST_BYTES).digest()


def chunked(
    text: str, path: str, parsed: Parsed | None, definitions: Sequence[Definition] = ()
) -> list[Chunk]:
    """The chunks of a file; none for one of white space alone. `path` tells what prose is."""
    if not text.strip():
        return []
    lines = text.split("\n")
    if path.lower().endswith(PROSE_SUFFIXES):
        return list(_prose(lines, path.lower().endswith((".md", ".markdown", ".mdx"))))
    return list(_Cutter(lines, parsed, definitions).file())


class _Cutter:
    """Cuts one file."""

    def __init__(
        self, lines: list[str], parsed: Parsed | None, definitions: Sequence[Definition]
    ) -> None:
        self._lines = lines
        self._parsed = parsed
        kinds = CONTAINERS | FUNCTIONS | {"macro", "view"}
        self._scopes = [one for one in definitions if one.kind in kinds]
        self._depths: dict[int, int] | None = None

    def file(self) -> Iterator[Chunk]:
        yield from self._between(0, len(self._lines), self._within(0, len(self._lines), ""), None)

    def _within(self, first: int, last: int, container: str) -> list[Definition]:
        """The definitions right inside `container`, none of which overlaps another."""
        found: list[Definition] = []
        end = first
        for one in self._scopes:
            if one.container == container and one.first >= end and one.last < last:
                found.append(one)
                end = one.last + 1
        return found

    def _between(
        self, first: int, last: int, inside: list[Definition], holder: Definition | None
    ) -> Iterator[Chunk]:
        """Chunks of the rows `first:last`: the definitions in them, and what is between."""
        at = first
        signatures = self._signatures(inside) if holder is not None else ""
        for one in [*inside, None]:
            end = one.first if one is not None else last
            if any(line.strip() for line in self._lines[at:end]):
                yield from self._pieces(at, end, holder, signatures)
                signatures = ""
            if one is not None:
                yield from self._scope(one.first, one)
                at = one.last + 1

    def _scope(self, first: int, one: Definition) -> Iterator[Chunk]:
        last = one.last + 1
        if one.kind in CONTAINERS and self._chars(first, last) > SMALL_CLASS_CHARS:
            inside = self._within(one.first, last, one.symbol)
            if inside:
                yield from self._between(first, last, inside, one)
                return
        yield from self._pieces(first, last, one, "")

    def _signatures(self, members: Iterable[Definition]) -> str:
        rows = [self._lines[one.row].strip()[:SIGNATURE_CHARS] for one in members]
        return "\n".join(rows[:MAX_SIGNATURES])

    def _pieces(
        self, first: int, last: int, one: Definition | None, signatures: str
    ) -> Iterator[Chunk]:
        for start, end in self.cuts(first, last):
            text = "\n".join(self._lines[start:end])
            if not text.strip():
                continue
            yield Chunk(
                first=start,
                last=end,
                kind=one.kind if one else "block",
                name=one.name if one else "",
                symbol=one.symbol if one else "",
                text=text,
                signatures=signatures if start == first else "",
            )

    def _chars(self, first: int, last: int) -> int:
        return sum(len(line) + 1 for line in self._lines[first:last])

    def cuts(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """Cut the rows so that no piece has more than `MAX_CHARS`, lines longer than that aside:
        at the outermost statement that begins in a piece's second half; of those at the last."""
        start = first
        while self._chars(start, last) > MAX_CHARS and last - start > 1:
            size, end = 0, start
            while end < last and (size := size + len(self._lines[end]) + 1) <= MAX_CHARS:
                end += 1
            end = max(end, start + 1)
            depths = self._statement_depths()
            candidates = range(max(start + 1, (start + end) // 2), min(end + 1, last))
            cut = min(
                (row for row in candidates if row in depths),
                key=lambda row: (depths[row], -row),
                default=end,
            )
            yield start, cut
            start = cut
        yield start, last

    def _statement_depths(self) -> dict[int, int]:
        """For each row where a statement begins, how deep it is nested; without a tree, the rows
        below a blank line count as statements, by their indentation."""
        if self._depths is None:
            self._depths = {}
            if self._parsed is not None:
                self._depths = self._depths_in(self._parsed.root, self._parsed.language.blocks)
            else:
                for row, line in enumerate(self._lines[1:], 1):
                    if line.strip() and not self._lines[row - 1].strip():
                        self._depths[row] = len(line) - len(line.lstrip())
        return self._depths

    @staticmethod
    def _depths_in(root: tree_sitter.Node, blocks: frozenset[str]) -> dict[int, int]:
        depths: dict[int, int] = {}
        stack = [(root, 0)]
        while stack:
            current, level = stack.pop()
            is_block = current.type in blocks
            for child in current.named_children:
                if is_block:
                    row = child.start_point.row
                    depths[row] = min(level, depths.get(row, level))
                if child.end_point.row > child.start_point.row:
                    stack.append((child, level + 1))
        return depths


def doc_of(text: str, name_row: int) -> str:
    """Return the documentation of a definition as plain text: the comment above it, or the string
    at the start of its body. `text` is the whole definition, with its name in the row `name_row`.
    """
    lines = text.split("\n")
    above = [
        _COMMENT_SIGNS.sub("", line).strip()
        for line in lines[:name_row]
        if _COMMENT_SIGNS.match(line)
    ]
    if not above and (found := _DOCSTRING.search("\n".join(lines[name_row:]))):
        above = [line.strip() for line in found.group(2).strip().split("\n")]
    return " ".join(word for word in above if word)[:DOC_CHARS]


def _prose(lines: list[str], markdown: bool) -> Iterator[Chunk]:
    """Sections with the path of their headings; long ones cut at paragraphs."""
    titles: list[tuple[int, str]] = []
    start = 0
    fenced = False
    for row, line in enumerate(lines):
        if markdown and _FENCE.match(line):
            fenced = not fenced
        heading = _HEADING.match(line) if markdown and not fenced else None
        if heading is None:
            continue
        yield from _section(lines, start, row, titles)
        start = row
        level = len(heading.group(1))
        titles = [(depth, title) for depth, title in titles if depth < level]
        titles.append((level, heading.group(2).rstrip().rstrip("#").rstrip()))
    yield from _section(lines, start, len(lines), titles)


def _section(
    lines: list[str], first: int, last: int, titles: Sequence[tuple[int, str]]
) -> Iterator[Chunk]:
    for start, end in _Cutter(lines, None, ()).cuts(first, last):
        text = "\n".join(lines[start:end])
        if text.strip():
            yield Chunk(
                first=start,
                last=end,
                kind="section" if titles else "text",
                name=titles[-1][1] if titles else "",
                symbol=" > ".join(title for _level, title in titles),
                text=text,
            )
