"""The memory that the models of this machine's engine share: which is unloaded for which.

Every model is loaded by a process of its own, so no process sees the sum. Each asks here before it
loads its model. Where all of them do not fit, those that are least needed are unloaded, and the
user can see why. A model that is answering is never unloaded: it is waited for.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import psutil

from nearfield.engine.memory import ceiling
from nearfield.errors import NotReady
from nearfield.types import Health

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.1
"""Interval at which a model that is answering is looked at again."""
WAIT_SECONDS = 600.0
"""The longest wait for a model that is answering: longer than a chat may take."""
TRIAL = "trial"
"""The second model of a trial, for which no other is unloaded."""
GIVING_WAY = (TRIAL, "chat", "edit", "complete")
"""Roles in the order in which their models are unloaded. A chat is asked for by a click and may
take a second longer to begin; a completion is wanted at every pause."""


@runtime_checkable
class Resident(Protocol):
    """A provider that holds a model in this machine's memory."""

    name: str
    model: str

    @property
    def in_memory(self) -> bool:
        """Return whether the model is in memory, or on its way there."""
        ...

    @property
    def memory_bytes(self) -> int:
        """The bytes that the model takes, or would take."""
        ...

    async def health(self) -> Health:
        """See `Provider`."""
        ...

    async def rest(self, after_seconds: float) -> bool:
        """Unload if nothing was asked for that long; return whether it did."""
        ...

    def live_in(self, memory: ModelMemory) -> None:
        """Ask `memory` from now on before a model is loaded."""
        ...


@dataclass(frozen=True, slots=True)
class ModelState:
    """A model and whether it is in memory. `why` says, in a sentence for the user, what it waits
    for or what it was unloaded for; "" for neither."""

    provider: str
    model: str
    role: str
    bytes: int
    loaded: bool
    why: str = ""


@dataclass(slots=True)
class _Lodger:
    resident: Resident
    role: str
    admitted: bool = False
    why: str = ""

    @property
    def stays(self) -> bool:
        """Return whether it takes memory now."""
        return self.admitted and self.resident.in_memory


class ModelMemory:
    """The models of one session. `limit` is in bytes; 0 takes three quarters of the machine's
    memory, and no more than is free. One event loop."""

    def __init__(self, limit: int = 0) -> None:
        self._limit = limit
        self._lodgers: dict[str, _Lodger] = {}
        self._admitting = asyncio.Lock()

    def add(self, resident: Resident, role: str) -> None:
        """Count a provider's model, which serves `role`."""
        self._lodgers[resident.name] = _Lodger(resident, role)
        resident.live_in(self)

    def states(self) -> tuple[ModelState, ...]:
        """Return every model."""
        return tuple(
            ModelState(
                name,
                one.resident.model,
                one.role,
                one.resident.memory_bytes,
                one.stays,
                self.why(name),
            )
            for name, one in self._lodgers.items()
        )

    def why(self, name: str) -> str:
        """Return what a provider's model waits for, or was unloaded for; "" for neither."""
        one = self._lodgers.get(name)
        return "" if one is None else one.why

    async def admit(self, name: str) -> None:
        """Return once the model of the provider `name` may be loaded, and count it from then on.

        Unloads others first, though not for a trial. Raises `NotReady` when one of them answers
        for `WAIT_SECONDS`, and for a trial's where there is no room.
        """
        one = self._lodgers[name]
        one.admitted = False
        async with self._admitting:
            try:
                async with asyncio.timeout(WAIT_SECONDS):
                    await self._make_room(one)
            except TimeoutError:
                raise NotReady(one.why, "Ask again later, or use smaller models.") from None
            one.admitted, one.why = True, ""

    async def _make_room(self, one: _Lodger) -> None:
        while (others := self._others(one)) and (because := self._lack(one, others)):
            if one.role == TRIAL:
                one.why = f"{one.resident.model} is not loaded: {because}"
                raise NotReady(one.why)
            for other in others:
                if await other.resident.rest(0):
                    other.why = (
                        f"{other.resident.model} was unloaded for {one.resident.model}: {because}"
                    )
                    log.info("%s", other.why)
                    break
            else:
                names = " and ".join(other.resident.model for other in others)
                one.why = f"{one.resident.model} is loaded once {names} has answered: {because}"
                await asyncio.sleep(LOOK_SECONDS)

    def _others(self, one: _Lodger) -> list[_Lodger]:
        """Return the other models in memory, the least needed first."""
        found = [other for other in self._lodgers.values() if other is not one and other.stays]
        return sorted(found, key=lambda other: GIVING_WAY.index(other.role))

    def _lack(self, one: _Lodger, others: list[_Lodger]) -> str:
        """Return why the model does not fit beside `others`; "" when it does."""
        held = sum(other.resident.memory_bytes for other in others)
        need, room = one.resident.memory_bytes + held, ceiling(self._limit)
        if not self._limit:
            room = min(room, psutil.virtual_memory().available + held)
        if need <= room:
            return ""
        return f"together they need {need >> 20} MiB, and models may take {room >> 20} MiB here."
