"""What is known of a name without asking any model: what it is, where it is defined, what is
written about it there, and how often it is used.

The document's own tree tells it at once; the workspace's index, where there is one, tells what is
defined and used elsewhere.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from nearfield.features.hover.subject import Kind, Subject
from nearfield.index.chunks import doc_of
from nearfield.index.symbols import Outline, outline
from nearfield.syntax.definitions import unit_at
from nearfield.syntax.parser import Parsed
from nearfield.types import Snapshot, SymbolLocation

__all__ = ["Facts", "Known", "Outlines", "facts_of", "local_facts"]

INDEX_SECONDS = 0.1
"""Facts are shown at once: what the index has not said by then is left out."""
SIGNATURE_LINES = 12
SIGNATURE_CHARS = 500
DEFINITION_CHARS = 1_200
"""So much of a definition is shown to a model."""
MOST_USES = 300
"""Counted in the document itself; each is looked up in the tree, in 20 to 50 microseconds."""
USES_ASKED = 200
"""What the index is asked for; so many references count as "more than that"."""
OUTLINES_KEPT = 8

_OPEN, _CLOSE = "([{", ")]}"


@dataclass(frozen=True, slots=True)
class Facts:
    """`kind` is "function", "class", "variable", "parameter" …. `path` is relative to the workspace
    folder, `row` counts from 0. `uses` counts the places in `files` files that refer to the name,
    `more` tells that there are further ones; `others` counts further definitions. `text` is the
    definition as it stands in its file, `first` its first row."""

    name: str
    kind: str
    signature: str
    path: str
    row: int
    doc: str = ""
    uses: int = 0
    files: int = 0
    more: bool = False
    others: int = 0
    text: str = ""
    first: int = 0


class Known(Protocol):
    """What the workspace's index is asked; `features.knowledge.Knowledge` in earnest."""

    async def definitions(
        self, name: str, snapshot: Snapshot | None = None, *, limit: int = 20
    ) -> tuple[SymbolLocation, ...]:
        """Where `name` is defined."""
        ...

    async def references(
        self, name: str, snapshot: Snapshot | None = None, *, limit: int = 200
    ) -> tuple[SymbolLocation, ...]:
        """Where `name` is referred to."""
        ...


class Outlines:
    """The definitions of the documents that were looked at last. Any thread."""

    def __init__(self) -> None:
        self._kept: list[tuple[Parsed, Outline]] = []

    def of(self, parsed: Parsed) -> Outline:
        """The outline of `parsed`."""
        for one, found in self._kept:
            if one is parsed:
                return found
        found = outline(parsed)
        self._kept = [(parsed, found), *self._kept][:OUTLINES_KEPT]
        return found


def local_facts(
    snapshot: Snapshot, parsed: Parsed | None, subject: Subject, outlines: Outlines
) -> Facts | None:
    """What the document alone tells of the name; None for what is no name, or not defined in it."""
    if subject.kind is not Kind.NAME or parsed is None:
        return None
    name, path = subject.text, snapshot.shown_path
    lines = snapshot.text.split("\n")
    row = snapshot.text.count("\n", 0, subject.span.start)
    found = [one for one in outlines.of(parsed).definitions if one.name == name]
    if found:
        places = _uses(parsed, name)
        best = min(found, key=lambda one: (one.row != row, abs(one.row - row)))
        text = "\n".join(lines[best.first : best.last + 1])
        return Facts(
            name=name,
            kind=best.kind,
            signature=signature_at(lines, best.row),
            path=path,
            row=best.row,
            doc=doc_of(text, best.row - best.first),
            uses=max(0, len(places) - len(found)),
            files=1,
            more=len(places) >= MOST_USES,
            others=len(found) - 1,
            text=text[:DEFINITION_CHARS],
            first=best.first,
        )
    return _local_variable(parsed, subject, path, lines)


async def facts_of(
    known: Known | None, snapshot: Snapshot, subject: Subject, local: Facts | None
) -> Facts | None:
    """`local` with what the index tells besides; what it does not tell in time is left out."""
    if subject.kind is not Kind.NAME or known is None:
        return local
    if local is not None and local.kind in ("parameter", "variable"):
        return local  # another file's name of the same letters is another one
    try:
        async with asyncio.timeout(INDEX_SECONDS):
            defined = await known.definitions(subject.text, snapshot)
            referred = await known.references(subject.text, snapshot, limit=USES_ASKED)
    except TimeoutError:
        return local
    defined = tuple(place for place in defined if place.name == subject.text)
    if local is None:
        if not defined:
            return None
        local = _facts(_nearest(defined, snapshot))
    here = [place for place in referred if place.path != snapshot.path]
    files = {place.path for place in here}
    own = local.uses if local.files else sum(p.path == snapshot.path for p in referred)
    return replace(
        local,
        uses=own + len(here),
        files=len(files) + bool(own),
        more=local.more or len(referred) >= USES_ASKED,
        others=max(local.others, len(defined) - 1),
    )


def signature_at(lines: Sequence[str], row: int) -> str:
    """A definition's lines from `row` on, up to what opens its body."""
    taken: list[str] = []
    depth = 0
    for line in map(_without_return, lines[row : row + SIGNATURE_LINES]):
        taken.append(line)
        code = re.sub(r"(\"[^\"]*\"|'[^']*')", "", line)
        depth += sum(c in _OPEN for c in code) - sum(c in _CLOSE for c in code)
        body = code.rstrip().endswith("{")
        if depth <= 0 or (body and depth == 1):
            break
    indent = len(taken[0]) - len(taken[0].lstrip()) if taken else 0
    text = "\n".join(line[indent:] if line[:indent].isspace() else line for line in taken)
    return text.strip()[:SIGNATURE_CHARS].rstrip("{ \n")


def _facts(place: SymbolLocation) -> Facts:
    lines = place.text.split("\n")
    return Facts(
        name=place.name,
        kind=place.kind,
        signature=signature_at(lines, max(0, place.row - place.first)) or place.signature,
        path=place.shown,
        row=place.row,
        doc=place.doc,
        text=place.text[:DEFINITION_CHARS],
        first=place.first,
    )


def _nearest(places: Sequence[SymbolLocation], snapshot: Snapshot) -> SymbolLocation:
    """The definition most likely meant: the one that shares most of its folders with the
    document; code goes before tests."""
    own = (snapshot.path or "").replace("\\", "/").split("/")

    def rank(place: SymbolLocation) -> tuple[bool, int]:
        other = place.path.replace("\\", "/").split("/")
        shared = next((i for i, (a, b) in enumerate(zip(own, other, strict=False)) if a != b), 0)
        return "test" in place.shown.lower(), -shared

    return min(places, key=rank)


def _local_variable(
    parsed: Parsed, subject: Subject, path: str, lines: Sequence[str]
) -> Facts | None:
    """A name without a definition of its own: where it first stands in the function around it."""
    unit = unit_at(parsed, parsed.text, subject.span, "function")
    if unit.kind != "function":
        return None
    places = [at for at in _uses(parsed, subject.text) if unit.span.start <= at < unit.span.end]
    if len(places) < 1:
        return None
    first = places[0]
    around = parsed.path_to(first)[-5:]
    types = " ".join(node.type for node in around)
    if "parameter" in types:
        kind = "parameter"
    elif re.search(r"assign|declar|let_|var_|for_|pattern|with_item|as_pattern", types):
        kind = "variable"
    else:
        return None
    row = parsed.text.count("\n", 0, first)
    line = lines[row].strip()
    return Facts(
        name=subject.text,
        kind=kind,
        signature=line[:SIGNATURE_CHARS],
        path=path,
        row=row,
        uses=len(places) - 1,
        files=1,
        first=row,
    )


def _uses(parsed: Parsed, name: str) -> list[int]:
    """The offsets at which `name` stands as code."""
    found: list[int] = []
    for match in re.finditer(rf"(?<![\w$]){re.escape(name)}(?![\w$])", parsed.text):
        types = {node.type for node in parsed.path_to(match.start())[1:]}
        if types.isdisjoint(parsed.language.comments) and not (
            types & parsed.language.strings and "interpolation" not in types
        ):
            found.append(match.start())
        if len(found) >= MOST_USES:
            break
    return found


def _without_return(line: str) -> str:
    return line.rstrip("\r")
