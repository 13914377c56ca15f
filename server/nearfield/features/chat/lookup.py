"""Questions about the workspace: the product looks up, and the model only words the answer.

Small models call functions at random or not at all, so the index's results for a question are put
into it, each piece with its file and lines. Whatever the model answers, the places are named below
it, and a file that it names but does not exist is reported.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from nearfield.features.chat.listing import listing
from nearfield.features.chat.named import (
    Fact,
    centred,
    constants,
    defined,
    facts,
    names_in,
    place_of,
)
from nearfield.features.chat.protocol import ToolRefused, TurnPart
from nearfield.features.chat.tool_context import ToolContext

FOUND = 4
FOUND_BESIDE = 1
"""Pieces beside the definitions that the question names."""
FOUND_CHARS = 1_000
"""Characters of each piece: all of them are about 1,200 tokens, which a small model reads in half a
minute."""
MIN_SCORE = 0.5
"""Minimum score of the best piece; below it the question is about another subject. Measured on a
package of 8,600 lines: questions that it answers had 0.8 to 1.1, "what is a monad?" 0.33."""
SHARE = 0.5
"""Pieces with less of the best one's score are left out."""
ALL_CHARS = 3_000
"""Characters of all pieces."""
PLACES_NAMED = 3


_QUESTION = re.compile(
    r"\s*(?:(?:please|and|so|ok(?:ay)?|hi|hello|hey)\b[,!.]?\s+)*"
    r"(?:where|what|which|how|who|when|why|find|show|list|explain|describe|tell|search|look|locate|"
    r"do|does|is|are|has|have|can you (?:find|show|tell|explain|list)|in which|"
    r"wo|was|welche\w*|wie|wer|wann|warum|zeige?|finde|erkläre?)\b",
    re.I,
)
_PLACE = re.compile(r"(.+?):(\d+)-(\d+)")
_FILE = re.compile(r"(?<![\w@\\:.-])(?:[\w.-]*/)*[\w-]+\.[A-Za-z]\w{0,9}\b(?![.(/\w])")


@dataclass(frozen=True, slots=True)
class LookedUp:
    """Result of the index for a question: text for the model, and the places for the user."""

    parts: tuple[TurnPart, ...]
    places: tuple[str, ...]

    def said(self, named: Sequence[str] = ()) -> str:
        """Return the places as a line below the answer; before them those that it has named."""
        places = dict.fromkeys([*named, *self.places[:PLACES_NAMED]])
        return f"Looked up: {', '.join(places)}."


def is_question(message: str) -> bool:
    """Return whether a message asks for something to be told, not done."""
    return _QUESTION.match(message) is not None or message.rstrip().endswith("?")


async def look_up(context: ToolContext, question: str) -> LookedUp | None:
    """Return what the index finds for a question; None where that is nothing of use."""
    if context.knowledge is None or context.inside is None:
        return None
    folder, knowledge = context.folder, context.knowledge
    named, uses = await facts(knowledge, folder, question, FOUND_CHARS)
    if not named and not uses and (files := await asyncio.to_thread(listing, folder, question)):
        text, what = files
        task = f"\n\nThe question again: {question.strip()}\nAnswer it from this list alone."
        return LookedUp((TurnPart(f"\n\n{context.spend(text)}"), TurnPart(task)), (what,))
    found = await _found(context, question, sure=not named and not uses)
    found = [*named, *(found[:FOUND_BESIDE] if named else found)]
    pieces: dict[str, Fact] = {}
    left = ALL_CHARS
    for piece in found:
        if not any(_overlap(piece.place, other) for other in pieces) and len(piece.text) <= left:
            pieces[piece.place] = piece
            left -= len(piece.text)
    if not pieces and not uses:
        return None
    values = await constants(knowledge, folder, [piece.text for piece in pieces.values()])
    parts: list[TurnPart] = []
    try:
        for one in pieces.values():
            text = context.spend(one.text)
            head = TurnPart(f"\n\n{one.place}\n```\n")
            parts += [head, TurnPart(text, one.path), TurnPart("\n```")]
        for title, some in (("Uses", uses), ("Constants", values)):
            parts += [TurnPart(f"\n\n{title}:")] if some else []
            for one in some:
                parts += [TurnPart(f"\n{one.place}: "), TurnPart(context.spend(one.text), one.path)]
    except ToolRefused:
        pass  # what there was room for is shown
    first = [] if named and not uses else [one.place for one in uses]
    places = [*[one.place for one in named], *first, *pieces]
    places = list(dict.fromkeys(places))
    head = TurnPart("\n\nThe workspace holds this:")
    task = TurnPart(
        f"\n\nThe question again: {question.strip()}\nAnswer it shortly from the pieces above, and"
        " name the file and the function. If they do not answer it, say so."
    )
    return LookedUp((head, *parts, task), tuple(places))


async def _found(context: ToolContext, question: str, *, sure: bool) -> list[Fact]:
    """Return the pieces that fit a question by their meaning; where they are all that there is
    (`sure`), only if the best of them fits well."""
    if context.knowledge is None:
        return []
    folder = context.folder
    hits = await context.knowledge.search(question, limit=FOUND, workspace=str(folder.root))
    best = max((hit.score for hit in hits), default=0.0)
    found: list[Fact] = []
    for hit in hits:
        if (sure and best < MIN_SCORE) or hit.score < best * SHARE:
            continue
        shown = await asyncio.to_thread(folder.visible, hit.path)
        if not shown:
            continue
        place = f"{shown}:{hit.first + 1}-{max(hit.last, hit.first + 1)}"
        place = f"{place} (`{hit.symbol}`)" if hit.symbol else place
        found.append(Fact(place, centred(hit.text, question, FOUND_CHARS), shown))
    return found


def _overlap(one: str, other: str) -> bool:
    """Return whether two places share lines."""
    first, second = _PLACE.match(one), _PLACE.match(other)
    if first is None or second is None or first[1] != second[1]:
        return False
    return int(first[2]) <= int(second[3]) and int(second[2]) <= int(first[3])


async def places_of(context: ToolContext, answer: str) -> list[str]:
    """Return the places of the definitions that an answer names, where each has only one."""
    if context.knowledge is None or context.inside is None:
        return []
    found: list[str] = []
    for name in names_in(answer):
        places = await defined(context.knowledge, context.folder, name)
        if len(places) == 1:
            found.append(place_of(context.folder, places[0]))
    return found


async def unknown_files(context: ToolContext, answer: str) -> list[str]:
    """Return the files that an answer names and the workspace does not have. A name counts as a
    file's if files of the workspace end like it."""
    names = list(dict.fromkeys(match.strip("/") for match in _FILE.findall(answer)))
    if context.inside is None or not names:
        return []
    known = await asyncio.to_thread(context.folder.listed)
    if known is None:
        return []
    ends = {PurePosixPath(path).suffix for path in known}
    return [
        name
        for name in names
        if PurePosixPath(name).suffix in ends
        and not any(f"/{path}".endswith(f"/{name.removeprefix('./')}") for path in known)
    ]
