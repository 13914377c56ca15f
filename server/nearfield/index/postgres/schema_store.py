"""The schema of one workspace: how it begins, and how an older one becomes today's.

Migrations are named functions, run once each and recorded in the schema. Only the builder migrates;
a reader that is older or newer than the schema says so. Nothing is ever set aside here: it is not
ours alone.
"""

from __future__ import annotations

from collections.abc import Callable

from nearfield.index.interface import IndexUnusable, NotShared
from nearfield.index.postgres.session_store import DatabaseSession
from nearfield.index.shared import Shared

EXTENSIONS = ("vector", "pg_trgm")
OLDEST_VECTOR = (0, 7)
"""From this version on pgvector has half-precision vectors, and an index over single bits."""


def names_and_text(session: DatabaseSession) -> None:
    """Files, chunks, symbols, full text."""
    for statement in (
        "CREATE TABLE meta (key text PRIMARY KEY, value text NOT NULL)",
        # `reason` is why a file's content is not indexed, '' when it is.
        "CREATE TABLE file (id bigint PRIMARY KEY, path bytea NOT NULL UNIQUE,"
        " digest bytea NOT NULL, bytes bigint NOT NULL, language text NOT NULL,"
        " reason text NOT NULL, changed float8 NOT NULL)",
        # `rows` from `first` on.
        "CREATE TABLE chunk (id bigint PRIMARY KEY, file bigint NOT NULL, first int NOT NULL,"
        " rows int NOT NULL, kind text NOT NULL, name text NOT NULL, symbol text NOT NULL,"
        " digest bytea NOT NULL)",
        "CREATE INDEX chunk_file ON chunk (file)",
        "CREATE INDEX chunk_digest ON chunk (digest)",
        # The stems of a chunk's words, each with the digit of `weights.weighed` before it. The long
        # part is kept apart, so that a question reads few pages.
        "CREATE TABLE words (chunk bigint PRIMARY KEY, body tsvector NOT NULL)"
        " WITH (toast_tuple_target = 128)",
        "ALTER TABLE words ALTER body SET STORAGE EXTERNAL",
        # Every question scans the entries that are not sorted in yet, so they must be few.
        "CREATE INDEX words_body ON words USING gin (body) WITH (gin_pending_list_limit = 256)",
        "CREATE TEXT SEARCH DICTIONARY stem (TEMPLATE = snowball, Language = 'porter')",
        # How many chunks hold a word with its digit, as of the last build.
        "CREATE TABLE term (word text PRIMARY KEY, chunks int NOT NULL)",
        "CREATE TABLE definition (file bigint NOT NULL, nth int NOT NULL, name text NOT NULL,"
        " folded text NOT NULL, kind text NOT NULL, container text NOT NULL, at int NOT NULL,"
        " col int NOT NULL, first int NOT NULL, last int NOT NULL, PRIMARY KEY (file, nth))",
        "CREATE INDEX definition_folded ON definition (folded)",
        # Where a name is referred to, with the rows; and the words of imports.
        "CREATE TABLE mention (name text NOT NULL, file bigint NOT NULL, at int[] NOT NULL,"
        " PRIMARY KEY (name, file))",
        "CREATE INDEX mention_file ON mention (file)",
        "CREATE TABLE imported (word text NOT NULL, file bigint NOT NULL,"
        " PRIMARY KEY (word, file))",
        "CREATE INDEX imported_file ON imported (file)",
        # The names that are defined, by three letters.
        "CREATE TABLE spelled (folded text PRIMARY KEY)",
        "CREATE INDEX spelled_grams ON spelled USING gin (folded gin_trgm_ops)",
    ):
        session.run(statement)


def vectors(session: DatabaseSession) -> None:
    """Create the table of embedders; each has a table of its own, `vector_ID`."""
    session.run(
        "CREATE TABLE embedder (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
        " name text NOT NULL UNIQUE, dimensions int NOT NULL, made bigint NOT NULL DEFAULT 0)"
    )


MIGRATIONS: tuple[Callable[[DatabaseSession], None], ...] = (names_and_text, vectors)


def reading(shared: Shared) -> DatabaseSession:
    """A session on a schema of today. Raises `NotShared`, `IndexUnusable`."""
    session = DatabaseSession(shared, write=False)
    try:
        _see_to_today(shared, _done(session))
    except BaseException:
        session.close()
        raise
    return session


def _see_to_today(shared: Shared, done: set[str] | None) -> None:
    if done is None:
        raise NotShared(
            f"{shared.where} holds no index of {shared.name}.",
            'Let the builder run `nearfield index` with index.role = "build".',
        )
    _refuse_newer(shared, done)
    if len(done) < len(MIGRATIONS):
        raise IndexUnusable(
            f"The shared index {shared.where} was built by an older Nearfield.",
            "Let its builder run once with a Nearfield as new as this one.",
        )


def writing(shared: Shared) -> DatabaseSession | None:
    """A session on a schema of today, made or migrated where need be, with the builder's lock held
    as long as the session lives; None while another one holds it. Raises `IndexUnusable`."""
    session = DatabaseSession(shared, write=True)
    try:
        # The number is that of the schema's name, so each workspace has a lock of its own.
        free = session.value(
            "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [_lock(shared)]
        )
        if not free:
            session.close()
            return None
        _extend(session)
        with session.trouble(), session.db.transaction():
            session.run(f"CREATE SCHEMA IF NOT EXISTS {shared.schema}")
            session.run(
                f"CREATE TABLE IF NOT EXISTS {shared.schema}.migration"
                " (name text PRIMARY KEY, at timestamptz NOT NULL DEFAULT now())"
            )
            done = _done(session) or set()
            _refuse_newer(shared, done)
            for step in MIGRATIONS:
                if step.__name__ not in done:
                    step(session)
                    session.run("INSERT INTO migration (name) VALUES (%s)", [step.__name__])
    except BaseException:
        session.close()
        raise
    return session


def _lock(shared: Shared) -> str:
    return f"nearfield {shared.schema}"


def _done(session: DatabaseSession) -> set[str] | None:
    """The steps that were run, None when there is no schema."""
    table = f"{session.shared.schema}.migration"
    if session.value("SELECT to_regclass(%s)", [table]) is None:
        return None
    return {str(row[0]) for row in session.rows(f"SELECT name FROM {table}")}


def _refuse_newer(shared: Shared, done: set[str]) -> None:
    if done - {step.__name__ for step in MIGRATIONS}:
        raise IndexUnusable(
            f"The shared index {shared.where} comes from a newer Nearfield.",
            "Install a Nearfield as new as the builder's.",
        )


def _extend(session: DatabaseSession) -> None:
    """Install the extensions; without the right to do so, raise an error that says who can."""
    held = _extensions(session)
    for name in EXTENSIONS:
        if name in held:
            continue
        try:
            session.run(f"CREATE EXTENSION IF NOT EXISTS {name}")
        except IndexUnusable as error:
            raise IndexUnusable(
                f"The database {session.shared.where} lacks the extension {name}.",
                "Install it on the database's machine (Debian: postgresql-NN-pgvector), and let an"
                f" administrator of the database run: CREATE EXTENSION {name};",
            ) from error
    version = tuple(int(part) for part in _extensions(session)["vector"].split(".")[:2])
    if version < OLDEST_VECTOR:
        raise IndexUnusable(
            f"The database {session.shared.where} has a pgvector before 0.7.",
            "Let an administrator install a newer one and run: ALTER EXTENSION vector UPDATE;",
        )


def _extensions(session: DatabaseSession) -> dict[str, str]:
    rows = session.rows("SELECT extname, extversion FROM pg_extension")
    return {str(row[0]): str(row[1]) for row in rows}
