"""The rule that explains two changed lines.

The lines are compared token by token. What is the same in both is constant, what differs is a hole.
The new text may hold what a hole holds, also in another spelling: `rect.width` to `rect.getWidth()`
tells what becomes of `rect.height`. A rule keeps as few tokens of the lines as name what was
changed.
"""

from __future__ import annotations

import keyword
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from itertools import product

from nearfield.features.next_edit.rewrite import (
    FORMS,
    MAX_LINE_TOKENS,
    Filled,
    Rewrite,
    RewriteHole,
)
from nearfield.features.next_edit.tokens import (
    LineToken,
    TokenKind,
    has_comma,
    is_balanced,
    tokens_of,
)
from nearfield.syntax.differences import changed_span, unspaced

__all__ = ["LineChange", "rewrite_of"]

MIN_WORD_LENGTH = 3
"""A word of fewer letters names nothing that another line must mean too."""
_COMMON = frozenset(
    f"""
    {" ".join(keyword.kwlist)} self this cls super str int float bool bytes list dict set tuple
    object type print len any string number boolean void unknown never undefined null true false
    const let var function func return new export import readonly public private async error nil
    byte rune uint int64 int32 uint64 float64 interface struct map chan case default switch
    """.split()
) - {"assert"}
"""Words that are everywhere: that one of them was changed twice says nothing of a third place."""
_MARKED = frozenset({"(", "=", ":", "."})
"""Tokens after the name of something that is called, passed, set, or whose member is used."""
_NEVER_BEFORE = frozenset({".", "def", "func", "function", "class"})
"""Tokens after which an identifier is a different symbol (attribute, definition)."""
MIN_SAME_TOKENS = 4
"""Tokens of two lines that were the same, and are so again: enough to mean them, too."""


@dataclass(frozen=True, slots=True)
class LineChange:
    """A line before and after, without the blanks at its ends."""

    old: str
    new: str


def rewrite_of(first: LineChange, second: LineChange) -> Rewrite | None:
    """Return the rule that explains both changes, one that names what is changed if there is one.
    None where there is none, or where it would not have made both of them."""
    unsure: Rewrite | None = None
    for in_strings in (False, True):
        one, two = (_Pair.of(change, in_strings) for change in (first, second))
        if one is None or two is None:
            continue
        for before in (_itself, _name, _call, _line):
            found = _between(one, two, before, in_strings)
            if found is None or not all(_explains(found, change) for change in (first, second)):
                continue
            if found.certain:
                return found
            # Of the rules for a list, the one that says most of its lines.
            unsure = found if before is _line and unsure is None else unsure
    return unsure


@dataclass(frozen=True, slots=True)
class _Pair:
    """A change in tokens: the first `same` are equal, and so are those from `old_end` and
    `new_end`."""

    old: list[LineToken]
    new: list[LineToken]
    same: int
    old_end: int
    new_end: int

    @staticmethod
    def of(change: LineChange, in_strings: bool) -> _Pair | None:
        """Return None for what is no change of code, or too long."""
        old, new = tokens_of(change.old, in_strings), tokens_of(change.new, in_strings)
        if not old or not new or max(len(old), len(new)) > MAX_LINE_TOKENS:
            return None
        gone, put = changed_span(_texts(old), _texts(new))
        return _Pair(old, new, gone.start, gone.end, gone.start + put)

    @property
    def is_renamed(self) -> bool:
        """Return whether one word became another one."""
        changed = (self.old[self.same : self.old_end], self.new[self.same : self.new_end])
        return all(len(one) == 1 and one[0].kind is TokenKind.WORD for one in changed)


Before = Callable[[_Pair], int | None]
"""Returns the number of tokens before the change that belong to a rule; None for no such."""


def _itself(pair: _Pair) -> int | None:
    """Return no context: the changed token is itself the anchor, with the dot of a member."""
    dotted = pair.same and pair.old[pair.same - 1].text == "." and pair.same < pair.old_end
    return 1 if dotted else 0


def _name(pair: _Pair) -> int | None:
    """Return the context of the name before it: a keyword, a key, an assigned variable, an
    owner."""
    for back in range(1, 4):
        if back > pair.same or pair.old[pair.same - back].text in "([{,":
            return None
        if pair.old[pair.same - back].kind is TokenKind.WORD:
            return back
    return None


def _call(pair: _Pair) -> int | None:
    """Return the context of the called name whose brackets hold it, with a dot before that."""
    depth = 0
    for at in range(pair.same - 1, 0, -1):
        text = pair.old[at].text
        depth += (text in ")]}") - (text in "([{")
        if depth < 0:
            if pair.old[at - 1].kind is not TokenKind.WORD:
                return None
            dotted = at > 1 and pair.old[at - 2].text == "."
            return pair.same - at + 1 + dotted
    return None


def _line(pair: _Pair) -> int | None:
    """Use every token before the change as context."""
    return pair.same


def _between(one: _Pair, two: _Pair, before: Before, in_strings: bool) -> Rewrite | None:
    """Return the rule behind both, with the context that `before` takes."""
    backs = (before(one), before(two))
    if backs[0] is None or backs[1] is None:
        return None
    whole = before is _line
    pairs = (one, two)
    starts = [pair.same - back for pair, back in zip(pairs, backs, strict=True) if back is not None]
    behind = [pair.old[pair.old_end].text if pair.old_end < len(pair.old) else "" for pair in pairs]
    renamed = all(pair.is_renamed for pair in pairs) and "(" not in behind
    more = 0
    if whole:
        more = MAX_LINE_TOKENS
    elif all(behind) and not renamed:
        added = all(pair.same == pair.old_end for pair in pairs) and behind[0] == behind[1]
        more = int(added or _is_mark(behind) or any(_is_spaced_anew(pair) for pair in pairs))
    old = [p.old[s : p.old_end + more] for p, s in zip(pairs, starts, strict=True)]
    new = [p.new[s : p.new_end + more] for p, s in zip(pairs, starts, strict=True)]
    for aligned, also in product((_aligned, _by_arguments, _around_middle), repeat=2):
        pattern, holes = _pattern(aligned(old[0], old[1]))
        written = _output(also(new[0], new[1]), holes) if pattern else None
        if written is not None:
            break
    else:
        return None
    pattern = pattern if whole else _widened(pattern)
    same = not holes and len(pattern) >= MIN_SAME_TOKENS
    not_behind = frozenset("(" if renamed else "(.[") - set(behind)
    edges = {p.old[s - 1].text if s else "" for p, s in zip(pairs, starts, strict=True)}
    return Rewrite(
        old=pattern,
        new=tuple(one for one, _ in written),
        blanks=tuple(blanks for _, blanks in written),
        certain=same if whole else _is_named(pattern, tuple(one for one, _ in written)),
        in_strings=in_strings,
        begins=whole,
        ends=whole or behind == ["", ""],
        not_before=_NEVER_BEFORE - edges,
        not_behind=frozenset() if more else not_behind,
    )


def _is_mark(texts: Sequence[str]) -> bool:
    """Return whether both are the same punctuation mark."""
    return texts[0] == texts[1] and not texts[0][0].isalnum() and texts[0][0] != "_"


def _is_spaced_anew(pair: _Pair) -> bool:
    """Return whether the blanks between the change and what follows it differ."""
    return pair.old[pair.old_end].before != pair.new[pair.new_end].before


Pieces = list[tuple[list[LineToken], list[LineToken]]]
"""Corresponding pieces of two lines."""


def _pattern(pieces: Pieces) -> tuple[tuple[str | RewriteHole, ...], Pieces]:
    """Return the tokens that both have, with holes where they differ, and what the holes hold. Both
    are empty where one lacks what the other has."""
    pattern: list[str | RewriteHole] = []
    holes: Pieces = []
    for left, right in pieces:
        sides = ([token.text for token in left], [token.text for token in right])
        if sides[0] == sides[1]:
            pattern += sides[0]
            continue
        single = len(left) == len(right) == 1 and left[0].kind is right[0].kind
        if not all(sides) or not all(is_balanced(side) for side in sides):
            return (), []
        if single and left[0].kind is TokenKind.MARK:
            return (), []
        commas = any(has_comma(side) for side in sides)
        pattern.append(RewriteHole(len(holes), left[0].kind if single else None, commas))
        holes.append((left, right))
    return tuple(pattern), holes


def _widened(pattern: Sequence[str | RewriteHole]) -> tuple[str | RewriteHole, ...]:
    """Return `pattern` with holes for any value where an argument is a hole."""
    found = list(pattern)
    for at, one in enumerate(found):
        last = at + 1 == len(found)
        opened = at > 0 and found[at - 1] in ("(", ",")
        if isinstance(one, RewriteHole) and opened and (last or found[at + 1] in (",", ")")):
            found[at] = replace(one, kind=None)
    return tuple(found)


def _aligned(one: list[LineToken], two: list[LineToken]) -> Pieces:
    """Return the pieces of both that correspond; lines of the same form token by token."""
    if [token.kind for token in one] == [token.kind for token in two]:
        marks = [
            (a.text, b.text) for a, b in zip(one, two, strict=True) if a.kind is TokenKind.MARK
        ]
        if all(a == b for a, b in marks):
            return [([a], [b]) for a, b in zip(one, two, strict=True)]
    matcher = SequenceMatcher(
        None, [token.text for token in one], [token.text for token in two], autojunk=False
    )
    return [(one[i1:i2], two[j1:j2]) for _, i1, i2, j1, j2 in matcher.get_opcodes()]


def _by_arguments(one: list[LineToken], two: list[LineToken]) -> Pieces:
    """Return the pieces from left to right: a difference lasts until a comma or closing bracket."""
    pieces: Pieces = []
    left = right = 0
    while left < len(one) and right < len(two):
        if one[left].text == two[right].text:
            pieces.append(([one[left]], [two[right]]))
            left, right = left + 1, right + 1
            continue
        ends = (_argument_end(one, left), _argument_end(two, right))
        pieces.append((one[left : ends[0]], two[right : ends[1]]))
        if ends == (left, right):
            break
        left, right = ends
    return [*pieces, (one[left:], two[right:])]


def _argument_end(tokens: list[LineToken], at: int) -> int:
    depth = 0
    while at < len(tokens):
        text = tokens[at].text
        depth += (text in "([{") - (text in ")]}")
        if depth < 0 or (text == "," and not depth):
            break
        at += 1
    return at


def _around_middle(one: list[LineToken], two: list[LineToken]) -> Pieces:
    """Return one piece for all between the common beginning and the common end."""
    most = min(len(one), len(two))
    gone, _ = changed_span(_texts(one), _texts(two))
    same, behind = gone.start, len(one) - gone.end
    # What one of them only has more of belongs to the token before it.
    same -= same + behind == most and same > 0
    middle = (one[same : len(one) - behind], two[same : len(two) - behind])
    ends = (one[len(one) - behind :], two[len(two) - behind :])
    return [(one[:same], two[:same]), middle, ends]


def _output(pieces: Pieces, holes: Pieces) -> list[tuple[str | Filled, str]] | None:
    """Return the new text with the blanks before each piece; None where one line's new text holds
    what the line does not tell."""
    written: list[tuple[str | Filled, str]] = []
    last = -1
    for left, right in pieces:
        if [token.text for token in left] == [token.text for token in right]:
            written += [(token.text, token.before) for token in right]
            continue
        whole = _held(left, right, holes, last)
        if whole is not None:
            last = whole.number
            written.append((whole, right[0].before))
            continue
        if len(left) != len(right):
            return None
        for a, b in zip(left, right, strict=True):
            if a.text == b.text:
                written.append((b.text, b.before))
                continue
            filled = _held([a], [b], holes, last) or _formed(a.text, b.text, holes)
            if filled is None:
                return None
            written.append((filled, b.before))
    return written


def _held(left: list[LineToken], right: list[LineToken], holes: Pieces, last: int) -> Filled | None:
    """Return the hole that holds these; the first after `last`, as most keep their order."""
    texts = ([token.text for token in left], [token.text for token in right])
    found = [
        number
        for number, (a, b) in enumerate(holes)
        if ([token.text for token in a], [token.text for token in b]) == texts
    ]
    return Filled(min(found, key=lambda number: (number <= last, number))) if found else None


def _formed(left: str, right: str, holes: Pieces) -> Filled | None:
    """Return a hole of one token from which both are made in the same way."""
    for number, (a, b) in enumerate(holes):
        if len(a) != 1 or len(b) != 1:
            continue
        for form, write in enumerate(FORMS):
            one, two = write(a[0].text), write(b[0].text)
            at = left.find(one) if one and two else -1
            if at < 0:
                continue
            head, tail = left[:at], left[at + len(one) :]
            if right == head + two + tail:
                return Filled(number, form, head, tail)
    return None


def _is_named(pattern: Sequence[str | RewriteHole], written: Sequence[str | Filled]) -> bool:
    """Return whether the rule names what is changed: what is called or passed, a member, a key, or
    a name that becomes another one."""
    words = [one for one in pattern if isinstance(one, str) and _tells(one)]
    if len(pattern) == len(written) == 1:
        return bool(words)
    for at, one in enumerate(pattern):
        if not isinstance(one, str) or not _tells(one):
            continue
        before = pattern[at - 1] if at else ""
        behind = pattern[at + 1] if at + 1 < len(pattern) else ""
        if before == "." or behind in _MARKED:
            return True
    return False


def _tells(word: str) -> bool:
    return len(word) >= MIN_WORD_LENGTH and word.isidentifier() and word not in _COMMON


def _explains(rule: Rewrite, change: LineChange) -> bool:
    """Return whether the rule makes just this change of the line."""
    text, moved = change.old, 0
    found = rule.matches(change.old)
    for match in found:
        start, end = match.span.start + moved, match.span.end + moved
        text = text[:start] + match.new + text[end:]
        moved += len(match.new) - (match.span.end - match.span.start)
    return bool(found) and unspaced(text) == unspaced(change.new)


def _texts(tokens: Sequence[LineToken]) -> list[str]:
    return [token.text for token in tokens]
