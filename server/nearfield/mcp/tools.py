"""The tools that agents get: the functions of chats that read, under the protocol's usual names.

A tool is offered where `chat.functions` has the function that reads as much, so that a workspace
that takes it away from chats takes it away from agents too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

from nearfield.features.chat.code_tools import (
    PROBLEMS,
    find_references,
    find_symbol,
    get_definition,
    get_outline,
    semantic_search,
)
from nearfield.features.chat.file_tools import FilePath, read_file
from nearfield.features.chat.protocol import (
    Access,
    ChatFunction,
    ToolOutcome,
    ToolRefused,
    TurnPart,
)
from nearfield.features.chat.tool_context import ToolContext
from nearfield.features.chat.tool_schema import function
from nearfield.files.lines import line_number
from nearfield.files.uris import path_of
from nearfield.syntax.languages import language_for, missing_note
from nearfield.syntax.parser import parse

RESOURCE = "resource"
"""The function that answers `resources/read`; it is no tool."""


@function(Access.READ, "diagnostics")
async def diagnostics(context: ToolContext, path: FilePath) -> str:
    """List the syntax errors of a file, by its grammar; no compiler or linter is asked."""
    found, text = await context.read(path)
    language = language_for("", found)
    note = missing_note(language)
    parsed = None if language is None or note else await asyncio.to_thread(parse, language, text)
    if parsed is None:
        raise ToolRefused(f"{found} cannot be parsed{f': {note}' if note else ''}.")
    spans = await asyncio.to_thread(parsed.error_spans, PROBLEMS)
    lines = [f"line {line_number(text, span.start) + 1}: syntax error" for span in spans]
    return context.spend("\n".join(lines)) or f"{found} has no syntax error."


@function(Access.READ, RESOURCE)
async def resource(
    context: ToolContext, uri: Annotated[str, "The file: URI of a file of the workspace"]
) -> ToolOutcome:
    """Read a whole file of the workspace."""
    path = path_of(uri)
    inside = context.folder.relative(path) if path else ""
    if not inside:
        raise ToolRefused("That is no file of the workspace.", "`resources/list` names them.")
    found, text = await context.read(inside)
    return ToolOutcome((TurnPart(context.spend(text), found),))


OFFERED: tuple[tuple[str, ChatFunction, str], ...] = (
    ("search_code", semantic_search, "semanticSearch"),
    ("find_symbol", find_symbol, "getDefinition"),
    ("definition", get_definition, "getDefinition"),
    ("references", find_references, "getDefinition"),
    ("outline", get_outline, "readFile"),
    ("read", read_file, "readFile"),
    ("diagnostics", diagnostics, "getDiagnostics"),
    (RESOURCE, resource, "readFile"),
)
"""Each tool, the function that carries it out, and the one that `chat.functions` must have."""
OF_THE_INDEX = frozenset({"search_code", "find_symbol", "definition", "references", "outline"})
"""Tools that know no more than the index."""


def allowed(functions: Sequence[str]) -> dict[str, ChatFunction]:
    """Return the tools that `functions`, the setting `chat.functions`, allows, by name."""
    return {
        name: replace(function, name=name)
        for name, function, needs in OFFERED
        if needs in functions
    }
