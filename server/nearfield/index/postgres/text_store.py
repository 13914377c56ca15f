"""Full text in PostgreSQL: the chunks with the words of a question, the best first, by BM25.

The weight of a word in a chunk is stored with it as a digit (see `weights`), as in the file:
PostgreSQL's own ranking ignores how rare a word is. The database looks words up under each digit in
its index, adds up, and answers with the best. Word frequencies were counted at the end of the last
build.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field

from nearfield.index.postgres.session_store import DatabaseSession
from nearfield.index.text_store import COMMON_ROWS, COMMON_SHARE, MAX_ROWS
from nearfield.index.weights import forms

STEM = "coalesce((ts_lexize('stem', {word}))[1], {word})"
"""The stem of a word, which is its own where the dictionary has nothing to say."""


@dataclass(slots=True)
class _QueryStem:
    """A stem to look for, the words of the question that have it, and how many chunks hold it,
    under each digit.
    """

    stem: str
    words: set[str] = field(default_factory=set[str])
    held: dict[str, int] = field(default_factory=dict[str, int])

    @property
    def documents(self) -> int:
        return sum(self.held.values())


def without_accents(words: str) -> str:
    """Words as the full text has them, where `é` and `e` are the same."""
    if words.isascii():
        return words
    apart = unicodedata.normalize("NFKD", words)
    return unicodedata.normalize("NFKC", "".join(c for c in apart if not unicodedata.combining(c)))


def search(
    session: DatabaseSession, words: Sequence[str], limit: int
) -> tuple[list[tuple[int, float]], dict[str, float]]:
    """See `IndexReader.full_text`; and how rare each word is that was looked for."""
    total, asked = _counted(session, words)
    lexemes: list[str] = []
    weights: list[float] = []
    limits: list[int] = []
    common = max(COMMON_ROWS, total * COMMON_SHARE)
    rarities: dict[str, float] = {}
    telling = [one for one in asked if one.documents <= common] or asked[:1]
    for one in telling:
        documents = min(one.documents, total)
        rarity = max(math.log((total - documents + 0.5) / (documents + 0.5)), 1e-6)
        rarities |= dict.fromkeys(one.words, rarity)
        room = MAX_ROWS
        for form, part in forms(one.stem):
            if room > 0:
                lexemes.append(_quoted(form))
                weights.append(part * rarity)
                limits.append(room)
            room -= one.held.get(form, 0)
    rows = session.rows(
        "SELECT found.chunk, sum(asked.weight) AS score"
        " FROM unnest(%s::text[], %s::float8[], %s::int[]) AS asked (form, weight, room),"
        " LATERAL (SELECT chunk FROM words WHERE body @@ asked.form::tsquery LIMIT asked.room)"
        " AS found GROUP BY found.chunk ORDER BY score DESC, found.chunk LIMIT %s",
        [lexemes, weights, limits, limit],
    )
    return [(int(chunk), float(score)) for chunk, score in rows], rarities


def _counted(session: DatabaseSession, words: Sequence[str]) -> tuple[int, list[_QueryStem]]:
    """Return the number of chunks, and the words to look for, each stem once. A word that the last
    count did not know is included: it may be new.
    """
    rows = session.rows(
        "SELECT (SELECT value::int FROM meta WHERE key = 'chunks'), nth, stem, term.word,"
        f" term.chunks FROM (SELECT nth, {STEM.format(word='word')} AS stem FROM unnest(%s::text[])"
        " WITH ORDINALITY AS asked (word, nth)) AS stems CROSS JOIN generate_series(0, 7) AS digit"
        " LEFT JOIN term ON term.word = digit || stem ORDER BY nth, digit",
        [[without_accents(word) for word in words]],
    )
    asked: dict[str, _QueryStem] = {}
    total = 0
    for chunks, nth, stem, form, held in rows:
        total = int(chunks or 0)
        one = asked.setdefault(str(stem), _QueryStem(str(stem)))
        one.words.add(words[int(nth) - 1])
        if form is not None:
            one.held[str(form)] = int(held)
    return total, list(asked.values())


def put(session: DatabaseSession, chunks: Sequence[int], words: Sequence[str]) -> None:
    """Take in the words of chunks, as `weights.weighed` gave them. Two words of one stem may weigh
    differently: the heavier counts."""
    stem = STEM.format(word="substr(word, 2)")
    session.run(
        "INSERT INTO words (chunk, body) SELECT chunk, array_to_tsvector(ARRAY("
        f"SELECT max(left(word, 1)) || {stem} FROM string_to_table(said, ' ') AS word"
        f" WHERE word <> '' GROUP BY {stem}))"
        " FROM unnest(%s::bigint[], %s::text[]) AS given (chunk, said)",
        [list(chunks), [without_accents(said) for said in words]],
    )


def count(session: DatabaseSession) -> None:
    """Count how many chunks hold each word. Inside a transaction."""
    session.run(
        "WITH now AS MATERIALIZED (SELECT word, ndoc FROM ts_stat('SELECT body FROM words')),"
        " gone AS (DELETE FROM term WHERE NOT EXISTS (SELECT FROM now WHERE now.word = term.word))"
        " INSERT INTO term SELECT word, ndoc FROM now ON CONFLICT (word)"
        " DO UPDATE SET chunks = excluded.chunks WHERE term.chunks <> excluded.chunks"
    )
    session.run(
        "INSERT INTO meta SELECT 'chunks', count(*)::text FROM chunk"
        " ON CONFLICT (key) DO UPDATE SET value = excluded.value"
    )


def _quoted(lexeme: str) -> str:
    escaped = lexeme.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"
