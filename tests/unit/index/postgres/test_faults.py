"""Two builders, killed builders, a server that goes away, other schemas, missing rights."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from nearfield.index.interface import IndexUnusable, NotShared
from nearfield.index.postgres import schema_store
from nearfield.index.postgres.schema_store import MIGRATIONS, reading, writing
from nearfield.index.postgres.search_store import PostgresReader
from nearfield.index.postgres.session_store import DatabaseSession
from nearfield.index.search import Searcher
from nearfield.index.shared import Shared
from nearfield.index.workspace import Keeper

from ..conftest import WordEmbedder
from .conftest import SharedPlace
from .server import Server
from .test_same_answers import told

PATIENCE = 60.0


@contextmanager
def administrator(url: str) -> Generator[psycopg.Connection]:
    with psycopg.connect(url, autocommit=True) as db:
        yield db


def until(question: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not question():
        assert time.monotonic() < end, "it never came to be so"
        time.sleep(0.02)


def many(shared: SharedPlace, files: int) -> None:
    shared.write(
        {
            f"d{number % 7}/m{number}.py": f"def name{number}(x):\n    return other{number}(x)\n"
            * 20
            for number in range(files)
        }
    )


BUILD = (
    "import sys;"
    "from pathlib import Path;"
    "from nearfield.config.schema import Config, Index;"
    "from nearfield.index.workspace import Keeper, Workspace;"
    "settings = Config(index=Index(store=sys.argv[2], role='build', name=sys.argv[3]));"
    "keeper = Keeper(Workspace.of(Path(sys.argv[1]), settings, Path(sys.argv[4])));"
    "keeper.__enter__();"
    "print('taken' if keeper.taken else 'not', flush=True);"
    "keeper.taken and keeper.build();"
    "print('built', flush=True);"
    "sys.stdin.read();"
    "keeper.__exit__(None, None, None)"
)


def builder(shared: SharedPlace) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", BUILD, shared.root, shared.url, shared.name, shared.cache],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def ended(process: subprocess.Popen[str]) -> None:
    process.communicate()
    assert process.returncode == 0


def free(shared: SharedPlace) -> bool:
    """Whether nobody builds any more: the database hears of a death a moment later."""
    session = writing(shared.shared)
    if session is not None:
        session.close()
    return session is not None


def test_one_of_two_builders_builds(shared: SharedPlace) -> None:
    shared.write({"a.py": "def alpha(): pass\n"})
    one, two = builder(shared), None
    try:
        assert (said(one), said(one)) == ("taken", "built")
        two = builder(shared)
        assert (said(two), said(two)) == ("not", "built")
        ended(two)
        # A workspace of another name is another one's business.
        with Keeper(SharedPlaceLike(shared, "team/other").as_("build")) as other:
            assert other.taken
        ended(one)
        until(lambda: free(shared))
    finally:
        for process in (one, two):
            if process is not None and process.poll() is None:
                process.kill()
                process.communicate()


class SharedPlaceLike(SharedPlace):
    """The same folder under another name."""

    def __init__(self, shared: SharedPlace, name: str) -> None:
        self.root, self.cache, self.url, self.name = shared.root, shared.cache, shared.url, name


def test_killed_builders_leave_it_whole(shared: SharedPlace) -> None:
    many(shared, 400)
    # Half of the work was done before, so that there is something to spoil.
    shared.build()
    for number in range(0, 400, 2):
        shared.write({f"d{number % 7}/m{number}.py": f"def again{number}(): pass\n" * 5})
    for moment in range(6):
        process = builder(shared)
        assert said(process) == "taken"
        time.sleep(moment * 0.06)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        until(lambda: free(shared))
        reader = shared.reader()
        files = reader.counts().files
        reader.close()
        assert files == 400
    shared.build()
    fresh = SharedPlaceLike(shared, "team/fresh")
    fresh.workspace = fresh.as_("build")
    fresh.build()
    assert told(shared) == told(fresh)


def test_a_reader_reads_on_while_it_is_built(shared: SharedPlace) -> None:
    many(shared, 50)
    shared.build()
    searcher = shared.searcher()
    many(shared, 300)
    process = builder(shared)
    try:
        assert said(process) == "taken"
        files = 0
        while files < 300:
            assert [hit.symbol for hit in searcher.search("name7")][:1] == ["name7"]
            files = searcher.reader.counts().files
            assert process.poll() is None
        assert said(process) == "built"
        assert [hit.symbol for hit in searcher.search("name299")][:1] == ["name299"]
        ended(process)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    searcher.close()


def test_a_reader_cannot_write(shared: SharedPlace) -> None:
    shared.write({"a.py": "def alpha(): pass\n"})
    shared.build()
    with Keeper(shared.as_("read")) as keeper:
        assert not keeper.taken
    session = reading(shared.shared)
    with pytest.raises(IndexUnusable, match="ReadOnlySqlTransaction"):
        session.run("DELETE FROM file")
    session.close()


def test_a_reader_survives_a_restart_of_the_server(
    shared: SharedPlace, cluster: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nearfield.index.shared.REST_SECONDS", 3_600.0)
    shared.write({"a.py": "def alpha(): pass\n"})
    shared.build()
    workspace = shared.as_("read")
    reader = workspace.reader()
    assert reader.definitions("alpha")
    cluster.stop()
    try:
        with pytest.raises(IndexUnusable, match="out of reach"):
            reader.definitions("alpha")
        reader.close()
        with pytest.raises(IndexUnusable, match="out of reach"):
            workspace.reader()
    finally:
        cluster.start()
    assert workspace.shared is not None and workspace.shared.rest.is_resting
    with pytest.raises(IndexUnusable, match="out of reach"):
        workspace.reader()  # too early: nobody waits twice
    workspace.shared.rest.until = 0.0
    again = workspace.reader()
    assert again.definitions("alpha")
    again.close()


def test_a_builder_reports_a_lost_server(shared: SharedPlace, cluster: Server) -> None:
    shared.write({"a.py": "def alpha(): pass\n"})
    try:
        with Keeper(shared.workspace) as keeper:
            assert keeper.taken
            cluster.stop()
            with pytest.raises(IndexUnusable, match="out of reach"):
                keeper.build()
    finally:
        cluster.start()
    shared.build()
    reader = shared.reader()
    assert reader.definitions("alpha")
    reader.close()


@pytest.mark.parametrize("steps", range(len(MIGRATIONS)))
def test_an_older_schema_is_migrated_by_the_builder(
    shared: SharedPlace, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    monkeypatch.setattr(schema_store, "MIGRATIONS", MIGRATIONS[:steps])
    old = writing(shared.shared)
    assert old is not None
    if steps:
        old.run("INSERT INTO meta VALUES ('kept', 'yes')")
    old.close()
    monkeypatch.undo()
    with pytest.raises(IndexUnusable, match="older Nearfield"):
        shared.reader()
    shared.write({"a.py": "def alpha(): pass\n"})
    shared.build()
    reader = shared.reader()
    assert reader.definitions("alpha")
    assert reader.fact("kept") == ("yes" if steps else "")
    reader.close()


def test_a_newer_schema_is_refused_and_left_alone(shared: SharedPlace) -> None:
    shared.write({"a.py": "def alpha(): pass\n"})
    shared.build()
    schema = shared.shared.schema
    with administrator(shared.url) as db:
        db.execute(f"INSERT INTO {schema}.migration (name) VALUES ('from_the_future')".encode())
    for opened in (shared.reader, shared.build):
        with pytest.raises(IndexUnusable, match="newer Nearfield"):
            opened()
    with administrator(shared.url) as db:
        assert db.execute(f"SELECT count(*) FROM {schema}.file".encode()).fetchall() == [(1,)]


def test_a_missing_database_or_schema_is_reported(shared: SharedPlace, cluster: Server) -> None:
    with pytest.raises(NotShared, match=r"holds no index of team/shop"):
        shared.reader()
    with pytest.raises(IndexUnusable, match="out of reach") as raised:
        DatabaseSession(Shared(cluster.url("nowhere"), "x"), write=False)
    assert "nowhere" in str(raised.value)


def test_rights_that_are_missing_are_said(shared: SharedPlace, cluster: Server) -> None:
    name = f"guest_{os.getpid()}"
    database = shared.url.split("@/")[1].partition("?")[0]
    with administrator(shared.url) as db:
        db.execute(f"CREATE ROLE {name} LOGIN".encode())
    guest = SharedPlaceLike(shared, shared.name)
    guest.url = cluster.url(database, name)
    guest.workspace = guest.as_("build")
    with pytest.raises(IndexUnusable, match="lacks the extension vector") as raised:
        guest.build()
    assert "CREATE EXTENSION vector" in raised.value.hint
    shared.write({"a.py": "def alpha(): pass\n"})
    shared.build()
    with pytest.raises(IndexUnusable, match="InsufficientPrivilege") as raised:
        guest.reader()
    assert "docs/shared-index.md" in raised.value.hint
    with administrator(shared.url) as db:
        schema = shared.shared.schema
        db.execute(f"GRANT USAGE ON SCHEMA {schema} TO {name}".encode())
        db.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {name}".encode())
    reader = guest.reader()
    assert reader.definitions("alpha") and reader.full_text(["alpha"], 5)
    assert reader.similar_names("alpho", 5) == ["alpha"]
    reader.close()
    with pytest.raises(IndexUnusable, match="InsufficientPrivilege"):
        guest.build()


DOCS = Path(__file__).parents[4] / "docs" / "shared-index.md"


def test_the_documented_rights_are_enough(shared: SharedPlace, cluster: Server) -> None:
    written = DOCS.read_text().partition("```sql\n")[2].partition("```")[0]
    statements = [one.strip() for one in written.replace("\\c code\n", "").split(";")]
    assert statements.pop(0) == "CREATE DATABASE code" and statements.pop() == ""
    with administrator(cluster.url("postgres")) as db:
        db.execute(b"CREATE DATABASE code")
    with administrator(cluster.url("code")) as db:
        for statement in statements:
            db.execute(statement.encode())
    team = SharedPlaceLike(shared, shared.name)
    team.url = cluster.url("code", "builder")
    team.workspace = team.as_("build")
    shared.write({"a.py": "def alpha(): pass\n"})
    with Keeper(team.workspace, embedder=WordEmbedder()) as keeper:
        keeper.build()
        assert keeper.embed() == 1
    team.url = cluster.url("code", "team")
    embedder = WordEmbedder()
    searcher = Searcher(team.root, team.reader(), embedder)
    assert [hit.symbol for hit in searcher.search("alpha")] == ["alpha"]
    assert searcher.reader.vectors_of(embedder.name) == 1
    searcher.close()
    team.workspace = team.as_("build")
    with pytest.raises(IndexUnusable, match="InsufficientPrivilege"):
        team.build()


@contextmanager
def far_away(cluster: Server) -> Generator[int]:
    """The server, without TLS, at a port of TCP."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=passed_on, args=(listening, cluster), daemon=True).start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)


def passed_on(listening: socket.socket, cluster: Server) -> None:
    while True:
        try:
            near, _ = listening.accept()
        except OSError:
            return
        threading.Thread(target=joined, args=(near, cluster), daemon=True).start()


def joined(near: socket.socket, cluster: Server) -> None:
    with near, socket.socket(socket.AF_UNIX) as far:
        far.connect(str(cluster.folder / ".s.PGSQL.5432"))
        back = threading.Thread(target=pumped, args=(far, near))
        back.start()
        pumped(near, far)
        back.join()


def pumped(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while data := one.recv(65_536):
            other.sendall(data)
        other.shutdown(socket.SHUT_WR)


def test_without_encryption_another_machine_is_not_talked_to(
    shared: SharedPlace, cluster: Server
) -> None:
    shared.write({"a.py": "def alpha(): pass\n"})
    shared.build()
    database = shared.url.split("@/")[1].partition("?")[0]
    with far_away(cluster) as port:
        address = f"postgresql://admin@db.example:{port}/{database}?hostaddr=127.0.0.1"
        with pytest.raises(IndexUnusable, match="server does not support SSL"):
            PostgresReader(Shared(address, shared.name))
        reader = PostgresReader(Shared(f"{address}&sslmode=disable", shared.name))
        assert reader.definitions("alpha")
        reader.close()
