"""The functions for code: search by meaning, definitions, diagnostics."""

from __future__ import annotations

import asyncio
from typing import Annotated

from nearfield.features.chat.file_tools import FilePath
from nearfield.features.chat.protocol import Access, Outcome, Part, Refused
from nearfield.features.chat.tool_context import Knows, ToolContext
from nearfield.features.chat.tool_schema import function

FOUND_CHARS = 1_200
"""Characters of each piece of code: six of them leave a small model's window half free."""
FOUND = 6
DEFINITION_CHARS = 4_000
PROBLEMS = 50


@function(Access.READ, "semanticSearch")
async def semantic_search(
    reach: ToolContext, query: Annotated[str, "What the code does, in words"]
) -> Outcome:
    """Find code of the workspace by its meaning."""
    folder = reach.folder
    found = await _known(reach).search(query, limit=FOUND, workspace=str(folder.root))
    parts: list[Part] = []
    for one in found:
        shown = reach.relative(one.path)
        if not shown or await asyncio.to_thread(folder.is_withheld, shown, folder=False):
            continue
        text = reach.spend(one.text[:FOUND_CHARS])
        parts += [Part(f"{shown}, from line {one.first + 1}:\n"), Part(text, shown), Part("\n\n")]
    return Outcome(tuple(parts) or (Part("Nothing was found."),))


@function(Access.READ, "getDefinition")
async def get_definition(
    reach: ToolContext, name: Annotated[str, "The name of a function, class or variable"]
) -> Outcome:
    """Show where a name of the workspace is defined, with its code."""
    return await definition(reach, name)


@function(Access.READ, "getDiagnostics")
async def get_diagnostics(reach: ToolContext, path: FilePath) -> str:
    """List the problems that are known of a file."""
    found = await asyncio.to_thread(reach.folder.inside, path)
    lines = [
        f"line {row + 1}: {one.severity}: {one.message}"
        + (f" ({one.source})" if one.source else "")
        for row, one in reach.diagnostics(found)[:PROBLEMS]
    ]
    return reach.spend("\n".join(lines)) or f"No problem is known of {found}."


async def definition(reach: ToolContext, name: str) -> Outcome:
    """Return the definitions of `name`, with their text."""
    folder = reach.folder
    parts: list[Part] = []
    for place in (await _known(reach).definitions(name.strip(), reach.snapshot))[:FOUND]:
        shown = reach.relative(place.path)
        if not shown or await asyncio.to_thread(folder.is_withheld, shown, folder=False):
            continue
        text = reach.spend(place.text[:DEFINITION_CHARS])
        parts += [Part(f"{shown}, line {place.row + 1}:\n"), Part(text, shown), Part("\n\n")]
    return Outcome(tuple(parts) or (Part(f"No definition of {name!r} is known."),))


def _known(reach: ToolContext) -> Knows:
    if reach.knowledge is None:
        raise Refused("The workspace is not indexed.", "Turn index.enabled on, or search in files.")
    return reach.knowledge


ON_CODE = (semantic_search, get_diagnostics, get_definition)
