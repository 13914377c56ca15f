"""Editing sessions: what a person does to a file, as a script that any completer can be put under.

A session is made from a real file and a seed. Blocks of it are taken out, and the person writes
them again, so that what should be suggested is known: they open the file in the middle, type in
bursts with pauses, begin new lines, take a suggestion when it is what they wanted (all of it, or
its first word), edit above, jump to another function and another file, take back what they typed.
"""

from __future__ import annotations

import random
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import accumulate

BLOCK_LINES = 6
PLACES = (0.42, 0.62, 0.85)
"""Where in the file the blocks are looked for."""
KEY_SECONDS = (0.09, 0.24)
"""Between two keystrokes: about six a second, a practised typist."""
BURST = (4, 12)
"""Keystrokes until the person looks up."""
READ_SECONDS = 0.5
"""What it takes to see that a suggestion is not what one wanted."""
THINK_SECONDS = (0.6, 2.5)
"""Before a new line's first keystroke."""
LOOK_SECONDS = 4.0
"""After having opened or jumped somewhere."""


class Kind(StrEnum):
    """What the place is like at which the person looks for a suggestion."""

    COLD = "cold"  # in a file that nothing was asked about yet
    RESTART = "restart"  # the first place in a file edited in an earlier run
    JUMP = "jump"  # elsewhere in a file that was worked on
    NEW_LINE = "new line"
    TYPING = "typing"
    ACCEPTED = "accepted"


@dataclass(frozen=True, slots=True)
class Open:
    """Open (or go back to) a file."""

    file: str


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace `removed` characters at `offset` by `text`; the cursor goes behind it, and the editor
    asks for a suggestion there."""

    kind: Kind
    offset: int
    removed: int
    text: str


@dataclass(frozen=True, slots=True)
class Move:
    """Put the cursor somewhere else."""

    offset: int


@dataclass(frozen=True, slots=True)
class Pause:
    """Do nothing."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Look:
    """Wait for a suggestion here. `wanted` is what the person is about to write."""

    kind: Kind
    wanted: str


Step = Open | Edit | Move | Pause | Look


@dataclass(slots=True)
class Buffer:
    """A file as it stands in the session. `holes` are where blocks are still missing."""

    text: str
    holes: list[int]
    cursor: int = 0

    def replace(self, removed: int, text: str) -> None:
        """Replace what stands behind the cursor, which goes behind `text`."""
        at, grown = self.cursor, len(text) - removed
        self.text = self.text[:at] + text + self.text[at + removed :]
        self.holes = [hole + grown if hole >= at else hole for hole in self.holes]
        self.cursor += len(text)


@dataclass(slots=True)
class Session:
    """One person's hour, shortened. Iterate over `steps`; after each `Look` set `shown` to what was
    suggested ("" for nothing) before going on."""

    name: str
    language: str
    files: dict[str, str]
    seed: int
    shown: str = ""
    taken: int = 0
    parts: int = 0
    keys: int = 0
    _now: dict[str, Buffer] = field(default_factory=dict[str, Buffer])
    _file: str = ""

    def steps(self) -> Iterator[Step]:
        """What happens, in order; adapts to what is `shown`."""
        rng = random.Random(self.seed)
        blocks = {name: _blocks(text, self.language) for name, text in self.files.items()}
        self._now = {name: _without(self.files[name], blocks[name]) for name in self.files}
        main, other = self.files
        yield from self._open(main)
        yield from self._write(rng, blocks[main][0].text, Kind.COLD)
        yield from self._above(rng)
        yield from self._write(rng, blocks[main][1].text, Kind.JUMP)
        yield from self._open(other)
        yield from self._write(rng, blocks[other][0].text, Kind.COLD)
        yield from self._open(main)
        yield from self._write(rng, blocks[main][2].text, Kind.JUMP)
        yield from self._take_back(rng)

    # --- what a person does -----------------------------------------------------------------

    def _open(self, name: str) -> Iterator[Step]:
        self._file = name
        yield Open(name)

    def _write(self, rng: random.Random, rest: str, kind: Kind) -> Iterator[Step]:
        """Fill the next hole of the file with `rest`."""
        now = self._now[self._file]
        now.cursor = now.holes.pop(0)
        yield Move(now.cursor)
        while rest:
            taken = yield from self._line(rng, rest, kind)
            rest = rest[taken:]
            if rest:
                line_break = rest[: 1 + len(_indent(rest[1:]))]
                yield from self._put(line_break, Kind.NEW_LINE)
                rest = rest[len(line_break) :]
            kind = Kind.NEW_LINE

    def _line(self, rng: random.Random, rest: str, kind: Kind) -> Generator[Step, None, int]:
        """Write the line that `rest` begins with; how much of `rest` is written then: more, when a
        suggestion of several lines was taken."""
        line = rest.partition("\n")[0]
        written, looks = 0, 0
        while written < len(line):
            if looks < 3:
                looks += 1
                yield Look(kind, rest[written:])
                took = self._worth(rng, rest[written:])
                if took:
                    yield Pause(READ_SECONDS)
                    yield from self._put(rest[written : written + took], Kind.ACCEPTED)
                    written, kind = written + took, Kind.ACCEPTED
                    line = rest[:written] + rest[written:].partition("\n")[0]
                    continue
                yield Pause(READ_SECONDS if kind is not Kind.COLD else LOOK_SECONDS)
                if kind is Kind.NEW_LINE:
                    yield Pause(rng.uniform(*THINK_SECONDS))
            burst = rng.randint(*BURST) if looks < 3 else len(line)
            for char in line[written : written + burst]:
                yield Pause(rng.uniform(*KEY_SECONDS))
                yield from self._put(char)
                self.keys += 1
            written = min(written + burst, len(line))
            kind = Kind.TYPING
        return written

    def _worth(self, rng: random.Random, wanted: str) -> int:
        """How much of what is shown the person takes."""
        shown = self.shown.rstrip()
        if not shown.strip():
            return 0
        if wanted.startswith(shown) and (len(shown) > 2 or wanted.strip() == shown.strip()):
            self.taken += 1
            return len(shown)
        word = _word(shown)
        if len(word.strip()) > 3 and wanted.startswith(word) and rng.random() < 0.5:
            self.parts += 1
            return len(word)
        return 0

    def _above(self, rng: random.Random) -> Iterator[Step]:
        """Go up to the imports, write a comment there, and look around."""
        now = self._now[self._file]
        line = {"python": "# see also the notes on signals\n"}.get(
            self.language, "// see also the notes on signals\n"
        )
        now.cursor = _first_import(now.text)
        yield Move(now.cursor)
        for char in line:
            yield Pause(rng.uniform(*KEY_SECONDS))
            yield from self._put(char)
            self.keys += 1
        yield Pause(READ_SECONDS)

    def _take_back(self, rng: random.Random) -> Iterator[Step]:
        """Delete what was typed last, and type it again."""
        now = self._now[self._file]
        gone = now.text[now.cursor - 8 : now.cursor]
        for _ in gone:
            yield Pause(rng.uniform(*KEY_SECONDS))
            now.cursor -= 1
            now.replace(1, "")
            yield Edit(Kind.TYPING, now.cursor, 1, "")
        yield Look(Kind.TYPING, gone)
        for char in gone:
            yield Pause(rng.uniform(*KEY_SECONDS))
            yield from self._put(char)
            self.keys += 1
        yield Look(Kind.TYPING, "")

    def _put(self, text: str, kind: Kind = Kind.TYPING) -> Iterator[Step]:
        now = self._now[self._file]
        offset = now.cursor
        now.replace(0, text)
        yield Edit(kind, offset, 0, text)

    # --- what completers read ---------------------------------------------------------------

    @property
    def file(self) -> str:
        """The name of the file that is being edited."""
        return self._file

    @property
    def text(self) -> str:
        """Its text now."""
        return self._now[self._file].text

    @property
    def cursor(self) -> int:
        """Where the person is in it."""
        return self._now[self._file].cursor


@dataclass(frozen=True, slots=True)
class Block:
    """Lines that are taken out and written again: from behind the indentation of the first one to
    the end of the last one."""

    start: int
    text: str


def _blocks(text: str, language: str) -> list[Block]:
    """The blocks of a file in its middle and further down: runs of plain code."""
    lines = text.splitlines(keepends=True)
    starts = [0, *accumulate(len(line) for line in lines)]
    comment = "#" if language == "python" else "//"
    found: list[Block] = []
    for share in PLACES:
        at = int(len(lines) * share)
        while not _plain(lines[at : at + BLOCK_LINES], comment):
            at += 1
        start, end = starts[at] + len(_indent(lines[at])), starts[at + BLOCK_LINES] - 1
        found.append(Block(start, text[start:end]))
    return found


def _without(text: str, blocks: list[Block]) -> Buffer:
    """The file with holes where the blocks are."""
    holes: list[int] = []
    gone = 0
    for block in blocks:
        start = block.start - gone
        text = text[:start] + text[start + len(block.text) :]
        holes.append(start)
        gone += len(block.text)
    return Buffer(text, holes)


def _plain(lines: list[str], comment: str) -> bool:
    if len(lines) < BLOCK_LINES:
        raise ValueError("the file has no such run of code")
    bare = [line.strip() for line in lines]
    return (
        all(
            line
            and not line.startswith((comment, "*", "/*", '"', "'"))
            and ('"""' not in line and "`" not in line)
            and (line[0] in "}])" or any(c in line for c in "(=.{:"))
            for line in bare
        )
        and bare[0][0] not in "}])"
        and sum(len(line) > 12 for line in bare) >= BLOCK_LINES - 2
    )


def _first_import(text: str) -> int:
    for word in ("\nimport ", "\nfrom "):
        if (at := text.find(word)) >= 0:
            return at + 1
    return 0


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" \t"))]


def _word(text: str) -> str:
    """The first word, with the space before it."""
    end = len(text) - len(text.lstrip(" "))
    while end < len(text) and (text[end].isalnum() or text[end] == "_"):
        end += 1
    return text[:end]
