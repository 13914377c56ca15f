"""What the tests of routing share: a data directory of their own, and providers that remember."""

from __future__ import annotations

import importlib
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

from nearfield.config.schema import Config, ProviderSettings
from nearfield.providers.base import Provider
from nearfield.providers.scripted import Scripted
from nearfield.routing.consent import Consent
from nearfield.routing.router import Router
from nearfield.routing.store import Store
from nearfield.types import Capabilities, ChatRequest, InfillRequest


class Remote(Scripted):
    """A scripted provider that claims to be outside this machine."""

    @property
    def capabilities(self) -> Capabilities:
        return replace(super().capabilities, local=False)


def scripted(name: str, *, remote: bool = False, model: str = "", **answer: Any) -> Scripted:
    """One whose every answer is `answer` (fields of `scripted.ScriptedAnswer`)."""
    options = {"answers": [answer]} if answer else {}
    kind = Remote if remote else Scripted
    return kind(name, ProviderSettings(kind="scripted", model=model, options=options))


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data and cache directories of this test."""
    monkeypatch.setenv("NEARFIELD_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("NEARFIELD_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "data"


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    opened = Store()
    yield opened
    opened.close()


Make = Callable[..., Router]


@pytest.fixture
async def make(store: Store) -> AsyncIterator[Make]:
    """`make({"routing": {...}}, local, cloud, …)`: a router over those providers, in that order."""
    made: list[Router] = []

    def build(settings: Mapping[str, Any], *providers: Provider) -> Router:
        config = msgspec.convert(settings, Config)
        made.append(Router(config, {p.name: p for p in providers}, store))
        return made[-1]

    yield build
    for router in made:
        await router.aclose()


@pytest.fixture
def allow(store: Store, workspace: Path) -> Callable[[str, Consent], None]:
    """Say something about a provider in `workspace`."""

    def say(provider: str, consent: Consent = Consent.WORKSPACE) -> None:
        store.say(str(workspace), provider, provider, consent)

    return say


@pytest.fixture(scope="session")
def bench() -> Callable[[str], ModuleType]:
    """A module of tests/bench by its name."""
    folder = str(Path(__file__).parents[2] / "bench")

    def load(name: str) -> ModuleType:
        if folder not in sys.path:
            sys.path.append(folder)
        return importlib.import_module(name)

    return load


@pytest.fixture(scope="session")
def corpus(bench: Callable[[str], ModuleType]) -> ModuleType:
    """tests/bench/secret_corpus.py."""
    return bench("secret_corpus")


@pytest.fixture
def provider() -> Callable[..., Scripted]:
    return scripted


@pytest.fixture
def infill() -> Callable[..., InfillRequest]:
    def request(prefix: str = "x = ", suffix: str = "", **more: Any) -> InfillRequest:
        return InfillRequest("file:///a.py", "a.py", "python", prefix, suffix, **more)

    return request


@pytest.fixture
def chat() -> Callable[..., ChatRequest]:
    from nearfield.types import Message, Role

    def request(text: str = "why?", **more: Any) -> ChatRequest:
        return ChatRequest((Message(Role.USER, text),), **more)

    return request
