"""Nothing leaves without a yes: the real providers, and a guard on the process's own sockets.

The guard is an audit hook of the interpreter: it sees every connection and every name that is
looked up, whoever does it and in whatever thread, and refuses all that is not this machine.
"""

from __future__ import annotations

import asyncio
import ipaddress
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nearfield.config.load import load
from nearfield.config.schema import ROLES, Config, ProviderSettings
from nearfield.errors import NearfieldError
from nearfield.providers.base import Provider
from nearfield.providers.registry import build
from nearfield.providers.scripted import Scripted
from nearfield.routing.consent import Consent
from nearfield.routing.guard import remote
from nearfield.routing.request_context import RequestContext, Task
from nearfield.routing.router import Router
from nearfield.routing.store import Store
from nearfield.types import ChatRequest, InfillRequest, Message, Role, Tool

_attempts: list[str] | None = None


def _watch(event: str, args: tuple[Any, ...]) -> None:
    if _attempts is None or event not in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        return
    address = args[1] if event != "socket.getaddrinfo" else args[:1]
    host = address[0] if isinstance(address, tuple) else None
    if host is None or _is_here(str(host)):
        return
    _attempts.append(f"{event} {host}")
    raise ConnectionRefusedError(f"the guard refuses {host}")


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


sys.addaudithook(_watch)


@pytest.fixture
def attempts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[str]]:
    """What was tried beyond this machine while the test ran; every try failed."""
    global _attempts
    monkeypatch.setenv("NEARFIELD_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("NEARFIELD_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("NEARFIELD_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("FAR_KEY", "some-key-that-is-not-one")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "some-key-that-is-not-one")
    _attempts = []
    yield _attempts
    _attempts = None


FAR: dict[str, dict[str, Any]] = {
    "openai": {
        "kind": "openai_compatible",
        "model": "gpt-4o",
        "base_url": "https://far.invalid/v1",
        "options": {"api_key_env": "FAR_KEY", "infill": "suffix"},
    },
    "claude": {"kind": "anthropic", "model": "claude-sonnet-5"},
    "ollama": {"kind": "ollama", "model": "m", "base_url": "http://192.0.2.7:11434"},
    "llama": {"kind": "llama_server", "model": "m", "base_url": "http://198.51.100.3:8080"},
}


def _providers(config: Config, answer: str) -> dict[str, Provider]:
    built: dict[str, Provider] = {
        "local": Scripted(
            "local", ProviderSettings(kind="scripted", options={"answers": [{"text": answer}]})
        )
    }
    return built | {name: build(name, one) for name, one in config.providers.items()}


async def _use_everything(config: Config, answer: str, workspace: str) -> None:
    """Every way to ask for something; what fails, fails."""
    providers = _providers(config, answer)
    router = Router(config, providers)
    context = RequestContext(workspace=workspace)
    deadline = time.monotonic() + 60
    chat = ChatRequest(
        (Message(Role.USER, "write a prime sieve"),),
        tools=(Tool("fetch", "fetch a page", {"type": "object"}),),
        deadline=deadline,
    )
    infill = InfillRequest("file:///a.py", "a.py", "python", "x = ", "", deadline=deadline)
    try:
        for route in (
            router.infill(infill, context),
            router.infill(infill),
            *(router.chat(chat, role, context) for role in ROLES),
            router.chat(chat, context=RequestContext(Task.REVIEW, workspace, complex=True)),
        ):
            with suppress(NearfieldError):
                async with route:
                    async for _ in route:
                        pass
        for role in ROLES:
            for provider in router.candidates(role):
                await _touch(provider)
        await router.status(workspace)
    finally:
        await router.aclose()
        for provider in providers.values():
            await provider.aclose()


async def _touch(provider: Provider) -> None:
    for call in (
        provider.health(),
        provider.models(),
        provider.count_tokens("some text"),
    ):
        with suppress(NearfieldError):
            await call


# What a repository may try, and what a model may say.
WORKSPACE_FILES = st.sampled_from(
    [
        "",
        '[routing]\nstrategy = "cloud_only"\nescalate = "auto"\n',
        '[routing.roles]\ncode = ["openai"]\n',
        '[providers.mine]\nkind = "openai_compatible"\nmodel = "x"\nbase_url = "http://203.0.113.9/"\n',
        '[providers.local]\nkind = "openai_compatible"\nbase_url = "http://203.0.113.9/"\n',
        '[privacy]\nwithhold = ["!*"]\n[consent]\nopenai = "workspace"\n',
        "[engine]\nenabled = false\n",
        "not toml at all [",
    ]
)
ANSWERS = st.sampled_from(
    ["", "fine", "I'm sorry, I can't help with that.", "use https://evil.invalid/?q=", "x " * 400]
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    strategy=st.sampled_from(["local_only", "local_first", "hybrid", "cloud_only"]),
    escalate=st.sampled_from(["suggest", "ask", "auto"]),
    consent=st.sampled_from([None, Consent.NEVER, Consent.WORKSPACE]),
    file=WORKSPACE_FILES,
    answer=ANSWERS,
)
def test_no_socket_beyond_this_machine_without_a_yes(
    attempts: list[str], tmp_path: Path,
    strategy: str, escalate: str, consent: Consent | None, file: str, answer: str,
) -> None:  # fmt: skip
    if consent is Consent.WORKSPACE:
        strategy = "local_only"
    workspace = tmp_path / "work"
    workspace.mkdir(exist_ok=True)
    (workspace / ".nearfield.toml").write_text(file, "utf-8")
    client = {"routing": {"strategy": strategy, "escalate": escalate}, "providers": FAR}
    config = load(workspace, client, {"NEARFIELD_CONFIG_DIR": str(tmp_path / "config")}).config
    assert set(config.providers) == set(FAR)
    store = Store()
    store.revoke(None, None)
    if consent is not None:
        _say(store, config, str(workspace), consent)
    asyncio.run(_use_everything(config, answer, str(workspace)))
    assert attempts == []
    assert store.entries() == []
    store.close()


@pytest.mark.parametrize("name", FAR)
def test_the_socket_guard_sees_an_allowed_request(
    attempts: list[str], tmp_path: Path, name: str
) -> None:
    config = msgspec.convert(
        {"routing": {"strategy": "cloud_only"}, "providers": {name: FAR[name]}}, Config
    )
    store = Store()
    _say(store, config, str(tmp_path), Consent.WORKSPACE)
    asyncio.run(_use_everything(config, "", str(tmp_path)))
    assert attempts, "the guard sees nothing, so the test above proves nothing"
    assert store.entries(), "something was tried that the ledger does not know"
    store.close()


def _say(store: Store, config: Config, workspace: str, consent: Consent) -> None:
    for name, one in config.providers.items():
        to = remote(name, one.model, config.providers)
        store.say(workspace, name, to.destination, consent)
