"""State shared by all requests: the providers and their recent health.

Providers outside this machine are wrapped in `Egress` here, before any other code can reach them.
`plan` gathers for one request what `plan.plan` decides on.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections import Counter
from collections.abc import Collection, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath
from typing import Any

from nearfield.config.folders import FolderConfigs
from nearfield.config.provider_names import provider_of
from nearfield.config.schema import EMBEDDED, Config, ProviderSettings
from nearfield.errors import NotPermitted
from nearfield.providers.absent import Absent
from nearfield.providers.address import is_loopback, is_passed_on
from nearfield.providers.base import Provider
from nearfield.routing import money
from nearfield.routing.answers import Answers
from nearfield.routing.breaker import Breaker
from nearfield.routing.consent import Consent
from nearfield.routing.egress import Egress
from nearfield.routing.guard import Guard, PreparedRequest, Remote, Request, remote
from nearfield.routing.ledger import LocalUse
from nearfield.routing.load import ProviderLoad
from nearfield.routing.pause import UserPause
from nearfield.routing.plan import Candidate, Funds, Plan, plan
from nearfield.routing.request_context import Offer, RequestContext
from nearfield.routing.rules import facts, first, role_of, title
from nearfield.routing.running import RunningRequests
from nearfield.routing.store import Store
from nearfield.types import ChatRequest, Priority, Usage

log = logging.getLogger(__name__)

EMBEDDED_TRIAL = "embedded_trial"
"""The embedded engine with the second model of a trial, which only that asks."""

OWN_MODEL = f"{EMBEDDED}/"
"""Beginning of the names of the embedded engine with another model, "embedded/MODEL"."""

STAND_INS = {
    EMBEDDED: "llama_server",
    "embedded_chat": "llama_server_chat",
    "embedded_edit": "llama_server_edit",
    EMBEDDED_TRIAL: "llama_server_trial",
}
"""Replacements of providers where llama-cpp-python is not installed: a llama.cpp server that we
start.
"""
OWN_PARTS = (EMBEDDED, "embedded_chat", "embedded_edit")
"""The providers of this machine's own engine: what it completes, chats and edits with."""
OWN_CHATS = ("embedded_chat", "llama_server_chat", EMBEDDED, "llama_server")
"""The providers of this machine's own engine that may chat."""

# Sums of what local models did are written this often: a killed server loses at most this much of
# a statistic, and no request waits for the disk.
FLUSH_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Ruled:
    """The role of a request and its providers in order; `rule` is the name of the user's rule that
    chose them, "" for none."""

    role: str
    names: tuple[str, ...]
    rule: str = ""


@dataclass(frozen=True, slots=True)
class CloudStanding:
    """Consent and budget for a provider outside this machine."""

    consent: Consent = Consent.UNASKED
    funds: Funds = Funds.OK
    refused: str = ""


class ProviderPool:
    """See the module. Made without I/O; belongs to one event loop."""

    def __init__(
        self,
        configs: FolderConfigs,
        providers: Mapping[str, Provider],
        store: Store,
        pause: UserPause,
        own_servers: Collection[str] = (),
    ) -> None:
        self._own_servers = frozenset(own_servers)
        self.configs = configs
        self.config = config = configs.user
        self.store = store
        self.pause = pause
        self.guard = Guard(configs, store)
        self.answers = Answers(config.cache)
        self.providers: dict[str, Provider] = {
            name: self._wrapped(name, provider) for name, provider in providers.items()
        }
        self.local = frozenset(n for n, p in self.providers.items() if not isinstance(p, Egress))
        """The providers that nothing leaves this machine by."""
        routing = config.routing
        self._routing = {folder: one.routing for folder, one in configs.folders.items()}
        self.breakers = {
            name: Breaker(routing.breaker_failures, routing.breaker_seconds) for name in providers
        }
        self.loads = ProviderLoad()
        self.running = RunningRequests()
        self._used: Counter[tuple[str, str, str, str, str]] = Counter()
        self._flushed = time.monotonic()
        self._background: set[asyncio.Task[Any]] = set()

    def settings(self, name: str) -> ProviderSettings | None:
        """Return the settings of a provider; "NAME/MODEL" has the settings of NAME."""
        providers = self.config.providers
        return providers.get(provider_of(name, providers))

    def named(self, role: str) -> list[str]:
        """The providers of `role` that exist and can do it, in the order of the settings."""
        listed = self.config.routing.roles.get(role)
        order = usual_order(self.providers) if listed is None else self._known(listed, role)
        return [name for name in order if can(self.providers[name], role)]

    def _known(self, listed: Sequence[str], role: str) -> list[str]:
        """The providers of a list of the settings that exist, or their stand-ins. "embedded" is the
        one of this machine's own engine that can do what `role` is for."""
        found: list[str] = []
        for name in listed:
            parts = OWN_PARTS if name == EMBEDDED else (name,)
            there = [one for one in map(self._stands_for, parts) if one in self.providers]
            able = [one for one in there if can(self.providers[one], role)]
            found += (able or there)[:1]
        return list(dict.fromkeys(found))

    def _stands_for(self, name: str) -> str:
        return self.stand_in(name) or name

    def candidates(self, role: str, workspace: str) -> tuple[Provider, ...]:
        """Return the providers of `role` that the strategy of `workspace` allows, in the order they
        would be tried: those on this machine first."""
        strategy = self._routing.get(workspace, self.config.routing).strategy
        local: list[Provider] = []
        cloud: list[Provider] = []
        for name in self.named(role):
            provider = self.providers[name]
            (cloud if isinstance(provider, Egress) else local).append(provider)
        if strategy == "local_only":
            return tuple(local)
        return tuple(cloud) if strategy == "cloud_only" else (*local, *cloud)

    def is_local(self, name: str) -> bool:
        """Return whether nothing that `name` is told leaves this machine; a "NAME/MODEL" need not
        have been built."""
        if name in self.providers:
            return name in self.local
        provider, _, model = name.partition("/")
        return provider in self.local and not is_passed_on(model)

    def stand_in(self, name: str) -> str:
        """Return the provider that replaces `name`, "" if it is available itself or has no
        replacement. A model that the engine has loaded anyway is not loaded again.
        """
        if name.startswith(OWN_MODEL) and name not in self.providers:
            model = name.removeprefix(OWN_MODEL)
            return next((one for one in OWN_CHATS if self._has(one, model)), "")
        other = STAND_INS.get(name, "")
        stands_in = name not in self.providers and other in self.providers
        return other if stands_in and other not in self.config.providers else ""

    def _has(self, name: str, model: str) -> bool:
        found, file = self.providers.get(name), PurePath(model)
        names = (model, file.stem if file.suffix == ".gguf" else model)
        return found is not None and found.model in names and name not in self.config.providers

    def missing(self, name: str) -> str:
        """Return why `name` could not be built, "" when it could."""
        provider = self.providers[name]
        return str(provider.error) if isinstance(provider, Absent) else ""

    async def planned(
        self,
        role: str,
        request: Request,
        context: RequestContext,
        is_complex: bool,
        *,
        by_rules: bool,
    ) -> tuple[Ruled, Plan]:
        """Return who may answer a request of `role`: the one that the context names, else as the
        user's rules say where one fits (`by_rules`), else as the role names them; and the plan."""
        if context.only:
            ruled = Ruled(role, (context.only,))
        elif by_rules and self.config.routing.rules:
            ruled = await self._ruled(role, request, context, is_complex)
        else:
            ruled = Ruled(role, tuple(self.named(role)))
        # Completions and next edits stay with the provider that has read the document.
        priority = request.priority if isinstance(request, ChatRequest) else None
        return ruled, await self.plan(ruled.names, is_complex, context, priority)

    async def _ruled(
        self, role: str, request: Request, context: RequestContext, is_complex: bool
    ) -> Ruled:
        rules = tuple(self.config.routing.rules)
        about = facts(request, context, is_complex, self._spent_today)
        index = await asyncio.to_thread(first, rules, about)
        if index is None:
            return Ruled(role, tuple(self.named(role)))
        instead = role_of(rules[index])
        listed = self.named(instead) if instead else self._known(rules[index].use, role)
        # Whom the user has just allowed is asked, whatever the rule says.
        listed += [name for name in context.accepted if name in self.providers]
        able = dict.fromkeys(name for name in listed if can(self.providers[name], role))
        return Ruled(instead or role, tuple(able), title(rules, index))

    def _spent_today(self) -> float:
        try:
            return float(money.standing(self.store).today.dollars)
        except NotPermitted:
            return 0.0  # an unreadable ledger lets nothing leave anyway

    async def plan(
        self,
        names: Sequence[str],
        complex_task: bool,
        context: RequestContext,
        priority: Priority | None = None,
    ) -> Plan:
        """The plan for one request that `names` can answer. With a `priority`, local providers that
        would keep it waiting come after the others. Touches the disk only where a cloud could be in
        it."""
        if priority is not None and self.config.routing.pass_over_busy:
            local = (name for name in names if name in self.local)
            free = iter(self.loads.ordered(tuple(local), priority))
            names = [next(free) if name in self.local else name for name in names]
        if context.owner:
            models = {name: self.providers[name].model for name in names}
            names = self.loads.spread(names, models, context.owner)
        said: dict[str, CloudStanding] = {}
        clouds = [name for name in names if name not in self.local]
        routing = self._routing.get(context.workspace, self.config.routing)
        if clouds and routing.strategy != "local_only":
            said = await asyncio.to_thread(self._said, clouds, context)
        now = time.monotonic()
        candidates: list[Candidate] = []
        for name in names:
            known = said.get(name, CloudStanding())
            refused, breaker = known.refused or self.missing(name), self.breakers[name]
            if not refused and breaker.has_failed:
                refused = breaker.why_not(now)
            candidates.append(
                Candidate(name, name in self.local, known.consent, known.funds, refused)
            )
        return plan(routing.strategy, routing.escalate, complex_task, candidates)

    async def prepare(
        self, name: str, request: Request, context: RequestContext
    ) -> PreparedRequest:
        """Return the request as `name` would receive it. Raises `NotPermitted` when it could not be
        sent.
        """
        return await asyncio.to_thread(self.guard.prepare, self.to(name), request, context)

    async def offer(
        self, name: str, request: Request, context: RequestContext, reason: str
    ) -> Offer:
        """An offer of `name`, with all that the user must know. Raises `NotPermitted`."""
        prepared = await self.prepare(name, request, context)
        return Offer(
            id=uuid.uuid4().hex,
            provider=name,
            model=self.providers[name].model,
            task=context.task,
            workspace=context.workspace,
            reason=reason,
            bytes=len(prepared.content),
            files=tuple(path for path, _, _ in prepared.files),
            redactions=prepared.redactions.kinds,
            price=prepared.most,
            warning=prepared.warning,
        )

    async def say(self, offer: Offer, decision: Consent) -> None:
        """Store the user's answer to `offer`, unless it holds only once."""
        if decision is Consent.ONCE or not offer.workspace:
            return
        to = self.to(offer.provider)
        await asyncio.to_thread(self.store.say, offer.workspace, to.name, to.destination, decision)

    def to(self, name: str) -> Remote:
        """Return the guard's record of `name`; a "NAME/MODEL" need not have been built."""
        found = self.providers.get(name)
        model = found.model if found is not None else name.partition("/")[2]
        return remote(name, model, self.config.providers)

    def kept_key(self, name: str, request: Request) -> str:
        """Under which key the answer of `name` would be kept, "" when it is not to be."""
        if not self.config.cache.enabled or not isinstance(request, ChatRequest) or request.tools:
            return ""
        model = self.providers[name].model
        # This machine's own engine has the settings of `[engine]`, not a provider's.
        settings = self.settings(name) or self.config.engine
        return self.answers.key(name, model, settings, request)

    def keep(self, key: str, request: ChatRequest, text: str) -> None:
        """Keep an answer, in the background."""
        self.hold(asyncio.to_thread(self.answers.put, key, request, text), "keep an answer")

    def count(self, name: str, context: RequestContext, usage: Usage | None, written: int) -> None:
        """Count what a provider on this machine did, of which it wrote `written` tokens. The sums
        reach the disk now and then."""
        if name not in self.local:
            return
        read = (usage.prompt_tokens if usage else None) or 0
        day = datetime.now().strftime("%Y-%m-%d")
        model = self.providers[name].model
        for what, number in (("requests", 1), ("in", read), ("out", written)):
            self._used[day, context.task.value, name, model, what] += number
        if time.monotonic() - self._flushed > FLUSH_SECONDS:
            self.hold(self.flush(), "write the sums")

    async def flush(self) -> None:
        """Write the sums of what local models did."""
        self._flushed = time.monotonic()
        used, self._used = self._used, Counter()
        keys = sorted({key[:4] for key in used})
        uses = [
            LocalUse(*key, *(used[*key, what] for what in ("requests", "in", "out")))
            for key in keys
        ]
        if uses:
            await asyncio.to_thread(self.store.count_local, uses)

    def hold(self, work: Coroutine[Any, Any, Any], name: str) -> None:
        """Run `work` in the background; an error of it is logged by its type."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._background.add(task)
        task.add_done_callback(self._ended)

    async def aclose(self) -> None:
        """Finish background work, write the sums, close the files. The providers are not closed:
        their maker closes them.
        """
        while self._background:
            await asyncio.wait(self._background)
        for provider in self.providers.values():
            if isinstance(provider, Egress):
                await provider.settled()
        try:
            await self.flush()
        except NotPermitted as error:
            log.warning("what local models did is not counted: %s", error)
        await asyncio.to_thread(self.store.close)
        await asyncio.to_thread(self.answers.close)

    def _wrapped(self, name: str, provider: Provider) -> Provider:
        if isinstance(provider, Egress):
            return provider
        settings = self.settings(name)
        address = settings.base_url if settings else ""
        if provider_of(name, self.config.providers) in self._own_servers:
            return provider
        if provider.capabilities.local and (not address or is_loopback(address)):
            return provider
        return Egress(provider, remote(name, provider.model, self.config.providers), self.guard)

    def _said(self, names: list[str], context: RequestContext) -> dict[str, CloudStanding]:
        try:
            return {
                name: CloudStanding(*self.guard.standing(self.to(name), context)) for name in names
            }
        except NotPermitted as error:
            return dict.fromkeys(names, CloudStanding(refused=error.message))

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._background.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("%s failed: %s", task.get_name(), type(error).__name__)


def can(provider: Provider, role: str) -> bool:
    """Return whether `provider` can do what `role` is for."""
    able = provider.capabilities
    if role == "complete":
        return able.infill
    if role == "edit":
        return bool(able.edit)
    return able.chat


def usual_order(names: Iterable[str]) -> list[str]:
    """Return those of `names` that are asked for a role whose providers the settings do not list,
    in the order of asking."""
    # A variant ("NAME/MODEL") is there for the roles that name it.
    trial = (EMBEDDED_TRIAL, STAND_INS[EMBEDDED_TRIAL])
    plain = [name for name in names if "/" not in name and name not in trial]
    return sorted(plain, key=lambda name: name != EMBEDDED)


def variants(config: Config) -> dict[str, ProviderSettings]:
    """Return every configured provider: `[providers]`, and for each "NAME/MODEL" of a role or a
    rule that provider with that model, under the name as written there.
    """
    wanted = dict(config.providers)
    for entry in _named_models(config):
        name, _, model = entry.partition("/")
        if entry not in wanted and name in config.providers:
            plain = config.providers[name]
            wanted[entry] = ProviderSettings(
                kind=plain.kind, model=model, base_url=plain.base_url, options=plain.options
            )
    return wanted


def own_variants(config: Config) -> dict[str, str]:
    """Return the models that roles and rules want of this machine's own engine, by "embedded/MODEL"
    as written there."""
    return {
        entry: entry.removeprefix(OWN_MODEL)
        for entry in _named_models(config)
        if entry.startswith(OWN_MODEL) and entry != OWN_MODEL
    }


def _named_models(config: Config) -> list[str]:
    """Return each "NAME/MODEL" of the roles and the rules."""
    rules = (rule.use for rule in config.routing.rules)
    lists = (*config.routing.roles.values(), *rules)
    return list(dict.fromkeys(entry for listed in lists for entry in listed if "/" in entry))
