"""The functions for files and folders."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Annotated

from nearfield.features.chat.protocol import Access, ToolOutcome, ToolRefused, TurnPart
from nearfield.features.chat.tool_context import ToolContext
from nearfield.features.chat.tool_schema import function
from nearfield.files.encoding import fitted
from nearfield.files.lines import split_lines
from nearfield.files.patterns import TextGlob
from nearfield.types import Span

READ_CHARS = 16_000
"""Characters of a file without given lines: about 4,000 tokens, a small model's whole window."""
MAX_MATCHES = 60
MATCH_CHARS = 200
SEARCHED_BYTES = 50_000_000
WRITTEN_CHARS = 200_000

FilePath = Annotated[str, "Path from the workspace folder"]
FolderPath = Annotated[str, "Path from the workspace folder; empty for the folder itself"]


@function(Access.READ, "readFile")
async def read_file(
    context: ToolContext,
    path: FilePath,
    first_line: Annotated[int, "First line to read, from 1"] = 1,
    last_line: Annotated[int, "Last line to read; 0 for the end"] = 0,
) -> ToolOutcome:
    """Read a text file of the workspace, or some lines of it."""
    found, text = await context.read(path)
    lines = split_lines(text, keepends=True)
    first = max(1, first_line)
    chosen = lines[first - 1 : last_line or None]
    start = sum(map(len, lines[: first - 1]))
    piece = "".join(chosen)
    cut = len(piece) > READ_CHARS
    piece = context.spend(piece[:READ_CHARS])
    shown = len(split_lines(piece))
    where = f"{found}, lines {first} to {first + shown - 1} of {len(lines)}"
    more = f"\n(cut here; read on with first_line {first + shown - 1})" if cut else ""
    if not piece:
        return ToolOutcome((TurnPart(f"{found} has {len(lines)} lines and nothing there."),))
    return ToolOutcome(
        (
            TurnPart(f"{where}:\n"),
            TurnPart(piece, found, Span(start, start + len(piece))),
            TurnPart(more),
        )
    )


@function(Access.READ, "listDirectory")
async def list_directory(context: ToolContext, path: FolderPath = "") -> str:
    """List what a folder of the workspace holds."""
    found, entries = await asyncio.to_thread(context.folder.entries, path)
    names = [f"{below.rpartition('/')[2]}{'/' * folder}" for below, folder in entries]
    return context.spend("\n".join(names)) or f"{found or 'The workspace'} is empty."


@function(Access.READ, "searchFiles")
async def search_files(
    context: ToolContext, pattern: Annotated[str, "A name or glob, such as *.py or test_*"]
) -> str:
    """Find files of the workspace by their names."""
    folder = context.folder
    fits = _named(pattern)
    if fits is None:
        raise ToolRefused("The pattern is empty.", "Give a name or a glob.")

    def search() -> list[str]:
        found: list[str] = []
        for path in folder.files():
            if fits(path):
                found.append(path)
            if len(found) > MAX_MATCHES:
                break
        return found

    found = await asyncio.to_thread(search)
    more = f"\n(more than {MAX_MATCHES}; be more exact)" if len(found) > MAX_MATCHES else ""
    return context.spend("\n".join(found[:MAX_MATCHES]) + more) or "No file has such a name."


@function(Access.READ, "searchInFiles")
async def search_in_files(
    context: ToolContext,
    text: Annotated[str, "The exact text to find; letter case does not matter"],
    pattern: Annotated[str, "Only in files of this name or glob; empty for all"] = "",
) -> ToolOutcome:
    """Find a text in the files of the workspace."""
    folder = context.folder
    wanted = text.casefold()
    if not wanted.strip():
        raise ToolRefused("The text to find is empty.")
    fits = _named(pattern)

    def search() -> list[TurnPart]:
        found: list[TurnPart] = []
        read = 0
        for path in folder.files():
            if fits is not None and not fits(path):
                continue
            try:
                _, content = folder.read(path, 1_000_000)
            except ToolRefused:
                continue  # binary, or deleted while we search
            read += len(content.text)
            for row, line in enumerate(split_lines(content.text)):
                if wanted in line.casefold():
                    found += [
                        TurnPart(f"{path}:{row + 1}: "),
                        TurnPart(line[:MATCH_CHARS] + "\n", path),
                    ]
            if len(found) >= 2 * MAX_MATCHES or read > SEARCHED_BYTES:
                return [*found[: 2 * MAX_MATCHES], TurnPart("(there may be more; be more exact)")]
        return found

    found = await asyncio.to_thread(search)
    context.spend("".join(part.text for part in found))
    return ToolOutcome(tuple(found) or (TurnPart("No file holds that text."),))


def _named(pattern: str) -> Callable[[str], bool] | None:
    """Return a test of whether a path has the name, or matches the glob, that a model asks for;
    None for no pattern. A `*` in it crosses folders; letter case does not matter.
    """
    wanted = pattern.strip().lower()
    if not wanted:
        return None
    if not any(sign in wanted for sign in "*?["):
        return lambda path: wanted in path.lower()
    glob = TextGlob(wanted)
    return lambda path: glob.matches(path.lower()) or glob.matches(PurePosixPath(path.lower()).name)


@function(Access.READ, "getFileInfo")
async def get_file_info(context: ToolContext, path: FilePath) -> str:
    """Say whether a path exists, what it is, how large, and when it was changed."""
    found = await asyncio.to_thread(context.folder.look, path)
    try:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(found.changed))
    except (ValueError, OverflowError, OSError):  # an archive can give a file any time
        when = "at an unknown time"
    return f"{found.path or '.'}: {found.kind}, {found.bytes} bytes, changed {when}"


@function(Access.EDIT, "writeFile", title=lambda given: f"write {given.path}")
async def write_file(
    context: ToolContext, path: FilePath, content: Annotated[str, "The whole new text of the file"]
) -> str:
    """Write a file of the workspace. The user sees the change and decides."""
    if len(content) > WRITTEN_CHARS:
        raise ToolRefused(f"The text is longer than {WRITTEN_CHARS} characters.")
    folder = context.folder
    found = await asyncio.to_thread(folder.inside, path)
    if not found:
        raise ToolRefused("That is the workspace folder itself.")
    before: str | None = None
    if await asyncio.to_thread((folder.root / found).exists):
        _, before = await context.read(path)
        content = fitted(before, content)
    if before == content:
        return f"{found} holds that already."
    verb = "Create" if before is None else "Change"
    applied = await context.change(found, before, content, f"{verb} {found}")
    context.note = "applied" if applied else "not applied"
    return f"{found} was written." if applied else f"The user did not apply the change of {found}."


@function(Access.CHANGE, "createDirectory", title=lambda given: f"make the folder {given.path}")
async def create_directory(context: ToolContext, path: FolderPath) -> str:
    """Make a folder in the workspace."""
    return f"The folder {await asyncio.to_thread(context.folder.make, path)} is there."


@function(Access.DANGER, "deleteFileOrDir", title=lambda given: f"delete {given.path}")
async def delete_file_or_dir(context: ToolContext, path: FilePath) -> str:
    """Delete a file, or a folder with all that is in it."""
    return f"{await asyncio.to_thread(context.folder.delete, path)} was deleted."


ON_FILES = (
    read_file,
    write_file,
    list_directory,
    search_files,
    search_in_files,
    get_file_info,
    create_directory,
    delete_file_or_dir,
)
