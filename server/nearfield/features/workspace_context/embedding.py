"""Vectors for the index by a provider on this machine.

An index covers a whole workspace, so it is never sent outside this machine, whatever was allowed
for single requests: no user could review what would be sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from nearfield.config.schema import Config
from nearfield.errors import NotPermitted, NotReady
from nearfield.providers.base import Provider
from nearfield.routing.egress import Egress


class Session(Protocol):
    """The part of the service that is used here."""

    @property
    def config(self) -> Config:
        """The settings in force."""
        ...

    @property
    def providers(self) -> Mapping[str, Provider]:
        """The providers by name."""
        ...


async def embedded_here(session: Session, texts: Sequence[str]) -> list[list[float]]:
    """Return one vector per text, by the provider that `index.embedder` names. Raises
    `NotPermitted` if it is outside this machine, `NotReady` if there is none, or its errors."""
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
