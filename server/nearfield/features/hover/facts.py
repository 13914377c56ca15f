"""Facts about a name that need no model: its kind, definition, documentation and number of uses.

They come from the document's own tree, and from the workspace's index for other files.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from nearfield.features.hover.subject import Subject, SubjectKind
from nearfield.index.chunks import doc_of
from nearfield.index.symbols import Outline, outline
from nearfield.syntax.definitions import unit_at
from nearfield.syntax.parser import Parsed
from nearfield.types import Snapshot, SymbolLocation

__all__ = ["Facts", "Outlines", "SymbolSource", "facts_of", "local_facts"]

INDEX_SECONDS = 0.1
"""Timeout of the index, because facts are shown at once."""
MAX_SIGNATURE_LINES = 12
MAX_SIGNATURE_CHARS = 500
MAX_DEFINITION_CHARS = 1_200
"""Characters of a definition that a model is shown."""
MAX_LOCAL_USES = 300
"""Counted in the document itself; each lookup in the tree takes 20 to 50 microseconds."""
MAX_REFERENCES = 200
"""Requested from the index; this number counts as "more than that"."""
MAX_OUTLINES = 8

_OPEN, _CLOSE = "([{", ")]}"


@dataclass(frozen=True, slots=True)
class Facts:
    """`kind` is "function", "class", "variable", "parameter" …. `path` is relative to the workspace
    folder, `row` counts from 0. `uses` counts the references in `files` files, `more` if there are
    further ones; `others` counts further definitions. `text` is the definition in its file,
    `first` its first row."""

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


class SymbolSource(Protocol):
    """The questions to the workspace's index, which `Knowledge` answers."""

    async def definitions(
        self, name: str, snapshot: Snapshot | None = None, *, limit: int = 20
    ) -> tuple[SymbolLocation, ...]:
        """Return the definitions of `name`."""
        ...

    async def references(
        self, name: str, snapshot: Snapshot | None = None, *, limit: int = 200
    ) -> tuple[SymbolLocation, ...]:
        """Return the references to `name`."""
        ...


class Outlines:
    """A cache of the outlines of recent documents. Thread-safe."""

    def __init__(self) -> None:
        self._kept: list[tuple[Parsed, Outline]] = []

    def of(self, parsed: Parsed) -> Outline:
        """Return the outline of `parsed`."""
        for one, found in self._kept:
            if one is parsed:
                return found
        found = outline(parsed)
        self._kept = [(parsed, found), *self._kept][:MAX_OUTLINES]
        return found


def local_facts(
    snapshot: Snapshot, parsed: Parsed | None, subject: Subject, outlines: Outlines
) -> Facts | None:
    """Return the facts that the document alone tells; None for a subject that is not a name, or not
    defined in it."""
    if subject.kind is not SubjectKind.NAME or parsed is None:
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
            more=len(places) >= MAX_LOCAL_USES,
            others=len(found) - 1,
            text=text[:MAX_DEFINITION_CHARS],
            first=best.first,
        )
    return _local_variable(parsed, subject, path, lines)


async def facts_of(
    symbols: SymbolSource | None, snapshot: Snapshot, subject: Subject, local: Facts | None
) -> Facts | None:
    """Return `local` with the facts of the index, without those that do not come in time."""
    if subject.kind is not SubjectKind.NAME or symbols is None:
        return local
    if local is not None and local.kind in ("parameter", "variable"):
        return local  # the same name in another file is another symbol
    try:
        async with asyncio.timeout(INDEX_SECONDS):
            defined = await symbols.definitions(subject.text, snapshot)
            referred = await symbols.references(subject.text, snapshot, limit=MAX_REFERENCES)
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
        more=local.more or len(referred) >= MAX_REFERENCES,
        others=max(local.others, len(defined) - 1),
    )


def signature_at(lines: Sequence[str], row: int) -> str:
    """Return a definition's lines from `row` on, up to the start of its body."""
    taken: list[str] = []
    depth = 0
    for ended in lines[row : row + MAX_SIGNATURE_LINES]:
        line = ended.rstrip("\r")
        taken.append(line)
        code = re.sub(r"(\"[^\"]*\"|'[^']*')", "", line)
        depth += sum(c in _OPEN for c in code) - sum(c in _CLOSE for c in code)
        body = code.rstrip().endswith("{")
        if depth <= 0 or (body and depth == 1):
            break
    indent = len(taken[0]) - len(taken[0].lstrip()) if taken else 0
    text = "\n".join(line[indent:] if line[:indent].isspace() else line for line in taken)
    return text.strip()[:MAX_SIGNATURE_CHARS].rstrip("{ \n")


def _facts(place: SymbolLocation) -> Facts:
    lines = place.text.split("\n")
    return Facts(
        name=place.name,
        kind=place.kind,
        signature=signature_at(lines, max(0, place.row - place.first)) or place.signature,
        path=place.shown,
        row=place.row,
        doc=place.doc,
        text=place.text[:MAX_DEFINITION_CHARS],
        first=place.first,
    )


def _nearest(places: Sequence[SymbolLocation], snapshot: Snapshot) -> SymbolLocation:
    """Return the definition most likely meant: the one that shares most folders with the document,
    and code before tests."""
    own = (snapshot.path or "").replace("\\", "/").split("/")

    def rank(place: SymbolLocation) -> tuple[bool, int]:
        other = place.path.replace("\\", "/").split("/")
        shared = next((i for i, (a, b) in enumerate(zip(own, other, strict=False)) if a != b), 0)
        return "test" in place.shown.lower(), -shared

    return min(places, key=rank)


def _local_variable(
    parsed: Parsed, subject: Subject, path: str, lines: Sequence[str]
) -> Facts | None:
    """Return the facts of a parameter or variable: its first place in the function around it."""
    unit = unit_at(parsed, parsed.text, subject.span, "function")
    if unit.kind != "function":
        return None
    places = [at for at in _uses(parsed, subject.text) if unit.span.start <= at < unit.span.end]
    if not places:
        return None
    first = places[0]
    types = " ".join(node.type for node in parsed.path_to(first)[-5:])
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
        signature=line[:MAX_SIGNATURE_CHARS],
        path=path,
        row=row,
        uses=len(places) - 1,
        files=1,
        first=row,
    )


def _uses(parsed: Parsed, name: str) -> list[int]:
    """Return the offsets at which `name` occurs as code."""
    found: list[int] = []
    for match in re.finditer(rf"(?<![\w$]){re.escape(name)}(?![\w$])", parsed.text):
        types = {node.type for node in parsed.path_to(match.start())[1:]}
        if types.isdisjoint(parsed.language.comments) and not (
            types & parsed.language.strings and "interpolation" not in types
        ):
            found.append(match.start())
        if len(found) >= MAX_LOCAL_USES:
            break
    return found
