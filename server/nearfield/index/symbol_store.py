"""What the index knows of names: where they are defined, who uses them, what is like them.

The full text of names says which files a name concerns; the rows are in each file's packed symbols
(`outlines`). One thread at a time.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import apsw
import numpy as np

from nearfield.index.interface import Place
from nearfield.index.likeness import FUZZY_GRAMS, FUZZY_NAMES, GRAM_CHARS, grams, likest
from nearfield.index.outlines import (
    DEFINED,
    IMPORTED,
    REFERRED,
    named,
    unpack_definitions,
    unpack_uses,
)
from nearfield.index.symbols import Definition
from nearfield.index.words import folded

STYLES_FILES = 500
"""A name that is written otherwise is looked for in at most so many files."""


class Symbols:
    """The names in one index."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db

    def definitions(self, name: str, limit: int = 100) -> list[Place]:
        """Where `name` is defined, written just so; when nowhere, in any style of writing; by path
        and row."""
        exact: list[Place] = []
        other: list[Place] = []
        for at, (path, definitions) in enumerate(self._defining(name)):
            if at >= STYLES_FILES and (other or len(exact) >= limit):
                break
            for one in definitions:
                if one.name == name:
                    exact.append(_placed(path, one))
                elif not exact and len(other) < limit and folded(one.name) == folded(name):
                    other.append(_placed(path, one))
            if len(exact) >= limit:
                break
        return (exact or other)[:limit]

    def similar_names(self, text: str, limit: int) -> list[str]:
        """Defined names that share letters with `text`, the closest first, folded; for a mistyped
        name, or a part of one."""
        fold = folded(text)
        if len(fold) < GRAM_CHARS:
            return []
        wanted = dict.fromkeys(grams(fold)[:FUZZY_GRAMS])
        held = np.concatenate([self._with_gram(gram) for gram in wanted])
        rows, shared = np.unique(held, return_counts=True)
        best = rows[np.argsort(-shared, kind="stable")[:FUZZY_NAMES]]
        names = {
            str(row[0])
            for row in self._db.execute(
                "SELECT folded FROM grams WHERE rowid IN (SELECT value FROM json_each(?))",
                (str([int(one) for one in best]),),
            )
        }
        close = (name for name in likest(fold, names) if self.defines(name))
        return list(islice(close, limit))

    def _with_gram(self, gram: str) -> Any:
        quoted = '"' + gram.replace('"', '""') + '"'
        sql = "SELECT group_concat(rowid) FROM grams WHERE grams MATCH ?"
        return np.fromstring(self._db.execute(sql, (quoted,)).get or "", np.int64, sep=",")

    def defines(self, name: str) -> bool:
        """Return whether any file defines `name`, in any style of writing."""
        sql = "SELECT 1 FROM names WHERE names MATCH ? LIMIT 1"
        return self._db.execute(sql, (f'"{named(DEFINED, name)}"',)).get is not None

    def defined_in(self, path: str) -> list[Place]:
        """What a file defines, in the order of its text."""
        rows = self._db.execute(
            "SELECT outline.definitions FROM file JOIN outline ON outline.file = file.id"
            " WHERE path = ?",
            (os.fsencode(path),),
        )
        return [_placed(path, one) for row in rows for one in unpack_definitions(row[0])]

    def references(self, name: str, limit: int = 1_000) -> list[Place]:
        """Where `name` is referred to, written just so."""
        found: list[Place] = []
        for file, path in self._files(REFERRED, name):
            packed = self._db.execute("SELECT uses FROM outline WHERE file = ?", (file,)).get
            for row in unpack_uses(packed or b"", name):
                found.append(Place(path, name, "reference", "", row, 0, row, row))
                if len(found) >= limit:
                    return found
        return found

    def chunks_defining(self, names: Iterable[str], limit: int) -> list[int]:
        """The chunks of which one of `names` is the name, written in any style; in the order of
        `names`."""
        found: dict[int, None] = {}
        for name in names:
            fold = folded(name)
            for path, definitions in self._defining(name):
                rows = [one.row for one in definitions if folded(one.name) == fold]
                found |= dict.fromkeys(self._chunks_at(path, rows))
                if len(found) >= limit:
                    return list(found)[:limit]
        return list(found)

    def imports(self, path: str) -> frozenset[str]:
        """The words of a file's imports."""
        words = self._db.execute(
            "SELECT imports FROM outline JOIN file ON file.id = outline.file WHERE path = ?",
            (os.fsencode(path),),
        ).get
        return frozenset(str(words or "").split())

    def importers(self, word: str) -> frozenset[str]:
        """The files that have `word` in an import."""
        return frozenset(path for _, path in self._files(IMPORTED, word))

    def _defining(self, name: str) -> Iterator[tuple[str, tuple[Definition, ...]]]:
        for file, path in self._files(DEFINED, name):
            sql = "SELECT definitions FROM outline WHERE file = ?"
            yield path, unpack_definitions(self._db.execute(sql, (file,)).get or b"")

    def _files(self, role: str, name: str) -> Iterator[tuple[int, str]]:
        rows = self._db.execute(
            "SELECT file.id, path FROM names JOIN file ON file.id = names.rowid"
            " WHERE names MATCH ? ORDER BY path",
            (f'"{named(role, name)}"',),
        )
        return ((int(row[0]), os.fsdecode(row[1])) for row in rows)

    def _chunks_at(self, path: str, rows: Iterable[int]) -> list[int]:
        """The chunks of a file that hold these rows."""
        return [
            int(found[0])
            for row in rows
            for found in self._db.execute(
                "SELECT chunk.id FROM file JOIN chunk ON chunk.id >= file.chunk"
                " AND chunk.id < file.chunk + file.chunks"
                " WHERE path = ? AND first <= ? AND first + rows > ?",
                (os.fsencode(path), row, row),
            )
        ]


def _placed(path: str, one: Definition) -> Place:
    return Place(path, one.name, one.kind, one.container, one.row, one.column, one.first, one.last)
