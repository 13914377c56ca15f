"""Work that the user gives to a provider outside this machine: when it is asked about first."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from nearfield.config.schema import Config
from nearfield.errors import NotPermitted
from nearfield.features.remote_choice import RemoteChoice
from nearfield.providers.registry import build
from nearfield.routing.consent import Consent
from nearfield.routing.provider_pool import variants
from nearfield.routing.request_context import Offer, RequestContext
from nearfield.routing.router import Router
from nearfield.routing.store import Store
from nearfield.types import ChatRequest, Message, Role

QUESTION = ChatRequest((Message(Role.USER, "why?"),), max_tokens=1)


@pytest.mark.parametrize(
    ("said_to", "destination", "is_asked"),
    [
        ("claude", "anthropic", False),
        ("claude/big", "anthropic", False),
        ("claude", "https://where-it-was.example", True),
        ("", "", True),
    ],
)
async def test_the_user_is_asked_unless_it_was_allowed_for_this_address(
    said_to: str, destination: str, is_asked: bool, tmp_path: Path
) -> None:
    config = msgspec.convert(
        {
            "providers": {"claude": {"kind": "anthropic", "model": "small"}},
            "routing": {"strategy": "local_first", "roles": {"code": ["claude/big"]}},
        },
        Config,
    )
    providers = {name: build(name, one) for name, one in variants(config).items()}
    router = Router(config, providers, Store(tmp_path / "ledger.db"))
    if said_to:
        router.guard.store.say("/work", said_to, destination, Consent.WORKSPACE)
    asked: list[str] = []

    async def ask(offer: Offer) -> Consent:
        asked.append(offer.provider)
        return Consent.NEVER

    choice = RemoteChoice("claude/big", ask)
    context = RequestContext(workspace="/work")
    if is_asked:
        with pytest.raises(NotPermitted):
            await choice.accepted(router, QUESTION, context)
    else:
        assert await choice.accepted(router, QUESTION, context) == ("claude/big",)
    assert asked == ["claude/big"] * is_asked
    await router.aclose()
    for provider in providers.values():
        await provider.aclose()
