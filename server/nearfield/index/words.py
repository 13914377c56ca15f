"""Words of code and prose: what the full text holds, and what a query asks for.

`getUserName`, `get_user_name` and "get user name" give the same words, so that each finds the
others. The whole identifier is kept as one more word, so that an exact name wins over its parts.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable

TOKEN = re.compile(r"\w+")
# An acronym before a capitalised word, a word, an acronym, a number, one character of a script
# that is written without spaces, a run of any other script.
_PART = re.compile(
    r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+"
    r"|[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"
    r"|[^\W\d_A-Za-z\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+"
)
MAX_TOKEN_CHARS = 64
"""Longer runs are data (hashes, base64), which are never searched by a part."""
CACHED_TOKENS = 1 << 16
"""Code repeats itself: with this many remembered, nine of ten lookups are answered (10 MB)."""

# Words that carry nothing in a question about code. Keywords stay, unless they are English: "in",
# "is" and "not" are dropped, "class" and "import" are not.
_STOP = (
    "a an and are as at be by can could do does did for from has have how i if in into is it its me"
    " my of on or our should so that the their them then there these they this to using use want"
    " was we were what when where which while who why will with would you your"
)
STOP_WORDS = frozenset(_STOP.split())


@functools.lru_cache(CACHED_TOKENS)
def parts(token: str) -> tuple[str, ...]:
    """The words of one identifier, lower case, in order; without the identifier itself."""
    if len(token) > MAX_TOKEN_CHARS:
        return ()
    return tuple(part.lower() for part in _PART.findall(token))


@functools.lru_cache(CACHED_TOKENS)
def _indexed(token: str) -> str:
    words = parts(token)
    if len(words) < 2:
        return words[0] if words else ""
    return " ".join((*words, "".join(words)))


def indexed(text: str) -> str:
    """`text` as the full text holds it: words with single spaces between them."""
    return " ".join(map(_indexed, TOKEN.findall(text)))


def asked(query: str) -> list[str]:
    """The words that `query` asks for, each once, in order; stop words only when there is nothing
    else."""
    found = dict.fromkeys(word for word in indexed(query).split(" ") if word)
    telling = [word for word in found if word not in STOP_WORDS]
    return telling or list(found)


def folded(name: str) -> str:
    """Return a name without case and underscores, which is equal in all naming styles."""
    return name.replace("_", "").replace("-", "").lower()


GRAM_CHARS = 3
"""A shorter name cannot be found by its letters."""
FUZZY_GRAMS = 12
FUZZY_NAMES = 200
"""Number of names, sharing most triples, that are compared as a whole."""
MIN_LIKENESS = 0.2
"""Share of common letter triples from which on a name is like another."""


def grams(name: str) -> list[str]:
    """The triples of letters of a folded name, in order."""
    return [name[i : i + GRAM_CHARS] for i in range(len(name) - GRAM_CHARS + 1)]


def likest(text: str, names: Iterable[str]) -> list[str]:
    """Return the names like `text`, the closest first; all are folded."""
    wanted = set(grams(text)[:FUZZY_GRAMS])

    def closeness(name: str) -> float:
        theirs = set(grams(name))
        return len(theirs & wanted) / len(theirs | wanted)

    scored = sorted(((closeness(name), name) for name in names), reverse=True)
    return [name for score, name in scored if score >= MIN_LIKENESS]
