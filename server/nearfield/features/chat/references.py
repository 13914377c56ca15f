"""References of a message: `@file:path`, `@symbol:name`, `@selection`, `@diff`, `@workspace`.

A reference becomes text after the message, under the name of its file, and is pinned: it is kept
when old turns are summarised. `@file:"a b.py"` quotes a path with blanks, `@file:path:10-20` takes
some lines. The user is told of a reference that cannot be found, and the message is sent without
it. Files are read under the rules of the functions.

A file of the workspace that a message names by its path, without any `@`, is shown too, if the
model could read it anyway: small models answer without looking. Of a long one it is the beginning
and the definitions. It is not pinned.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from nearfield.errors import NearfieldError
from nearfield.features.chat.code_tools import definition, outline_of
from nearfield.features.chat.protocol import Ask, ToolOutcome, ToolRefused, TurnPart
from nearfield.features.chat.tool_context import ToolContext
from nearfield.features.excerpt import excerpt
from nearfield.features.room import file_chars
from nearfield.files.git_diff import file_diffs
from nearfield.files.lines import line_number, line_start, split_lines
from nearfield.files.links import resolved
from nearfield.types import Snapshot, Span

FILE_CHARS = 24_000
DIFF_CHARS = 16_000
FOUND = 6
FOUND_CHARS = 1_500
MAX_REFERENCES = 20
NAMED_CHARS = 6_000
BEGINNING_CHARS = 1_500
"""Characters that are shown of a longer file than `NAMED_CHARS`."""
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


def named_lines(name: str) -> tuple[str, int, int]:
    """Return the path in `path:first-last`, and the first and last line, 0 where none are named."""
    found = _LINES.match(name)
    if found is None:
        return name, 0, 0
    first = max(1, int(found[2]))
    return found[1], first, max(first, int(found[3] or first))


@dataclass(frozen=True, slots=True)
class _ReferenceMessage:
    """The message around references: each file that they show may take `most` characters. `notes`
    are for the user.
    """

    ask: Ask
    context: ToolContext
    most: int
    notes: list[str] = field(default_factory=list[str])


async def expanded(
    ask: Ask, context: ToolContext, room: int, *, reads: bool
) -> tuple[list[TurnPart], list[str]]:
    """Return the message with what it refers to, and sentences for the user about what could not be
    found or not be shown whole in `room` tokens. A selection is shown without being referred to; of
    an open document at least the name is. With `reads` the model may read files, and those that are
    named are shown."""
    wanted = references(ask.message)
    if ask.selection is not None and Reference("selection") not in wanted:
        wanted.append(Reference("selection"))
    files = sum(one.kind in ("file", "selection") for one in wanted)
    message = _ReferenceMessage(ask, context, min(FILE_CHARS, file_chars(room, files)))
    parts, notes = [TurnPart(ask.message)], message.notes
    if ask.snapshot is not None and ask.snapshot.path:
        name = shown(ask.snapshot, context)
        parts.append(TurnPart(f"\n\n(The open file is {name}, language {ask.snapshot.language}.)"))
    for reference in wanted:
        try:
            outcome = await _EXPANDED[reference.kind](message, reference.name)
        except NearfieldError as error:
            notes.append(f"@{reference.kind} {reference.name}".strip() + f": {error}")
            continue
        parts += outcome.parts
    if reads and context.inside is not None:
        parts += await _named(ask, context)
    return parts, notes


async def _named(ask: Ask, context: ToolContext) -> list[TurnPart]:
    """Return the files that the message names by their paths."""
    said = _REFERENCE.sub("", ask.message)
    parts: list[TurnPart] = []
    for name in list(dict.fromkeys(_PATH.findall(said)))[:MAX_NAMED]:
        try:
            path, text = await context.read(name)
            if len(text) > NAMED_CHARS:
                parts += await _beginning(context, path, text)
                continue
            if not text.strip():
                continue
            context.spend(text)
        except NearfieldError:
            continue  # no file, or none that may be read: the model learns that if it asks
        body = TurnPart(text, path, Span(0, len(text)))
        parts += [TurnPart(f"\n\n{path}:\n```\n"), body, TurnPart("\n```")]
    return parts


async def _beginning(context: ToolContext, path: str, text: str) -> list[TurnPart]:
    """Return the first lines of a long file, and its definitions where the index knows them."""
    begins = text[: line_start(text, BEGINNING_CHARS) or BEGINNING_CHARS]
    shown = TurnPart(context.spend(begins), path, Span(0, len(begins)))
    parts = [TurnPart(f"\n\n{path} begins:\n```\n"), shown, TurnPart("\n```")]
    if context.knowledge is not None:
        found = await outline_of(context, path)
        parts += [TurnPart(f"\n{path} defines:\n"), *found.parts]
    return parts


def shown(snapshot: Snapshot, context: ToolContext) -> str:
    """The name of a document, from the workspace folder where it is inside."""
    path = snapshot.path or ""
    inside = context.inside.relative(path) if context.inside is not None else ""
    return inside or path.replace("\\", "/").rpartition("/")[2] or "untitled"


async def _file(message: _ReferenceMessage, name: str) -> ToolOutcome:
    context = message.context
    first = last = 0
    try:
        path, text = await context.read(name)
    except ToolRefused:
        alone, first, last = named_lines(name)
        if not first:
            raise
        path, text = await context.read(alone)
    chosen = split_lines(text, keepends=True)
    row = max(0, first - 1)
    start = sum(map(len, chosen[:row]))
    piece = "".join(chosen[row : last or None])
    where = f", lines {first} to {last}" if last else ""
    return await _quoted(message, f"{path}{where}", path, start, piece)


async def _selection(message: _ReferenceMessage, _name: str) -> ToolOutcome:
    ask, context = message.ask, message.context
    if ask.snapshot is None or ask.selection is None:
        raise ToolRefused("Nothing is selected.")
    span = ask.selection
    piece = ask.snapshot.text[span.start : span.end]
    if not piece.strip():
        raise ToolRefused("Nothing is selected.")
    row = line_number(ask.snapshot.text, span.start) + 1
    name = shown(ask.snapshot, context)
    folder = context.inside
    if folder is not None and ask.snapshot.path and folder.relative(ask.snapshot.path):
        await asyncio.to_thread(folder.inside, name)
    # An untitled document has no file that rules could speak of.
    path = name if ask.snapshot.path else ""
    title = f"Selected in {name}, from line {row}"
    return await _quoted(message, title, path, span.start, piece)


async def _symbol(message: _ReferenceMessage, name: str) -> ToolOutcome:
    found = await definition(message.context, name)
    if not any(part.path for part in found.parts):
        raise ToolRefused(found.text)
    return ToolOutcome((TurnPart(f"\n\nDefinition of {name}:\n"), *map(_pinned, found.parts)))


async def _diff(message: _ReferenceMessage, _name: str) -> ToolOutcome:
    context, folder = message.context, message.context.folder
    parts: list[TurnPart] = []
    room = DIFF_CHARS
    for path, text in await file_diffs(folder.root):
        inside = await asyncio.to_thread(folder.visible, str(resolved(path)))
        if not inside:
            continue
        piece = context.spend(text[: max(0, room)])
        room -= len(text)
        if piece:
            parts.append(TurnPart(piece, inside, pinned=True))
    if not parts:
        raise ToolRefused("Nothing has changed since the last commit.")
    cut = [TurnPart("(cut here)")] if room < 0 else []
    return ToolOutcome((TurnPart("\n\nChanges since the last commit:\n"), *parts, *cut))


async def _workspace(message: _ReferenceMessage, _name: str) -> ToolOutcome:
    context = message.context
    if context.knowledge is None:
        raise ToolRefused("The workspace is not indexed.", "Turn index.enabled on.")
    folder = context.folder
    question = _REFERENCE.sub("", message.ask.message).strip()
    parts: list[TurnPart] = []
    for one in await context.knowledge.search(question, limit=FOUND, workspace=str(folder.root)):
        inside = await asyncio.to_thread(folder.visible, one.path)
        if not inside:
            continue
        text = context.spend(one.text[:FOUND_CHARS])
        parts += [TurnPart(f"\n{inside}, from line {one.first + 1}:\n"), TurnPart(text, inside)]
    if not parts:
        raise ToolRefused("Nothing in the index fits.", "It may not be built yet.")
    return ToolOutcome((TurnPart("\n\nFrom the workspace:\n"), *parts))


async def _quoted(
    message: _ReferenceMessage, title: str, path: str, start: int, text: str
) -> ToolOutcome:
    """Return a file after its title; of a long one the parts that the message is about."""
    question = _REFERENCE.sub("", message.ask.message)
    found = await asyncio.to_thread(excerpt, text, path, question, message.most)
    if found.note:
        message.notes.append(f"{title}: {found.note}.")
    parts: list[TurnPart] = []
    for piece in found.pieces:
        shown = message.context.spend(piece.text)
        if piece.span is None:
            parts.append(TurnPart(shown))
            continue
        at = start + piece.span.start
        parts.append(TurnPart(shown, path, Span(at, at + len(shown)), pinned=True))
    if not any(part.text for part in parts):
        raise ToolRefused("There is nothing in it.")
    return ToolOutcome((TurnPart(f"\n\n{title}:\n```\n"), *parts, TurnPart("\n```")))


def _pinned(part: TurnPart) -> TurnPart:
    return TurnPart(part.text, part.path, part.span, pinned=bool(part.path))


_EXPANDED: dict[str, Callable[[_ReferenceMessage, str], Awaitable[ToolOutcome]]] = {
    "file": _file,
    "selection": _selection,
    "symbol": _symbol,
    "diff": _diff,
    "workspace": _workspace,
}

__all__: Sequence[str] = ("Reference", "expanded", "named_lines", "references", "shown")
