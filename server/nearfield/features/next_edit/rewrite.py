"""A rule that changes a line as others were changed.

A rule is a row of tokens, some of which are holes, and the row that replaces it. derive.py finds
the rule of some changes, repeat.py the lines that it applies to.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from nearfield.features.next_edit.tokens import (
    LineToken,
    TokenKind,
    has_comma,
    is_balanced,
    tokens_of,
)
from nearfield.types import Span

__all__ = ["FORMS", "MAX_LINE_TOKENS", "Filled", "Rewrite", "RewriteHole", "RewriteMatch"]

MAX_LINE_TOKENS = 60
"""A line of more tokens is generated, or a text."""
MAX_HOLE_TOKENS = 24
"""Tokens that a hole may hold."""


_PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
"""Parts of a name, in any spelling."""


def _as_it_is(text: str) -> str:
    return text


def _bare(text: str) -> str:
    return text[1:-1] if text[:1] in ("'", '"', "`") else text


def _upper_first(text: str) -> str:
    return _bare(text)[:1].upper() + _bare(text)[1:]


def _lower_first(text: str) -> str:
    return _bare(text)[:1].lower() + _bare(text)[1:]


def _upper(text: str) -> str:
    return _bare(text).upper()


def _lower(text: str) -> str:
    return _bare(text).lower()


def _parts(text: str) -> list[str]:
    return [part.lower() for part in _PARTS.findall(_bare(text))]


def _snake(text: str) -> str:
    return "_".join(_parts(text))


def _camel(text: str) -> str:
    return _lower_first(_pascal(text))


def _pascal(text: str) -> str:
    return "".join(part.capitalize() for part in _parts(text))


def _sentence(text: str) -> str:
    return " ".join(_parts(text)).capitalize()


FORMS: tuple[Callable[[str], str], ...] = (
    _as_it_is,
    _bare,
    _upper_first,
    _lower_first,
    _upper,
    _lower,
    _snake,
    _camel,
    _pascal,
    _sentence,
)
"""Spellings in which the new text may write what a hole holds; all but the first are of one token,
without its quotes."""


@dataclass(frozen=True, slots=True)
class RewriteHole:
    """A part that differs from line to line. `kind` is that of its one token; None where it may be
    several with balanced brackets, and with `commas` more than one value."""

    number: int
    kind: TokenKind | None
    commas: bool = False


@dataclass(frozen=True, slots=True)
class Filled:
    """The content of a hole, written by one of `FORMS`, with constants around it."""

    number: int
    form: int = 0
    left: str = ""
    right: str = ""


@dataclass(frozen=True, slots=True)
class RewriteMatch:
    """A span of a line that a rule fits, and its new text."""

    span: Span
    new: str


@dataclass(frozen=True, slots=True)
class Rewrite:
    """See the module's docstring. `blanks` precede each of `new`.

    `certain`: the changed token is in the rule, so that the same token elsewhere is meant too. A
    rule without it may only be applied to the next lines of a list. `begins` and `ends`: it applies
    to lines that begin or end with it. `not_before` and `not_behind` are tokens next to which it
    does not apply.
    """

    old: tuple[str | RewriteHole, ...]
    new: tuple[str | Filled, ...]
    blanks: tuple[str, ...]
    certain: bool
    in_strings: bool = False
    begins: bool = False
    ends: bool = False
    not_before: frozenset[str] = frozenset()
    not_behind: frozenset[str] = frozenset()

    @property
    def is_renaming(self) -> bool:
        """Return whether it replaces one word by another one and changes nothing else."""
        pairs = list(zip(self.old, self.new, strict=False))
        changed = [
            (one, two)
            for one, two in pairs
            if not (one == two or (isinstance(one, RewriteHole) and two == Filled(one.number)))
        ]
        same = len(self.old) == len(self.new) and len(changed) == 1
        return same and all(isinstance(one, str) and one.isidentifier() for one in changed[0])

    def matches(self, line: str) -> list[RewriteMatch]:
        """Return the places that it fits in `line`, from left to right, and changes."""
        if any(isinstance(one, str) and one not in line for one in self.old):
            return []
        tokens = tokens_of(line, self.in_strings)
        found: list[RewriteMatch] = []
        at = 0
        while at < len(tokens) <= MAX_LINE_TOKENS:
            ends = self._fits(tokens, at)
            if ends is None:
                at += 1
                continue
            piece = tokens[at : ends[-1]]
            span = Span(piece[0].start, piece[-1].end)
            new = self._written(line, tokens, at, ends)
            if new != line[span.start : span.end] and not self._is_done(tokens, at):
                found.append(RewriteMatch(span, new))
            at = ends[-1]
        return found

    def _fits(self, tokens: Sequence[LineToken], at: int) -> list[int] | None:
        """Return the end of each of `old` if the first begins at `at`."""
        if (self.begins and at) or (at and tokens[at - 1].text in self.not_before):
            return None
        ends = _fit(self.old, tokens, at, len(tokens) if self.ends else None)
        if not ends:
            return None
        behind = tokens[ends[-1]].text if ends[-1] < len(tokens) else ""
        return None if behind in self.not_behind else ends

    def _is_done(self, tokens: Sequence[LineToken], at: int) -> bool:
        """Return whether what begins at `at` reads as the rule would leave it."""
        done = tuple(
            one if isinstance(one, str) else RewriteHole(0, None, True) for one in self.new
        )
        ends = _fit(done, tokens, at, None)
        return len(self.new) > len(self.old) and ends is not None

    def _written(self, line: str, tokens: Sequence[LineToken], at: int, ends: Sequence[int]) -> str:
        """Return the new text, with the line's own blanks wherever it stays as it is."""
        held: dict[int, Sequence[LineToken]] = {}
        for one, start, end in zip(self.old, (at, *ends), ends, strict=False):
            if isinstance(one, RewriteHole):
                held[one.number] = tokens[start:end]
        fresh: list[LineToken] = []
        for one, blanks in zip(self.new, self.blanks, strict=True):
            text = one if isinstance(one, str) else _filled(one, held[one.number], line)
            pieces = tokens_of(text, self.in_strings)
            fresh += [
                LineToken(piece.text, 0, piece.before if number else blanks)
                for number, piece in enumerate(pieces)
            ]
        return _merged(tokens[at : ends[-1]], fresh)


def _fit(
    old: Sequence[str | RewriteHole], tokens: Sequence[LineToken], at: int, until: int | None
) -> list[int] | None:
    """Return the end of each of `old` among `tokens`, from `at` on; the last one at `until`."""
    if not old:
        return [] if until is None or at == until else None
    first, rest = old[0], old[1:]
    if at >= len(tokens):
        return None
    if isinstance(first, str) or first.kind is not None:
        same = first == tokens[at].text if isinstance(first, str) else first.kind is tokens[at].kind
        found = _fit(rest, tokens, at + 1, until) if same else None
        return None if found is None else [at + 1, *found]
    for end in range(at + 1, min(at + MAX_HOLE_TOKENS, len(tokens)) + 1):
        texts = [token.text for token in tokens[at:end]]
        if not is_balanced(texts) or (not first.commas and has_comma(texts)):
            continue
        found = _fit(rest, tokens, end, until)
        if found is not None:
            return [end, *found]
    return None


def _filled(one: Filled, held: Sequence[LineToken], line: str) -> str:
    text = line[held[0].start : held[-1].end]
    return one.left + FORMS[one.form](text) + one.right


def _merged(old: Sequence[LineToken], new: Sequence[LineToken]) -> str:
    """Return `new` as text, with the blanks of `old` between what both have."""
    matcher = SequenceMatcher(
        None, [one.text for one in old], [one.text for one in new], autojunk=False
    )
    written: list[str] = []
    for tag, i1, _, j1, j2 in matcher.get_opcodes():
        for number in range(j1, j2):
            at = i1 + number - j1
            if tag == "equal" and number > j1:
                blanks = old[at].before
            elif new[number].before and number == j1 and 0 < i1 < len(old):
                # Aligned columns stay aligned.
                blanks = old[i1].before or new[number].before
            else:
                blanks = new[number].before
            written.append((blanks if number else "") + new[number].text)
    return "".join(written)
