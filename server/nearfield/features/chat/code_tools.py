"""The functions for code: search by meaning, names, uses, outlines, diagnostics.

What does not fit on one page is on the next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, TypeVar

from msgspec import Meta

from nearfield.features.chat.file_tools import MATCH_CHARS, FilePath
from nearfield.features.chat.protocol import Access, ToolOutcome, ToolRefused, TurnPart
from nearfield.features.chat.tool_context import OWN_BYTES, Knows, ToolContext
from nearfield.features.chat.tool_schema import function
from nearfield.files.lines import split_lines
from nearfield.types import SymbolLocation

FOUND_CHARS = 1_200
"""Characters of each piece of code: six of them leave a small model's window half free."""
FOUND = 6
DEFINITION_CHARS = 4_000
PROBLEMS = 50
LISTED = 60
"""Lines of a list on a page."""
PAGES = 16

Page = Annotated[int, Meta(ge=1, le=PAGES, description="Page of the results, from 1")]
NameArgument = Annotated[str, "The name of a function, class or variable"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class QuotedPiece:
    """A piece of the file at an absolute path; `place` names its lines, from 1, in words."""

    path: str
    place: str
    text: str


@function(Access.READ, "semanticSearch")
async def semantic_search(
    context: ToolContext, query: Annotated[str, "What the code does, in words"], page: Page = 1
) -> ToolOutcome:
    """Find code of the workspace by its meaning."""
    limit = page * FOUND + 1
    found = await _known(context).search(query, limit=limit, workspace=str(context.folder.root))
    pieces = [
        QuotedPiece(one.path, f"from line {one.first + 1}", one.text[:FOUND_CHARS]) for one in found
    ]
    return await _quoted(context, pieces, page, "Nothing was found.")


@function(Access.READ, "getDefinition")
async def get_definition(context: ToolContext, name: NameArgument, page: Page = 1) -> ToolOutcome:
    """Show where a name of the workspace is defined, with its code."""
    return await definition(context, name, page)


@function(Access.READ, "findSymbol")
async def find_symbol(
    context: ToolContext,
    name: Annotated[str, "A name, or a part of one; it may be mistyped"],
    page: Page = 1,
) -> ToolOutcome:
    """List the definitions in the workspace with a name, or with one like it."""
    found = await _known(context).named(name.strip(), limit=page * LISTED + 1)
    shown, rest = _on_page(found, page, LISTED)
    parts: list[TurnPart] = []
    for one in shown:
        if path := await asyncio.to_thread(context.folder.visible, one.path):
            parts += _line(path, one.row, f"{one.kind} {one.symbol}: {one.signature}")
    return _listed(context, parts, rest, f"No name like {name!r} is known.")


@function(Access.READ, "findReferences")
async def find_references(context: ToolContext, name: NameArgument, page: Page = 1) -> ToolOutcome:
    """List where a name is used in the workspace, each with its line."""
    found = await _known(context).references(name.strip(), limit=PAGES * LISTED)
    shown, rest = _on_page(found, page, LISTED)
    parts = await asyncio.to_thread(_used, context, shown)
    return _listed(context, parts, rest, f"No use of {name!r} is known.")


@function(Access.READ, "getOutline")
async def get_outline(context: ToolContext, path: FilePath, page: Page = 1) -> ToolOutcome:
    """List what a file defines: classes, functions, variables, each with its lines."""
    return await outline_of(context, path, page)


@function(Access.READ, "getDiagnostics")
async def get_diagnostics(context: ToolContext, path: FilePath) -> str:
    """List the problems that are known of a file."""
    found = await asyncio.to_thread(context.folder.inside, path)
    lines = [
        f"line {row + 1}: {one.severity}: {one.message}"
        + (f" ({one.source})" if one.source else "")
        for row, one in context.diagnostics(found)[:PROBLEMS]
    ]
    return context.spend("\n".join(lines)) or f"No problem is known of {found}."


async def outline_of(context: ToolContext, path: str, page: int = 1) -> ToolOutcome:
    """Return the definitions of a file, a line each. Raises `ToolRefused`."""
    folder = context.folder
    found = await asyncio.to_thread(folder.inside, path)
    places = await _known(context).defined_in(str(folder.root / found))
    shown, rest = _on_page(places, page, LISTED)
    parts: list[TurnPart] = []
    for one in shown:
        lines = f"lines {one.first + 1}-{one.last + 1}: "
        what = f"{one.kind} {one.symbol}: {one.signature}"
        parts += [TurnPart(lines), TurnPart(f"{what[:MATCH_CHARS]}\n", found)]
    return _listed(context, parts, rest, f"No definition in {found} is known.")


async def definition(context: ToolContext, name: str, page: int = 1) -> ToolOutcome:
    """Return the definitions of `name`, `FOUND` on a page, with their text."""
    limit = page * FOUND + 1
    found = await _known(context).definitions(name.strip(), context.snapshot, limit=limit)
    pieces = [
        QuotedPiece(one.path, f"line {one.row + 1}", one.text[:DEFINITION_CHARS]) for one in found
    ]
    return await _quoted(context, pieces, page, f"No definition of {name!r} is known.")


async def _quoted(
    context: ToolContext, pieces: Sequence[QuotedPiece], page: int, nothing: str
) -> ToolOutcome:
    """Return a page of what may be seen of `pieces`, each below its place, or `nothing`."""
    chosen, rest = _on_page(pieces, page, FOUND)
    parts: list[TurnPart] = []
    for one in chosen:
        shown = await asyncio.to_thread(context.folder.visible, one.path)
        if not shown:
            continue
        text = context.spend(one.text)
        parts += [TurnPart(f"{shown}, {one.place}:\n"), TurnPart(text, shown), TurnPart("\n\n")]
    return ToolOutcome((*parts, TurnPart(rest)) if parts else (TurnPart(rest or nothing),))


def _used(context: ToolContext, places: Sequence[SymbolLocation]) -> list[TurnPart]:
    """Return the lines of `places` that may be seen. Blocks."""
    held: dict[str, list[str]] = {}
    parts: list[TurnPart] = []
    for one in places:
        path = context.folder.visible(one.path)
        if not path:
            continue
        if path not in held:
            try:
                held[path] = split_lines(context.folder.read(path, OWN_BYTES)[1].text)
            except ToolRefused:
                held[path] = []  # deleted meanwhile
        lines = held[path]
        parts += _line(path, one.row, lines[one.row].strip() if one.row < len(lines) else "")
    return parts


def _line(path: str, row: int, text: str) -> list[TurnPart]:
    return [TurnPart(f"{path}:{row + 1}: "), TurnPart(f"{text[:MATCH_CHARS]}\n", path)]


def _listed(
    context: ToolContext, parts: Sequence[TurnPart], rest: str, nothing: str
) -> ToolOutcome:
    context.spend("".join(part.text for part in parts))
    return ToolOutcome((*parts, TurnPart(rest)) if parts else (TurnPart(rest or nothing),))


def _on_page(found: Sequence[T], page: int, size: int) -> tuple[Sequence[T], str]:
    """Return the results of a page, and what is said below them."""
    rest = f"(there is more on page {page + 1})" if len(found) > page * size else ""
    return found[(page - 1) * size : page * size], rest if page < PAGES else ""


def _known(context: ToolContext) -> Knows:
    if context.knowledge is None:
        raise ToolRefused(
            "The workspace is not indexed.", "Turn index.enabled on, or search in files."
        )
    return context.knowledge


ON_CODE = (
    semantic_search,
    get_diagnostics,
    get_definition,
    find_symbol,
    find_references,
    get_outline,
)
