"""Writer of the shared index: a file is written whole, in one transaction, or not at all.

The builder holds a session-level lock: when it dies, the database rolls back its transaction, and
the next builder continues. One thread at a time.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from nearfield.index.files import FileStamp
from nearfield.index.interface import FileContent, KnownFile
from nearfield.index.postgres import text_store
from nearfield.index.postgres.schema_store import writing
from nearfield.index.postgres.session_store import DatabaseSession
from nearfield.index.postgres.vector_store import PostgresVectors
from nearfield.index.shared import Shared
from nearfield.index.symbols import Outline
from nearfield.index.weights import weighed
from nearfield.index.words import GRAM_CHARS, folded, indexed

MAX_NAME_CHARS = 500
"""Longer names are data; an index of PostgreSQL does not take them."""
CHANGING = ("file", "chunk", "words", "definition", "mention", "imported", "spelled", "term")


class PostgresStore:
    """The shared index of one workspace, open for writing by this process alone."""

    said = ""

    def __init__(self, session: DatabaseSession) -> None:
        """`session` holds the builder's lock; see `taken`."""
        self._session = session
        self._next_file = 1 + int(session.value("SELECT max(id) FROM file") or 0)
        self._next_chunk = 1 + int(session.value("SELECT max(id) FROM chunk") or 0)

    @classmethod
    def taken(cls, shared: Shared) -> PostgresStore | None:
        """Become the builder; None while another one is. Raises `IndexUnusable`."""
        session = writing(shared)
        return None if session is None else cls(session)

    def close(self) -> None:
        """End the connection, and with it the lock."""
        self._session.close()

    def vectors(self, name: str, dimensions: int) -> PostgresVectors:
        """The vectors of the embedder of that name."""
        return PostgresVectors(self._session, name, dimensions)

    def transaction(self) -> AbstractContextManager[None]:
        """All of it or nothing. Raises `IndexUnusable`."""
        return self._session.transaction()

    # --- files ---

    def known(self) -> dict[str, KnownFile]:
        """Every file that the index holds, by path. How it looked is not kept: every builder has a
        checkout of its own, so a file is known by its content alone."""
        return {os.fsdecode(row[0]): _known(row) for row in self._session.rows(_KNOWN)}

    def known_file(self, path: str) -> KnownFile | None:
        """Return the index's record of one file, None if it has none."""
        rows = self._session.rows(f"{_KNOWN} WHERE path = %s", [os.fsencode(path)])
        return _known(rows[0]) if rows else None

    def put(self, content: FileContent) -> None:
        """Replace what is known of a file. Inside a transaction."""
        self.drop(content.path)
        file, self._next_file = self._next_file, self._next_file + 1
        self._session.run(
            "INSERT INTO file (id, path, digest, bytes, language, reason, changed)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s)",
            [
                file, os.fsencode(content.path), content.digest, content.bytes, content.language,
                content.reason, content.changed,
            ],
        )  # fmt: skip
        if content.chunks:
            self._put_chunks(file, content)
        self._put_symbols(file, content.outline)

    def _put_chunks(self, file: int, content: FileContent) -> None:
        chunks = content.chunks
        ids = range(self._next_chunk, self._next_chunk + len(chunks))
        self._next_chunk = ids.stop
        self._insert(
            "chunk (file, id, first, rows, kind, name, symbol, digest)",
            "int8 int4 int4 text text text bytea",
            file,
            [
                (
                    number, one.first, one.last - one.first, one.kind, _text(one.name),
                    _text(one.symbol), one.digest,
                )
                for number, one in zip(ids, chunks, strict=True)
            ],
        )  # fmt: skip
        path = indexed(content.path.encode("utf-8", "replace").decode())
        words = [
            weighed(
                path,
                indexed(_text(one.symbol)),
                indexed(f"{one.text}\n{one.signatures}" if one.signatures else one.text),
            )
            for one in chunks
        ]
        text_store.put(self._session, ids, [_text(one) for one in words])

    def _put_symbols(self, file: int, outline: Outline) -> None:
        defined = [one for one in outline.definitions if len(one.name) <= MAX_NAME_CHARS]
        self._insert(
            "definition (file, nth, name, folded, kind, container, at, col, first, last)",
            "int4 text text text text int4 int4 int4 int4",
            file,
            [
                (
                    nth, _text(one.name), _text(folded(one.name)), one.kind, _text(one.container),
                    one.row, one.column, one.first, one.last,
                )
                for nth, one in enumerate(defined)
            ],
        )  # fmt: skip
        names = sorted({_text(folded(one.name)) for one in defined})
        self._insert(
            "spelled (folded)", "text", None, [(one,) for one in names if len(one) >= GRAM_CHARS]
        )
        self._insert(
            "mention (file, name, at)",
            "text text",
            file,
            [
                # An array in an array would be a matrix: it is sent as text.
                (_text(name), "{" + ",".join(map(str, rows)) + "}")
                for name, rows in outline.references.items()
                if len(name) <= MAX_NAME_CHARS
            ],
            "name, at::int[]",
        )
        words = [(_text(one),) for one in sorted(outline.imports) if len(one) <= MAX_NAME_CHARS]
        self._insert("imported (file, word)", "text", file, words)

    def _insert(
        self,
        table: str,
        types: str,
        file: int | None,
        rows: Sequence[tuple[Any, ...]],
        chosen: str = "*",
    ) -> None:
        """Insert rows into `table` in one statement; its first column is the file's id if one is
        given. `types` are of the columns in `rows`.
        """
        if not rows:
            return
        names = table[table.index("(") + 1 : -1]
        columns = names if file is None else names.partition(", ")[2]
        arrays = ", ".join(f"%s::{kind}[]" for kind in types.split())
        first = "" if file is None else f"{file}, "
        self._session.run(
            f"INSERT INTO {table} SELECT {first}{chosen}"
            f" FROM unnest({arrays}) AS given ({columns}) ON CONFLICT DO NOTHING",
            [list(column) for column in zip(*rows, strict=True)],
        )

    def drop(self, path: str) -> None:
        """Forget a file; one that is not known is no error. Inside a transaction."""
        self._session.run(
            "WITH gone AS (DELETE FROM file WHERE path = %s RETURNING id),"
            " chunks AS (DELETE FROM chunk USING gone WHERE chunk.file = gone.id"
            " RETURNING chunk.id),"
            " texts AS (DELETE FROM words USING chunks WHERE words.chunk = chunks.id),"
            " names AS (DELETE FROM mention USING gone WHERE mention.file = gone.id),"
            " imports AS (DELETE FROM imported USING gone WHERE imported.file = gone.id)"
            " DELETE FROM definition USING gone WHERE definition.file = gone.id",
            [os.fsencode(path)],
        )

    def restamp(self, path: str, stamp: FileStamp | None, changed: float) -> None:
        """The content is the same, and how it looks is not kept."""

    def release(self, path: str) -> None:
        """The disk must be read again. Inside a transaction."""
        self._session.run("UPDATE file SET digest = '' WHERE path = %s", [os.fsencode(path)])

    # --- everything else ---

    def counts(self) -> tuple[int, int, int]:
        """Return the numbers of files, chunks and vectors."""
        files, chunks, vectors = self._session.rows(
            "SELECT (SELECT count(*) FROM file WHERE reason = ''), (SELECT count(*) FROM chunk),"
            " (SELECT sum(made) FROM embedder)"
        )[0]
        return int(files), int(chunks), int(vectors or 0)

    def say(self, facts: Mapping[str, str]) -> None:
        """Remember facts about the whole index."""
        with self.transaction():
            for key, value in facts.items():
                self._session.run(
                    "INSERT INTO meta VALUES (%s, %s)"
                    " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                    [key, value],
                )

    def fact(self, key: str) -> str:
        """A fact that was said, "" when it was not."""
        return str(self._session.value("SELECT value FROM meta WHERE key = %s", [key]) or "")

    def clear(self) -> None:
        """Forget every file; the vectors stay, as they are by content. Readers wait for it."""
        with self.transaction():
            self._session.run(f"TRUNCATE {', '.join(CHANGING)}")

    def tidy(self) -> None:
        """Drop names that nothing defines, and put words and statistics in order."""
        with self.transaction():
            self._session.run(
                "DELETE FROM spelled WHERE NOT EXISTS (SELECT FROM definition"
                " WHERE definition.folded = spelled.folded)"
            )
            text_store.count(self._session)
            self._session.run(
                "SELECT gin_clean_pending_list('words_body'),"
                " gin_clean_pending_list('spelled_grams')"
            )
        self._session.run(f"ANALYZE {', '.join(CHANGING)}")


_KNOWN = "SELECT path, id, digest, reason FROM file"


def _known(row: tuple[Any, ...]) -> KnownFile:
    return KnownFile(row[1], None, row[2], row[3], None)


def _text(text: str) -> str:
    """`text` without what PostgreSQL does not take: lone surrogates and the character 0."""
    return text.encode("utf-8", "replace").decode().replace("\0", "")
