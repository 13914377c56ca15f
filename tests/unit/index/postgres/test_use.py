"""The shared index as people meet it: in an editor's server, and on the command line."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio

from nearfield.config.schema import Config
from nearfield.config.schema import Index as Settings
from nearfield.index.service import WorkspaceIndex

from .conftest import SharedPlace
from .server import Server

PATIENCE = 60.0
Opener = Callable[[str], Awaitable[WorkspaceIndex]]


async def until(question: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await question():
            await asyncio.sleep(0.05)


async def state(index: WorkspaceIndex, wanted: str) -> None:
    async def there() -> bool:
        return index.status.state == wanted

    await until(there)


@pytest_asyncio.fixture
async def opened(shared: SharedPlace) -> AsyncIterator[Opener]:
    held: list[WorkspaceIndex] = []

    async def opener(name: str) -> WorkspaceIndex:
        # An editor only reads, also where the settings are the builder's.
        settings = Settings(store=shared.url, name=name, role="build", on_battery=True)
        index = WorkspaceIndex(Config(index=settings), shared.cache)
        held.append(index)
        await index.open(shared.root)
        return index

    yield opener
    for index in held:
        await index.close()


async def test_an_editor_reads_the_shared_index(opened: Opener, shared: SharedPlace) -> None:
    shared.write({"a.py": 'def helperOne(x):\n    """Doc here."""\n    return x\n'})
    shared.build()
    index = await opened(shared.name)
    await state(index, "ready")
    assert (index.status.files, index.status.chunks) == (1, 1)
    assert "team/shop" in index.status.detail and "admin@" not in index.status.detail
    assert [hit.symbol for hit in await index.search("helper one")] == ["helperOne"]
    assert (await index.definitions("helperOne"))[0].doc == "Doc here."
    assert not shared.alone().place.file.exists(), "nothing is built on this machine"
    shared.write({"b.py": "def second(): pass\n"})
    assert not await index.definitions("second"), "only the builder brings what is new"
    index.buffer(str(shared.root / "c.py"), "def typed(): return helperOne(1)\n")
    await until(lambda: index.definitions("typed"))
    assert [one.path for one in await index.references("helperOne")] == ["c.py"]
    assert [hit.path for hit in await index.search("typed")][:1] == ["c.py"]
    assert (index.status.state, index.status.files) == ("ready", 1)
    index.closed(str(shared.root / "c.py"))

    async def gone() -> bool:
        return not await index.definitions("typed")

    await until(gone)
    shared.build()
    await until(lambda: index.definitions("second"))


async def test_an_editor_survives_a_restart_of_the_database(
    opened: Opener, shared: SharedPlace, cluster: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nearfield.index.shared.REST_SECONDS", 0.5)
    shared.write({"a.py": "def alpha(): pass\n"})
    shared.build()
    cluster.stop()
    try:
        index = await opened(shared.name)
        await state(index, "failed")
        assert "out of reach" in index.status.detail
        assert await index.definitions("alpha") == []
    finally:
        cluster.start()
    await until(lambda: index.definitions("alpha"))
    await state(index, "ready")
    cluster.stop()
    try:
        assert await index.definitions("alpha") == []
    finally:
        cluster.start()
    await until(lambda: index.definitions("alpha"))


async def test_a_workspace_outside_the_database_is_indexed_locally(
    opened: Opener, shared: SharedPlace
) -> None:
    shared.write({"a.py": "def alpha(): pass\n"})
    index = await opened("team/other")
    await until(lambda: index.definitions("alpha"))
    index.buffer(str(shared.root / "b.py"), "def typed(): pass\n")
    await until(lambda: index.definitions("typed"))
    await state(index, "ready")
    assert shared.alone().place.file.exists()


def run(
    *words: str, at: SharedPlace, role: str = "read", store: str | None = None
) -> subprocess.CompletedProcess[str]:
    settings = {
        "NEARFIELD_INDEX__STORE": at.url if store is None else store,
        "NEARFIELD_INDEX__NAME": at.name,
        "NEARFIELD_INDEX__ROLE": role,
        "NEARFIELD_CACHE_DIR": str(at.cache),
        "NEARFIELD_CONFIG_DIR": str(at.cache / "none"),
        "NEARFIELD_DATA_DIR": str(at.cache / "data"),
        "NEARFIELD_PRIVACY__WITHHOLD": "private/",
    }
    return subprocess.run(
        [sys.executable, "-m", "nearfield", *words],
        cwd=at.root, capture_output=True, text=True, env={**os.environ, **settings},
    )  # fmt: skip


def test_the_commands(shared: SharedPlace) -> None:
    shared.write(
        {
            "a.py": 'def helperOne(x):\n    """Doc here."""\n    return x\n',
            ".nearfield.toml": '[index]\nstore = "postgresql://elsewhere/x"\nrole = "build"\n',
            "secrets.json": "{}",
            "private/plan.py": "def plan(): pass\n",
        }
    )
    built = run("index", "--json", at=shared, role="build")
    assert built.returncode == 0, built.stderr
    facts = json.loads(built.stdout)
    assert (facts["built"], facts["files"], facts["vectors"]) == (True, 2, 2)
    assert "team/shop" in facts["index"] and "admin@" not in facts["index"]
    assert facts["skipped"] == {"secret-looking": 1, "excluded": 1}
    (sent,) = json.loads(run("audit", "list", "--json", at=shared).stdout)["entries"]
    assert (sent["provider"], sent["model"], sent["outcome"]) == (
        "index.store", shared.name, "answered",
    )  # fmt: skip
    assert "admin" not in sent["destination"]
    assert "only the user may set this" in built.stderr + run("config", "show", at=shared).stderr
    read = run("index", "--json", at=shared)
    assert json.loads(read.stdout)["files"] == 2 and not json.loads(read.stdout)["built"]
    assert "team's builder" in read.stderr
    found = run("search", "helper one", "--json", at=shared)
    assert [hit["path"] for hit in json.loads(found.stdout)] == ["a.py"], found.stderr
    why = run("index", "--explain", "secrets.json", at=shared)
    assert why.stdout == "secrets.json: not indexed: secret-looking\n"
    assert not shared.alone().place.file.exists()


@pytest.mark.parametrize(
    ("words", "role"), [(("index",), "build"), (("index",), "read"), (("search", "x"), "read")]
)
def test_a_database_out_of_reach_is_said(
    shared: SharedPlace, words: tuple[str, ...], role: str
) -> None:
    done = run(*words, at=shared, role=role, store="postgresql://localhost:1/index")
    assert done.returncode == 3
    assert "out of reach" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("store", "said"),
    [("", "holds no index of team/shop"), ("postgresql://localhost:1/index", "out of reach")],
)
def test_doctor_checks_the_shared_index(shared: SharedPlace, store: str, said: str) -> None:
    done = run("doctor", "--quick", "--json", at=shared, store=store or shared.url)
    (check,) = [one for one in json.loads(done.stdout) if one["name"] == "shared index"]
    assert said in check["found"] and check["todo"]
    if not store:
        shared.write({"a.py": "def alpha(): pass\n"})
        shared.build()
        done = run("doctor", "--quick", "--json", at=shared)
        (check,) = [one for one in json.loads(done.stdout) if one["name"] == "shared index"]
        assert check["state"] == "ok" and "1 files" in check["found"]
