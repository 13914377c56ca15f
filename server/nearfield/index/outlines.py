"""The symbols of a file as they are kept: packed, because they are read file by file.

A table with a row for each definition and each name that is referred to took a third of the
source's bytes; packed they take a thirtieth. Which files to unpack for a name is in the full text
of names (`search_store`), as words that this module makes.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable
from functools import lru_cache
from typing import TypeVar

import msgspec

from nearfield.index.symbols import Definition
from nearfield.index.words import folded

UNPACKED = 512
"""Number of files whose symbols are cached unpacked: names at one place are often of the same
files.
"""
DEFINED, REFERRED, IMPORTED = "d", "r", "i"
"""Role of a name in a file."""

Value = TypeVar("Value")

_OTHER = re.compile(r"[^0-9a-z\x80-\U0010ffff]")
_ENCODER = msgspec.msgpack.Encoder()
_ROWS = msgspec.msgpack.Decoder(list[tuple[str, str, str, int, int, int, int]])
_USES = msgspec.msgpack.Decoder(dict[str, list[int]])


def named(role: str, name: str) -> str:
    """The one word that says what a file does with a name, in whatever style it is written. It
    has letters, digits and `_` alone, or is beyond ASCII."""
    clean = folded(name).encode("utf-8", "replace").decode()
    return role + _OTHER.sub(lambda found: f"_{ord(found[0]):x}_", clean)


def pack_definitions(definitions: Iterable[Definition]) -> bytes:
    """Definitions as bytes; rows are kept as distances, which are small."""
    rows: list[tuple[str, str, str, int, int, int, int]] = []
    before = 0
    for one in definitions:
        rows.append(
            (
                one.name, one.kind, one.container, one.row - before, one.column,
                one.row - one.first, one.last - one.row,
            )
        )  # fmt: skip
        before = one.row
    return zlib.compress(_ENCODER.encode(rows), 6) if rows else b""


@lru_cache(UNPACKED)
def unpack_definitions(packed: bytes) -> tuple[Definition, ...]:
    """Return the definitions that `pack_definitions` packed."""
    found: list[Definition] = []
    row = 0
    for name, kind, container, step, column, above, below in _unpacked(packed, _ROWS, []):
        row += step
        found.append(Definition(name, kind, row, column, row - above, row + below, container))
    return tuple(found)


def pack_uses(references: dict[str, tuple[int, ...]]) -> bytes:
    """The rows of every name that a file refers to, as bytes."""
    steps = {
        name: [row - before for before, row in zip((0, *rows), rows, strict=False)]
        for name, rows in sorted(references.items())
    }
    return zlib.compress(_ENCODER.encode(steps), 6) if steps else b""


def unpack_uses(packed: bytes, name: str) -> list[int]:
    """The rows in which a file refers to `name`, written just so."""
    rows: list[int] = []
    row = 0
    for step in _unpacked(packed, _USES, {}).get(name, ()):
        row += step
        rows.append(row)
    return rows


def _unpacked(packed: bytes, decoder: msgspec.msgpack.Decoder[Value], none: Value) -> Value:
    return decoder.decode(zlib.decompress(packed)) if packed else none
