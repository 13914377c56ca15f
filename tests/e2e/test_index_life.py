"""The index as a server keeps it: a process of its own, killed, doubled, followed and paused."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import apsw
import psutil
import pytest
import pytest_asyncio
from tests.e2e.process import INDEX_PATIENCE_SECONDS
from tests.processes import running

from nearfield.config.schema import Config
from nearfield.config.schema import Index as IndexSettings
from nearfield.index.schema_store import place_of
from nearfield.index.service import WorkspaceIndex


@pytest.fixture(autouse=True)
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's own settings, cache or git configuration."""
    for name in ("HOME", "USERPROFILE", "NEARFIELD_CONFIG_DIR", "NEARFIELD_CACHE_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "a.py").write_text('def helperOne(x):\n    """Doc here."""\n    return x\n')
    return folder


Opener = Callable[..., Awaitable[WorkspaceIndex]]


@pytest_asyncio.fixture
async def opened(tmp_path: Path, root: Path) -> AsyncIterator[Opener]:
    """Opens indexes, and closes them."""
    held: list[WorkspaceIndex] = []

    async def opener(**settings: Any) -> WorkspaceIndex:
        index = WorkspaceIndex(
            Config(index=IndexSettings(on_battery=True, **settings)), tmp_path / "cache"
        )
        held.append(index)
        await index.open(root)
        return index

    yield opener
    for index in held:
        await index.close()
        await index.close()


async def until(question: Callable[[], Awaitable[object]]) -> None:
    """Ask until the answer is yes."""
    end = time.monotonic() + INDEX_PATIENCE_SECONDS
    while not await question():
        assert time.monotonic() < end, "it never came to be so"
        await asyncio.sleep(0.02)


async def state(index: WorkspaceIndex, *wanted: str) -> None:
    async def there() -> bool:
        return index.status.state in wanted

    await until(there)


def children() -> list[psutil.Process]:
    return running("nearfield.index.worker")


async def test_changed_files_are_found(opened: Opener, root: Path) -> None:
    index = await opened()
    said: list[str] = []
    stop = index.subscribe(lambda status: said.append(status.state))
    await state(index, "ready")
    assert index.status.files == 1 and index.status.vectors == 1
    assert [hit.symbol for hit in await index.search("helper one")] == ["helperOne"]
    assert (await index.definitions("helperOne"))[0].doc == "Doc here."

    (root / "b.py").write_text("import a\ndef second():\n    return helperOne(2)\n")
    await until(lambda: index.definitions("second"))
    assert [(one.path, one.row) for one in await index.references("helperOne")] == [("b.py", 2)]

    index.buffer(str(root / "c.py"), "def third(): pass\n")
    await until(lambda: index.definitions("third"))
    index.closed(str(root / "c.py"))

    async def gone() -> bool:
        return not await index.definitions("third") and not await index.references("helperOne")

    (root / "b.py").unlink()
    await until(gone)

    (root / "sub").mkdir()
    (root / "sub" / "d.py").write_text("def fourth(): pass\n")
    await until(lambda: index.definitions("fourth"))
    (root / ".gitignore").write_text("sub/\n")

    async def excluded() -> bool:
        return not await index.definitions("fourth")

    await until(excluded)
    index.buffer("/somewhere/else.py", "def fifth(): pass\n")
    stop()
    assert "building" in said and "ready" in said


async def test_status_counts_files_and_chunks_while_embedding(opened: Opener, root: Path) -> None:
    for number in range(30):
        (root / f"more{number}.py").write_text(f"def more{number}(): return {number}\n")
    index = await opened()
    told: list[tuple[str, int, int]] = []
    index.subscribe(lambda status: told.append((status.state, status.files, status.chunks)))
    await state(index, "ready")
    # On a fast machine it may be over before anything of it is told.
    assert {one[1:] for one in told if one[0] in ("embedding", "ready")} == {(31, 31)}


async def test_the_indexer_pauses_while_the_user_types(opened: Opener, root: Path) -> None:
    index = await opened()
    await state(index, "ready")
    index.give_way(60)
    index.buffer(str(root / "c.py"), "def typed(): pass\n")
    (root / "b.py").write_text("def saved(): pass\n")
    await asyncio.sleep(1)
    assert not await index.definitions("typed") and not await index.definitions("saved")
    index.give_way(0)
    await until(lambda: index.definitions("typed"))
    await until(lambda: index.definitions("saved"))
    await state(index, "ready")


async def test_an_indexer_that_dies_is_started_again_and_knows_the_buffers(
    opened: Opener, root: Path
) -> None:
    index = await opened()
    await state(index, "ready")
    index.buffer(str(root / "a.py"), "def typed(): pass\n")
    await until(lambda: index.definitions("typed"))
    for child in children():
        child.kill()
    await state(index, "failed")
    await state(index, "ready")
    await until(lambda: index.definitions("typed"))


async def test_one_of_two_servers_builds_and_the_other_takes_over(
    opened: Opener, root: Path
) -> None:
    first = await opened()
    await state(first, "ready")
    second = await opened()
    await state(second, "reading")
    assert await second.definitions("helperOne")
    (root / "b.py").write_text("def later(): pass\n")
    await until(lambda: second.definitions("later"))
    await first.close()
    await state(second, "ready")
    (root / "c.py").write_text("def latest(): pass\n")
    await until(lambda: second.definitions("latest"))


async def test_pause_and_resume(opened: Opener, root: Path) -> None:
    index = await opened()
    index.pause()
    await state(index, "paused")
    index.buffer(str(root / "a.py"), "def typed(): pass\n")
    await until(lambda: index.definitions("typed"))  # what is typed is followed all the same
    index.resume()
    await state(index, "ready")


async def test_turned_off_it_answers_nothing_and_starts_nothing(opened: Opener) -> None:
    index = await opened(enabled=False)
    assert await index.search("helper") == [] and not children()


async def test_the_indexer_has_the_lowest_priority_and_ends_with_its_server(
    opened: Opener,
) -> None:
    index = await opened(vectors=False)
    await state(index, "ready")
    (child,) = children()
    if sys.platform != "win32":
        assert child.nice() == 19
    assert index.status.vectors == 0
    await index.close()
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


async def test_a_cache_that_cannot_be_written_is_said_once(tmp_path: Path, root: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the folder should be")
    index = WorkspaceIndex(Config(index=IndexSettings(on_battery=True)), blocked)
    said: list[str] = []
    index.subscribe(lambda status: said.append(status.detail))
    await index.open(root)
    await state(index, "ready")
    assert await index.search("helper one")
    (root / "b.py").write_text("def later(): pass\n")
    await until(lambda: index.definitions("later"))
    assert len([detail for detail in said if "cache folder cannot be written" in detail]) == 1
    await index.close()


BUILD = (
    "import sys; from pathlib import Path; from nearfield.config.schema import Config;"
    "from nearfield.index.workspace import Keeper, Workspace;"
    "w = Workspace.of(Path(sys.argv[1]), Config(), Path(sys.argv[2]));"
    "k = Keeper(w).__enter__(); print('go', flush=True); k.build(); k.embed()"
)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_fifty_kills_leave_it_whole(tmp_path: Path, root: Path) -> None:
    rng = random.Random(5)
    cache = tmp_path / "cache"
    for number in range(400):
        body = "".join(f"def f{number}_{i}(a):\n    return a * {i}\n\n\n" for i in range(12))
        (root / f"m{number}.py").write_text(body)
    file = place_of(root, cache).file
    held = 0
    for turn in range(50):
        process = subprocess.Popen(
            [sys.executable, "-c", BUILD, str(root), str(cache)], stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        process.stdout.readline()  # the lock is held, the build begins
        time.sleep(rng.uniform(0, 0.15))
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        (root / f"m{turn}.py").write_text(f"def g{turn}(): pass\n")
        connection = apsw.Connection(str(file))
        assert connection.execute("PRAGMA integrity_check").get == "ok"
        files = connection.execute("SELECT count(*) FROM file").get
        connection.close()
        assert files >= held  # what was written stays
        held = files
    done = subprocess.run(
        [sys.executable, "-c", BUILD.replace("; k.embed()", ""), str(root), str(cache)],
        check=True,
        capture_output=True,
    )
    assert done.stderr == b""
    connection = apsw.Connection(str(file))
    assert connection.execute("SELECT count(*), count(DISTINCT path) FROM file").fetchall() == [
        (401, 401)
    ]
    chunks = connection.execute("SELECT count(*) FROM chunk").get
    belonging = connection.execute(
        "SELECT count(DISTINCT chunk.id), count(*) FROM file JOIN chunk"
        " ON chunk.id >= file.chunk AND chunk.id < file.chunk + file.chunks"
    ).fetchall()
    assert belonging == [(chunks, chunks)]
    assert chunks == connection.execute("SELECT count(*) FROM words_docsize").get
    assert (
        connection.execute("SELECT count(*) FROM vector").get
        == connection.execute("SELECT count(DISTINCT digest) FROM vector").get
    )
    connection.close()


def run(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [shutil.which("nearfield", path=str(Path(sys.executable).parent)) or "nearfield"]
    return subprocess.run([*command, *words], cwd=folder, capture_output=True, text=True)


def test_the_commands(root: Path) -> None:
    (root / ".nearfield.toml").write_text("")
    (root / "secrets.json").write_text("{}")
    found = run("search", "helper one", "--json", folder=root)
    assert found.returncode == 0, found.stderr
    (hit,) = [one for one in json.loads(found.stdout) if one["path"] == "a.py"]
    assert (hit["line"], hit["end_line"], hit["symbol"]) == (1, 3, "helperOne")
    built = run("index", "--json", folder=root)
    facts = json.loads(built.stdout)
    assert (built.returncode, facts["files"], facts["read"], facts["vectors_made"]) == (0, 2, 0, 1)
    assert facts["skipped"] == {"secret-looking": 1} and facts["index_bytes"] > 0
    assert "2 files" in run("index", str(root), folder=root.parent).stdout
    assert "helperOne" in run("search", "helperOne", folder=root).stdout
    cases = [
        (("index", "--explain", "secrets.json"), 1, "secrets.json: not indexed: secret-looking\n"),
        (("index", "--explain", "a.py"), 0, "a.py: indexed\n"),
        (("index", "--explain", "../x.py"), 1, None),
        (("index", "nowhere"), 2, ""),
        (("search", "zebra"), 1, ""),
        (("search", " "), 2, ""),
        (("search", "x", "--kind", "smell"), 2, ""),
    ]
    for words, code, output in cases:
        done = run(*words, folder=root)
        assert done.returncode == code, (words, done.stderr)
        assert output is None or done.stdout == output
        assert "Traceback" not in done.stderr


UNGUARDED = """
import nearfield.syntax.parser
nearfield.syntax.parser.MAX_STATE_BYTES = 1 << 30
"""
"""Put into `sitecustomize` it lets every process parse what ends it."""
DEADLY = "- " * 300 + "a\n"


def unguarded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(UNGUARDED)
    paths = [str(folder), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))


def test_the_commands_outlive_files_that_end_their_parser(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unguarded(tmp_path, monkeypatch)
    for number in range(5):
        (root / f"{number}.yaml").write_text(f"# {number}\n{DEADLY}")
    built = run("index", "--no-vectors", folder=root)
    assert built.returncode == 0, built.stderr
    assert "5 skipped: ends its parser" in built.stdout
    assert "1 files" in built.stdout
    said = run("index", "--explain", str(root / "3.yaml"), folder=root)
    assert said.returncode == 1
    assert "not indexed: ends its parser" in said.stdout
    assert "0 read" in run("index", "--no-vectors", folder=root).stdout
    assert "helperOne" in run("search", "helperOne", folder=root).stdout
    (root / "3.yaml").write_text("mended: true\n")
    assert "4 skipped: ends its parser" in run("index", "--no-vectors", folder=root).stdout


async def test_the_indexer_outlives_files_and_buffers_that_end_their_parser(
    tmp_path: Path, root: Path, opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    unguarded(tmp_path, monkeypatch)
    (root / "b.yaml").write_text(DEADLY)
    index = await opened(vectors=False)
    await state(index, "ready")
    (indexer,) = children()
    assert (await index.search("helperOne"))[0].path == "a.py"
    index.buffer(str(root / "a.py"), "def typedLater(): pass\n")
    index.buffer(str(root / "c.yaml"), DEADLY)

    async def found() -> bool:
        return any(hit.path == "a.py" for hit in await index.search("typedLater"))

    await until(found)
    assert indexer.is_running()
