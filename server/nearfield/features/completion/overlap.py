"""Text that is there already: what a suggestion must not say again.

Behind the cursor on its line (brackets and quotes that the editor closed by itself, or the rest of
the statement), and on the lines below.
"""

from __future__ import annotations

from nearfield.features.completion.cursor_context import Place, indent_width
from nearfield.syntax.brackets import CLOSERS, Scanner

__all__ = ["trim_below", "trim_rest"]

TELLING = 5
"""Characters of overlap, within a longer rest of the line, that are no coincidence."""
_TERMINATORS = frozenset({";", ",", ":"})


def trim_rest(place: Place, text: str) -> str:
    """`text`, one line, without an end that repeats the rest of the cursor's line.

    Of the ways to cut it the one is taken that leaves the fewest brackets and strings open on the
    line. Where that does not decide, an overlap is cut when it is all of the rest, a terminator,
    or too long to be coincidence."""
    rest = place.rest.strip()
    if not rest or not text.strip():
        return text
    best, score = text, _imbalance(place, text)
    for cut, telling in _cuts(place, text, rest):
        new = _imbalance(place, cut)
        if new < score or (telling and new == score):
            best, score = cut, new
    return best.rstrip() if place.rest[0].isspace() else best


def _imbalance(place: Place, text: str) -> int:
    return Scanner(place.language).feed(place.left + text + place.rest).imbalance


def _cuts(place: Place, text: str, rest: str) -> list[tuple[str, bool]]:
    """The shorter texts worth a look, longest first; each with whether what it leaves out is surely
    a repetition."""
    cuts: list[tuple[str, bool]] = []
    body = text.rstrip()
    for size in range(1, min(len(body), len(rest)) + 1):
        if not body.endswith(rest[:size]) or _tears_word(body, rest, size):
            continue
        visible = rest[:size].strip()
        whole = size == len(rest)
        telling = whole or visible in _TERMINATORS or len(visible) >= TELLING
        cuts.append((body[: len(body) - size], telling))
    typed = Scanner(place.language).feed(place.left)
    excess = Scanner(place.language, quote=typed.quote).first_excess(text)
    if excess is not None and rest[0] in CLOSERS and text[excess] == rest[0]:
        cuts.append((text[:excess], False))
    if rest[0] in "\"'`" and (closing := text.find(rest[0])) >= 0:
        cuts.append((text[:closing], False))
    return cuts


def _tears_word(body: str, rest: str, size: int) -> bool:
    """Return whether the overlap begins or ends within a word."""
    begins = size < len(body) and _word(body[-size - 1]) and _word(rest[0])
    ends = size < len(rest) and _word(rest[size - 1]) and _word(rest[size])
    return begins or ends


def _word(char: str) -> bool:
    return char.isalnum() or char == "_"


def trim_below(place: Place, text: str) -> str:
    """`text` without last lines that are the next visible lines of the document.

    The first of its lines is on the cursor's line; a line that follows, or the whole text on an
    empty line, repeats the document when it and all after it are what stands below, at the same
    indentation (a last line may be unfinished)."""
    lines = text.split("\n")
    whole = [place.left + lines[0], *lines[1:]]
    for start in range(len(whole)):
        if start == 0 and place.left.strip():
            continue
        if not whole[start].strip():
            continue
        if _repeats(whole[start:], place.below):
            kept = lines[:start]
            while kept and not kept[-1].strip():
                kept.pop()
            return "\n".join(kept)
    return text


def _repeats(lines: list[str], below: tuple[str, ...]) -> bool:
    mine = [line.rstrip() for line in lines if line.strip()]
    theirs = below[: len(mine)]
    if not mine or len(theirs) < len(mine):
        return False
    if any(indent_width(a) != indent_width(b) for a, b in zip(mine, theirs, strict=True)):
        return False
    stripped = [(a.strip(), b.strip()) for a, b in zip(mine, theirs, strict=True)]
    last, their_last = stripped[-1]
    if len(mine) > 1 and len(last) >= TELLING and their_last.startswith(last):
        stripped = stripped[:-1]
    return all(a == b for a, b in stripped)
