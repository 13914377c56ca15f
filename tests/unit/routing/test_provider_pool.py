"""Providers that the settings want."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from nearfield.config.folders import FolderConfigs
from nearfield.config.schema import Config
from nearfield.providers.registry import build
from nearfield.routing.consent import Consent
from nearfield.routing.pause import UserPause
from nearfield.routing.plan import REFUSED, UNASKED
from nearfield.routing.provider_pool import ProviderPool, variants
from nearfield.routing.router import Router
from nearfield.routing.store import Store


def test_variants_name_a_model_of_a_provider() -> None:
    config = msgspec.convert(
        {
            "providers": {"ollama": {"kind": "ollama", "model": "small", "base_url": "http://h"}},
            "routing": {"roles": {"large": ["ollama/big:32b", "ollama", "unknown/x"]}},
        },
        Config,
    )
    wanted = variants(config)
    assert set(wanted) == {"ollama", "ollama/big:32b"}
    assert (wanted["ollama/big:32b"].model, wanted["ollama/big:32b"].base_url) == (
        "big:32b",
        "http://h",
    )


async def test_a_teams_own_server_counts_as_this_machine(tmp_path: Path) -> None:
    settings = {"kind": "openai_compatible", "model": "m", "base_url": "http://10.0.0.11:8000/v1"}
    named = {"own": settings, "other": settings, "own/of-another-host": settings}
    config = msgspec.convert({"providers": named}, Config)
    providers = {name: build(name, one) for name, one in config.providers.items()}
    store = Store(tmp_path / "ledger.db")
    pool = ProviderPool(FolderConfigs.over(config), providers, store, UserPause(), ["own"])
    assert pool.local == {"own"}
    await pool.aclose()
    for provider in providers.values():
        await provider.aclose()


@pytest.mark.parametrize(
    ("asked", "said", "why"),
    [
        ("claude", {"claude": Consent.WORKSPACE}, ""),
        ("claude/big", {"claude": Consent.WORKSPACE}, ""),
        ("claude/big", {"claude/big": Consent.WORKSPACE}, ""),
        ("claude/big", {"claude/big": Consent.WORKSPACE, "claude": Consent.NEVER}, REFUSED),
        ("claude/big", {"claude/big": Consent.NEVER, "claude": Consent.WORKSPACE}, REFUSED),
        ("claude", {"claude/big": Consent.NEVER, "claude": Consent.WORKSPACE}, ""),
        ("claude", {"claude/big": Consent.WORKSPACE}, UNASKED),
        ("claude/own", {"claude": Consent.WORKSPACE}, UNASKED),
        ("claude/own", {"claude": Consent.NEVER}, UNASKED),
        ("claude/moved", {"claude": Consent.WORKSPACE}, UNASKED),
        ("claude/far-cloud", {"claude": Consent.WORKSPACE}, UNASKED),
        ("claude/far-cloud", {"claude/far-cloud": Consent.WORKSPACE}, ""),
        ("claude/far-cloud", {"claude": Consent.NEVER}, REFUSED),
    ],
)
async def test_consent_to_a_provider_holds_for_each_of_its_models(
    asked: str, said: dict[str, Consent], why: str, tmp_path: Path
) -> None:
    config = msgspec.convert(
        {
            "providers": {
                "claude": {"kind": "anthropic", "model": "small"},
                "claude/own": {"kind": "anthropic", "model": "small"},
                "claude/moved": {
                    "kind": "anthropic",
                    "model": "moved",
                    "base_url": "https://example.com",
                },
            },
            "routing": {
                "strategy": "local_first",
                "roles": {"code": ["claude/big", "claude/far-cloud", "claude"]},
            },
        },
        Config,
    )
    providers = {name: build(name, one) for name, one in variants(config).items()}
    router = Router(config, providers, Store(tmp_path / "ledger.db"))
    for name, consent in said.items():
        router.guard.store.say("/work", name, "anthropic", consent)
    assert await router.refusal(asked, "/work") == why
    assert await router.refusal(asked, "/elsewhere") == UNASKED
    named = ("claude/own", "claude/moved", "claude/far-cloud")
    assert router.allowed_as(asked) == (asked if asked in named else "claude")
    await router.aclose()
    for provider in providers.values():
        await provider.aclose()
