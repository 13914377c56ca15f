"""Facts about the names in a question: their definitions, their uses, the values of constants.

A question that names code has its answer at that name, which search by meaning may miss. So the
definitions are shown before anything else, and for a question about imports, calls or derived
classes the lines themselves, each with the definition that it is in.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nearfield.features.chat.folder import Folder
from nearfield.features.chat.protocol import ToolRefused
from nearfield.features.chat.tool_context import Knows
from nearfield.files.lines import split_lines
from nearfield.index.symbols import Definition, outline
from nearfield.index.words import asked, indexed
from nearfield.syntax.languages import language_for
from nearfield.syntax.parser import parse
from nearfield.types import SymbolLocation

MAX_NAMES = 3
MAX_DEFINITIONS = 3
"""Definitions of one name that are shown; a question about more of them says in which class."""
MAX_USES = 8
MAX_SETTINGS = 4
"""Lines with a name that has no definition, such as a parameter."""
LINE_CHARS = 120
MAX_CONSTANTS = 4
CONSTANT_CHARS = 160
SEARCHED_BYTES = 20_000_000
"""In a larger workspace the search for uses ends here."""

_NAME = re.compile(
    r"`(?P<quoted>[A-Za-z_]\w*(?:\.\w+)*)(?:\(\))?`"
    r"|(?<![\w.`\"'/])(?P<plain>"
    r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+"  # dotted
    r"|_*[A-Za-z0-9]+_\w+|_[A-Za-z]\w*"  # with an underscore
    r"|[A-Za-z]+[a-z0-9]+[A-Z]\w*"  # with a capital inside
    r")(?![\w`\"'/.:])"
)
_CONSTANT = re.compile(r"\b[A-Z][A-Z0-9]*_[A-Z0-9_]+\b|\b[A-Z]{4,}\b")
_IMPORT = re.compile(r"\bimport(?:s|ed|ing)?\b|\bimportier\w*", re.I)
_DERIVE = re.compile(
    r"\b(?:deriv\w+|inherit\w*|subclass\w*|extend\w*|implement(?:s|ed)?|child(?:ren)? of)\b", re.I
)
_USE = re.compile(
    r"\b(?:call(?:s|ed|er|ers|ing)?|us(?:e|es|ed|ages?|ing)|rais(?:e|es|ed)|creat(?:e|es|ed)|"
    r"instantiat\w+|referenc\w+|depends? on|affected)\b",
    re.I,
)
_IMPORT_LINE = re.compile(
    r"\s*(?:from\b|import\b|export\b.*\bfrom\b|use\b|using\b|#\s*include\b|"
    r"require\b|(?:const|let|var)\b.*\brequire\()"
)


@dataclass(frozen=True, slots=True)
class Fact:
    """Lines of a file, with its place as it is named to the user."""

    place: str
    text: str
    path: str


def names_in(question: str) -> list[str]:
    """Return the names of code in a question, as written; of prose words none."""
    found = (match["quoted"] or match["plain"] for match in _NAME.finditer(question))
    return list(dict.fromkeys(found))[:MAX_NAMES]


async def facts(
    knowledge: Knows, folder: Folder, question: str, chars: int
) -> tuple[list[Fact], list[Fact]]:
    """Return the definitions of the names in a question, each in about `chars` characters, and the
    lines that use them, where the question asks for uses."""
    shown: list[Fact] = []
    names = names_in(question)
    kind = _asked_for(question)
    within: list[SymbolLocation] = []
    for name in names:
        places = await defined(knowledge, folder, name)
        within += places
        # Of a name whose uses are asked for, the beginning says enough.
        most = chars // 4 if kind else chars
        shown += [_fact(folder, one, question, most) for one in places[:MAX_DEFINITIONS]]
    unknown = [name for name in names if not any(one.name == _last(name) for one in within)]
    uses: list[Fact] = []
    for name in names if kind else unknown:
        own = {(one.shown, one.row) for one in within if one.name == _last(name)}
        uses += await asyncio.to_thread(_uses, folder, _last(name), kind, own)
    # A parameter or a field is no definition: the one that the question names with it has it.
    for name in unknown:
        holding = [one for one in within if re.search(rf"\b{re.escape(name)}\b", one.text)]
        for one in holding:
            fact = _fact(folder, one, question, chars, around=name)
            shown = [fact, *[old for old in shown if old.place != fact.place]]
    return shown, uses


async def constants(knowledge: Knows, folder: Folder, texts: Iterable[str]) -> list[Fact]:
    """Return the values of the constants that `texts` name and do not set."""
    text = "\n".join(texts)
    found: list[Fact] = []
    for name in dict.fromkeys(_CONSTANT.findall(text)):
        if re.search(rf"^\s*{name}\s*[:=]", text, re.M):
            continue
        found += [
            Fact(f"{one.shown}:{one.row + 1}", one.text.strip(), one.shown)
            for one in (await defined(knowledge, folder, name))[:1]
            if len(one.text) <= CONSTANT_CHARS
        ]
        if len(found) == MAX_CONSTANTS:
            break
    return found


def centred(text: str, question: str, most: int, around: str = "") -> str:
    """Return a long text as its first lines and those with most of the question's words, in at
    most about `most` characters; lines left out are an ellipsis. A line with `around` counts
    most."""
    if len(text) <= most:
        return text
    lines = split_lines(text)
    words = set(asked(question))
    scores = [
        len(words & set(indexed(line).split())) + 9 * (bool(around) and around in line)
        for line in lines
    ]
    room = most - sum(len(line) + 1 for line in lines[:2])
    kept = {0, 1}
    for row in sorted(range(len(lines)), key=lambda row: (-scores[row], row)):
        near = [one for one in (row, row + 1, row - 1) if 0 <= one < len(lines) and one not in kept]
        if room < 0 or not scores[row]:
            break
        kept |= set(near)
        room -= sum(len(lines[one]) + 1 for one in near)
    for row in range(len(lines)):  # what is left is for the beginning
        if room < len(lines[row]):
            break
        if row not in kept:
            kept.add(row)
            room -= len(lines[row]) + 1
    out: list[str] = []
    for row in sorted(kept):
        if out and row - 1 not in kept:
            out.append("…")
        out.append(lines[row])
    return "\n".join([*out, "…"] if len(lines) - 1 not in kept else out)


def _asked_for(question: str) -> str:
    """Return what uses a question asks for: "import", "derive", "use", or "" for none."""
    for kind, pattern in (("import", _IMPORT), ("derive", _DERIVE), ("use", _USE)):
        if pattern.search(_NAME.sub("", question)):
            return kind
    return ""


def _last(name: str) -> str:
    return name.rpartition(".")[2]


async def defined(knowledge: Knows, folder: Folder, name: str) -> list[SymbolLocation]:
    """Return the definitions of a name that may be shown; of a dotted one those in its class."""
    above, _, last = name.rpartition(".")
    known = await knowledge.definitions(last)
    found = await asyncio.to_thread(lambda: [one for one in known if folder.visible(one.path)])
    class_name = above.rpartition(".")[2]
    inside = [one for one in found if class_name and one.container.endswith(class_name)]
    return inside or found


def place_of(folder: Folder, one: SymbolLocation) -> str:
    """Return a definition's file, lines and name, as they are named to the user."""
    return f"{folder.relative(one.path)}:{one.first + 1}-{one.last + 1} (`{one.symbol}`)"


def _fact(folder: Folder, one: SymbolLocation, question: str, chars: int, around: str = "") -> Fact:
    return Fact(
        place_of(folder, one), centred(one.text, question, chars, around), folder.relative(one.path)
    )


def _uses(folder: Folder, name: str, kind: str, own: set[tuple[str, int]]) -> list[Fact]:
    """Return the lines of a workspace with a name, of the kind that was asked for."""
    word = re.compile(rf"(?<![\w]){re.escape(name)}(?!\w)")
    found: list[Fact] = []
    read = 0
    for path in folder.files():
        try:
            _, content = folder.read(path, 1_000_000)
        except ToolRefused:
            continue  # binary, or deleted meanwhile
        read += len(content.text)
        if name in content.text:
            found += _uses_in(path, content.text, word, kind, own)
        if read > SEARCHED_BYTES:
            break
    # A line that sets it says more than one that reads it.
    sets = re.compile(rf"{word.pattern}\s*(?::[^=]*)?=(?!=)")
    found.sort(key=lambda one: not kind and sets.search(one.text) is None)
    return found[: MAX_USES if kind else MAX_SETTINGS]


def _uses_in(
    path: str, text: str, word: re.Pattern[str], kind: str, own: set[tuple[str, int]]
) -> list[Fact]:
    lines = split_lines(text)
    rows = [row for row, line in enumerate(lines) if word.search(line) and (path, row) not in own]
    if not rows:
        return []
    language = language_for("", path)
    parsed = parse(language, "\n".join(lines)) if language is not None else None
    around = outline(parsed).definitions if parsed is not None else ()
    if kind == "import":
        rows = [row for row in rows if _is_import(lines, row)][:1]
    elif kind == "derive":
        rows = [row for row in rows if any(one.row == row for one in around)]
    else:
        rows = [row for row in rows if not _is_import(lines, row)]
    return [
        Fact(f"{path}:{row + 1}{_inside(around, row)}", lines[row].strip()[:LINE_CHARS], path)
        for row in rows
    ]


def _is_import(lines: Sequence[str], row: int) -> bool:
    """Return whether a line imports, also as one of several in brackets."""
    for above in range(row, max(-1, row - 40), -1):
        if _IMPORT_LINE.match(lines[above]):
            return above == row or ")" not in "".join(lines[above:row])
        if not lines[above].strip():
            return False
    return False


def _inside(around: Sequence[Definition], row: int) -> str:
    inner = [one for one in around if one.first <= row <= one.last and one.row != row]
    return f" in `{max(inner, key=lambda one: one.first).symbol}`" if inner else ""
