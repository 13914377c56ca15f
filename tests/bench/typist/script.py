"""The part of a file that a person writes again: places, in order, with the slips of their fingers.

Blocks are taken out of a real file, and the person fills them. Everything that a person does of
themselves is decided by the seed and the place, never by what is suggested, so that any completer
is put under the same person.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

BLOCK_LINES = (7, 12)
PLACES = (0.35, 0.6, 0.85)
"""Share of the file before a block."""
KEY_SECONDS = (0.12, 0.22)
THINK_SECONDS = (0.8, 1.6)
"""Before a new line's first key."""
OPENING_SECONDS = (2.0, 3.0)
"""Before the first key at a place that the person has come to."""
TYPO, UNDO, RETYPE = 0.01, 0.08, 0.12
"""Shares of keys that are wrong at first, and of lines that are begun and undone, or whose last
word is deleted and typed again."""
SHORTEST_WORD = 3

_UNIT = re.compile(r"\n[ \t]*|.", re.DOTALL)


class Slip(StrEnum):
    """What a person does that leaves no trace in the text."""

    TYPO = "typo"
    UNDO = "undo"
    RETYPE = "retype"


@dataclass(frozen=True, slots=True)
class Block:
    """Text that is missing at `start`, an offset in the file as it is given out."""

    start: int
    text: str


@dataclass(frozen=True, slots=True)
class Visit:
    """The person comes to block `block` and writes it up to `end`."""

    block: int
    end: int


def keys_of(text: str) -> int:
    """Return the keys that write `text`: the editor indents after a line break."""
    return sum(1 for _ in _UNIT.finditer(text))


def unit_at(text: str, offset: int) -> str:
    """Return what one key writes at `offset` of `text`."""
    found = _UNIT.match(text, offset)
    return found[0] if found else ""


@dataclass(frozen=True, slots=True)
class Script:
    """One file and one seed. `text` is the file without its blocks."""

    path: str
    seed: int
    text: str
    blocks: tuple[Block, ...]

    def rng(self, *place: object) -> random.Random:
        """Return the dice of a place."""
        return random.Random(f"{self.path}:{self.seed}:{place}")

    def visits(self) -> Iterator[Visit]:
        """Yield the places in order: half of the first block, the second, the first again."""
        first = self.blocks[0].text
        lines = [at.start() for at in re.finditer(r"\n", first)]
        middle = lines[len(lines) // 2]
        yield Visit(0, middle)
        for block in range(1, len(self.blocks)):
            yield Visit(block, len(self.blocks[block].text))
            if block == 1:
                yield Visit(0, len(first))

    def pause(self, block: int, offset: int, *, opening: bool) -> float:
        """Return the seconds before the key at `offset` of a block."""
        rng, text = self.rng("pause", block, offset), self.blocks[block].text
        seconds = rng.uniform(*KEY_SECONDS)
        if opening:
            return rng.uniform(*OPENING_SECONDS)
        if not text[:offset].rpartition("\n")[2].strip() and offset:
            return seconds + rng.uniform(*THINK_SECONDS)
        return seconds

    def key_pause(self, block: int, offset: int) -> float:
        """Return the seconds before a key that writes no new text."""
        return self.rng("key", block, offset).uniform(*KEY_SECONDS)

    def slip(self, block: int, offset: int) -> Slip | None:
        """Return the slip before the key at `offset` of a block."""
        dice, text = self.rng("slip", block, offset).random(), self.blocks[block].text
        typed = text[:offset].rpartition("\n")[2]
        if not typed.strip():
            return Slip.UNDO if dice < UNDO else None
        if text[offset : offset + 1] == "\n":
            word = re.search(r"\w+\W*$", typed)
            is_long = word is not None and len(word[0]) >= SHORTEST_WORD
            return Slip.RETYPE if is_long and dice < RETYPE else None
        return Slip.TYPO if dice < TYPO else None


def script(path: str, text: str, seed: int, comment: str) -> Script | None:
    """Return what is written again of a file; None if it has no three runs of plain code."""
    lines = text.splitlines(keepends=True)
    found: list[tuple[int, int]] = []
    rng = random.Random(f"{path}:{seed}")
    after = 0
    for share in PLACES:
        size = rng.randint(*BLOCK_LINES)
        at = max(int(len(lines) * share), after)
        while not _is_plain(lines[at : at + size], comment, size):
            at += 1
            if at + size > len(lines):
                return None
        found.append((at, at + size))
        after = at + size + 4
    given, blocks = "", list[Block]()
    end = 0
    for first, last in found:
        given += "".join(lines[end:first])
        block = "".join(lines[first:last])
        indent = re.match(r"[ \t]*", block)
        given += indent[0] if indent else ""
        blocks.append(Block(len(given), block.strip()))
        given += "\n"
        end = last
    return Script(path, seed, given + "".join(lines[end:]), tuple(blocks))


def _is_plain(lines: list[str], comment: str, size: int) -> bool:
    """Return whether a run of lines is code that a person writes in one go."""
    bare = [line.strip() for line in lines]
    return (
        len(bare) == size
        and bool(bare[0] and bare[-1])
        and bare[0][0] not in "}])#/*"
        and not any(line.startswith((comment, "*", "/*", '"', "'", "@")) for line in bare)
        and not any('"""' in line or "`" in line or len(line) > 100 for line in bare)
        and sum(len(line) > 8 for line in bare) >= size - 3
        and all(ord(char) < 128 for line in bare for char in line)
    )
