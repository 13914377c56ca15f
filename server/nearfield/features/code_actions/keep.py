"""Joining an answer with what was there, so that only code that the model meant to change changes.

Small models drop comments, docstrings and empty lines, and add remarks of their own. Rows without
code ("quiet" ones) therefore stay as they were wherever the code around them does, and code that is
the same apart from a comment at its end stays as it was with its comment.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from nearfield.syntax.brackets import Scanner
from nearfield.syntax.languages import Language

__all__ = ["Rows", "merged", "rows_of"]


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a unit, line ends included. `keys` has the code of each, "" for a quiet one;
    `held` are those that are never dropped (docstrings)."""

    texts: list[str]
    keys: list[str]
    held: frozenset[int] = frozenset()


def rows_of(texts: list[str], language: Language | None, held: frozenset[int]) -> Rows:
    """The rows `texts` with their code. `held` are quiet too."""
    scanner = Scanner(language)
    keys: list[str] = []
    for number, text in enumerate(texts):
        key = _code(text, scanner, language)
        keys.append("" if number in held else key)
    return Rows(texts, keys, held)


def merged(before: Rows, after: Rows) -> list[str]:
    """The rows of the new unit; a row that is an element of `before.texts` is to stay in the file
    as it is."""
    old = [i for i, key in enumerate(before.keys) if key]
    new = [i for i, key in enumerate(after.keys) if key]
    join = _Join(before, after)
    matcher = difflib.SequenceMatcher(
        None, [before.keys[i] for i in old], [after.keys[i] for i in new], autojunk=False
    )
    for tag, i, j, k, n in matcher.get_opcodes():
        if tag == "equal":
            for row, other in zip(old[i:j], new[k:n], strict=True):
                join.same(row, other)
        else:
            join.changed(old[i:j], new[k:n])
    return join.end()


class _Join:
    """Goes through both sides; `out` is what came of them so far."""

    def __init__(self, before: Rows, after: Rows) -> None:
        self.before, self.after = before, after
        self.out: list[str] = []
        self.old = 0  # the first row of `before` that is not dealt with
        self.new = 0  # the same of `after`

    def same(self, row: int, other: int) -> None:
        """Code that did not change: it and the quiet rows above it stay."""
        self.out += self.before.texts[self.old : row + 1]
        self.old, self.new = row + 1, other + 1

    def changed(self, rows: list[int], others: list[int]) -> None:
        """`rows` became `others`, either of which may be none."""
        there: list[str] = []
        if rows:
            there = [text.strip() for text in self.before.texts[self.old : rows[0]]]
            self._flush(rows[0])
        for number, other in enumerate(others):
            if number < len(rows):
                self._hold(rows[number])
            self._remarks(other, there)
            there = []
            kept = self._remark(rows[number]) if len(rows) == len(others) else ""
            self.out.append(_with_remark(self.after.texts[other], self.after.keys[other], kept))
            self.new = other + 1
            if number < len(rows):
                self.old = max(self.old, rows[number] + 1)
        for row in rows[len(others) :]:
            self._hold(row)
            self.old = max(self.old, row + 1)

    def end(self) -> list[str]:
        """The quiet rows below the last code stay."""
        return [*self.out, *self.before.texts[self.old :]]

    def _flush(self, upto: int) -> None:
        self.out += self.before.texts[self.old : upto]
        self.old = max(self.old, upto)

    def _hold(self, row: int) -> None:
        """A docstring above `row` stays; other quiet rows among changed code are the model's
        business."""
        held = [i for i in range(self.old, row) if i in self.before.held]
        if held:
            self.out += [self.before.texts[i] for i in held]
            self.old = held[-1] + 1

    def _remarks(self, upto: int, there: list[str]) -> None:
        """The model's quiet rows above its row `upto`: those that were there come from there, and
        those in `there` have come already."""
        for number in range(self.new, upto):
            text = self.after.texts[number]
            if number in self.after.held and self.before.held:
                continue
            if text.strip() in there:
                there.remove(text.strip())
                continue
            end = self._next_code()
            waiting = [one.strip() for one in self.before.texts[self.old : end]]
            if text.strip() in waiting:
                self._flush(self.old + waiting.index(text.strip()) + 1)
            else:
                self.out.append(text)

    def _remark(self, row: int) -> str:
        """The comment at the end of a row of code, with the blanks before it."""
        return self.before.texts[row].rstrip()[len(self.before.keys[row]) :]

    def _next_code(self) -> int:
        keys = self.before.keys
        return next((i for i in range(self.old, len(keys)) if keys[i]), len(keys))


def _with_remark(text: str, key: str, remark: str) -> str:
    """`text` with `remark` at its end, unless it has one of its own."""
    content = text.rstrip("\r\n")
    if not remark or content.rstrip() != key:
        return text
    return content.rstrip() + remark + text[len(content) :]


def _code(text: str, scanner: Scanner, language: Language | None) -> str:
    """What of a row is code; the scanner goes on behind it."""
    text = text.rstrip("\r\n")
    begin = scanner.copy()
    scanner.feed(text)
    commented = scanner.comment
    scanner.feed("\n")
    stripped = text.strip()
    if not begin.quote and (stripped.startswith(("/*", "*/", "* ")) or stripped == "*"):
        return ""
    if not commented or language is None:
        return text.rstrip()
    place = text.find(language.comment)
    while place >= 0:
        state = begin.copy().feed(text[:place])
        if not (state.quote or state.comment):
            return text[:place].rstrip()
        place = text.find(language.comment, place + 1)
    return text.rstrip()
