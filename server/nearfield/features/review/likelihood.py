"""Findings from how likely code is to a model, without asking it for words.

Asked what is wrong with code, a model of half a billion weights finds nothing. But a small model
knows how code goes on. Where it finds another token much likelier than the one that is
there, it writes the rest of the line after that other token. The new line is a finding if the text
as a whole becomes likelier with it, the lines below included, so that another name or another
style is none. The measurements are in tests/bench/RESULTS.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from nearfield.features.review.findings import Severity
from nearfield.features.review.pieces import ReviewPiece
from nearfield.files.lines import line_end, line_number, line_start, split_lines
from nearfield.providers.base import Scorer
from nearfield.syntax.differences import common_prefix, unspaced
from nearfield.syntax.parser import Parsed
from nearfield.types import Edit, EditForm, EditRequest, ScoredToken, ScoreRequest, Segment, Span

__all__ = ["unlikely"]

ABOVE_CHARS = 1_500
"""Characters above a piece that are read before it: its class, and names that it uses."""
BELOW_CHARS = 300
"""Characters below a changed line that are read again."""
MIN_GAIN = 1.0
"""Natural logarithm of how much likelier another token must be for its line to be rewritten."""
MIN_TOTAL = 7.0
"""The same of the text with the new line, for that to be a finding."""
HEAD = " A file of the project"
"""Comment before the first line of a file. With nothing at all before it, a model expects nonsense,
so that whatever is there seems unlikely."""
SUSPECTS = 3
"""Places of a piece at which a line is rewritten: those with the highest gain."""
LINE_TOKENS = 32

_DOCUMENT = "review"
_WORD = re.compile(r"\w+|\s+|[^\w\s]")
_PROSE = re.compile(r"comment|string|char_literal|character_literal|heredoc")
_BEGINS_PROSE = ("#", "//", "/*", "--", '"""', "'''")
"""A model would comment much of what is not commented."""
_CODE_IN_PROSE = re.compile(r"interpolation|substitution")


@dataclass(frozen=True, slots=True)
class _Suspect:
    """An offset at which `other` is likelier by `gain` than what is there, on the line `row`."""

    start: int
    other: str
    gain: float
    row: int


@dataclass(frozen=True, slots=True)
class _NewLine:
    """The text of a line that the model would write for the line `span`, or before it."""

    row: int
    span: Span
    text: str
    is_inserted: bool = False

    def edit(self, text: str) -> Edit:
        """Return the change of the file."""
        kept = f"\n{text[self.span.start : self.span.end]}" if self.is_inserted else ""
        return Edit(self.span, self.text + kept)


async def unlikely(
    scorer: Scorer, text: str, piece: ReviewPiece, parsed: Parsed | None
) -> list[Mapping[str, Any]]:
    """Return findings in a piece of `text`, in the form in which a model would report them. Raises
    from the error tree."""
    if parsed is None:
        return []
    reading = _CodeReading(scorer, text, piece, parsed.language.comment)
    await reading.begin()
    found: list[Mapping[str, Any]] = []
    seen: set[int] = set()
    for suspect in _suspects(reading, piece, parsed)[:SUSPECTS]:
        if suspect.row in seen:
            continue
        if raw := await _judged(reading, suspect, parsed):
            seen.add(suspect.row)
            found.append(raw)
    return found


class _CodeReading:
    """A piece of a text, and how likely its tokens are to a model."""

    def __init__(self, scorer: Scorer, text: str, piece: ReviewPiece, comment: str) -> None:
        lines = split_lines(text, keepends=True)
        self._scorer = scorer
        self.text = text
        self.start = sum(map(len, lines[: piece.first]))
        self._end = self.start + sum(map(len, lines[piece.first : piece.last]))
        self._top = line_start(text, max(0, self.start - ABOVE_CHARS))
        self._head = "" if self._top else f"{comment or '//'}{HEAD}\n"
        self.tokens: tuple[ScoredToken, ...] = ()

    async def begin(self) -> None:
        """Score the piece."""
        self.tokens = await self._scored(self.start, self.text[self.start : self._end])

    async def rewritten(self, suspect: _Suspect) -> list[_NewLine]:
        """Return the line of a suspect as the model goes on after the likelier token. Where that
        begins the line, it is first tried as a line before it: a text becomes likelier by each line
        that is taken out, so what may stay does."""
        begun = suspect.other
        if "\n" not in begun:
            ahead = Segment(self._above(suspect.start))
            request = EditRequest(
                EditForm.NONE,
                _DOCUMENT,
                "",
                (ahead, Segment(begun)),
                stop=("\n",),
                max_tokens=LINE_TOKENS,
            )
            async with aclosing(self._scorer.edit(request)) as stream:
                async for delta in stream:
                    begun += delta.text
        span = Span(line_start(self.text, suspect.start), line_end(self.text, suspect.start))
        head = self.text[span.start : suspect.start]
        written = f"{head}{split_lines(begun)[0]}".rstrip()
        replaced = _NewLine(suspect.row, span, written)
        return [replaced] if head.strip() else [replace(replaced, is_inserted=True), replaced]

    async def gain(self, line: _NewLine) -> float:
        """Return by how much a new line makes the text likelier, from there to some lines below."""
        span = line.span
        until = min(line_end(self.text, min(span.end + BELOW_CHARS, self._end)), self._end)
        changed = line.edit(self.text).text + self.text[span.end : until]
        after = await self._scored(span.start, changed)
        first, last = span.start - self.start, until - self.start
        before = [one for one in self.tokens if first <= one.start < last]
        return sum(one.logprob for one in after) - sum(one.logprob for one in before)

    async def _scored(self, start: int, text: str) -> tuple[ScoredToken, ...]:
        return await self._scorer.score(ScoreRequest(_DOCUMENT, self._above(start), text))

    def _above(self, start: int) -> str:
        """Return what the model reads before the offset `start`."""
        return self._head + self.text[self._top : start]


async def _judged(
    reading: _CodeReading, suspect: _Suspect, parsed: Parsed
) -> Mapping[str, Any] | None:
    """Return what is found at a suspect, None for nothing."""
    text = reading.text
    for line in await reading.rewritten(suspect):
        edit = line.edit(text)
        is_same = unspaced(text[edit.span.start : edit.span.end]) == unspaced(edit.text)
        if is_same or not _parses(parsed, edit):
            continue  # it differs in blanks alone, or is no code
        if await reading.gain(line) >= MIN_TOTAL:
            return _reported(text, line)
    return None


def _suspects(reading: _CodeReading, piece: ReviewPiece, parsed: Parsed) -> list[_Suspect]:
    """Return the places of code at which another token is likelier, the most so first."""
    text, judged = parsed.text, frozenset(piece.judged)
    found: list[_Suspect] = []
    for one in reading.tokens:
        start = reading.start + one.start
        blank = len(one.text) - len(one.text.lstrip())
        row = line_number(text, start + (blank if one.text.strip() else 0))
        begins = not text[line_start(text, start) : start].strip()
        others = (pair for pair in one.others if _is_other(one.text, pair[0], begins=begins))
        other = next(others, None)
        if other is None or other[1] - one.logprob < MIN_GAIN or row not in judged:
            continue
        if not _is_prose(parsed, start + blank) and not _is_declared(parsed, start + blank):
            found.append(_Suspect(start, other[0], other[1] - one.logprob, row))
    return sorted(found, key=lambda one: -one.gain)


def _is_other(token: str, other: str, *, begins: bool) -> bool:
    """Return whether `other` says something else than `token`, which `begins` a line or does not:
    visible text that is code, or that the line ends here."""
    visible = other.strip()
    if visible.startswith(_BEGINS_PROSE):
        return False
    if not visible:
        return "\n" in other and bool(token.strip()) and not begins
    return visible != token.strip() and "\n" not in other.rstrip()


def _is_prose(parsed: Parsed, offset: int) -> bool:
    """Return whether the text at `offset` is a comment or a string."""
    for node in reversed(parsed.path_to(offset)):
        if _CODE_IN_PROSE.search(node.type):
            return False
        if _PROSE.search(node.type):
            return True
    return False


def _is_declared(parsed: Parsed, offset: int) -> bool:
    """Return whether the text at `offset` is in the signature of a function or a class: its names
    cannot be wrong, only others than the model would choose. Default values are code."""
    for inner, outer in pairwise(reversed(parsed.path_to(offset))):
        if outer.child_by_field_name("value") == inner:
            return False
        if outer.type in parsed.language.scopes:
            return outer.child_by_field_name("body") not in (None, inner)
    return False


def _parses(parsed: Parsed, edit: Edit) -> bool:
    after = parsed.edited(edit)
    return after is not None and after.all_errors <= parsed.all_errors


def _reported(text: str, line: _NewLine) -> Mapping[str, Any]:
    """Return the finding that a new line is."""
    old, new = text[line.span.start : line.span.end].strip(), line.text.strip()
    if line.is_inserted:
        message = f"A line is likely missing before `{old}`: the model expects `{new}`."
    else:
        was, now = _differing(old, new)
        if not was:
            message = f"Something is likely missing in `{old}`: the model expects `{now}` there."
        elif not now:
            message = f"`{was}` is unlikely in `{old}`: the model expects nothing in its place."
        else:
            message = f"`{was}` is unlikely in `{old}`: the model expects `{now}`."
    return {
        "line": line.row + 1,
        "severity": Severity.WARNING.value,
        "message": message,
        "replacement": line.edit(text).text,
    }


def _differing(old: str, new: str) -> tuple[str, str]:
    """Return the parts, in whole words, in which two lines differ."""
    before, after = _WORD.findall(old), _WORD.findall(new)
    first = common_prefix(before, after)
    last = common_prefix(before[first:][::-1], after[first:][::-1])
    parts = (words[first : len(words) - last] for words in (before, after))
    was, now = ("".join(part).strip() for part in parts)
    return was, now
