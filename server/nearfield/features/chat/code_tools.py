"""The functions for code: search by meaning, definitions, diagnostics."""

from __future__ import annotations

import asyncio
from typing import Annotated

from nearfield.features.chat.file_tools import FilePath
from nearfield.features.chat.protocol import Access, ToolOutcome, ToolRefused, TurnPart
from nearfield.features.chat.tool_context import Knows, ToolContext
from nearfield.features.chat.tool_schema import function

FOUND_CHARS = 1_200
"""Characters of each piece of code: six of them leave a small model's window half free."""
FOUND = 6
DEFINITION_CHARS = 4_000
PROBLEMS = 50


@function(Access.READ, "semanticSearch")
async def semantic_search(
    context: ToolContext, query: Annotated[str, "What the code does, in words"]
) -> ToolOutcome:
    """Find code of the workspace by its meaning."""
    folder = context.folder
    found = await _known(context).search(query, limit=FOUND, workspace=str(folder.root))
    parts: list[TurnPart] = []
    for one in found:
        shown = await asyncio.to_thread(folder.visible, one.path)
        if not shown:
            continue
        text = context.spend(one.text[:FOUND_CHARS])
        parts += [
            TurnPart(f"{shown}, from line {one.first + 1}:\n"),
            TurnPart(text, shown),
            TurnPart("\n\n"),
        ]
    return ToolOutcome(tuple(parts) or (TurnPart("Nothing was found."),))


@function(Access.READ, "getDefinition")
async def get_definition(
    context: ToolContext, name: Annotated[str, "The name of a function, class or variable"]
) -> ToolOutcome:
    """Show where a name of the workspace is defined, with its code."""
    return await definition(context, name)


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


async def definition(context: ToolContext, name: str) -> ToolOutcome:
    """Return the definitions of `name`, with their text."""
    folder = context.folder
    parts: list[TurnPart] = []
    for place in (await _known(context).definitions(name.strip(), context.snapshot))[:FOUND]:
        shown = await asyncio.to_thread(folder.visible, place.path)
        if not shown:
            continue
        text = context.spend(place.text[:DEFINITION_CHARS])
        parts += [
            TurnPart(f"{shown}, line {place.row + 1}:\n"),
            TurnPart(text, shown),
            TurnPart("\n\n"),
        ]
    return ToolOutcome(tuple(parts) or (TurnPart(f"No definition of {name!r} is known."),))


def _known(context: ToolContext) -> Knows:
    if context.knowledge is None:
        raise ToolRefused(
            "The workspace is not indexed.", "Turn index.enabled on, or search in files."
        )
    return context.knowledge


ON_CODE = (semantic_search, get_diagnostics, get_definition)
