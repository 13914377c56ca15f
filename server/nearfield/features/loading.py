"""Loading and unloading the models of this machine when the user says so, or is about to ask."""

from __future__ import annotations

import logging

from nearfield.errors import EngineMissing, Unsupported
from nearfield.features.assemble import Loading
from nearfield.providers.memory import Resident
from nearfield.routing.roles import check_role
from nearfield.routing.router import Router
from nearfield.types import HealthState

log = logging.getLogger(__name__)


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
            "Load it with that server's own means, in an Ollama by `nearfield providers load`.",
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
