"""References of a message: `@file:path`, `@symbol:name`, `@selection`, `@diff`, `@workspace`.

A reference becomes text after the message, under the name of its file, and is pinned: it is kept
when old turns are summarised. `@file:"a b.py"` quotes a path with blanks, `@file:path:10-20` takes
some lines. The user is told of a reference that cannot be found, and the message is sent without
it. Files are read under the rules of the functions.

A short file of the workspace that a message names by its path, without any `@`, is shown too, if
the model could read it anyway: small models answer without looking. It is not pinned.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from nearfield.errors import NearfieldError
from nearfield.features.chat.code_tools import definition
from nearfield.features.chat.protocol import Ask, Outcome, Part, Refused
from nearfield.features.chat.tool_context import ToolContext
from nearfield.features.excerpt import excerpt
from nearfield.features.room import file_chars
from nearfield.files.git_diff import file_diffs
from nearfield.files.lines import line_number, split_lines
from nearfield.types import Snapshot, Span

FILE_CHARS = 24_000
DIFF_CHARS = 16_000
FOUND = 6
FOUND_CHARS = 1_500
MAX_REFERENCES = 20
NAMED_CHARS = 6_000
MAX_NAMED = 3

_REFERENCE = re.compile(
    r'(?<![\w@.])@(?:(file|symbol):(?:"([^"\n]{1,400})"|([^\s"]{1,400}))|(selection|diff|workspace)\b)'
)
_PATH = re.compile(r"(?<![\w@./\\:-])(?:[\w.-]+/)*[\w-]*\.?[\w-]+\.\w{1,10}\b(?![/\\:(])")
_LINES = re.compile(r"^(.+?):(\d{1,7})(?:-(\d{1,7}))?$")


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference: `kind` is "file", "symbol", "selection", "diff" or "workspace"."""

    kind: str
    name: str = ""


def references(message: str) -> list[Reference]:
    """The references in a message, in order, each once."""
    found: dict[Reference, None] = {}
    for match in _REFERENCE.finditer(message):
        kind, quoted, plain, alone = match.groups()
        name = quoted or (plain or "").rstrip(".,;:!?)'")
        if alone or name:
            found[Reference(alone or kind, name if not alone else "")] = None
    return list(found)[:MAX_REFERENCES]


@dataclass(frozen=True, slots=True)
class _Message:
    """What references stand in: each file that they show may take `most` characters. `notes` are
    for the user."""

    ask: Ask
    reach: ToolContext
    most: int
    notes: list[str] = field(default_factory=list[str])


async def expanded(
    ask: Ask, reach: ToolContext, room: int, *, reads: bool
) -> tuple[list[Part], list[str]]:
    """Return the message with what it refers to, and sentences for the user about what could not be
    found or not be shown whole in `room` tokens. A selection is shown without being referred to; of
    an open document at least the name is. With `reads` the model may read files, and those that are
    named are shown."""
    wanted = references(ask.message)
    if ask.selection is not None and Reference("selection") not in wanted:
        wanted.append(Reference("selection"))
    files = sum(one.kind in ("file", "selection") for one in wanted)
    message = _Message(ask, reach, min(FILE_CHARS, file_chars(room, files)))
    parts, notes = [Part(ask.message)], message.notes
    if ask.snapshot is not None and ask.snapshot.path:
        name = shown(ask.snapshot, reach)
        parts.append(Part(f"\n\n(The open file is {name}, language {ask.snapshot.language}.)"))
    for reference in wanted:
        try:
            outcome = await _EXPANDED[reference.kind](message, reference.name)
        except NearfieldError as error:
            notes.append(f"@{reference.kind} {reference.name}".strip() + f": {error}")
            continue
        parts += outcome.parts
    if reads and reach.inside is not None:
        parts += await _named(ask, reach)
    return parts, notes


async def _named(ask: Ask, reach: ToolContext) -> list[Part]:
    """The short files that the message names by their paths."""
    said = _REFERENCE.sub("", ask.message)
    parts: list[Part] = []
    for name in list(dict.fromkeys(_PATH.findall(said)))[:MAX_NAMED]:
        try:
            path, text = await reach.read(name)
            if not text.strip() or len(text) > NAMED_CHARS:
                continue
            reach.spend(text)
        except NearfieldError:
            continue  # no file, or none that may be read: the model learns that if it asks
        body = Part(text, path, Span(0, len(text)))
        parts += [Part(f"\n\n{path}:\n```\n"), body, Part("\n```")]
    return parts


def shown(snapshot: Snapshot, reach: ToolContext) -> str:
    """The name of a document, from the workspace folder where it is inside."""
    path = snapshot.path or ""
    inside = reach.relative(path) if reach.inside is not None else ""
    return inside or path.replace("\\", "/").rpartition("/")[2] or "untitled"


async def _file(message: _Message, name: str) -> Outcome:
    reach = message.reach
    first, last = 1, 0
    try:
        path, text = await reach.read(name)
    except Refused:
        lines = _LINES.match(name)
        if lines is None:
            raise
        first = int(lines[2])
        last = int(lines[3] or first)
        path, text = await reach.read(lines[1])
    chosen = split_lines(text, keepends=True)
    start = sum(map(len, chosen[: first - 1]))
    piece = "".join(chosen[first - 1 : last or None])
    where = f", lines {first} to {last}" if last else ""
    return await _quoted(message, f"{path}{where}", path, start, piece)


async def _selection(message: _Message, _name: str) -> Outcome:
    ask, reach = message.ask, message.reach
    if ask.snapshot is None or ask.selection is None:
        raise Refused("Nothing is selected.")
    span = ask.selection
    piece = ask.snapshot.text[span.start : span.end]
    if not piece.strip():
        raise Refused("Nothing is selected.")
    row = line_number(ask.snapshot.text, span.start) + 1
    name = shown(ask.snapshot, reach)
    if reach.inside is not None and ask.snapshot.path and reach.relative(ask.snapshot.path):
        await asyncio.to_thread(reach.folder.inside, name)
    # An untitled document has no file that rules could speak of.
    path = name if ask.snapshot.path else ""
    title = f"Selected in {name}, from line {row}"
    return await _quoted(message, title, path, span.start, piece)


async def _symbol(message: _Message, name: str) -> Outcome:
    found = await definition(message.reach, name)
    if not any(part.path for part in found.parts):
        raise Refused(found.text)
    return Outcome((Part(f"\n\nDefinition of {name}:\n"), *map(_pinned, found.parts)))


async def _diff(message: _Message, _name: str) -> Outcome:
    reach, folder = message.reach, message.reach.folder
    parts: list[Part] = []
    room = DIFF_CHARS
    for path, text in await file_diffs(folder.root):
        inside = reach.relative(str(path.resolve()))
        if not inside or await asyncio.to_thread(folder.is_withheld, inside, folder=False):
            continue
        piece = reach.spend(text[: max(0, room)])
        room -= len(text)
        if piece:
            parts.append(Part(piece, inside, pinned=True))
    if not parts:
        raise Refused("Nothing has changed since the last commit.")
    cut = [Part("(cut here)")] if room < 0 else []
    return Outcome((Part("\n\nChanges since the last commit:\n"), *parts, *cut))


async def _workspace(message: _Message, _name: str) -> Outcome:
    reach = message.reach
    if reach.knowledge is None:
        raise Refused("The workspace is not indexed.", "Turn index.enabled on.")
    folder = reach.folder
    question = _REFERENCE.sub("", message.ask.message).strip()
    parts: list[Part] = []
    for one in await reach.knowledge.search(question, limit=FOUND, workspace=str(folder.root)):
        inside = reach.relative(one.path)
        if not inside or await asyncio.to_thread(folder.is_withheld, inside, folder=False):
            continue
        text = reach.spend(one.text[:FOUND_CHARS])
        parts += [Part(f"\n{inside}, from line {one.first + 1}:\n"), Part(text, inside)]
    if not parts:
        raise Refused("Nothing in the index fits.", "It may not be built yet.")
    return Outcome((Part("\n\nFrom the workspace:\n"), *parts))


async def _quoted(message: _Message, title: str, path: str, start: int, text: str) -> Outcome:
    """Return a piece of a file behind its title: of a long one what the message is about."""
    question = _REFERENCE.sub("", message.ask.message)
    found = await asyncio.to_thread(excerpt, text, path, question, message.most)
    if found.note:
        message.notes.append(f"{title}: {found.note}.")
    parts: list[Part] = []
    for piece in found.pieces:
        shown = message.reach.spend(piece.text)
        if piece.span is None:
            parts.append(Part(shown))
            continue
        at = start + piece.span.start
        parts.append(Part(shown, path, Span(at, at + len(shown)), pinned=True))
    if not any(part.text for part in parts):
        raise Refused("There is nothing in it.")
    return Outcome((Part(f"\n\n{title}:\n```\n"), *parts, Part("\n```")))


def _pinned(part: Part) -> Part:
    return Part(part.text, part.path, part.span, pinned=bool(part.path))


_EXPANDED: dict[str, Callable[[_Message, str], Awaitable[Outcome]]] = {
    "file": _file,
    "selection": _selection,
    "symbol": _symbol,
    "diff": _diff,
    "workspace": _workspace,
}

__all__: Sequence[str] = ("Reference", "expanded", "references", "shown")
