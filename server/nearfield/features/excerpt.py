"""The part of a long file that a question is about: what a small context can be shown of it.

First the file's outline, one line a definition, then the pieces with most of the question's words,
in the file's order. Nothing is asked of a model, and every line that is left out is counted.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import PurePath

from nearfield.files.lines import split_lines
from nearfield.index.chunks import Chunk, chunked
from nearfield.index.symbols import Definition, outline
from nearfield.index.words import TOKEN, asked, indexed
from nearfield.syntax.languages import language_for
from nearfield.syntax.parser import parse
from nearfield.types import Span

OUTLINE_SHARE = 0.3
"""Of the room; the rest is for code."""
OUTLINE_CHARS = 120
"""Of one line of the outline."""
MAX_PARSED_CHARS = 2_000_000
"""A longer text is cut at its blank lines."""
MAX_COUNTED = 3
"""A piece that has a word more often than this counts as having it this often."""
SMALL_GAP = 2
"""Lines that are shown rather than said to be left out."""
NAMED = 3.0
"""The weight of a word in the name of a definition, against one in its text."""


@dataclass(frozen=True, slots=True)
class ExcerptPiece:
    """Text of the file, or, without a `span`, our words about it."""

    text: str
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Excerpt:
    """The pieces in order; `lines` of the file's `total` are among them."""

    pieces: tuple[ExcerptPiece, ...]
    lines: int
    total: int

    @property
    def note(self) -> str:
        """Return a sentence for the user, "" where all of the file is shown."""
        if self.lines == self.total:
            return ""
        return (
            f"the file has {self.total} lines, more than the model can read at once: it was shown"
            f" an outline and the {self.lines} lines that fit your question best"
        )


def excerpt(text: str, path: str, question: str, most: int) -> Excerpt:
    """Return the part of a file to show for `question` in about `most` characters."""
    lines = split_lines(text)
    if len(text) <= most:
        return Excerpt((ExcerptPiece(text, Span(0, len(text))),), len(lines), len(lines))
    plain = "\n".join(lines)
    language = language_for("", path) if len(plain) <= MAX_PARSED_CHARS else None
    parsed = parse(language, plain) if language is not None else None
    definitions = outline(parsed).definitions if parsed is not None else ()
    told = _outline(lines, definitions, int(most * OUTLINE_SHARE))
    chunks = chunked(plain, PurePath(path).name, parsed, definitions)
    chosen = _chosen(chunks, question, most - len(told))
    starts = [0, *accumulate(map(len, split_lines(text, keepends=True)))]
    pieces = [ExcerptPiece(told)] if told else []
    pieces += _joined(text, starts, chosen)
    return Excerpt(tuple(pieces), sum(chunk.last - chunk.first for chunk in chosen), len(lines))


def _outline(lines: Sequence[str], definitions: Sequence[Definition], most: int) -> str:
    """Return the numbered first lines of definitions: all, or the outermost as far as they fit."""
    for kept in (definitions, [one for one in definitions if not one.container]):
        shown = [
            f"{one.row + 1}: {lines[one.row].rstrip()[:OUTLINE_CHARS]}"
            for one in kept
            if one.row < len(lines)
        ]
        if sum(map(len, shown)) + len(shown) <= most:
            break
    else:
        while shown and sum(map(len, shown)) + len(shown) > most:
            shown.pop()
    return "(outline)\n" + "\n".join(shown) + "\n" if shown else ""


def _chosen(chunks: Sequence[Chunk], question: str, most: int) -> list[Chunk]:
    """Return the chunks with most of the question's words that fit, in the file's order; those
    without any count by their place."""
    wanted = asked(question)
    words = [Counter(indexed(chunk.text).split(" ")) for chunk in chunks]
    weight = {
        word: math.log(1 + len(chunks) / (1 + sum(word in one for one in words))) for word in wanted
    }
    scored: list[tuple[float, int]] = []
    for number, (chunk, counted) in enumerate(zip(chunks, words, strict=True)):
        named = set(indexed(" ".join(TOKEN.findall(chunk.symbol))).split(" "))
        score = sum(
            weight[word] * (min(counted[word], MAX_COUNTED) / MAX_COUNTED + NAMED * (word in named))
            for word in wanted
        )
        scored.append((-score, number))
    kept: list[int] = []
    for _, number in sorted(scored):
        if len(chunks[number].text) <= most:
            kept.append(number)
            most -= len(chunks[number].text) + 40  # what is said of the lines between
    return [chunks[number] for number in sorted(kept)]


def _joined(text: str, starts: Sequence[int], chosen: Sequence[Chunk]) -> Iterator[ExcerptPiece]:
    """Yield the chosen lines, those that follow one another as one piece."""
    at = 0
    rest = list(chosen)
    while rest:
        first, last = rest[0].first, rest.pop(0).last
        while rest and rest[0].first <= last + SMALL_GAP:
            last = max(last, rest.pop(0).last)
        if first > at:
            yield ExcerptPiece(f"(lines {at + 1} to {first} left out)\n")
        at = min(last, len(starts) - 1)
        yield ExcerptPiece(text[starts[first] : starts[at]], Span(starts[first], starts[at]))
    if at < len(starts) - 1:
        yield ExcerptPiece(f"(lines {at + 1} to {len(starts) - 1} left out)\n")
