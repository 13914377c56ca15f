"""Which models can be picked for a role, and what picking one does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.catalog import gguf_files

from nearfield.catalog.models import Catalog
from nearfield.catalog.registration import registration
from nearfield.catalog.user import register
from nearfield.config.load import load
from nearfield.config.schema import Config, ProviderSettings
from nearfield.errors import ConfigError, NearfieldError, NotPermitted, Unreachable
from nearfield.features import model_picks as picks
from nearfield.features.model_picks import PickGroup, model_picks, overruled, pick
from nearfield.providers.scripted import Scripted
from nearfield.routing.consent import Consent
from nearfield.routing.router import Router
from nearfield.types import Capabilities, ServedModel

SETTINGS = """
[routing]
strategy = "local_first"

[routing.roles]
code = ["ollama", "embedded"]

[providers.ollama]
kind = "ollama"
model = "coder:7b"

[providers.slow]
kind = "ollama"
model = "slow:1b"

[providers.off]
kind = "ollama"

[providers.claude]
kind = "anthropic"
model = "claude-sonnet-5"
"""


class Server(Scripted):
    """A provider with several models, which answers, hangs, or cannot be reached."""

    def __init__(self, name: str, model: str, *has: str, local: bool = True) -> None:
        super().__init__(name, ProviderSettings(kind="scripted", model=model))
        self.model, self.has, self.is_here = model, has, local

    @property
    def capabilities(self) -> Capabilities:
        return replace(super().capabilities, local=self.is_here)

    async def models(self) -> list[ServedModel]:
        if self.has == ("hang",):
            await asyncio.sleep(60)
        if not self.has:
            raise Unreachable(f"{self.name} cannot be reached.")
        return [ServedModel(one) for one in self.has]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("CONFIG", "DATA", "CACHE"):
        monkeypatch.setenv(f"NEARFIELD_{name}_DIR", str(tmp_path))
    monkeypatch.setenv("MODEL_CACHE_DIR", str(tmp_path / "models"))
    monkeypatch.setattr(picks, "PICK_SECONDS", 0.1)
    (tmp_path / "config.toml").write_text(SETTINGS)
    (tmp_path / "own.gguf").write_bytes(gguf_files.model())
    register(registration("mine", str(tmp_path / "own.gguf"), None, {"roles": ["chat"]}))
    return tmp_path


@asynccontextmanager
async def routing(config: Config) -> AsyncGenerator[Router]:
    servers = (
        Server("ollama", "coder:7b", "coder:7b", "chat:1b", "far-cloud"),
        Server("slow", "slow:1b", "hang"),
        Server("off", ""),
        Server("claude", "claude-sonnet-5", "must-not-be-asked", local=False),
    )
    router = Router(config, {one.name: one for one in servers})
    try:
        yield router
    finally:
        await router.aclose()


async def groups_of(role: str, workspace: str = "/work") -> Mapping[str, PickGroup]:
    config = load().config
    async with routing(config) as router:
        found = await model_picks(router, config, role, workspace)
    return {one.provider: one for one in found.groups}


async def test_each_provider_lists_its_models_and_what_is_current() -> None:
    found = await groups_of("code")
    assert list(found) == ["embedded", "ollama", "slow", "off", "claude"]
    ollama = found["ollama"]
    assert [(one.name, one.current) for one in ollama.models] == [
        ("ollama", True),
        ("ollama/chat:1b", False),
        ("ollama/far-cloud", False),
    ]
    own = {one.name: one for one in found["embedded"].models}
    assert {"auto", "mine", Catalog.load().default} <= set(own)
    assert not own["mine"].missing
    assert not any(one.current for one in own.values())


async def test_a_server_that_does_not_answer_is_listed_with_its_reason() -> None:
    found = await groups_of("code")
    assert "did not answer within" in found["slow"].problem
    assert [one.name for one in found["slow"].models] == ["slow"]
    assert found["off"].problem == "off cannot be reached."
    assert found["off"].models == ()


async def test_a_model_is_listed_only_for_roles_that_it_can_do() -> None:
    found = await groups_of("complete")
    assert found["claude"].problem == "None of its models can do this."
    assert found["claude"].models == ()
    assert "mine" not in {one.name for one in found["embedded"].models}


@pytest.mark.parametrize(
    ("strategy", "said", "sentence"),
    [
        ("local_only", Consent.WORKSPACE, "config set routing.strategy"),
        ("local_first", None, "`nearfield consent allow claude`"),
        ("local_first", Consent.NEVER, "you said never"),
        ("local_first", Consent.WORKSPACE, ""),
    ],
)
async def test_a_model_outside_is_refused_where_nothing_may_be_sent(
    strategy: str, said: Consent | None, sentence: str, home: Path
) -> None:
    (home / "config.toml").write_text(SETTINGS.replace("local_first", strategy))
    config = load().config
    async with routing(config) as router:
        if said is not None:
            to = router.guard.store
            to.say("/work", "claude", "anthropic", said)
        found = await model_picks(router, config, "review", "/work")
        (claude,) = [one for one in found.groups if one.provider == "claude"]
        assert not claude.local
        assert [one.name for one in claude.models] == ["claude"]
        assert sentence in claude.models[0].refused
        assert bool(claude.models[0].refused) is bool(sentence)
        if sentence:
            with pytest.raises(NotPermitted, match="outside this machine"):
                await pick(router, "review", "claude", "/work", config)
            assert "review" not in load().config.routing.roles
        else:
            await pick(router, "review", "claude", "/work", config)
            assert load().config.routing.roles["review"][0] == "claude"


@pytest.mark.parametrize("said", [None, "ollama", "ollama/far-cloud"])
async def test_a_model_that_a_local_server_passes_on_is_outside(said: str | None) -> None:
    config = load().config
    wish = "ollama/far-cloud"
    async with routing(config) as router:
        if said is not None:
            router.guard.store.say("/work", said, "ollama", Consent.WORKSPACE)
        found = await model_picks(router, config, "review", "/work")
        (ollama,) = [one for one in found.groups if one.provider == "ollama"]
        models = {one.name: one for one in ollama.models}
        assert models["ollama/chat:1b"].about == models["ollama/chat:1b"].refused == ""
        assert "outside this machine" in models[wish].about
        if said == wish:
            assert models[wish].refused == ""
            now = await pick(router, "review", wish, "/work", config)
            assert now.outside
        else:
            assert f"`nearfield consent allow {wish}`" in models[wish].refused
            with pytest.raises(NotPermitted, match="outside this machine"):
                await pick(router, "review", wish, "/work", config)
            assert "review" not in load().config.routing.roles


async def test_a_no_to_a_model_alone_holds_where_its_provider_is_allowed() -> None:
    config = load().config
    async with routing(config) as router:
        router.guard.store.say("/work", "claude", "anthropic", Consent.WORKSPACE)
        router.guard.store.say("/work", "claude/big", "anthropic", Consent.NEVER)
        with pytest.raises(NotPermitted, match="you said never"):
            await pick(router, "review", "claude/big", "/work", config)
        assert (await pick(router, "review", "claude/small", "/work", config)).outside


async def test_what_is_picked_is_current_then() -> None:
    config = load().config
    async with routing(config) as router:
        now = await pick(router, "chat", "mine", "/work", config)
    assert (now.model, now.missing, now.outside) == ("mine", False, False)
    assert load().config.models.chat == "mine"
    assert overruled(now, load().config) == ""
    assert "models.chat" in overruled(now, config)
    assert "routing.roles.code" in overruled(now, config)


async def test_the_roles_say_who_serves_them() -> None:
    config = load().config
    async with routing(config) as router:
        found = await model_picks(router, config)
        roles = {one.role: one for one in found.roles}
        assert list(roles) == list(picks.WORDS)
        assert (roles["chat"].provider, roles["chat"].model) == ("ollama", "coder:7b")
        assert found.groups == ()
        with pytest.raises(ConfigError, match="no role 'cook'"):
            await model_picks(router, config, "cook")
        with pytest.raises(NearfieldError, match="no model"):
            await pick(router, "code", "off", "/work", config)
