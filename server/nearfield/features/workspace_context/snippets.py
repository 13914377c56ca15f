"""Choosing what of the workspace helps at a place, out of everything that its index knows.

Definitions of the names used there come first, as skeletons; then what was just edited elsewhere;
then code that is like it. Each piece says why it is there. A piece is `firm` when the place really
needs it, so that its absence is a reason to change a prompt that a model has read already.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath
from typing import TYPE_CHECKING

from nearfield.context.mentions import Mention
from nearfield.context.skeleton import cut_lines, skeleton
from nearfield.features.workspace_context.recent_edits import Region
from nearfield.syntax.languages import language_for
from nearfield.types import Snapshot, Snippet, SnippetKind

if TYPE_CHECKING:
    from nearfield.index.search import Defined, Hit, Searcher
    from nearfield.index.search_store import Place as IndexPlace

NAMES = 24
"""Names looked up for one place; each costs about a millisecond in the index's own thread."""
DEFINITIONS_EACH = 20
AMBIGUOUS = 4
"""A name with more definitions than this, none of which an import or a class points to, says
nothing."""
TELLING_CHARS = 6
"""A shorter name of a member, like `get` or `close`, may be anybody's."""
PIECE_CHARS = 1_200
"""The most of one definition."""
MEMBER_CHARS = 200
"""The most of one definition of a module that is shown as a whole."""
HOPS = 4
"""So many classes are followed that a signature says are returned."""
SIMILAR_CHARS = 700
SIMILAR_COUNT = 3
QUERY_LINES = 12
SHOWN_CHARS = 5_000
"""So far around the cursor the document is in the prompt anyway."""
FIRM_WEIGHT = 0.45
"""A definition of at least this weight is firm: a name within some ten lines of the cursor, or
imported and within twenty."""
SIMILAR_WEIGHT = 0.2
RECENT_WEIGHT = 0.3

_EXPLICIT = frozenset(
    {"python", "javascript", "typescript", "typescriptreact", "rust", "php", "lua", "elixir"}
)
"""Languages in which another file's name must be imported to be used as it is."""
_NEAREST = 0.3
_OWN = frozenset({"self", "cls", "this", "super"})
_CONTAINERS = frozenset({"class", "interface", "enum", "type", "object", "implementation"})
_ASIDE = re.compile(r"(?:^|/)(?:tests?|testing|docs?|examples?)/|(?:^|/)test_[^/]*$")
_RETURNS = re.compile(r"->\s*[\"']?(?:Optional\[|list\[)?([A-Z]\w*)")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a name is defined, or referred to.

    `path` is absolute and `shown` relative to the workspace folder; rows count from 0: that of the
    name, and the first and last (included) of the whole. A reference has no `text`.
    """

    path: str
    shown: str
    name: str
    kind: str
    container: str
    row: int
    first: int
    last: int
    signature: str = ""
    doc: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece for a prompt. `path` is relative to the workspace; `why` is a few words for a
    person; `key` is the same for the same place."""

    key: str
    path: str
    text: str
    kind: SnippetKind
    why: str
    weight: float
    row: int = 0
    firm: bool = False


@dataclass(frozen=True, slots=True)
class RetrievalQuery:
    """The place to gather for. `meaning` also asks the vectors, which takes longer."""

    snapshot: Snapshot
    offset: int
    mentions: Sequence[Mention]
    regions: Sequence[Region]
    meaning: bool = False

    @property
    def path(self) -> str:
        """The document's path as the index has it, "" for one outside."""
        if not self.snapshot.path or not self.snapshot.root:
            return ""
        path, root = PurePath(self.snapshot.path), PurePath(self.snapshot.root)
        return path.relative_to(root).as_posix() if path.is_relative_to(root) else ""

    @property
    def shown_rows(self) -> tuple[int, int]:
        """The rows of the document that a prompt holds anyway. A cell's rows are not those of its
        notebook, of which the cells above are shown."""
        if self.snapshot.is_cell:
            return 0, sys.maxsize
        text = self.snapshot.text
        start, end = max(self.offset - SHOWN_CHARS, 0), min(self.offset + SHOWN_CHARS, len(text))
        first = text.count("\n", 0, start) if len(text) > 2 * SHOWN_CHARS else 0
        return first, text.count("\n", 0, end) + 1

    @property
    def nearby(self) -> str:
        """The code right above the cursor, to find its like."""
        lines = self.snapshot.text[: self.offset].split("\n")
        return "\n".join(lines[-QUERY_LINES:]).strip()


def gather(index: Searcher, scene: RetrievalQuery, budget: int) -> list[Piece]:
    """What helps at the place in at most `budget` characters, the most helpful last. Takes some
    tens of milliseconds: call it in the index's thread."""
    found = {piece.key: piece for piece in _defined(index, scene)}
    for region in scene.regions[:2]:
        piece = _recent(region)
        found.setdefault(piece.key, piece)
    for piece in _similar(index, scene, found.values()):
        found.setdefault(piece.key, piece)
    chosen: list[Piece] = []
    for piece in sorted(found.values(), key=lambda one: -one.weight):
        if len(piece.text) <= budget and not _held(piece, chosen):
            budget -= len(piece.text)
            chosen.append(piece)
    return chosen[::-1]


def snippets_of(pieces: Iterable[Piece]) -> tuple[Snippet, ...]:
    """The pieces as a prompt has them; those of one file that follow each other are one snippet."""
    snippets: list[Snippet] = []
    for piece in pieces:
        if snippets and snippets[-1].path == piece.path and snippets[-1].kind is piece.kind:
            joined = f"{snippets[-1].text}\n\n{piece.text}"
            snippets[-1] = Snippet(piece.path, joined, piece.kind)
        else:
            snippets.append(Snippet(piece.path, piece.text, piece.kind))
    return tuple(snippets)


def placed(root: str, one: Defined) -> Place:
    """A definition as the index of `root` gives it."""
    place = one.place
    return Place(
        str(Path(root, place.path)), place.path, place.name, place.kind, place.container,
        place.row, place.first, place.last, one.signature, one.doc, one.text,
    )  # fmt: skip


# --- definitions ----------------------------------------------------------------------------


def _defined(index: Searcher, scene: RetrievalQuery) -> list[Piece]:
    pieces: dict[str, Piece] = {}
    wanted = list(scene.mentions[:NAMES])
    asked: set[tuple[str, str]] = set()
    hops = 0
    while wanted:
        mention = wanted.pop(0)
        if (mention.name, mention.holder) in asked:
            continue
        asked.add((mention.name, mention.holder))
        place = _best(index.reader.definitions(mention.name, DEFINITIONS_EACH), mention, scene)
        module = _module(index, mention, scene, place)
        best = index.at(place) if place is not None and module is None else None
        piece = _piece(best, mention) if best is not None else module
        if piece is not None:
            pieces.setdefault(piece.key, piece)
        if best is not None and (returned := _RETURNS.search(best.signature)) and hops < HOPS:
            hops += 1
            wanted.append(Mention(returned[1], mention.weight * 0.6, inferred=True))
    return _without_members(list(pieces.values()))


def _best(
    found: Sequence[IndexPlace], mention: Mention, scene: RetrievalQuery
) -> IndexPlace | None:
    """The definition that a mention means, None when nothing tells which."""
    here, rows = scene.path, scene.shown_rows
    shown = [one for one in found if one.path == here and rows[0] <= one.row <= rows[1]]
    if shown and not mention.holder:
        return None  # the prompt has it
    rest = [one for one in found if one not in shown]
    if not rest:
        return None
    best = max(rest, key=lambda one: _fit(one, mention, here))
    pointed = _pointed(best, mention)
    if mention.modules and not pointed:
        return None  # imported, but from elsewhere
    plain = not (mention.modules or mention.holder or mention.inferred)
    if plain and scene.snapshot.language in _EXPLICIT:
        return None  # a name of this file's own
    if not pointed and len(rest) > AMBIGUOUS:
        return None
    if mention.holder and not pointed and (len(rest) > 1 or not _telling(best, mention)):
        return None
    return best


def _module(
    index: Searcher, mention: Mention, scene: RetrievalQuery, instead: IndexPlace | None
) -> Piece | None:
    """What a module defines, when it is a module whose name is used: the signatures of its top
    level. None where the name rather is that of a definition, `instead`."""
    if not mention.modules or mention.holder:
        return None
    fits = [
        (_import_fit(path, mention.modules) + _nearness(path, scene.path), path)
        for path in index.reader.files_named(mention.name)
        if path != scene.path
    ]
    fit, path = max(fits, default=(0.0, ""))
    if fit <= _NEAREST:
        return None
    if instead is not None and instead.path != path:
        rival = _import_fit(instead.path, mention.modules) + _nearness(instead.path, scene.path)
        path = path if fit > rival else ""
    if not path or (instead is not None and instead.path == path):
        return None
    lines: list[str] = []
    for place in index.reader.defined_in(path):
        if place.container or place.name.startswith("_"):
            continue
        one = index.at(place)
        if one is not None:
            lines.append(skeleton(one.text, language_for("", path), MEMBER_CHARS).strip())
    text = cut_lines("\n".join(lines), PIECE_CHARS)
    return Piece(
        key=f"{path}#",
        path=path,
        text=text,
        kind=SnippetKind.DEFINITION,
        why=f"is the module {mention.name}",
        weight=mention.weight,
        firm=mention.weight >= FIRM_WEIGHT,
    )


def _telling(one: IndexPlace, mention: Mention) -> bool:
    """Return whether the only definition of a member's name is likely the one that is meant."""
    return (
        mention.holder not in _OWN
        and one.kind in ("function", "method")
        and len(mention.name) >= TELLING_CHARS
    )


def _pointed(one: IndexPlace, mention: Mention) -> bool:
    """Return whether an import or the class before the dot says that it is this one."""
    if mention.holder and one.container.rpartition(".")[2] == mention.holder:
        return True
    return _import_fit(one.path, mention.modules) > 0


def _fit(place: IndexPlace, mention: Mention, here: str) -> float:
    score = 4.0 * _import_fit(place.path, mention.modules)
    if mention.holder and place.container.rpartition(".")[2] == mention.holder:
        score += 5
    if not mention.holder and not place.container:
        score += 1
    if place.kind in _CONTAINERS and mention.name[:1].isupper():
        score += 1
    if _ASIDE.search(place.path) and not _ASIDE.search(here):
        score -= 1
    return score + 2 * _nearness(place.path, here)


def _import_fit(path: str, modules: frozenset[str]) -> float:
    """How well an import's words name a file: its own name counts most (for a package's main file
    the folder's), the folders above a little."""
    if not modules:
        return 0.0
    parts = [*PurePosixPath(path).parent.parts]
    stem = PurePosixPath(path).name.partition(".")[0]
    if stem in ("__init__", "index", "mod", "lib", "main") and parts:
        stem = parts.pop()
    elif stem not in modules and parts and parts[-1] in modules:
        # A package may hand on what a file inside it defines.
        return 0.5 + 0.1 * sum(part in modules for part in parts)
    if stem not in modules:
        return 0.0
    return 1.0 + 0.1 * sum(part in modules for part in parts)


def _nearness(path: str, here: str) -> float:
    """More for what is in the folder of `here`, less for each folder further up or aside."""
    folder, other = PurePosixPath(here).parent.parts, PurePosixPath(path).parent.parts
    shared = 0
    for left, right in zip(folder, other, strict=False):
        if left != right:
            break
        shared += 1
    steps = len(folder) + len(other) - 2 * shared
    return _NEAREST / (1 + steps)


def _piece(one: Defined, mention: Mention) -> Piece:
    place = one.place
    language = language_for("", place.path)
    text = skeleton(one.text, language, PIECE_CHARS)
    if place.container and language is not None and language.indented:
        indented = "\n".join(f"    {line}" if line else line for line in text.split("\n"))
        text = f"class {place.container.rpartition('.')[2]}:\n{indented}"
    symbol = f"{place.container}.{place.name}" if place.container else place.name
    return Piece(
        key=f"{place.path}#{symbol}",
        path=place.path,
        text=text,
        kind=SnippetKind.DEFINITION,
        why=f"defines {symbol}",
        weight=mention.weight,
        row=place.first,
        firm=mention.weight >= FIRM_WEIGHT,
    )


def _without_members(pieces: list[Piece]) -> list[Piece]:
    """Members go whose class is there as a whole, if it shows them."""
    keys = {piece.key: piece for piece in pieces}
    kept: list[Piece] = []
    for piece in pieces:
        holder, _, name = piece.key.rpartition(".")
        whole = keys.get(holder)
        if whole is None or not re.search(rf"\b{re.escape(name)}\b", whole.text):
            kept.append(piece)
    return kept


# --- the rest -------------------------------------------------------------------------------


def _recent(region: Region) -> Piece:
    snapshot = region.snapshot
    path = PurePath(snapshot.path or "")
    root = snapshot.root or ""
    shown = path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name
    return Piece(
        key=f"{shown}@{region.first // 10}",
        path=shown,
        text=region.text,
        kind=SnippetKind.RECENT,
        why="edited lately",
        weight=RECENT_WEIGHT,
        row=region.first,
    )


def _similar(index: Searcher, scene: RetrievalQuery, found: Iterable[Piece]) -> list[Piece]:
    """Code like that right above the cursor."""
    query = scene.nearby
    if len(query) < 20:
        return []
    first, last = scene.shown_rows
    known = language_for(scene.snapshot.language, scene.snapshot.path)
    language = known.name if known is not None else scene.snapshot.language
    hits = index.search(query, None, SIMILAR_COUNT * 3, scene.path, meaning=scene.meaning)
    pieces: list[Piece] = []
    for hit in hits:
        if hit.path == scene.path and hit.first < last and hit.last > first:
            continue
        if hit.language != language:
            continue
        if any(piece.path == hit.path and hit.text in piece.text for piece in found):
            continue
        pieces.append(_like(hit))
    return pieces[:SIMILAR_COUNT]


def _like(hit: Hit) -> Piece:
    return Piece(
        key=f"{hit.path}@{hit.first}",
        path=hit.path,
        text=cut_lines(hit.text.strip("\n"), SIMILAR_CHARS),
        kind=SnippetKind.SIMILAR,
        why="is like the code here",
        weight=SIMILAR_WEIGHT * min(hit.score, 1.0),
        row=hit.first,
    )


def _held(piece: Piece, chosen: Sequence[Piece]) -> bool:
    """Return whether what was chosen says it already, or there is nothing to say."""
    text = piece.text.strip()
    return not text or any(one.path == piece.path and text in one.text for one in chosen)
