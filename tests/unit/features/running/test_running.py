"""Servers that run: found, asked, told, and forgotten when they have ended."""

from __future__ import annotations

import asyncio
import gc
import stat
import warnings
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.unit.features.conftest import FakeUser, scripted, until

from nearfield.config.schema import Config, Routing
from nearfield.features.running import client, listener
from nearfield.features.running.client import ServerEnded, ServerError
from nearfield.features.running.listener import ServerListener
from nearfield.features.running.registration import (
    Registration,
    register,
    registered,
    servers_folder,
)
from nearfield.features.service import Service
from nearfield.features.status import ServiceState

ANSWERS = ({"match": "slow = $", "text": "1", "hang": True}, {"match": "", "text": "return 1\n"})


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEARFIELD_DATA_DIR", str(tmp_path / "d"))


@pytest.fixture
async def service() -> AsyncGenerator[Service]:
    config = Config(routing=Routing(roles={"complete": ["fake"]}))
    one = Service(config, {"fake": scripted("fake", *ANSWERS)})
    await one.start()
    await until(lambda: one.status.state is ServiceState.READY)
    yield one
    await one.aclose()


@pytest.fixture
async def server(service: Service) -> AsyncGenerator[Registration]:
    one = ServerListener(service)
    one.begin("editor", "vim <b>\x1b", lambda: ["/work"])
    await until(registered)
    (found,) = registered()
    yield found
    await one.aclose()
    assert registered() == []
    assert list(servers_folder().iterdir()) == []


async def test_a_server_says_what_it_is_and_what_it_does(server: Registration) -> None:
    assert (server.kind, server.client) == ("editor", "vim <b>\x1b")
    found = await client.ask(server, "now")
    assert (found["state"], found["folders"], found["paused"]) == ("ready", ["/work"], False)
    assert [one["provider"] for one in found["breakers"]] == ["fake"]
    assert found["requests"] == []


def no_socket(name: str) -> None:
    """Stands for a system without such sockets, or a path that is too long for one."""


@pytest.mark.parametrize("path_is_short", [True, False])
@pytest.mark.parametrize("turns", range(6))
async def test_a_server_that_ends_while_it_begins_to_listen_leaves_nothing(
    service: Service, monkeypatch: pytest.MonkeyPatch, turns: int, path_is_short: bool
) -> None:
    if not path_is_short:
        monkeypatch.setattr(listener, "socket_of", no_socket)
    one = ServerListener(service)
    one.begin("editor")
    for _ in range(turns):
        await asyncio.sleep(0)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        await one.aclose()
        del one
        gc.collect()
    assert [str(each.message) for each in told if each.category is ResourceWarning] == []
    assert registered() == []
    assert list(servers_folder().iterdir()) == []


async def test_only_the_user_can_ask_and_with_the_token(server: Registration) -> None:
    for path in servers_folder().iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(servers_folder().stat().st_mode) == 0o700
    for token in ("", "wrong"):
        with pytest.raises(ServerError, match="token"):
            await client.ask(msgspec.structs.replace(server, token=token), "now")


@pytest.mark.parametrize("what", ["nothing", "", "now\n"])
async def test_an_unknown_question_is_an_error(server: Registration, what: str) -> None:
    with pytest.raises(ServerError, match="no question"):
        await client.ask(server, what)


async def test_it_is_paused_and_resumed(server: Registration, service: Service) -> None:
    await client.ask(server, "pause", {"on": True})
    assert service.is_paused
    await client.ask(server, "pause", {"on": False})
    assert not service.is_paused


async def test_a_request_that_hangs_is_seen_and_stopped(
    server: Registration, service: Service
) -> None:
    user = FakeUser(service, "slow = |")
    asked = asyncio.create_task(user.said(invoked=True))

    async def running() -> list[dict[str, Any]]:
        found = await client.ask(server, "now")
        return [one for one in found["running"] if one["task"] == "complete"]

    async with asyncio.timeout(60):
        while not (rows := await running()):
            await asyncio.sleep(0.01)
    assert (rows[0]["provider"], rows[0]["local"]) == ("fake", True)
    assert await client.ask(server, "cancel", {"request": rows[0]["id"]}) == {"cancelled": True}
    assert await asked == "<stopped>"
    assert await running() == []
    assert service.status.state is ServiceState.READY
    found = await client.ask(server, "now")
    assert found["requests"][0]["sentence"].startswith("You stopped the request.")
    assert await client.ask(server, "cancel", {"request": 999}) == {"cancelled": False}


async def test_what_a_killed_server_has_left_is_removed() -> None:
    one = Registration(
        id="1-dead", kind="editor", client="x", pid=1, started=1.0, version="1", socket="/none.sock"
    )
    servers_folder().mkdir(parents=True)
    register(one)
    with pytest.raises(ServerEnded):
        await client.ask(one, "now")
    assert await client.running() == []
    assert registered() == []


async def test_a_file_of_another_form_is_passed_over() -> None:
    servers_folder().mkdir(parents=True)
    (servers_folder() / "a.json").write_text("{")
    (servers_folder() / "b.json").write_text('{"id": "other"}')
    assert registered() == []
