"""The index's vectors by a provider: one on this machine, or none.

An index is the whole of a workspace, so it is not offered to anybody outside, whatever was allowed
for single requests: nobody could look through what would be sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from nearfield.config.schema import Config
from nearfield.errors import NotPermitted, NotReady
from nearfield.providers.base import Provider
from nearfield.routing.egress import Egress


class Session(Protocol):
    """What is needed of a service."""

    @property
    def config(self) -> Config:
        """The settings in force."""
        ...

    @property
    def providers(self) -> Mapping[str, Provider]:
        """The providers by name."""
        ...


async def embedded_here(session: Session, texts: Sequence[str]) -> list[list[float]]:
    """One vector a text, by the provider that `index.embedder` names. Raises `NotPermitted` for one
    outside this machine, `NotReady` while it is not there, and whatever it raises itself."""
    name = session.config.index.embedder
    provider = session.providers.get(name)
    if provider is None:
        raise NotReady(
            f"There is no provider {name!r} to make the index's vectors.",
            "Name one of your providers in index.embedder, or leave it empty.",
        )
    if isinstance(provider, Egress):
        raise NotPermitted(
            f"{name} is outside this machine, and an index is never sent there.",
            "Name a provider on this machine in index.embedder, or leave it empty.",
        )
    return await provider.embed(texts)
