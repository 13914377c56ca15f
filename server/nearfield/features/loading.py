"""Loading and unloading the models of this machine when the user says so, or is about to ask."""

from __future__ import annotations

import asyncio
import logging

from nearfield.config.folders import FolderConfigs
from nearfield.config.schema import Config
from nearfield.errors import EngineMissing, Unsupported
from nearfield.features.assemble import BuiltProviders, Loading
from nearfield.features.feature import Feature
from nearfield.features.idle import CHECK_SECONDS, Activity
from nearfield.providers.memory import Resident
from nearfield.routing.request_context import Task
from nearfield.routing.roles import check_role, usual_role
from nearfield.routing.router import Router, built
from nearfield.types import HealthState

log = logging.getLogger(__name__)


class ModelLoader(Feature):
    """Loads and unloads the models of `providers` by role, and unloads those that rest."""

    def __init__(self, providers: BuiltProviders, activity: Activity) -> None:
        self._providers = providers
        self._activity = activity
        self._configs = FolderConfigs(Config())
        self._router: Router | None = None

    def configure(self, config: FolderConfigs, router: Router | None) -> None:
        """Apply settings and providers from now on."""
        self._configs, self._router = config, router

    async def aclose(self) -> None:
        """Ask no provider any more."""
        self._router = None

    async def run(self) -> None:
        """Unload models that were not asked for the time in the settings, until cancelled."""
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            if minutes := self._configs.user.engine.idle_unload_minutes:
                await self._providers.unload_idle(minutes)

    async def prepare(self, role: str = "", workspace: str = "") -> None:
        """Load the model of a role, "" for that of chats, as the user is about to ask it."""
        if self._router is not None and not self._activity.is_paused:
            await prepare(self._router, self._role(role or "chat", workspace), workspace)

    def load(self, role: str, workspace: str = "") -> str:
        """Begin to load the model of `role` (or "chat"), and return its provider's name. Raises as
        the function `load`, and `NotReady` before the providers are built."""
        return load(built(self._router), self._role(role, workspace), workspace)

    async def unload(self, role: str = "", workspace: str = "") -> list[str]:
        """Unload the model of `role`, or all that are not answering; return their providers. Raises
        as the function `unload`, and `NotReady` before the providers are built."""
        return await unload(built(self._router), self._role(role, workspace), workspace)

    def _role(self, role: str, workspace: str) -> str:
        """Return the role that is meant, as the catalogue calls that of chats by their name."""
        return usual_role(self._configs.of(workspace), Task.CHAT) if role == "chat" else role


def load(router: Router, role: str, workspace: str = "") -> str:
    """Begin to load the model that serves `role`, and return its provider's name. Raises
    `ConfigError` for a role that there is not, and `Unsupported` where no model is loaded here."""
    check_role(role)
    for provider in router.candidates(role, workspace)[:1]:
        if isinstance(provider, Loading):
            provider.start()
            return provider.name
        raise Unsupported(
            f"{provider.name} serves {role}, and its models are not loaded by Nearfield.",
            "Load it with that server's own means.",
        )
    raise Unsupported(f"No provider serves {role}.", "Run `nearfield doctor`.")


async def prepare(router: Router, role: str, workspace: str = "") -> None:
    """Begin to load the model of `role` where it is not in memory; nothing else, whatever fails."""
    for provider in router.candidates(role, workspace)[:1]:
        loads = isinstance(provider, Loading)
        if loads and (await provider.health()).state is HealthState.IDLE:
            log.info("%s is loaded while the question is typed", provider.model)
            try:
                provider.start()
            except EngineMissing as error:
                log.info("%s", error)


async def unload(router: Router, role: str = "", workspace: str = "") -> list[str]:
    """Unload the models of `role`, or all, and return the names of their providers. One that is
    answering stays. Raises `ConfigError` for a role that there is not."""
    if role:
        check_role(role)
    chosen = router.candidates(role, workspace)[:1] if role else router.providers.values()
    return [one.name for one in chosen if isinstance(one, Resident) and await one.rest(0)]
