"""How a service comes up, changes its settings, and goes; what it says when something is
missing."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
from tests.unit.catalog import gguf_files

from nearfield.catalog import choice
from nearfield.catalog.models import Catalog
from nearfield.config.schema import (
    Completion,
    Config,
    Engine,
    Models,
    ProviderSettings,
    Routing,
    RoutingRule,
)
from nearfield.engine import client
from nearfield.errors import NotPermitted
from nearfield.features import assemble, loading
from nearfield.features.service import Service, ServiceState
from nearfield.providers import managed
from nearfield.providers.base import Provider
from nearfield.providers.scripted import Scripted
from nearfield.routing.router import Router
from nearfield.types import Capabilities, ChatRequest, EditForm, HealthState, Message, Role

from .conftest import FakeUser, Start, scripted, until

ADD = "def add(a, b):\n    return |\n"
NO_ENGINE = Engine(enabled=False)


def config_of(text: str, debounce_ms: int = 0, **others: Any) -> Config:
    settings = ProviderSettings(kind="scripted", options={"answers": [{"text": text}]})
    return Config(
        engine=NO_ENGINE,
        providers={"demo": settings},
        completion=Completion(debounce_ms=debounce_ms, **others),
    )


async def started(config: Config) -> Service:
    service = Service(config)
    await service.start()
    await until(lambda: service.status.state is not ServiceState.STARTING)
    return service


async def test_providers_are_built_and_closed_with_the_settings() -> None:
    service = await started(config_of("a + b\n"))
    person = FakeUser(service, ADD)
    assert await person.said() == "a + b"
    before = service.providers["demo"]
    # Other settings apply at once and leave the providers alone.
    await service.configure(config_of("a + b\n", max_lines=1))
    assert service.providers["demo"] is before
    await service.configure(config_of("a - b\n"))
    assert service.providers["demo"] is not before
    person.type("a")
    person.delete()
    assert await FakeUser(service, ADD, "b.py").said() == "a - b"
    await service.configure(config_of("a - b\n", enabled=False))
    assert await person.said() == "<disabled>"
    await service.aclose()
    await service.aclose()


async def test_a_question_before_the_providers_are_there() -> None:
    service = Service(config_of("a + b\n"))
    assert await FakeUser(service, ADD).said() == "<not_ready>"
    assert service.status.state is ServiceState.STARTING
    await service.aclose()


async def test_nobody_waits_for_providers_that_could_not_be_built(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def fail(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(assemble.BuiltProviders, "build", fail)
    service = Service(config_of("a + b\n"))
    await service.start()
    async with asyncio.timeout(5):
        await service.begun()
    assert service.router is None
    await service.aclose()


class Drowsy(Scripted):
    """Says of itself that it rests, and notes after how many idle seconds it is asked to."""

    asked: ClassVar[list[float]] = []

    async def rest(self, after_seconds: float) -> bool:
        self.asked.append(after_seconds)
        return True


async def test_idle_models_rest_after_the_time_of_the_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loading, "CHECK_SECONDS", 0.01)
    drowsy = Drowsy("mine", ProviderSettings(kind="scripted"))
    built: dict[str, Provider] = {"mine": drowsy, "other": scripted("model")}
    service = Service(Config(engine=Engine(idle_unload_minutes=3)), built)
    await service.start()
    await until(lambda: len(drowsy.asked) > 1)
    assert set(drowsy.asked) == {180}
    await service.configure(Config(engine=Engine(idle_unload_minutes=0)))
    drowsy.asked.clear()
    await asyncio.sleep(0.1)
    assert drowsy.asked == [], "0 never does"
    await service.aclose()


async def test_closing_ends_running_work() -> None:
    model = scripted("model", {"text": "", "delay_ms": 60_000})
    service = Service(Config(), {"model": model})
    await service.start()
    await until(lambda: service.status.state is ServiceState.READY)
    question = asyncio.create_task(FakeUser(service, ADD).ask(invoked=True))
    await until(lambda: model.streaming)
    await service.aclose()
    assert (await question).suggestions == ()
    assert model.streaming == 0


def health_of(found: Mapping[str, Provider], name: str) -> str:
    health = asyncio.run(found[name].health())
    assert health.state is HealthState.UNAVAILABLE
    return health.detail


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine without llama-cpp-python and without a llama.cpp server."""
    monkeypatch.setattr(client, "installed", lambda program=client.LLAMA: False)
    monkeypatch.setattr(managed, "programs", list[managed.ServerProgram])
    return monkeypatch


def test_without_an_engine_the_status_says_both_ways_to_get_one(bare: pytest.MonkeyPatch) -> None:
    said = health_of(assemble.providers(Config()), "embedded")
    assert "nearfield[prebuilt]" in said
    assert "nearfield[local]" in said


PROGRAM = managed.ServerProgram("xllamacpp", ("serve",), "the prebuilt wheel")


@pytest.mark.parametrize("has_engine", [True, False])
def test_a_role_names_another_model_of_our_own(
    has_engine: bool, bare: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if has_engine:
        bare.setattr(client, "installed", lambda: True)
    else:
        bare.setattr(managed, "programs", lambda: [PROGRAM])
    for name in ("a.gguf", "b.gguf"):
        (tmp_path / name).write_bytes(gguf_files.model())
    small, usual = (f"embedded/{tmp_path / name}" for name in ("b.gguf", "a.gguf"))
    roles = {"code": [small, "embedded"], "review": [usual], "fast": ["embedded/gone"]}
    config = Config(
        models=Models(complete=str(tmp_path / "a.gguf")),
        routing=Routing(roles=roles, rules=[RoutingRule(use=[small], min_load=0.8)]),
    )
    built = assemble.providers(config)
    own = "embedded" if has_engine else "llama_server"
    assert set(built) == {own, small, "embedded/gone"}
    assert built[small].capabilities.chat and built[small].capabilities.infill
    assert "models list" in health_of(built, "embedded/gone")
    router = Router(config, built)
    asked = {
        role: [p.name for p in router.candidates(role)] for role in ("code", "large", "review")
    }
    assert asked["code"] == [small, own]
    assert asked["large"] == [own]
    # The model that is there anyway is not loaded a second time.
    assert asked["review"] == [own]
    [said] = [one for one in asyncio.run(router.status("")) if one.role == "review"]
    assert (usual, f"{own} has this model already") in said.others
    # A change of the roles alone builds them again.
    assert assemble.BuiltProviders(None, lambda: None).are_outdated(Config(), config)


def test_our_own_llama_server_replaces_the_engine(bare: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bare.setattr(managed, "programs", lambda: [PROGRAM])
    assert "nearfield models pull" in health_of(assemble.providers(Config()), "llama_server")
    for name in ("a.gguf", "b.gguf"):
        (tmp_path / name).write_bytes(gguf_files.model())
    one = Config(models=Models(complete=str(tmp_path / "a.gguf")))
    both = Config(
        models=Models(complete=str(tmp_path / "a.gguf"), chat=str(tmp_path / "b.gguf")),
        routing=Routing(roles={"complete": ["embedded"], "code": ["embedded_chat", "embedded"]}),
    )
    (own,) = assemble.providers(one).values()
    assert (own.name, own.capabilities.infill, own.capabilities.chat) == (
        "llama_server", True, True,
    )  # fmt: skip
    # Roles that name the engine mean what stands in for it.
    router = Router(both, assemble.providers(both))
    assert [p.name for p in router.candidates("complete")] == ["llama_server"]
    assert [p.name for p in router.candidates("code")] == ["llama_server_chat"]
    # One that the user has called so is the user's.
    theirs = Config(
        providers={"llama_server": ProviderSettings(kind="scripted")},
        routing=Routing(roles={"complete": ["embedded"]}),
    )
    router = Router(theirs, assemble.providers(theirs))
    assert router.candidates("complete") == ()
    status = {role.role: role for role in asyncio.run(router.status())}
    assert status["complete"].others == (("embedded", "there is no such provider"),)


def test_one_file_that_completes_and_edits_is_loaded_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(client, "installed", lambda program=client.LLAMA: True)
    sweep, other = tmp_path / "sweep-next-edit-0.5b.q8_0.gguf", tmp_path / "b.gguf"
    for file in (sweep, other):
        file.write_bytes(gguf_files.model())

    def roles(models: Models) -> list[tuple[bool, EditForm]]:
        found = assemble.providers(Config(models=models)).values()
        return [(one.capabilities.infill, one.capabilities.edit) for one in found]

    both = Models(complete=str(sweep), chat=str(sweep), edit=str(sweep))
    assert roles(both) == [(True, EditForm.SWEEP)]
    apart = Models(complete=str(other), chat=str(other), edit=str(sweep))
    assert sorted(roles(apart)) == [(False, EditForm.SWEEP), (True, EditForm.NONE)]


def test_without_a_model_the_status_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "installed", lambda program=client.LLAMA: True)
    assert not Catalog.load().installed()
    assert "nearfield models pull" in health_of(assemble.providers(Config()), "embedded")


def test_a_provider_that_cannot_be_built_does_not_hinder_the_others() -> None:
    config = Config(
        engine=NO_ENGINE,
        providers={
            "bad": ProviderSettings(kind="scripted", options={"answers": [{"match": "("}]}),
            "strange": ProviderSettings(kind="no such kind"),
            "good": ProviderSettings(kind="scripted"),
        },
    )
    found = assemble.providers(config)
    assert "regular expression" in health_of(found, "bad")
    assert "no such kind" in health_of(found, "strange")
    assert found["good"].capabilities.infill


def test_a_model_that_cannot_be_read_hinders_only_the_engine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unreadable(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "a.gguf")

    monkeypatch.setattr(client, "installed", lambda program=client.LLAMA: True)
    monkeypatch.setattr(choice, "choose", unreadable)
    found = assemble.providers(Config(providers={"good": ProviderSettings(kind="scripted")}))
    assert "Permission denied: a.gguf" in health_of(found, "embedded")
    assert found["good"].capabilities.infill


def test_a_switched_off_engine_is_not_there() -> None:
    assert assemble.providers(Config(engine=NO_ENGINE)) == {}


async def test_an_absent_provider_says_why() -> None:
    config = Config(engine=NO_ENGINE, providers={"bad": ProviderSettings(kind="no such kind")})
    service = await started(config)
    assert service.status.state is ServiceState.UNAVAILABLE
    assert "no such kind" in service.status.detail
    assert await FakeUser(service, ADD).said() == "<no_provider>"
    assert service.providers["bad"].capabilities == Capabilities(infill=True, chat=True, local=True)
    await service.aclose()


async def test_a_bad_provider_is_named_once_and_passed_over() -> None:
    good = ProviderSettings(kind="scripted", options={"answers": [{"text": "a + b\n"}]})
    bad = ProviderSettings(kind="no such kind")
    service = await started(Config(engine=NO_ENGINE, providers={"bad": bad, "good": good}))
    assert (service.status.state, service.status.provider) == (ServiceState.READY, "good")
    assert service.status.detail.count("no such kind") == 1
    assert await FakeUser(service, ADD).said(invoked=True) == "a + b"
    absent = await assemble.providers(service.config)["bad"].health()
    assert [dict(role.others) for role in service.status.roles if role.role == "complete"] == [
        {"bad": absent.detail}
    ]
    await service.aclose()


async def test_remote_providers_are_wrapped_for_every_caller() -> None:
    far = ProviderSettings(kind="openai_compatible", model="m", base_url="https://far.invalid/v1")
    service = await started(Config(engine=NO_ENGINE, providers={"far": far}))
    request = ChatRequest((Message(Role.USER, "text"),))
    with pytest.raises(NotPermitted):
        await anext(service.providers["far"].chat(request))
    await service.aclose()
    assert service.providers == {}


async def test_acceptance_is_counted_by_reports_and_by_edits(start: Start) -> None:
    service = await start(scripted("model", {"text": "a + b\n"}))
    person = FakeUser(service, ADD)
    (suggestion,) = (await person.ask()).suggestions
    service.shown(suggestion.id)
    service.partly_accepted(suggestion.id)
    person.edit(person.cursor, person.cursor, suggestion.text)
    service.accepted(suggestion.id)
    assert service.acceptance.counts == {"offered": 1, "shown": 1, "partial": 1, "accepted": 1}


def test_importing_the_service_loads_no_engine_and_no_client() -> None:
    """A session's first second counts: what is not needed is not imported."""
    heavy = ["llama_cpp", "httpx", "anthropic", "huggingface_hub", "numpy"]
    code = (
        "import sys, nearfield.features.service;"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
