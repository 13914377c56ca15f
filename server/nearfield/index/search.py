"""Searching: full text, symbols and vectors, fused into one ranking.

Each part answers on a scale of its own; both are brought to 0..1 and mixed with a weight that
depends on what the query looks like. Then small factors say what a person would: a definition that
is named so before a place that mentions it, the code before its tests, the cursor's neighbourhood
before the far end of the tree. A part that has no answer yet (vectors that are still being made)
leaves the ranking to the others.
"""

from __future__ import annotations

import math
import re
import time
from collections import OrderedDict, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from nearfield.files.read import UnreadableFile
from nearfield.files.workspace import WorkspaceFiles
from nearfield.index.around import Neighbourhood, module_word
from nearfield.index.chunks import doc_of
from nearfield.index.early_store import EarlyReader
from nearfield.index.embedder import NotEmbedded
from nearfield.index.files import MAX_FILE_BYTES, digest_of, most_bytes
from nearfield.index.interface import ChunkRow, IndexedSymbol, IndexReader, NearestChunks
from nearfield.index.understand import text_of
from nearfield.index.words import asked, parts

MIN_PART = 0.0005
"""Smaller parts of a score are not told."""
FILES_HELD = 32
"""Files whose lines are held: one place asks for several definitions of one file."""
CANDIDATES = 100
"""Chunks that each part may name."""


class QueryKind(StrEnum):
    """Form of a query."""

    SYMBOL = "symbol"
    WORDS = "words"
    CODE = "code"


VECTOR_WEIGHT = {QueryKind.SYMBOL: 0.3, QueryKind.WORDS: 0.7, QueryKind.CODE: 0.7}
"""The vectors' part of the mix, the full text has the rest; tests/bench/RESULTS.md has the curve,
which is flat around these."""
EARLY_WEIGHT = {QueryKind.SYMBOL: 0.1, QueryKind.WORDS: 0.3, QueryKind.CODE: 0.3}
"""The same for the early vectors, which know less."""
READY_SHARE = 0.9
"""The real vectors are searched once there are this share as many as early ones."""
MIN_COSINE = 0.15
"""Below this two texts have nothing in common; there is always a nearest one."""
NAMED_BOOST = 1.0
"""For a definition whose whole name is asked for."""
NAME_WORDS_BOOST = 0.2
"""For a definition all of whose name's words are in the question."""
STEM_BOOST = 0.2
"""For a file all of whose name's words are in the question."""
FILE_SHARE = 0.1
"""Share of the scores of a file's other good chunks that is added to its best one's."""
ASIDE = 0.45
"""Factor for tests, examples, documentation and the like, when the query does not speak of them."""
PROSE = 0.5
"""Factor for a file that is no code."""
RECENT_BOOST = 0.03
RECENT_SECONDS = 7 * 86_400.0

_ASIDE_PATH = re.compile(
    r"(?:^|/)(?:tests?|testing|specs?|__tests__|examples?|docs?|docs_src|benchmarks?|fixtures"
    r"|samples?|demos?|scripts)/|(?:^|/)(?:test_[^/]*|[^/]*_test\.\w+|[^/]*\.(?:test|spec)\.\w+"
    r"|conftest\.py|setup\.py)$",
    re.IGNORECASE,
)
_ASIDE_WORDS = frozenset(
    [
        "test",
        "tests",
        "testing",
        "spec",
        "example",
        "examples",
        "doc",
        "docs",
        "documentation",
        "fixture",
        "benchmark",
        "sample",
        "demo",
    ]
)
_IDENTIFIER = re.compile(r"[A-Za-z_$][\w$]*(?:(?:\.|::|#|->)[A-Za-z_$][\w$]*)*(?:\(\))?$")
_CODE_SIGNS = re.compile(r"[{};=]|\w\(|\)\s*:|->|=>|\n|^\s*(?:def|class|import|from|func|fn)\s\w")


class TextEmbedder(Protocol):
    """An embedder of texts."""

    @property
    def name(self) -> str:
        """Tells its vectors from others'."""
        ...

    @property
    def dimensions(self) -> int:
        """Numbers in a vector."""
        ...

    def embed(self, texts: Sequence[str]) -> Any:
        """Return a unit vector for each text."""
        ...


@dataclass(frozen=True, slots=True)
class ScorePart:
    """A part of a hit's score, which all parts add up to; `words` says what it is for."""

    part: str
    score: float
    words: str


@dataclass(frozen=True, slots=True)
class Hit:
    """A found chunk. Rows count from 0, `last` is not included; `text` is the source of
    the rows.
    """

    path: str
    first: int
    last: int
    kind: str
    symbol: str
    language: str
    score: float
    text: str
    why: tuple[ScorePart, ...] = ()

    def row(self) -> dict[str, Any]:
        """Return the hit as programs read it, with lines from 1."""
        return {
            "path": self.path.encode("utf-8", "replace").decode(),
            "line": self.first + 1,
            "end_line": self.last,
            "kind": self.kind,
            "symbol": self.symbol,
            "language": self.language,
            "score": round(self.score, 4),
            "text": self.text,
        }


@dataclass(frozen=True, slots=True)
class Defined:
    """A definition: its whole `text`, the line of its name, and the beginning of its documentation
    as plain text.
    """

    place: IndexedSymbol
    text: str
    signature: str
    doc: str


def kind_of(query: str) -> QueryKind:
    """Return the form of a query."""
    query = query.strip()
    if _IDENTIFIER.match(query):
        plain = query.islower() and query.isalpha()
        return QueryKind.WORDS if plain else QueryKind.SYMBOL
    return QueryKind.CODE if _CODE_SIGNS.search(query) else QueryKind.WORDS


class Searcher:
    """Searches one index. One thread at a time."""

    def __init__(
        self,
        root: Path,
        reader: IndexReader,
        embedder: TextEmbedder | None,
        early: EarlyReader | None = None,
        *,
        max_bytes: int = MAX_FILE_BYTES,
    ) -> None:
        """Search without vectors if `embedder` is None. `early` vectors are searched until there
        are about as many real ones, and when the embedder is not installed. A file of more than
        `max_bytes` bytes is not read again."""
        self._root, self._max_bytes = root, max_bytes
        self._files = WorkspaceFiles(root)
        self._reader = reader
        self._embedder = embedder
        self._early = early
        self._vectors: NearestChunks | None = None
        self._why: defaultdict[int, list[ScorePart]] | None = None
        self._read: OrderedDict[str, tuple[tuple[bytes, int, int], list[str]]] = OrderedDict()

    @property
    def reader(self) -> IndexReader:
        """The index as it is stored."""
        return self._reader

    def close(self) -> None:
        """Close the index."""
        self._reader.close()

    def search(
        self,
        query: str,
        kind: QueryKind | None = None,
        k: int = 10,
        near: str = "",
        *,
        meaning: bool = True,
        explain: bool = False,
    ) -> list[Hit]:
        """The `k` best chunks; `near` is the path of the file that the question comes from. Without
        `meaning` no vectors are asked. With `explain` each hit says what its score is made of."""
        kind = kind or kind_of(query)
        self._why = defaultdict(list) if explain else None
        scores = self._scores(query, kind, meaning)
        rows = self._reader.rows(scores)
        ranked = self._ranked(query, rows, scores, near)
        hits: list[Hit] = []
        for row, score in ranked:
            text = self.text(row)
            if text is not None:
                hits.append(
                    Hit(
                        row.path,
                        row.first,
                        row.last,
                        row.kind,
                        row.symbol,
                        row.language,
                        score,
                        text,
                        tuple(self._why[row.id]) if self._why is not None else (),
                    )
                )
            if len(hits) >= k:
                break
        return hits

    def _scores(self, query: str, kind: QueryKind, meaning: bool) -> dict[int, float]:
        """The mixed scores of every candidate, about 0..1."""
        scores: defaultdict[int, float] = defaultdict(float)
        nearest, weights = self._nearest(query) if meaning else ([], VECTOR_WEIGHT)
        weight = weights[kind] if nearest else 0.0
        text = self._reader.full_text(asked(query)[:64], CANDIDATES)
        top = max((score for _chunk, score in text), default=1.0) or 1.0
        for chunk, score in text:
            scores[chunk] += (1 - weight) * score / top
            self._note(chunk, "words", (1 - weight) * score / top, "the words of the query")
        if nearest:
            best, worst = nearest[0][1], nearest[-1][1]
            for chunk, cosine in nearest:
                share = weight * (cosine - worst) / max(best - worst, 1e-6)
                scores[chunk] += share
                self._note(chunk, "meaning", share, f"alike in meaning (cosine {cosine:.2f})")
        if kind is QueryKind.SYMBOL or len(query.split()) == 1:
            for chunk in self._named(query, fuzzy=kind is QueryKind.SYMBOL):
                scores[chunk] += NAMED_BOOST
                self._note(chunk, "name", NAMED_BOOST, "it defines that name")
        return scores

    def _nearest(self, query: str) -> tuple[list[tuple[int, float]], dict[QueryKind, float]]:
        """The nearest chunks, and what they weigh by the kind of the query."""
        embedder, early = self._embedder, self._early
        made = self._reader.vectors_of(embedder.name) if embedder is not None else 0
        if early is not None and made < READY_SHARE * len(early):
            found = _alike(early.nearest(query, CANDIDATES))
            if found or embedder is None:
                return found, EARLY_WEIGHT
        if embedder is None or not made:
            return [], VECTOR_WEIGHT
        try:
            wanted = embedder.embed([query])[0]
        except NotEmbedded:
            found = _alike(early.nearest(query, CANDIDATES)) if early is not None else []
            return found, EARLY_WEIGHT
        if self._vectors is None:
            self._vectors = self._reader.vectors(embedder.name, embedder.dimensions)
        return _alike(self._vectors.nearest(wanted, CANDIDATES)), VECTOR_WEIGHT

    def _named(self, query: str, *, fuzzy: bool) -> list[int]:
        """The chunks that define what a query names; with `fuzzy`, something like it."""
        name = re.split(r"\.|::|#|->", query.strip().removesuffix("()"))[-1]
        found = self._reader.chunks_defining([name], CANDIDATES)
        if found or not fuzzy:
            return found
        return self._reader.chunks_defining(self._reader.similar_names(name, 5), 20)

    def _ranked(
        self, query: str, rows: dict[int, ChunkRow], scores: dict[int, float], near: str
    ) -> list[tuple[ChunkRow, float]]:
        """The candidates, the best first, after all factors."""
        asked_for = frozenset(asked(query))
        singular = frozenset(word.rstrip("s") for word in asked_for)
        aside = not asked_for & _ASIDE_WORDS
        around = self._around(near)
        now = time.time()
        final: list[tuple[ChunkRow, float]] = []
        for chunk, row in rows.items():
            age = max(now - row.changed, 0.0)
            recent = RECENT_BOOST * math.exp(-age / RECENT_SECONDS)
            near_by = around.nearness(row.path) if around is not None else 0.0
            steps = (
                (
                    "name words",
                    NAME_WORDS_BOOST * _named_share(row, asked_for),
                    1.0,
                    "words of its name",
                ),
                ("file", STEM_BOOST * _stem_share(row.path, singular), 1.0, "words of its file"),
                ("aside", 0.0, ASIDE if aside and _ASIDE_PATH.search(row.path) else 1.0, "a test"),
                ("prose", 0.0, PROSE if row.kind in {"section", "text"} else 1.0, "no code"),
                ("place", 0.0, 1 + recent + near_by, "changed lately, or near the open file"),
            )
            score = scores[chunk]
            for part, more, factor, words in steps:
                after = (score + more) * factor
                self._note(chunk, part, after - score, words)
                score = after
            final.append((row, score))
        final.sort(key=lambda pair: (-pair[1], pair[0].path, pair[0].first))
        return self._with_files(final)

    def _note(self, chunk: int, part: str, score: float, words: str) -> None:
        """Note a part of a chunk's score, where the question asks for it."""
        if self._why is not None and abs(score) >= MIN_PART:
            self._why[chunk].append(ScorePart(part, round(score, 4), words))

    def _with_files(self, ranked: list[tuple[ChunkRow, float]]) -> list[tuple[ChunkRow, float]]:
        """A file with several good chunks is about the matter: its best one gains by the others."""
        others: defaultdict[str, float] = defaultdict(float)
        first: set[str] = set()
        for row, score in ranked:
            if row.path in first:
                others[row.path] = min(others[row.path] + score, 2.0)
            first.add(row.path)
        lifted: list[tuple[ChunkRow, float]] = []
        first.clear()
        for row, score in ranked:
            gain = 0.0 if row.path in first else FILE_SHARE * others[row.path]
            first.add(row.path)
            self._note(row.id, "others", gain, "other hits in its file")
            lifted.append((row, score + gain))
        lifted.sort(key=lambda pair: (-pair[1], pair[0].path, pair[0].first))
        return lifted

    def _around(self, near: str) -> Neighbourhood | None:
        """The neighbourhood of the cursor's file, None without one."""
        if not near:
            return None
        folder = near.rpartition("/")[0].rpartition("/")[2]
        importers = self._reader.importers(module_word(near))
        sure = importers & self._reader.importers(folder) if folder else importers
        return Neighbourhood(near, self._reader.imports(near), importers, sure)

    def defined(self, name: str, limit: int = 20) -> list[Defined]:
        """Return the definitions of `name`, with their text."""
        found = (self.at(place) for place in self._reader.definitions(name, limit))
        return [one for one in found if one is not None]

    def at(self, place: IndexedSymbol) -> Defined | None:
        """Return the definition at a place; None if the file has changed since it was indexed."""
        lines = self._lines(place.path)
        if lines is None:
            return None
        text = "\n".join(lines[place.first : place.last + 1])
        return Defined(
            place=place,
            text=text,
            signature=lines[place.row].strip(),
            doc=doc_of(text, place.row - place.first),
        )

    def text(self, row: ChunkRow) -> str | None:
        """Return the text of a chunk; None if the file has changed since it was indexed."""
        lines = self._lines(row.path)
        return None if lines is None else "\n".join(lines[row.first : row.last])

    def _lines(self, path: str) -> list[str] | None:
        source = self._reader.source(path)
        if source is None:
            return None
        if source.text is not None:
            return source.text.split("\n")
        try:
            stat = (self._root / path).stat()
            stamp = (source.digest, stat.st_mtime_ns, stat.st_size)
            held = self._read.get(path)
            if held is None or held[0] != stamp:
                # The path may have become a link since it was indexed.
                raw = self._files.read_plain(path, most_bytes(path, self._max_bytes))
                if digest_of(raw) != source.digest:
                    return None
                held = stamp, (text_of(path, raw) or "").split("\n")
                self._read[path] = held
        except (OSError, UnreadableFile):
            return None
        self._read.move_to_end(path)
        while len(self._read) > FILES_HELD:
            self._read.popitem(last=False)
        return held[1]


def _alike(found: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """Return the chunks that have anything in common with the query."""
    return [(chunk, cosine) for chunk, cosine in found if cosine >= MIN_COSINE]


def _named_share(row: ChunkRow, asked_for: frozenset[str]) -> float:
    """Return the share of a definition's name that the query contains, 0..1; short names count
    little.
    """
    words = frozenset(parts(row.name)) if row.name and row.kind != "section" else None
    if not words:
        return 0.0
    said = len(words & asked_for)
    return said / len(words) * min(1.0, said / 2)


def _stem_share(path: str, singular: frozenset[str]) -> float:
    """Return the share of a file's name that the query contains, 0..1, ignoring the plural."""
    name = path.rpartition("/")[2]
    words = parts(name.rpartition(".")[0] or name)
    if not words:
        return 0.0
    return sum(word.rstrip("s") in singular for word in words) / len(words)
