"""Work that the user assigns by hand to a provider outside this machine.

The router decides which providers may be offered. Before anything is sent, the user sees the
request and agrees, unless there is already consent for the workspace.
"""

from __future__ import annotations

from dataclasses import dataclass

from nearfield.config.folders import FolderConfigs
from nearfield.errors import NotPermitted
from nearfield.routing.consent import Consent
from nearfield.routing.request_context import AskUser, RequestContext, Task
from nearfield.routing.roles import usual_role
from nearfield.routing.router import Router
from nearfield.types import ChatRequest

__all__ = ["RemoteChoice", "chat_model", "clouds"]


@dataclass(frozen=True, slots=True)
class RemoteChoice:
    """The provider that the user chose; `ask` shows the user the request to be sent, None if that
    is not possible.
    """

    provider: str
    ask: AskUser | None = None

    async def accepted(
        self, router: Router, request: ChatRequest, context: RequestContext
    ) -> tuple[str, ...]:
        """Return the providers that may be asked first, once the user has agreed. Raises
        `NotPermitted`.
        """
        if (await router.consent(self.provider, context.workspace)).allows:
            return (self.provider,)
        offer = await router.offer(self.provider, request, context, "you asked for it")
        decision = await self.ask(offer) if self.ask else None
        if decision is not None:
            await router.answer(offer, decision)
        if decision is None or decision is Consent.NEVER:
            raise NotPermitted("Nothing was sent.", "Allow it to have this done elsewhere.")
        return (self.provider,)


def chat_model(router: Router | None, task: Task) -> str:
    """Return the model that would be asked first for `task`, "" if there is none."""
    candidates = router.candidates_for(task) if router else ()
    return next((one.model for one in candidates if one.capabilities.chat), "")


async def clouds(
    router: Router | None, configs: FolderConfigs, task: Task, workspace: str
) -> tuple[tuple[str, str], ...]:
    """The providers outside this machine that could be asked for `task`, with their models, besides
    the one that is asked anyway; touches the disk only where there may be one."""
    if router is None or configs.of(workspace).routing.strategy == "local_only":
        return ()
    role = usual_role(configs.user, task)
    names = await router.offerable(role, RequestContext(task=task, workspace=workspace))
    first = {one.name for one in router.candidates(role, workspace)[:1]}
    return tuple((name, router.provider(name).model) for name in names if name not in first)
