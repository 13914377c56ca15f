"""A fleet: who answers, and what happens when one dies."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import pytest

from nearfield.config.schema import ProviderSettings
from nearfield.errors import Unreachable
from nearfield.providers import load_balancer as fleet
from nearfield.providers import registry
from nearfield.providers.load_balancer import LoadBalancer
from nearfield.providers.scripted import Scripted
from nearfield.types import ChatRequest, Health, HealthState, Message, Role

from .conftest import DIALECTS, Server


def _fleet(size: int = 3, text: str = "one two three") -> tuple[LoadBalancer, list[Scripted]]:
    options = {"answers": [{"text": text}]}
    settings = ProviderSettings(kind="scripted", options=options)
    servers = [Scripted(f"s{n}", settings) for n in range(size)]
    return LoadBalancer("team", "m", servers), servers


def _asked(session: str = "", text: str = "Hi") -> ChatRequest:
    return ChatRequest((Message(Role.USER, text),), session=session)


async def _text(team: LoadBalancer, session: str = "") -> str:
    return "".join([delta.text async for delta in team.chat(_asked(session))])


def _calls(servers: list[Scripted]) -> list[int]:
    return [len(server.calls) for server in servers]


async def test_least_loaded_first() -> None:
    team, servers = _fleet()
    open_streams = [team.chat(_asked()) for _ in range(6)]
    for stream in open_streams:
        await anext(stream)
    assert _calls(servers) == [2, 2, 2]
    await open_streams[1].aclose()
    await _text(team)
    assert _calls(servers) == [2, 3, 2]
    for stream in open_streams:
        await stream.aclose()
    assert [member.load for member in team.members] == [0, 0, 0]


async def test_a_session_stays_where_it_was() -> None:
    team, servers = _fleet()
    for session in ("a", "b", "a", "b", "a"):
        await _text(team, session)
    # Both began while all were idle, so on the same one; what matters is that they stay.
    assert sorted(_calls(servers)) == [0, 0, 5]


async def test_a_session_leaves_a_busy_server() -> None:
    team, servers = _fleet(2)
    await _text(team, "a")
    home = next(n for n, server in enumerate(servers) if server.calls)
    busy = [team.chat(_asked("a")) for _ in range(2)]
    for stream in busy:
        await anext(stream)
    before = _calls(servers)
    await _text(team, "a")
    after = _calls(servers)
    assert after[1 - home] == before[1 - home] + 1
    for stream in busy:
        await stream.aclose()


async def test_a_dead_server_is_drained_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet, "REST_S", 0.2)
    team, servers = _fleet(2)
    await _text(team, "a")
    [home] = [server for server in servers if server.calls]
    [other] = [server for server in servers if server is not home]
    home.health_now = Health(HealthState.UNAVAILABLE, "gone")
    assert await _text(team, "a") == "one two three"
    assert await _text(team, "a") == "one two three"
    # Asked once when it failed, not again while it rests.
    assert (len(home.calls), len(other.calls)) == (2, 2)
    home.health_now = Health(HealthState.READY)
    await asyncio.sleep(0.25)
    both = [team.chat(_asked()) for _ in range(2)]
    for stream in both:
        await anext(stream)
    assert len(home.calls) == 3
    for stream in both:
        await stream.aclose()


async def test_health_is_asked_of_all() -> None:
    team, servers = _fleet(2)
    assert (await team.health()).state is HealthState.READY
    servers[0].health_now = Health(HealthState.UNAVAILABLE, "s0 is gone.")
    health = await team.health()
    assert (health.state, health.detail) == (
        HealthState.READY,
        "1 of 2 servers are up. s0 is gone.",
    )
    assert [member.rests() for member in team.members] == [True, False]
    servers[1].health_now = Health(HealthState.STARTING, "s1 loads.")
    assert (await team.health()).state is HealthState.STARTING
    servers[0].health_now = servers[1].health_now = Health(HealthState.READY)
    await team.health()
    assert [member.rests() for member in team.members] == [False, False]


async def test_all_dead() -> None:
    team, servers = _fleet(2)
    for server in servers:
        server.health_now = Health(HealthState.UNAVAILABLE, "gone")
    for tries in (1, 2):
        with pytest.raises(Exception, match="not ready"):
            await _text(team)
        # As a last resort those that rest are asked too.
        assert _calls(servers) == [tries, tries]


async def test_leaving_frees_the_server() -> None:
    team, servers = _fleet(1)
    async with aclosing(team.chat(_asked())) as stream:
        async for _ in stream:
            break
    assert servers[0].streaming == 0
    assert team.members[0].load == 0


async def test_fail_over_between_endpoints(server: Server, made: Any) -> None:
    """A dead endpoint costs one refused connection; half an answer is not begun again."""
    dialect = DIALECTS["openai_compatible"]
    whole = dialect.begin + dialect.rest
    server.answer("/good/chat/completions", whole)
    server.answer("/half/chat/completions", dialect.begin)
    options = {"endpoints": ["http://127.0.0.1:9", server.url + "/good"]}
    team = made("openai_compatible", "", "m", **options)
    assert isinstance(team, LoadBalancer)
    assert await _text(team) == "Hello there"
    assert [member.rests() for member in team.members] == [True, False]
    options = {"endpoints": [server.url + "/half", server.url + "/good"]}
    team = made("openai_compatible", "", "m", **options)
    stream = team.chat(_asked())
    assert (await anext(stream)).text == "Hello"
    with pytest.raises(Unreachable):
        await anext(stream)
    assert await _text(team) == "Hello there"


@pytest.mark.parametrize(
    ("endpoints", "local"),
    [
        (["http://127.0.0.1:1", "http://localhost:2"], True),
        (["http://127.0.0.1:1", "http://gpu.example.com"], False),
    ],
)
def test_local_only_when_all_are(endpoints: list[str], local: bool) -> None:
    options = {"endpoints": endpoints}
    settings = ProviderSettings(kind="openai_compatible", model="m", options=options)
    assert registry.build("team", settings, environ={}).capabilities.local is local
