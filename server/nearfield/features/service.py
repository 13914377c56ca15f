"""The service that frontends use: documents, providers, features, and their state.

A frontend makes one `Service` for a session, tells it the user's actions (`opened`, `changed`,
`closed`, shown and accepted suggestions) and asks it. Making one is cheap and touches neither disk
nor network; `start` returns at once and the rest happens in the background, so that a session
exists before any model. One event loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Protocol, runtime_checkable

from nearfield.config.folders import FolderConfigs
from nearfield.config.paths import data_dir
from nearfield.config.schema import Config
from nearfield.features import assemble
from nearfield.features.code_actions.perform import Actions
from nearfield.features.completion.acceptance import Acceptance, Taken
from nearfield.features.completion.completer import Completer
from nearfield.features.completion.prefill import PREFILL, Prefill
from nearfield.features.completion.prompt_cache import FOLDER as PROMPTS
from nearfield.features.completion.prompt_cache import PromptCache
from nearfield.features.completion.question import Questions
from nearfield.features.cursor import DocumentTrees
from nearfield.features.diagnostics import LanguageServers
from nearfield.features.documents import Documents
from nearfield.features.feature import DocumentChange, Features, isolated
from nearfield.features.health import HealthWatch
from nearfield.features.hover.explainer import Explainer
from nearfield.features.idle import Activity, IdleScheduler, on_battery
from nearfield.features.metrics.recorder import Recorder
from nearfield.features.metrics.store import RecordStore
from nearfield.features.next_edit.edits import NextEdits
from nearfield.features.next_edit.inline import suggestion_for
from nearfield.features.offers import Offers
from nearfield.features.reasons import last_completion
from nearfield.features.remote_choice import clouds
from nearfield.features.review.reviewer import Reviewer
from nearfield.features.status import State, Status, StatusBoard
from nearfield.features.trace import TraceLog
from nearfield.features.workspace_context.knowledge import Knowledge
from nearfield.providers.base import Provider
from nearfield.routing.consent import Consent, ConsentRecord
from nearfield.routing.request_context import Task
from nearfield.routing.router import RoleStatus, Router, built
from nearfield.tasks import run_task, stop_task
from nearfield.types import (
    CompletionAnswer,
    CompletionRequest,
    Edit,
    Priority,
    Reason,
    Selected,
    Snapshot,
    Suggestion,
    TokenTotals,
    Trace,
)

__all__ = ["CompletionAnswer", "CompletionRequest", "Selected", "Service", "State", "Status"]

log = logging.getLogger(__name__)

REST_CHECK_SECONDS = 30.0

KEPT_FOR_LAST = 100
"""Number of traces searched for the last completion, among hovers and cancelled requests."""


class Service:
    """See the module's docstring.

    `traces` has one entry a question. `providers` given here are used as they are, and stay the
    caller's to close. Without them the settings' providers are built at `start` and when they
    change.
    """

    def __init__(
        self, config: Config | FolderConfigs, providers: Mapping[str, Provider] | None = None
    ) -> None:
        self.configs = FolderConfigs.over(config)
        self.activity = Activity(self.configs)
        self.traces = TraceLog()
        self.offers = Offers()
        self.router: Router | None = None
        self.workspace = ""
        """The folder whose consent decides the provider of each role, in a session with several."""
        self._given = providers
        self._providers: dict[str, Provider] = {}
        documents = self._documents = Documents()
        scheduler = self._scheduler = IdleScheduler()
        trees = self._trees = DocumentTrees()
        self._board = StatusBoard()
        self._health = HealthWatch(self._board, self.activity, self._came_ready)
        recorder = Recorder(RecordStore())
        self.acceptance = Acceptance(self._text_of, recorder.row_changed)
        self.knowledge = Knowledge(
            self.configs,
            documents,
            trees.cursor,
            scheduler,
            self.activity,
            on_prepared=self._snippets_came,
        )
        self.language_servers = LanguageServers()
        self.next_edits = NextEdits(
            documents,
            trees.cursor,
            scheduler,
            traces=self.traces,
            names=self.knowledge,
            servers=self.language_servers,
        )
        self._completer = Completer(
            documents,
            Questions(trees, self.knowledge.ready, self.knowledge.prepare),
            self.activity,
            self.traces,
            self.acceptance,
            self._health.outcome,
            self.offers,
            partial(suggestion_for, self.next_edits),
            recorder.answered,
        )
        self._prefill = Prefill(documents, self._completer, scheduler)
        self.explainer = Explainer(
            documents,
            trees.cursor,
            self.knowledge,
            self.offers,
            self.traces,
            scheduler,
            self.activity,
        )
        self.reviewer = Reviewer(trees.cursor, self.offers, self.traces, self.activity)
        self._prompt_cache = PromptCache(documents, data_dir() / PROMPTS, scheduler)
        self.actions = Actions(self, trees.cursor, self.knowledge, self.language_servers)
        # In the order in which they are closed: first what would be lost, last what takes long.
        self.features = Features(
            self._prefill,
            self._completer,
            self.next_edits,
            self.acceptance,
            recorder,
            self.explainer,
            self.reviewer,
            self._prompt_cache,
            self.knowledge,
        )
        self._background: list[asyncio.Task[None]] = []
        self._building = asyncio.Lock()
        self._latest = ""

    # --- life -------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin to build and load in the background; returns at once."""
        self.features.configure(self.configs, None)
        self._background = [
            run_task(self._build(), "build the providers"),
            run_task(self._health.run(), "watch the providers"),
            run_task(self._let_rest(), "let idle models rest"),
            run_task(self._watch_power(), "watch the battery"),
            run_task(self.knowledge.run(), "keep the indexes"),
        ]

    @property
    def config(self) -> Config:
        """The user's settings, which no folder has restricted."""
        return self.configs.user

    async def configure(self, config: Config | FolderConfigs) -> None:
        """Apply `config` from now on. When the settings of providers have changed they are built
        again; a request that an old one is answering then ends empty.
        """
        before, self.configs = self.config, FolderConfigs.over(config)
        self.activity.configs = self.configs
        if self._given is None and _built_from(before) != _built_from(self.config):
            await self._build()
        else:
            async with self._building:
                await self._adopt()
                self._health.use(self.router, workspace=self.workspace)

    async def aclose(self) -> None:
        """End every question and background task and free the providers; safe to call twice."""
        for task in self._background:
            await stop_task(task)
        await self._scheduler.aclose()
        await self.features.aclose()
        router, self.router = self.router, None
        if router is not None:
            await router.aclose()
        providers, self._providers = self._providers, {}
        await self._free(providers)

    def pause(self) -> None:
        """Suggest nothing and work on nothing until `resume`."""
        self._set_paused(True)

    def resume(self) -> None:
        """Go on after `pause`."""
        self._set_paused(False)

    def _set_paused(self, is_paused: bool) -> None:
        self.activity.is_paused = is_paused
        self._activity_changed()
        self._health.poke()

    def _activity_changed(self) -> None:
        if not self.activity.allows_idle_work():
            self._scheduler.cancel()
        self.features.activity_changed()

    # --- what the user does -----------------------------------------------------------------

    def opened(self, snapshot: Snapshot) -> None:
        """A document is there, or is replaced as a whole."""
        self._documents.opened(snapshot)
        self._scheduler.cancel()
        self.features.opened(snapshot)
        self._plan_idle_work(snapshot.uri)

    def changed(self, snapshot: Snapshot, edits: Sequence[Edit]) -> None:
        """`edits`, each counted in the text after the one before, have led to `snapshot`."""
        known = self._documents.get(snapshot.uri)
        before = known.snapshot if known else None
        infer = partial(self.acceptance.infer, snapshot.uri, edits)
        accepted = isolated(self.acceptance, "infer", infer, False)
        self._documents.changed(snapshot, edits, accepted)
        self._scheduler.cancel()
        self.features.changed(DocumentChange(before, snapshot, edits))
        self._plan_idle_work(snapshot.uri)

    def closed(self, uri: str) -> None:
        """Tell every part that the document was closed."""
        if uri == self._latest:
            self._scheduler.cancel()
        self.features.closed(uri)
        self._trees.closed(uri)
        self._documents.closed(uri)

    def shown(self, suggestion_id: str) -> None:
        """The client has shown the suggestion."""
        self.acceptance.report(suggestion_id, Taken.SHOWN)

    def accepted(self, suggestion_id: str) -> None:
        """The user has taken the suggestion."""
        self.acceptance.report(suggestion_id, Taken.ACCEPTED)

    def partly_accepted(self, suggestion_id: str) -> None:
        """The user has taken the beginning of the suggestion."""
        self.acceptance.report(suggestion_id, Taken.PARTIAL)

    # --- questions --------------------------------------------------------------------------

    async def complete(self, ask: CompletionRequest) -> CompletionAnswer:
        """Answer `ask`: exactly one answer and one trace. Cancelling the caller cancels it."""
        self._scheduler.cancel(PREFILL)
        completion = self.configs.of(ask.snapshot.root).completion
        self.knowledge.give_way(completion.deadline_ms / 1000)
        await self._prompt_cache.settled()
        try:
            return await self._completer.complete(ask)
        finally:
            self.knowledge.give_way()
            self._plan_idle_work(ask.snapshot.uri)

    def ready(self, snapshot: Snapshot, offset: int) -> tuple[Suggestion, ...]:
        """Return ready suggestions, for a popup that must not wait; writes no trace."""
        return self._completer.ready(snapshot, offset)

    # --- state ------------------------------------------------------------------------------

    @property
    def status(self) -> Status:
        """Return the current status."""
        return self._board.status

    @property
    def last(self) -> Trace | None:
        """Return the last completion that the user waited for; None if the reason for showing
        nothing no longer holds.
        """
        last = last_completion(self.traces.last(KEPT_FOR_LAST))
        if last is None or (last.reason is Reason.PAUSED and not self.is_paused):
            return None
        is_ready = self.status.state is State.READY
        return None if last.reason is Reason.NOT_READY and is_ready else last

    @property
    def providers(self) -> Mapping[str, Provider]:
        """The providers by name, wrapped where they are outside this machine; empty until they are
        built."""
        return self.router.providers if self.router is not None else {}

    def spent(self) -> dict[Priority, TokenTotals]:
        """Return the tokens that the engines of this process have evaluated and generated since the
        start, by purpose, including cancelled requests.
        """
        total = {kind: TokenTotals() for kind in Priority}
        for provider in self._providers.values():
            if isinstance(provider, Accounted):
                for kind, spent in provider.spent.items():
                    total[kind].add(spent)
        return total

    async def roles(self, workspace: str = "") -> tuple[RoleStatus, ...]:
        """Return the provider of each role in `workspace`, and why others do not serve it, as last
        known. The servers are asked as well, and their news is sent to the subscribers.
        """
        self._health.poke()
        return await self._health.roles(workspace)

    async def answer(self, offer_id: str, decision: Consent) -> bool:
        """Store the user's answer to an offer; False when no open one has that id. After a yes the
        offered provider may answer the next question.
        """
        offer = self.offers.answered(offer_id, decision)
        if offer is None or self.router is None:
            return False
        await self.router.answer(offer, decision)
        if decision is not Consent.NEVER:
            # What was not good enough, or was not there, is not said again.
            self._completer.cache.forget()
        self._health.poke()
        return True

    async def said(self) -> list[ConsentRecord]:
        """Every decision about what may be sent outside this machine. Raises `NotReady` before the
        providers are built, and `LedgerError`."""
        return await built(self.router).said()

    async def clouds(self, task: str, workspace: str | None) -> tuple[tuple[str, str], ...]:
        """Return the providers outside this machine that could do `task` for the user, with their
        models; none while paused.
        """
        router = None if self.is_paused else self.router
        return await clouds(router, self.configs, Task(task), workspace or "")

    async def revoke(self, workspace: str | None, provider: str | None) -> int:
        """Forget decisions: of one workspace or provider, or all for None. Returns how many.
        Raises as `said`."""
        self.offers.forget()
        gone = await built(self.router).revoke(workspace, provider)
        self._health.poke()
        return gone

    @property
    def is_paused(self) -> bool:
        """Return whether the user has paused it."""
        return self.activity.is_paused

    def subscribe(self, callback: Callable[[Status], None]) -> Callable[[], None]:
        """Call `callback` when the status changes; returns the function that ends it."""
        return self._board.subscribe(callback)

    # --- inside -----------------------------------------------------------------------------

    async def _build(self) -> None:
        """Build the providers of `self.config` and go over to them."""
        async with self._building:
            old = self._providers
            notes: list[str] = []
            if self._given is not None:
                fresh = dict(self._given)
            else:
                fresh = await asyncio.to_thread(
                    assemble.providers, self.config, self._health.poke, notes.append
                )
            self._providers = fresh
            # The health is not read until loading providers have begun: idle ones would count as
            # ready.
            self._health.use(None)
            await self._adopt()
            # The old model leaves the memory before the new one comes.
            await self._free(old)
            assemble.begin(fresh)
            self._health.use(self.router, notes, self.workspace)

    async def _adopt(self) -> None:
        """Apply the current settings and providers to every feature."""
        old, self.router = self.router, Router(self.configs, self._providers)
        self.features.configure(self.configs, self.router)
        if old is not None:
            await old.aclose()

    def _text_of(self, uri: str) -> str | None:
        document = self._documents.get(uri)
        return document.snapshot.text if document is not None else None

    async def _free(self, providers: Mapping[str, Provider]) -> None:
        if self._given is None:
            for provider in providers.values():
                await provider.aclose()

    async def _watch_power(self) -> None:
        while True:
            is_on_battery = await asyncio.to_thread(on_battery)
            if is_on_battery is not self.activity.is_on_battery:
                self.activity.is_on_battery = is_on_battery
                log.info("on %s power", "battery" if is_on_battery else "mains")
                self._activity_changed()
            await asyncio.sleep(REST_CHECK_SECONDS)

    async def _let_rest(self) -> None:
        """Unload models after some idle time."""
        while True:
            await asyncio.sleep(REST_CHECK_SECONDS)
            minutes = self.config.engine.idle_unload_minutes
            for provider in self._providers.values():
                if minutes and isinstance(provider, Resting) and await provider.rest(minutes * 60):
                    log.info("%s rests: its model was unloaded", provider.name)

    def _plan_idle_work(self, uri: str) -> None:
        self._latest = uri
        document = self._documents.get(uri)
        if document is not None and self.activity.allows_idle_work(document.snapshot.root):
            self.features.idle(document)

    def _snippets_came(self, uri: str) -> None:
        """Let the model read a prompt whose snippets are other ones than it has read."""
        document = self._documents.get(uri)
        if uri != self._latest or document is None:
            return
        if self.activity.allows_idle_work(document.snapshot.root):
            self._prefill.idle(document)

    def _came_ready(self) -> None:
        self._prompt_cache.restore_recent()
        if self._latest:
            self._plan_idle_work(self._latest)


@runtime_checkable
class Accounted(Protocol):
    """A provider that counts its tokens, whatever reads its answers."""

    @property
    def spent(self) -> Mapping[Priority, TokenTotals]:
        """By what for."""
        ...


@runtime_checkable
class Resting(Protocol):
    """A provider that can give its memory back."""

    name: str

    async def rest(self, after_seconds: float) -> bool:
        """Do so when nothing was asked for that long; whether it did."""
        ...


def _built_from(config: Config) -> tuple[object, ...]:
    """The settings that providers are built from."""
    return config.engine, config.models, config.providers, config.network
