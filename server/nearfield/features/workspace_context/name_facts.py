"""Facts about names, by an index that has all files of its folder."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nearfield.index.interface import IndexReader

__all__ = ["defined_around", "unknown"]


def unknown(reader: IndexReader, names: Collection[str]) -> frozenset[str]:
    """Return those of `names` that no file defines, in any style of writing, or refers to."""
    return frozenset(
        name for name in names if not reader.definitions(name, 1) and not reader.references(name, 1)
    )


def defined_around(reader: IndexReader, places: Sequence[tuple[str, int]]) -> frozenset[str]:
    """Return the names of the innermost definitions at rows (from 0) of files."""
    found: set[str] = set()
    for path, row in places:
        around = [one for one in reader.defined_in(path) if one.first <= row <= one.last]
        if around:
            found.add(min(around, key=lambda one: one.last - one.first).name)
    return frozenset(found)
