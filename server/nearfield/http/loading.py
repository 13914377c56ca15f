"""Which models are in memory: Nearfield's own paths to load and to unload them."""

from __future__ import annotations

import asyncio
from dataclasses import asdict

from nearfield.config.schema import ROLES
from nearfield.errors import NotReady
from nearfield.http import wire
from nearfield.http.asking import Asking
from nearfield.http.exchange import HttpExchange
from nearfield.http.wire import BadRequest, RoleBody
from nearfield.types import HealthState

LOOK_SECONDS = 0.1
"""Interval at which a model that is being loaded is looked at."""


class LoadingApi:
    """The paths below `/nearfield/models`."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    async def load(self, exchange: HttpExchange, body: bytes) -> None:
        """Load the model of a role; answers once it is in memory, or cannot be."""
        role = _loadable(wire.read(RoleBody, body).role or "complete")
        service = self._asking.service
        name = service.loader.load(role, self._asking.workspace)
        provider = service.providers[name]
        health = await provider.health()
        async with asyncio.timeout(wire.DEADLINE_SECONDS):
            while health.state is HealthState.STARTING:
                await asyncio.sleep(LOOK_SECONDS)
                health = await provider.health()
        if health.state is not HealthState.READY:
            raise NotReady(health.detail)
        await self._states(exchange, [name])

    async def unload(self, exchange: HttpExchange, body: bytes) -> None:
        """Unload the model of a role, or all."""
        role = _loadable(wire.read(RoleBody, body).role)
        gone = await self._asking.service.loader.unload(role, self._asking.workspace)
        await self._states(exchange, gone)

    async def _states(self, exchange: HttpExchange, providers: list[str]) -> None:
        models = [asdict(one) for one in self._asking.service.models]
        await exchange.json({"providers": providers, "models": models})


def _loadable(role: str) -> str:
    """Return the role, "" for all models. Raises `BadRequest` for one that there is not."""
    if role not in ("", "chat", *ROLES):
        raise BadRequest(f"There is no role {role!r}.", "role")
    return role
