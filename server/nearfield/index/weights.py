"""Weight of a word in a chunk: BM25's factor for the chunk, computed when it is indexed.

Full text without positions takes a third of the space, and has no counts to rank by. So each word
is stored after a digit for its share of the chunk, in eight steps. A question looks the word up
under each digit and multiplies by how rare the word is. Words of a symbol and of a path count as
several of the text, as in BM25 with weighted columns.
"""

from __future__ import annotations

from bisect import bisect
from collections import Counter
from collections.abc import Iterator

K1, B = 1.2, 0.75
"""The usual parameters of BM25, which SQLite uses too."""
USUAL_WORDS = 60
"""Words of a usual chunk: between the median of Python's library, 70, and that of CoSQA's
functions, 46. It is the same for every index, so that a weight is worked out once."""
PATH_WEIGHT, SYMBOL_WEIGHT = 1.5, 2.0
"""Count of a word in the path and in the symbol; everything from 1 to 3 is within 0.01 of the best,
on CoSQA and on the repository questions.
"""
EDGES = (0.20, 0.32, 0.44, 0.56, 0.68, 0.80, 0.92)
STEPS = (0.15, 0.26, 0.38, 0.50, 0.62, 0.74, 0.86, 0.95)
"""Weight of each digit; exact weights find no better than these."""


def weighed(path: str, symbol: str, body: str) -> str:
    """The words of a chunk as they are stored, each once, for texts that `words.indexed` gave."""
    said = body.split()
    counts: dict[str, float] = dict(Counter(said))
    length = len(said)
    for words, weight in ((symbol.split(), SYMBOL_WEIGHT), (path.split(), PATH_WEIGHT)):
        length += len(words)
        for word in words:
            counts[word] = counts.get(word, 0.0) + weight
    saturation = K1 * (1 - B + B * length / USUAL_WORDS)
    return " ".join(
        f"{bisect(EDGES, count / (count + saturation))}{word}" for word, count in counts.items()
    )


def forms(word: str) -> Iterator[tuple[str, float]]:
    """The forms under which a word may be stored, each with its part of the score, the heaviest
    first."""
    for digit in range(len(STEPS) - 1, -1, -1):
        yield f"{digit}{word}", STEPS[digit] * (K1 + 1)
