"""Watch the providers and report their health on the status board.

The state is about completions, the roles about all providers. Providers are asked only while one is
starting, after a failure, and when something has changed; otherwise the task sleeps.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from nearfield.errors import NearfieldError
from nearfield.features.idle import Activity
from nearfield.features.status import ServiceState, ServiceStatus, StatusBoard
from nearfield.providers.base import Provider
from nearfield.routing.request_context import Task
from nearfield.routing.router import RoleStatus, Router
from nearfield.types import WOULD_ANSWER, Health, HealthState

ASK_SECONDS = 2.0
"""A server that has not said how it is by then is not well."""

POLL_SECONDS = 0.5
"""Interval at which a starting provider is asked for its progress; one that reports by itself is
heard at once.
"""

NOTHING = (
    "No provider may complete code. Run `nearfield models pull` to fetch the default model, or"
    " name a server under [providers]."
)


class HealthWatch:
    """`on_ready` is called when completions become possible. While it `is_well` an answer by the
    first candidate is no news."""

    def __init__(
        self, board: StatusBoard, activity: Activity, on_ready: Callable[[], None]
    ) -> None:
        self._board = board
        self._activity = activity
        self._on_ready = on_ready
        self._router: Router | None = None
        self._workspace = ""
        self._ill: dict[str, str] = {}
        self._stumbled = False
        self.is_well = False
        self._notes: Sequence[str] = ()
        self._trouble: NearfieldError | None = None
        self._poked = asyncio.Event()

    def use(self, router: Router | None, notes: Sequence[str] = (), workspace: str = "") -> None:
        """Watch the providers of `router`, for `workspace`; `notes` are said beside what they
        say."""
        self._router, self._notes, self._trouble = router, notes, None
        self._workspace, self._ill = workspace, {}
        self._poked.set()

    def poke(self) -> None:
        """Something has changed: look. On the event loop."""
        self._poked.set()

    def outcome(self, error: NearfieldError | None, stumbled: bool = False) -> None:
        """A question was answered (None) or failed; `stumbled` when not the first candidate did.
        What a provider's own health would not tell, such as a model that its server does not have,
        is told until something is answered."""
        if stumbled != self._stumbled:
            self._stumbled, self.is_well = stumbled, False
            self._poked.set()
        if error is None and self._trouble is None:
            if self._board.status.state is not ServiceState.READY:
                self._poked.set()
            return
        self._trouble, self.is_well = error, False
        self._poked.set()

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            self._poked.clear()
            status = await self._look()
            before = self._board.status.state
            self._board.set(status)
            is_ready = status.state is ServiceState.READY
            self.is_well = is_ready and not self._stumbled and self._trouble is None
            if is_ready and before is not ServiceState.READY:
                self._on_ready()
            self._board.set(await self._look_further(status))
            coming = self._router is not None and status.state in (
                ServiceState.STARTING,
                ServiceState.LOADING,
            )
            try:
                async with asyncio.timeout(POLL_SECONDS if coming else None):
                    await self._poked.wait()
            except TimeoutError:
                continue

    async def roles(self, workspace: str = "") -> tuple[RoleStatus, ...]:
        """Return the provider of each role in `workspace` (or in that of `use`), as last known."""
        if self._router is None:
            return ()
        return await self._router.status(workspace or self._workspace, self._ill)

    async def _look(self) -> ServiceStatus:
        router = self._router
        if self._activity.is_paused:
            return ServiceStatus(ServiceState.PAUSED, roles=await self.roles())
        if router is None:
            return ServiceStatus(ServiceState.STARTING)
        found = await self._ask(router, router.candidates_for(Task.COMPLETE))
        return replace(self._of_completions(found), roles=await self.roles())

    async def _look_further(self, status: ServiceStatus) -> ServiceStatus:
        """`status` with what those say that do not complete; they are asked once all is settled."""
        router = self._router
        if router is None or status.state not in (ServiceState.READY, ServiceState.UNAVAILABLE):
            return status
        completing = router.candidates_for(Task.COMPLETE)
        await self._ask(router, [p for p in router.providers.values() if p not in completing])
        return replace(status, roles=await self.roles())

    async def _ask(
        self, router: Router, providers: Sequence[Provider]
    ) -> list[tuple[Provider, Health]]:
        """Return the health of `providers`; none outside this machine is asked."""
        found = list(zip(providers, await asyncio.gather(*map(_health, providers)), strict=True))
        if router is self._router:
            names = {provider: name for name, provider in router.providers.items()}
            for provider, health in found:
                self._ill.pop(names[provider], None)
                if health.state is HealthState.UNAVAILABLE:
                    self._ill[names[provider]] = health.detail
        return found

    def _of_completions(self, found: Sequence[tuple[Provider, Health]]) -> ServiceStatus:
        status = status_of(found)
        if status.state is not ServiceState.READY:
            self._trouble = None
        if self._trouble is not None:
            return ServiceStatus(ServiceState.UNAVAILABLE, str(self._trouble))
        notes = [note for note in self._notes if note not in status.detail]
        return replace(status, detail="\n".join([*notes, status.detail]).strip())


async def _health(provider: Provider) -> Health:
    try:
        async with asyncio.timeout(ASK_SECONDS):
            return await provider.health()
    except NearfieldError as error:
        return Health(HealthState.UNAVAILABLE, str(error))
    except TimeoutError:
        return Health(
            HealthState.UNAVAILABLE,
            f"{provider.name} has not said in {ASK_SECONDS:.0f} s how it is.",
        )


def status_of(found: Sequence[tuple[Provider, Health]]) -> ServiceStatus:
    """Return the status of the best one: the first that would answer, or else the first that is
    starting.
    """
    for provider, health in found:
        if health.state in WOULD_ANSWER:
            return ServiceStatus(
                ServiceState.READY, health.note, None, provider.name, provider.model
            )
    for provider, health in found:
        if health.state is HealthState.STARTING:
            state = ServiceState.STARTING if health.progress is None else ServiceState.LOADING
            return ServiceStatus(
                state, health.detail, health.progress, provider.name, provider.model
            )
    details = [f"{provider.name}: {health.detail}" for provider, health in found]
    return ServiceStatus(ServiceState.UNAVAILABLE, "\n".join(details) or NOTHING)
