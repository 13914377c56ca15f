"""Facts about names, by an index that has all files of its folder."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nearfield.index.interface import IndexReader

__all__ = ["defined_around", "unknown", "widespread"]

WIDESPREAD_SHARE = 0.1
"""Share of a folder's files that refer to a name from which on it connects nothing."""
MIN_FILES = 10
"""In fewer files no name is widespread."""
MAX_REFERENCES = 2_000
"""References that are counted of one name."""


def unknown(reader: IndexReader, names: Collection[str]) -> frozenset[str]:
    """Return those of `names` that no file defines, in any style of writing, or refers to."""
    return frozenset(
        name for name in names if not reader.definitions(name, 1) and not reader.references(name, 1)
    )


def widespread(reader: IndexReader, names: Collection[str]) -> frozenset[str]:
    """Return those of `names` that a large share of the files refers to."""
    least = max(MIN_FILES, reader.counts().files * WIDESPREAD_SHARE)
    return frozenset(
        name
        for name in names
        if len({one.path for one in reader.references(name, MAX_REFERENCES)}) >= least
    )


def defined_around(reader: IndexReader, places: Sequence[tuple[str, int]]) -> frozenset[str]:
    """Return the names of the innermost definitions at rows (from 0) of files."""
    found: set[str] = set()
    for path, row in places:
        around = [one for one in reader.defined_in(path) if one.first <= row <= one.last]
        if around:
            found.add(min(around, key=lambda one: one.last - one.first).name)
    return frozenset(found)
