"""The way in: which provider answers a request, and what happens when it cannot.

A role names an ordered list of candidates. Local ones are asked as they are; one outside this
machine is asked only where the strategy and a consent allow it, and else offered (`Route.offers`).
Errors, slowness and poor answers fall through to the next candidate within the deadline.

Nothing in here opens a connection: only providers do, and those that leave this machine are reached
through `egress` alone. `Router(...)` does no I/O; a changed configuration makes a new one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from nearfield.config.folders import FolderConfigs
from nearfield.config.schema import EMBEDDED, ROLES, Config
from nearfield.errors import NotReady
from nearfield.providers.base import Provider
from nearfield.routing.breaker import Circuit
from nearfield.routing.consent import Consent, ConsentRecord
from nearfield.routing.explain import RouteExplanation, explain
from nearfield.routing.guard import Guard
from nearfield.routing.pause import UserPause
from nearfield.routing.plan import NO_CLOUD, REFUSED, UNASKED, Use
from nearfield.routing.provider_pool import (
    EMBEDDED_TRIAL,
    OWN_MODEL,
    OWN_PARTS,
    STAND_INS,
    ProviderPool,
    own_variants,
    variants,
)
from nearfield.routing.request_context import Offer, RequestContext, Task
from nearfield.routing.roles import RoleChoice, check_role, choose, usual_role
from nearfield.routing.route import Restart, Route
from nearfield.routing.running import RunningRequests
from nearfield.routing.store import Store
from nearfield.types import ChatRequest, EditForm, EditRequest, InfillRequest

__all__ = [
    "EMBEDDED_TRIAL",
    "OWN_MODEL",
    "STAND_INS",
    "Restart",
    "RoleStatus",
    "Route",
    "Router",
    "built",
    "own_variants",
    "variants",
]


@dataclass(frozen=True, slots=True)
class RoleStatus:
    """The provider that serves a role ("" for none), why each other candidate does not, and whether
    all of the role's input stays on this machine.
    """

    role: str
    provider: str
    model: str
    others: tuple[tuple[str, str], ...]
    local: bool = True


def built(router: Router | None) -> Router:
    """The router, where there is one. Raises `NotReady` before the providers are built."""
    if router is None:
        raise NotReady("Nearfield is still starting.", "Ask again in a moment.")
    return router


class Router:
    """See the module. `providers` are by the user's names for them; while `pause` is on, none is
    asked. `own_servers` count as this machine: those of a team, on its own network."""

    def __init__(
        self,
        config: Config | FolderConfigs,
        providers: Mapping[str, Provider],
        store: Store | None = None,
        pause: UserPause | None = None,
        own_servers: Collection[str] = (),
    ) -> None:
        self._configs = FolderConfigs.over(config)
        self._config = self._configs.user
        self._roles = {task: usual_role(self._config, task) for task in Task}
        self._pool = ProviderPool(
            self._configs, providers, store or Store(), pause or UserPause(), own_servers
        )

    @property
    def guard(self) -> Guard:
        """The guard that every request to another machine passes."""
        return self._pool.guard

    @property
    def is_paused(self) -> bool:
        """Return whether the user wants no model to be asked."""
        return self._pool.pause.is_on

    @property
    def running(self) -> RunningRequests:
        """The requests that are being answered."""
        return self._pool.running

    def breakers(self) -> Mapping[str, tuple[Circuit, str]]:
        """Return the state of each provider's breaker, and why it keeps requests away."""
        now = time.monotonic()
        return {
            name: (one.state(now), one.why_not(now)) for name, one in self._pool.breakers.items()
        }

    def candidates(self, role: str, workspace: str = "") -> tuple[Provider, ...]:
        """Return the providers that the strategy of `workspace` lets serve `role`, in the order
        they would be tried. Those outside this machine are wrapped: asked directly they refuse."""
        return self._pool.candidates(role, workspace)

    def candidates_for(self, task: Task, workspace: str = "") -> tuple[Provider, ...]:
        """Return the candidates of the role that usually does `task`."""
        return self._pool.candidates(self._roles[task], workspace)

    def provider(self, name: str) -> Provider:
        """The provider of that name, wrapped where it is outside this machine, or `KeyError`."""
        return self._pool.providers[name]

    def infill(self, request: InfillRequest, context: RequestContext | None = None) -> Route:
        """Fill the hole by the candidates of the role for completions. A prefill, or an alternative
        that was not asked for, is restricted to this machine's models.
        """
        context = replace(context or RequestContext(), task=Task.COMPLETE)
        if request.prefill_only or request.avoid:
            context = replace(context, workspace="", accepted=(), ask=None)
        role = self._roles[Task.COMPLETE]
        return Route(self._pool, role, request, context)

    def edit(self, request: EditRequest, context: RequestContext | None = None) -> Route:
        """Rewrite a window by the candidates of the role for next edits."""
        context = replace(context or RequestContext(), task=Task.EDIT)
        return Route(self._pool, self._roles[Task.EDIT], request, context)

    def edit_form(self, workspace: str = "") -> EditForm:
        """Return the form in which the first candidate for next edits is asked; `NONE` where there
        is no candidate."""
        found = self.candidates(self._roles[Task.EDIT], workspace)
        return found[0].capabilities.edit if found else EditForm.NONE

    def chat(
        self, request: ChatRequest, role: str = "", context: RequestContext | None = None
    ) -> Route:
        """Continue the conversation by the candidates of `role`, or of the role that suits the
        context's task and how hard it is. Raises `ConfigError` for a role that there is not."""
        check_role(role)
        context = context or RequestContext()
        choice = self.choose(request, context)
        return Route(
            self._pool, role or choice.role, request, context, choice.complex, by_rules=not role
        )

    async def explain(
        self,
        request: InfillRequest | ChatRequest,
        context: RequestContext,
        role: str = "",
    ) -> RouteExplanation:
        """Return what would happen to a request, and why; nothing is sent."""
        check_role(role)
        if isinstance(request, ChatRequest):
            choice = self.choose(request, context)
        else:
            choice = RoleChoice(self._roles[Task.COMPLETE], False, "it is a completion")
        return await explain(
            self._pool,
            role or choice.role,
            request,
            context,
            choice.complex,
            choice.why,
            by_rules=not role,
        )

    def choose(self, request: ChatRequest, context: RequestContext) -> RoleChoice:
        """Return the role for the request, and whether the task is complex."""
        return choose(self._config, request, context)

    async def offerable(self, role: str, context: RequestContext) -> tuple[str, ...]:
        """The providers outside this machine that the user could have a request of `role` done by:
        the strategy, the budget and what was said before allow at least to ask."""
        plan = await self._pool.plan(self._pool.named(role), False, context)
        return tuple(step.name for step in plan.steps if not self._pool.is_local(step.name))

    async def offer(
        self, name: str, request: ChatRequest, context: RequestContext, reason: str
    ) -> Offer:
        """Return an offer to send `request` to `name`, outside this machine, for the user who chose
        it. Raises `NotPermitted` when it could not be sent.
        """
        return await self._pool.offer(name, request, context, reason)

    async def answer(self, offer: Offer, decision: Consent) -> None:
        """Store the user's answer to `offer`. After a yes, ask again with the offer's provider in
        `RequestContext.accepted`, so that it is asked first.
        """
        await self._pool.say(offer, decision)

    @property
    def providers(self) -> Mapping[str, Provider]:
        """Every provider by its name, wrapped where it is outside this machine."""
        return MappingProxyType(self._pool.providers)

    def is_local(self, name: str) -> bool:
        """Return whether nothing that a provider, or a model of one, is told leaves this
        machine."""
        return self._pool.is_local(name)

    async def consent(self, name: str, workspace: str) -> Consent:
        """Return the user's decision about what `name` may be sent of `workspace`. Raises
        `LedgerError`."""
        context = RequestContext(workspace=workspace)
        return await asyncio.to_thread(self.guard.consent, self._pool.to(name), context)

    def allowed_as(self, name: str) -> str:
        """Return the name that consent for a provider, or a model of one, is given to."""
        return self._pool.to(name).allowed_as

    async def refusal(self, name: str, workspace: str = "") -> str:
        """Return why nothing of `workspace` may be sent to a provider, or a model of one; "" where
        it may and for a model of this machine. Raises `LedgerError`."""
        if self._pool.is_local(name):
            return ""
        if self._configs.of(workspace).routing.strategy == "local_only":
            return NO_CLOUD
        if not workspace and not await asyncio.to_thread(self.guard.never, self._pool.to(name)):
            return ""  # some workspace allows it
        said = await self.consent(name, workspace)
        return REFUSED if said is Consent.NEVER else "" if said.allows else UNASKED

    async def said(self) -> list[ConsentRecord]:
        """Every decision of the user's about what may be sent, by workspace and provider."""
        return await asyncio.to_thread(self._pool.store.said)

    async def revoke(self, workspace: str | None, provider: str | None) -> int:
        """Forget decisions: of one workspace or provider, or all for None. Returns how many."""
        return await asyncio.to_thread(self._pool.store.revoke, workspace, provider)

    async def status(
        self, workspace: str = "", ill: Mapping[str, str] | None = None
    ) -> tuple[RoleStatus, ...]:
        """Return the provider of each role in `workspace` without asking a server; `ill` has the
        reasons of local providers known to be unavailable.
        """
        return tuple([await self._role(role, workspace, ill or {}) for role in ROLES])

    async def aclose(self) -> None:
        """Finish the ledger and close the files. The providers stay open: their maker
        closes them.
        """
        await self._pool.aclose()

    async def _role(self, role: str, workspace: str, ill: Mapping[str, str]) -> RoleStatus:
        context = RequestContext(workspace=workspace)
        plan = await self._pool.plan(self._pool.named(role), False, context)
        others = list(plan.skipped)
        serving = ""
        for step in plan.steps:
            if step.failed is not Use.GO:
                others.append((step.name, UNASKED))
            elif step.name in ill and self._pool.is_local(step.name):
                others.append((step.name, ill[step.name]))
            elif not serving:
                serving = step.name
            else:
                others.append((step.name, f"stands by for {serving}"))
        listed = self._config.routing.roles.get(role, ())
        known = (*self._pool.named(role),)
        others += [
            (name, self._why_unknown(name))
            for name in listed
            if name not in known and not (name == EMBEDDED and set(OWN_PARTS) & set(known))
        ]
        model = self._pool.providers[serving].model if serving else ""
        local = not serving or self._pool.is_local(serving)
        return RoleStatus(role, serving, model, tuple(others), local)

    def _why_unknown(self, name: str) -> str:
        if other := self._pool.stand_in(name):
            if name.startswith(OWN_MODEL):
                return f"{other} has this model already"
            return f"it is not installed; {other} stands in for it"
        return "cannot do this" if name in self._pool.providers else "there is no such provider"
