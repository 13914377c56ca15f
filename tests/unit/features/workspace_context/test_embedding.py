"""Who may make the index's vectors: a provider on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from nearfield.config.schema import Config, Index, ProviderSettings
from nearfield.errors import NotPermitted, NotReady
from nearfield.features.workspace_context.embedding import embedded_here
from nearfield.providers.base import Provider
from nearfield.providers.scripted import Scripted
from nearfield.routing.egress import Egress


@dataclass
class Session:
    config: Config
    providers: Mapping[str, Provider] = field(default_factory=dict[str, Provider])


def session(name: str, **providers: Any) -> Session:
    return Session(Config(index=Index(embedder=name)), providers)


@pytest.fixture
def here() -> Scripted:
    return Scripted("here", ProviderSettings(kind="scripted"))


async def test_a_provider_on_this_machine_makes_them(here: Scripted) -> None:
    made = await embedded_here(session("here", here=here), ["alpha", "beta"])
    assert made == await here.embed(["alpha", "beta"])


async def test_one_that_is_not_there_is_named(here: Scripted) -> None:
    with pytest.raises(NotReady, match="'other'"):
        await embedded_here(session("other", here=here), ["alpha"])


async def test_one_outside_is_never_asked(here: Scripted, monkeypatch: Any) -> None:
    outside = object.__new__(Egress)  # whatever was allowed: it is not even looked at
    asked: list[object] = []

    def embed(*given: object) -> None:
        asked.append(given)

    monkeypatch.setattr(Egress, "embed", embed)
    with pytest.raises(NotPermitted, match="never sent there"):
        await embedded_here(session("cloud", cloud=outside, here=here), ["alpha"])
    assert asked == []
