"""Selection of the code in a workspace that helps a model at a cursor.

Definitions of the names used there come first, as skeletons; then what was just edited elsewhere;
then similar code. Each snippet says why it was chosen. A snippet is `firm` if the cursor really
needs it, so that its absence justifies changing a prompt that a model has evaluated.
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
from nearfield.features.workspace_context.recent_edits import EditedRegion
from nearfield.syntax.languages import language_for
from nearfield.types import Snapshot, Snippet, SnippetKind, SymbolLocation

if TYPE_CHECKING:
    from nearfield.index.interface import IndexedSymbol
    from nearfield.index.search import Defined, Searcher

MAX_NAMES = 24
"""Names looked up for one cursor; each takes about a millisecond in the index's own thread."""
MAX_DEFINITIONS = 20
MAX_AMBIGUOUS = 4
"""A name with more definitions says nothing, unless an import or a class points to one."""
TELLING_CHARS = 6
"""A shorter member name, like `get` or `close`, may belong to any class."""
MAX_SNIPPET_CHARS = 1_200
"""Maximum for one definition."""
MAX_MEMBER_CHARS = 200
"""Maximum for one definition of a module that is shown as a whole."""
MAX_HOPS = 4
"""Maximum number of returned classes that are followed from signatures."""
MAX_SIMILAR_CHARS = 700
MAX_SIMILAR = 3
QUERY_LINES = 12
SHOWN_CHARS = 5_000
"""Text around the cursor that is in the prompt anyway."""
FIRM_WEIGHT = 0.45
"""A definition of at least this weight is firm: its name is within about ten lines of the cursor,
or imported and within twenty."""
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
class ContextSnippet:
    """Code for a prompt. `path` is relative to the workspace; `why` is a short explanation for the
    user; equal keys mean the same location."""

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
    """The cursor to find snippets for. With `meaning` vectors are searched too, which is slower."""

    snapshot: Snapshot
    offset: int
    mentions: Sequence[Mention]
    regions: Sequence[EditedRegion]
    meaning: bool = False

    @property
    def path(self) -> str:
        """The document's path in the index, "" if it is outside the folder."""
        if not self.snapshot.path or not self.snapshot.root:
            return ""
        path, root = PurePath(self.snapshot.path), PurePath(self.snapshot.root)
        return path.relative_to(root).as_posix() if path.is_relative_to(root) else ""

    @property
    def shown_rows(self) -> tuple[int, int]:
        """The first and last row of the document that a prompt holds anyway. For a cell these are
        all rows of its notebook, because the cells above are shown."""
        if self.snapshot.is_cell:
            return 0, sys.maxsize
        text = self.snapshot.text
        start, end = max(self.offset - SHOWN_CHARS, 0), min(self.offset + SHOWN_CHARS, len(text))
        first = text.count("\n", 0, start) if len(text) > 2 * SHOWN_CHARS else 0
        return first, text.count("\n", 0, end) + 1

    @property
    def nearby(self) -> str:
        """The code right above the cursor, to find similar code."""
        lines = self.snapshot.text[: self.offset].split("\n")
        return "\n".join(lines[-QUERY_LINES:]).strip()


def gather(index: Searcher, query: RetrievalQuery, budget: int) -> list[ContextSnippet]:
    """Return the snippets for a cursor, at most `budget` characters, the most helpful last. Takes
    tens of milliseconds: call it in the index's thread."""
    found = {piece.key: piece for piece in _defined(index, query)}
    for region in query.regions[:2]:
        path = region.snapshot.shown_path
        key = f"{path}@{region.first // 10}"
        recent = ContextSnippet(
            key, path, region.text, SnippetKind.RECENT, "edited lately", RECENT_WEIGHT, region.first
        )
        found.setdefault(key, recent)
    for piece in _similar(index, query, found.values()):
        found.setdefault(piece.key, piece)
    chosen: list[ContextSnippet] = []
    for piece in sorted(found.values(), key=lambda one: -one.weight):
        if len(piece.text) <= budget and not _is_redundant(piece, chosen):
            budget -= len(piece.text)
            chosen.append(piece)
    return chosen[::-1]


def given_pieces(snippets: Sequence[Snippet]) -> list[ContextSnippet]:
    """Return what a client has chosen, the most helpful last."""
    return [
        ContextSnippet(
            f"{one.path}@{hash(one.text)}",
            one.path,
            one.text,
            one.kind,
            "sent by the editor",
            RECENT_WEIGHT,
            firm=True,
        )
        for one in snippets
    ]


def snippets_of(pieces: Iterable[ContextSnippet]) -> tuple[Snippet, ...]:
    """Return `pieces` for a prompt; consecutive ones of one file and kind are joined."""
    snippets: list[Snippet] = []
    for piece in pieces:
        if snippets and snippets[-1].path == piece.path and snippets[-1].kind is piece.kind:
            joined = f"{snippets[-1].text}\n\n{piece.text}"
            snippets[-1] = Snippet(piece.path, joined, piece.kind)
        else:
            snippets.append(Snippet(piece.path, piece.text, piece.kind))
    return tuple(snippets)


def location_of(root: str, one: Defined) -> SymbolLocation:
    """Return a definition that the index of the folder `root` has found."""
    place = one.place
    return SymbolLocation(
        str(Path(root, place.path)), place.path, place.name, place.kind, place.container,
        place.row, place.first, place.last, one.signature, one.doc, one.text,
    )  # fmt: skip


# --- definitions ----------------------------------------------------------------------------


def _defined(index: Searcher, query: RetrievalQuery) -> list[ContextSnippet]:
    pieces: dict[str, ContextSnippet] = {}
    wanted = list(query.mentions[:MAX_NAMES])
    asked: set[tuple[str, str]] = set()
    hops = 0
    while wanted:
        mention = wanted.pop(0)
        if (mention.name, mention.holder) in asked:
            continue
        asked.add((mention.name, mention.holder))
        place = _best(index.reader.definitions(mention.name, MAX_DEFINITIONS), mention, query)
        module = _module(index, mention, query, place)
        best = index.at(place) if place is not None and module is None else None
        piece = _piece(best, mention) if best is not None else module
        if piece is not None:
            pieces.setdefault(piece.key, piece)
        if best is not None and (returned := _RETURNS.search(best.signature)) and hops < MAX_HOPS:
            hops += 1
            wanted.append(Mention(returned[1], mention.weight * 0.6, inferred=True))
    return _without_members(list(pieces.values()))


def _best(
    found: Sequence[IndexedSymbol], mention: Mention, query: RetrievalQuery
) -> IndexedSymbol | None:
    """Return the definition that a mention refers to, None if that is unclear."""
    here, rows = query.path, query.shown_rows
    shown = [one for one in found if one.path == here and rows[0] <= one.row <= rows[1]]
    if shown and not mention.holder:
        return None  # the prompt has it
    rest = [one for one in found if one not in shown]
    if not rest:
        return None
    best = max(rest, key=lambda one: _fit(one, mention, here))
    pointed = _is_pointed_to(best, mention)
    if mention.modules and not pointed:
        return None  # imported, but from elsewhere
    plain = not (mention.modules or mention.holder or mention.inferred)
    if plain and query.snapshot.language in _EXPLICIT:
        return None  # a name of this file's own
    if not pointed and len(rest) > MAX_AMBIGUOUS:
        return None
    if mention.holder and not pointed:
        # The only definition of a member's name is probably the right one, if the name is telling.
        is_function = best.kind in ("function", "method") and mention.holder not in _OWN
        if len(rest) > 1 or not is_function or len(mention.name) < TELLING_CHARS:
            return None
    return best


def _module(
    index: Searcher, mention: Mention, query: RetrievalQuery, instead: IndexedSymbol | None
) -> ContextSnippet | None:
    """Return the signatures of a module's top level if a mention names a module. None if the name
    rather refers to the definition `instead`."""
    if not mention.modules or mention.holder:
        return None
    fits = [
        (_import_fit(path, mention.modules) + _nearness(path, query.path), path)
        for path in index.reader.files_named(mention.name)
        if path != query.path
    ]
    fit, path = max(fits, default=(0.0, ""))
    if fit <= _NEAREST:
        return None
    if instead is not None and instead.path != path:
        rival = _import_fit(instead.path, mention.modules) + _nearness(instead.path, query.path)
        path = path if fit > rival else ""
    if not path or (instead is not None and instead.path == path):
        return None
    lines: list[str] = []
    for place in index.reader.defined_in(path):
        if place.container or place.name.startswith("_"):
            continue
        one = index.at(place)
        if one is not None:
            lines.append(skeleton(one.text, language_for("", path), MAX_MEMBER_CHARS).strip())
    text = cut_lines("\n".join(lines), MAX_SNIPPET_CHARS)
    return ContextSnippet(
        key=f"{path}#",
        path=path,
        text=text,
        kind=SnippetKind.DEFINITION,
        why=f"is the module {mention.name}",
        weight=mention.weight,
        firm=mention.weight >= FIRM_WEIGHT,
    )


def _is_pointed_to(one: IndexedSymbol, mention: Mention) -> bool:
    """Return whether an import or the class before the dot points to this definition."""
    if mention.holder and one.container.rpartition(".")[2] == mention.holder:
        return True
    return _import_fit(one.path, mention.modules) > 0


def _fit(place: IndexedSymbol, mention: Mention, here: str) -> float:
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
    """Return how well an import's words name a file. Its name counts most (for a package's main
    file the folder's name), the folders above a little."""
    if not modules:
        return 0.0
    parts = [*PurePosixPath(path).parent.parts]
    stem = PurePosixPath(path).name.partition(".")[0]
    if stem in ("__init__", "index", "mod", "lib", "main") and parts:
        stem = parts.pop()
    elif stem not in modules and parts and parts[-1] in modules:
        # A package may re-export what a file inside it defines.
        return 0.5 + 0.1 * sum(part in modules for part in parts)
    if stem not in modules:
        return 0.0
    return 1.0 + 0.1 * sum(part in modules for part in parts)


def _nearness(path: str, here: str) -> float:
    """Return more for a file in the folder of `here`, less for each folder in between."""
    folder, other = PurePosixPath(here).parent.parts, PurePosixPath(path).parent.parts
    shared = 0
    for left, right in zip(folder, other, strict=False):
        if left != right:
            break
        shared += 1
    steps = len(folder) + len(other) - 2 * shared
    return _NEAREST / (1 + steps)


def _piece(one: Defined, mention: Mention) -> ContextSnippet:
    place = one.place
    language = language_for("", place.path)
    text = skeleton(one.text, language, MAX_SNIPPET_CHARS)
    if place.container and language is not None and language.indented:
        indented = "\n".join(f"    {line}" if line else line for line in text.split("\n"))
        text = f"class {place.container.rpartition('.')[2]}:\n{indented}"
    symbol = f"{place.container}.{place.name}" if place.container else place.name
    return ContextSnippet(
        key=f"{place.path}#{symbol}",
        path=place.path,
        text=text,
        kind=SnippetKind.DEFINITION,
        why=f"defines {symbol}",
        weight=mention.weight,
        row=place.first,
        firm=mention.weight >= FIRM_WEIGHT,
    )


def _without_members(pieces: list[ContextSnippet]) -> list[ContextSnippet]:
    """Drop members whose class is shown as a whole and names them."""
    keys = {piece.key: piece for piece in pieces}
    kept: list[ContextSnippet] = []
    for piece in pieces:
        holder, _, name = piece.key.rpartition(".")
        whole = keys.get(holder)
        if whole is None or not re.search(rf"\b{re.escape(name)}\b", whole.text):
            kept.append(piece)
    return kept


# --- the rest -------------------------------------------------------------------------------


def _similar(
    index: Searcher, query: RetrievalQuery, found: Iterable[ContextSnippet]
) -> list[ContextSnippet]:
    """Return code similar to that right above the cursor."""
    code = query.nearby
    if len(code) < 20:
        return []
    first, last = query.shown_rows
    known = language_for(query.snapshot.language, query.snapshot.path)
    language = known.name if known is not None else query.snapshot.language
    hits = index.search(code, None, MAX_SIMILAR * 3, query.path, meaning=query.meaning)
    pieces: list[ContextSnippet] = []
    for hit in hits:
        if hit.path == query.path and hit.first < last and hit.last > first:
            continue
        if hit.language != language:
            continue
        if any(piece.path == hit.path and hit.text in piece.text for piece in found):
            continue
        pieces.append(
            ContextSnippet(
                key=f"{hit.path}@{hit.first}",
                path=hit.path,
                text=cut_lines(hit.text.strip("\n"), MAX_SIMILAR_CHARS),
                kind=SnippetKind.SIMILAR,
                why="is like the code here",
                weight=SIMILAR_WEIGHT * min(hit.score, 1.0),
                row=hit.first,
            )
        )
    return pieces[:MAX_SIMILAR]


def _is_redundant(piece: ContextSnippet, chosen: Sequence[ContextSnippet]) -> bool:
    """Return whether it is empty or part of a chosen snippet of its file."""
    text = piece.text.strip()
    return not text or any(one.path == piece.path and text in one.text for one in chosen)
