"""Which names are like a mistyped one: those that share its triples of letters."""

from __future__ import annotations

from collections.abc import Iterable

GRAM_CHARS = 3
"""A shorter name cannot be found by its letters."""
FUZZY_GRAMS = 12
FUZZY_NAMES = 200
"""So many names, those that share most triples, are compared as a whole."""
LEAST_LIKE = 0.2
"""Share of common letter triples from which on a name is like another."""


def grams(name: str) -> list[str]:
    """The triples of letters of a folded name, in order."""
    return [name[i : i + GRAM_CHARS] for i in range(len(name) - GRAM_CHARS + 1)]


def likest(text: str, names: Iterable[str]) -> list[str]:
    """Those of `names` that are like `text`, the closest first; all are folded."""
    wanted = set(grams(text)[:FUZZY_GRAMS])

    def closeness(name: str) -> float:
        theirs = set(grams(name))
        return len(theirs & wanted) / len(theirs | wanted)

    scored = sorted(((closeness(name), name) for name in names), reverse=True)
    return [name for score, name in scored if score >= LEAST_LIKE]
