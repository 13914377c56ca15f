"""Merge of an answer with the old code, so that only code that the model meant to change changes.

Small models drop comments, docstrings and empty lines, and add remarks of their own. Rows without
code ("quiet" rows) therefore stay wherever the code around them does. A row of code that differs
only in the comment at its end stays with its comment.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from nearfield.syntax.brackets import Scanner
from nearfield.syntax.languages import Language

__all__ = ["Rows", "merged", "rows_of"]


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a unit, line ends included. `keys` has the code of each, "" for a quiet one. The
    rows `held` (docstrings) are never dropped."""

    texts: list[str]
    keys: list[str]
    held: frozenset[int] = frozenset()


def rows_of(texts: list[str], language: Language | None, held: frozenset[int]) -> Rows:
    """Return the rows `texts` with their code; the rows `held` are quiet."""
    scanner = Scanner(language)
    keys = [_code(text, scanner, language) for text in texts]
    return Rows(texts, ["" if i in held else key for i, key in enumerate(keys)], held)


def merged(before: Rows, after: Rows) -> list[str]:
    """Return the rows of the new unit; those of `before.texts` stay in the file as they are."""
    old = [i for i, key in enumerate(before.keys) if key]
    new = [i for i, key in enumerate(after.keys) if key]
    merge = _RowMerge(before, after)
    matcher = difflib.SequenceMatcher(
        None, [before.keys[i] for i in old], [after.keys[i] for i in new], autojunk=False
    )
    for tag, i, j, k, n in matcher.get_opcodes():
        if tag == "equal":
            for row, other in zip(old[i:j], new[k:n], strict=True):
                merge.same(row, other)
        else:
            merge.changed(old[i:j], new[k:n])
    return [*merge.out, *before.texts[merge.old :]]  # quiet rows below the last code stay


class _RowMerge:
    """A walk through both sides; `out` collects the rows."""

    def __init__(self, before: Rows, after: Rows) -> None:
        self.before, self.after = before, after
        self.out: list[str] = []
        self.old = 0  # the first row of `before` that is not handled yet
        self.new = 0  # likewise of `after`

    def same(self, row: int, other: int) -> None:
        """Keep a row of code that did not change, and the quiet rows above it."""
        self.out += self.before.texts[self.old : row + 1]
        self.old, self.new = row + 1, other + 1

    def changed(self, rows: list[int], others: list[int]) -> None:
        """Replace `rows` by `others`, either of which may be empty."""
        there: list[str] = []
        if rows:
            there = [text.strip() for text in self.before.texts[self.old : rows[0]]]
            self._flush(rows[0])
        for number, other in enumerate(others):
            if number < len(rows):
                self._hold(rows[number])
            self._remarks(other, there)
            there = []
            text, key = self.after.texts[other], self.after.keys[other]
            content = text.rstrip("\r\n")
            if len(rows) == len(others) and content.rstrip() == key:
                # A comment at the end of the old row stays, unless the new one has its own.
                row = rows[number]
                remark = self.before.texts[row].rstrip()[len(self.before.keys[row]) :]
                text = content.rstrip() + remark + text[len(content) :] if remark else text
            self.out.append(text)
            self.new = other + 1
            if number < len(rows):
                self.old = max(self.old, rows[number] + 1)
        for row in rows[len(others) :]:
            self._hold(row)
            self.old = max(self.old, row + 1)

    def _flush(self, upto: int) -> None:
        self.out += self.before.texts[self.old : upto]
        self.old = max(self.old, upto)

    def _hold(self, row: int) -> None:
        """Keep a docstring above `row`; other quiet rows among changed code are the model's."""
        held = [i for i in range(self.old, row) if i in self.before.held]
        if held:
            self.out += [self.before.texts[i] for i in held]
            self.old = held[-1] + 1

    def _remarks(self, upto: int, there: list[str]) -> None:
        """Add the model's quiet rows above its row `upto`. Rows of the old code are taken from
        there; the rows `there` are in `out` already."""
        for number in range(self.new, upto):
            text = self.after.texts[number]
            if number in self.after.held and self.before.held:
                continue
            if text.strip() in there:
                there.remove(text.strip())
                continue
            keys = self.before.keys
            end = next((i for i in range(self.old, len(keys)) if keys[i]), len(keys))
            waiting = [one.strip() for one in self.before.texts[self.old : end]]
            if text.strip() in waiting:
                self._flush(self.old + waiting.index(text.strip()) + 1)
            else:
                self.out.append(text)


def _code(text: str, scanner: Scanner, language: Language | None) -> str:
    """Return the part of a row that is code, and move the scanner past the row."""
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
