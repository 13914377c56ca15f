"""The service that frontends use: documents, providers, features, and their state.

A frontend makes one `Service` for a session, tells it the user's actions (`opened`, `changed`,
`closed`, shown and accepted suggestions) and asks it. Making one is cheap and touches neither disk
nor network; `start` returns at once and the rest happens in the background, so that a session
exists before any model. One event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence

from nearfield.config.folders import FolderConfigs
from nearfield.config.schema import Config
from nearfield.features.accepted import Accepted
from nearfield.features.assemble import BuiltProviders
from nearfield.features.chat.tool_servers import ToolServers
from nearfield.features.code_actions.perform import Actions
from nearfield.features.completion.acceptance import Acceptance, Taken
from nearfield.features.completion.completer import Completer
from nearfield.features.completion.prefill import PREFILL, Prefill
from nearfield.features.completion.prompt_cache import PromptCache
from nearfield.features.completion.question import Questions
from nearfield.features.consents import Consents
from nearfield.features.diagnostics import LanguageServers
from nearfield.features.documents import Document, Documents
from nearfield.features.feature import Features
from nearfield.features.health import HealthWatch
from nearfield.features.hover.explainer import Explainer
from nearfield.features.idle import Activity, IdleScheduler
from nearfield.features.loading import ModelLoader
from nearfield.features.metrics.recorder import Recorder
from nearfield.features.metrics.store import RecordStore
from nearfield.features.next_edit.edits import NextEdits
from nearfield.features.next_edit.inline import suggestion_for
from nearfield.features.offers import Offers
from nearfield.features.provenance.recorder import ProvenanceRecorder
from nearfield.features.reasons import last_told
from nearfield.features.review.reviewer import Reviewer
from nearfield.features.state_folder import StateFolder
from nearfield.features.status import ServiceState, ServiceStatus, StatusBoard
from nearfield.features.trace import TraceLog
from nearfield.features.trial.arms import TrialArms
from nearfield.features.trial.follower import TrialFollower
from nearfield.features.workspace_context.knowledge import Knowledge
from nearfield.listeners import Listeners
from nearfield.providers.base import Provider
from nearfield.providers.memory import ModelState
from nearfield.routing.router import RoleStatus, Router
from nearfield.syntax.parser import ParseCache
from nearfield.tasks import run_task, stop_task
from nearfield.types import (
    CompletionAnswer,
    CompletionRequest,
    Edit,
    Priority,
    Selected,
    Snapshot,
    Suggestion,
    TokenTotals,
    Trace,
)

__all__ = [
    "CompletionAnswer",
    "CompletionRequest",
    "Selected",
    "Service",
    "ServiceState",
    "ServiceStatus",
]

BEGIN_SECONDS = 10.0
"""The longest that a question waits for the providers to be built at the start."""
REQUEST_SECONDS = 10.0
"""Time for which others leave the machine to a request, at most."""


class Service:
    """See the module's docstring.

    `traces` has one entry a question. `providers` given here are used as they are, and stay the
    caller's to close; without them those of the settings are built at `start` and when they change.
    Where a team shares it (`has_one_user` is false) nothing is done in advance, and `own_servers`
    name the providers on the team's network, which count as this machine.
    A feature that is handed out has read every change.
    """

    def __init__(
        self,
        config: Config | FolderConfigs,
        providers: Mapping[str, Provider] | None = None,
        *,
        has_one_user: bool = True,
        own_servers: Collection[str] = (),
    ) -> None:
        self.configs = FolderConfigs.over(config)
        self.activity = Activity(self.configs, has_one_user=has_one_user)
        self._own_servers = own_servers
        self.traces = TraceLog()
        self.offers = Offers()
        self.tool_servers = ToolServers()
        self.applied = Listeners[Accepted]()
        """Told each change of a file that the user has let a chat make."""
        self.rests = Listeners[None]()
        """Told each time that the user has come to rest after a change or a request."""
        self.router: Router | None = None
        self.workspace = ""
        """The folder whose consent decides who serves which role, where a session has several."""
        documents = self._documents = Documents()
        scheduler = self._scheduler = IdleScheduler(self._rested)
        trees = self._trees = ParseCache()
        self._board = StatusBoard()
        self._health = HealthWatch(self._board, self.activity, self._came_ready)
        self._providers = BuiltProviders(providers, self._health.poke)
        records, arms = RecordStore(), TrialArms()
        recorder = Recorder(records, arms.mark)
        self._trial = TrialFollower(arms, records, lambda: self.status.state is ServiceState.READY)
        self._provenance = ProvenanceRecorder()
        self.applied.add(self._provenance.edited)
        self._acceptance = Acceptance(
            documents, recorder.record, recorder.row_changed, self._provenance.accepted
        )
        self._knowledge = Knowledge(
            self.configs,
            documents,
            trees.cursor,
            scheduler,
            self.activity,
            on_prepared=self._snippets_came,
        )
        self.language_servers = LanguageServers()
        self._next_edits = NextEdits(
            documents,
            trees.cursor,
            scheduler,
            traces=self.traces,
            names=self._knowledge,
            servers=self.language_servers,
            record=recorder.record,
            facts=self._knowledge,
        )
        self._completer = Completer(
            documents,
            Questions(trees, self._knowledge.prepare, arms),
            self.activity,
            scheduler,
            self.traces,
            self._health,
            self.offers,
            self._next_edit_at,
        )
        self._prefill = Prefill(documents, self._completer, scheduler)
        self._explainer = Explainer(
            documents,
            trees.cursor,
            self._knowledge,
            self.offers,
            self.traces,
            scheduler,
            self.activity,
        )
        self._reviewer = Reviewer(trees.cursor, self.offers, self.traces, self.activity)
        self._prompt_cache = PromptCache(documents, StateFolder(), scheduler)
        self._actions = Actions(self, trees.cursor, self._knowledge, self.language_servers)
        self.consents = Consents(
            self.offers, self.activity, self._health.poke, self._completer.cache.forget
        )
        self.loader = ModelLoader(self._providers, self.activity)
        # In the order in which they are closed: first what would be lost, last what takes long.
        self.features = Features(
            self._prefill,
            self._trial,
            self._completer,
            self._next_edits,
            self._acceptance,
            recorder,
            self._provenance,
            self._explainer,
            self._reviewer,
            self._prompt_cache,
            self._knowledge,
            self.consents,
            self.loader,
        )
        self._background: list[asyncio.Task[None]] = []
        self._building = asyncio.Lock()
        self._first_build: asyncio.Task[None] | None = None
        self._latest = ""

    # --- features ---------------------------------------------------------------------------

    @property
    def acceptance(self) -> Acceptance:
        """Which suggestions were accepted."""
        self.read_log()
        return self._acceptance

    @property
    def actions(self) -> Actions:
        """The code actions."""
        self.read_log()
        return self._actions

    @property
    def explainer(self) -> Explainer:
        """Hovers and explanations."""
        self.read_log()
        return self._explainer

    @property
    def knowledge(self) -> Knowledge:
        """The code of the workspace."""
        self.read_log()
        return self._knowledge

    @property
    def next_edits(self) -> NextEdits:
        """The next edits."""
        self.read_log()
        return self._next_edits

    @property
    def provenance(self) -> ProvenanceRecorder:
        """The record of accepted code."""
        self.read_log()
        return self._provenance

    @property
    def reviewer(self) -> Reviewer:
        """The reviews, and their findings."""
        self.read_log()
        return self._reviewer

    def read_log(self) -> None:
        """Let the features read what has happened since they did last."""
        if self._documents.has_unread:
            self.features.read(self._documents.take_log())

    # --- life -------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin to build and load in the background; returns at once."""
        self.features.configure(self.configs, None)
        self._first_build = run_task(self._build(), "build the providers")
        self._background = [
            self._first_build,
            run_task(self._health.run(), "watch the providers"),
            run_task(self.loader.run(), "unload idle models"),
            run_task(self.activity.watch_power(self._activity_changed), "watch the battery"),
            run_task(self._trial.run(self._build), "follow the trial"),
            run_task(self._knowledge.run(), "keep the indexes"),
        ]

    async def begun(self) -> None:
        """Wait until the providers are built or could not be, but no longer than `BEGIN_SECONDS`: a
        question in the first second is no error."""
        if self._first_build is not None:
            await asyncio.wait({self._first_build}, timeout=BEGIN_SECONDS)

    @property
    def config(self) -> Config:
        """The user's settings, which no folder has restricted."""
        return self.configs.user

    async def configure(self, config: Config | FolderConfigs) -> None:
        """Work by `config` from now on. When the settings of providers have changed they are built
        again; a question that one of the old ones is answering then ends empty."""
        before, self.configs = self.config, FolderConfigs.over(config)
        self.activity.configs = self.configs
        if self._providers.are_outdated(before, self.config):
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
        await self.tool_servers.aclose()
        self.read_log()
        await self.features.aclose()
        router, self.router = self.router, None
        if router is not None:
            await router.aclose()
        await self._providers.aclose()

    def pause(self) -> None:
        """Suggest nothing and work on nothing until `resume`."""
        self.activity.pause.is_here = True
        self._pause_changed()

    def resume(self) -> None:
        """Go on after `pause`, and after a pause of all that is the user's."""
        self.activity.pause.resume_all()
        self._pause_changed()

    def _pause_changed(self) -> None:
        self._activity_changed()
        self._health.poke()

    def _activity_changed(self) -> None:
        self.read_log()
        if not self.activity.allows_idle_work():
            self._scheduler.cancel()
        self.features.activity_changed()

    # --- what the user does -----------------------------------------------------------------

    def opened(self, snapshot: Snapshot) -> None:
        """Follow a document that was opened, or is replaced as a whole."""
        self.read_log()
        self._latest = snapshot.uri
        self._documents.opened(snapshot)
        self._scheduler.active()
        self.features.opened(snapshot)

    def showing(self, snapshot: Snapshot) -> None:
        """Follow a document of a frontend that sends whole texts, and no edits."""
        if self._documents.get(snapshot.uri) is None:
            self.opened(snapshot)

    def changed(self, snapshot: Snapshot, edits: Sequence[Edit]) -> None:
        """Follow `edits`, each counted in the text after the one before, that have led to
        `snapshot`. Features learn of it when the user rests, or before they are asked anything."""
        self._latest = snapshot.uri
        is_full = self._documents.changed(snapshot, edits)
        self._scheduler.active()
        if is_full:
            self.read_log()

    def closed(self, uri: str) -> None:
        """Forget a document."""
        self.read_log()
        if uri == self._latest:
            self._scheduler.cancel()
        self.features.closed(uri)
        self._trees.forget(uri)
        self._documents.closed(uri)

    def shown(self, suggestion_id: str) -> None:
        """Note that the client has shown a suggestion."""
        self.acceptance.report(suggestion_id, Taken.SHOWN)

    def accepted(self, suggestion_id: str) -> None:
        """Note that the user has accepted a suggestion."""
        self.acceptance.report(suggestion_id, Taken.ACCEPTED)

    def partly_accepted(self, suggestion_id: str) -> None:
        """Note that the user has accepted the beginning of a suggestion."""
        self.acceptance.report(suggestion_id, Taken.PARTIAL)

    # --- questions --------------------------------------------------------------------------

    async def complete(self, ask: CompletionRequest) -> CompletionAnswer:
        """Answer `ask`: exactly one answer and one trace. Cancelling the caller cancels it."""
        self._scheduler.cancel(PREFILL)
        self._scheduler.rest_later(REQUEST_SECONDS)
        if self._documents.has_insertion:
            self.read_log()  # it may have been a suggestion
        if self._prompt_cache.restoring is not None:
            await self._prompt_cache.settled()
        try:
            return await self._completer.complete(ask)
        finally:
            self._latest = ask.snapshot.uri
            self._scheduler.rest_later()

    def ready(self, snapshot: Snapshot, offset: int) -> tuple[Suggestion, ...]:
        """Return what can be suggested at once, for a popup that must not wait; no trace."""
        return self._completer.ready(snapshot, offset)

    def refused(self, trace: Trace) -> None:
        """Keep the trace of a request that was answered without being asked here."""
        self.traces.add(trace)
        self._scheduler.rest_later()

    async def _next_edit_at(self, ask: CompletionRequest) -> Suggestion | None:
        return await suggestion_for(self.next_edits, ask)

    # --- state ------------------------------------------------------------------------------

    @property
    def status(self) -> ServiceStatus:
        """Return the current status."""
        return self._board.status

    @property
    def last(self) -> Trace | None:
        """Return the last completion that the user waited for, while its reason holds."""
        is_ready = self.status.state is ServiceState.READY
        return last_told(self.traces, is_paused=self.is_paused, is_ready=is_ready)

    @property
    def providers(self) -> Mapping[str, Provider]:
        """The providers by name, wrapped where they are outside this machine; empty until they are
        built."""
        return self.router.providers if self.router is not None else {}

    def spent(self) -> dict[Priority, TokenTotals]:
        """Return the tokens that the engines of this process have read and written."""
        return self._providers.spent()

    @property
    def models(self) -> tuple[ModelState, ...]:
        """The models that this process has in memory, or could load."""
        return self._providers.models

    async def roles(self, workspace: str = "") -> tuple[RoleStatus, ...]:
        """Return the provider of each role in `workspace`, and why others do not serve it, as last
        known. The servers are asked as well, and their news is sent to the subscribers.
        """
        self._health.poke()
        return await self._health.roles(workspace)

    @property
    def is_paused(self) -> bool:
        """Return whether the user has paused it."""
        return self.activity.is_paused

    def subscribe(self, callback: Callable[[ServiceStatus], None]) -> Callable[[], None]:
        """Call `callback` when the status changes; returns the function that ends it."""
        return self._board.subscribe(callback)

    # --- inside -----------------------------------------------------------------------------

    async def _build(self) -> None:
        """Build the providers of `self.config` and go over to them."""
        async with self._building:
            await self._trial.look()
            notes = await self._providers.build(self.config, self._trial.challenger)
            # The health is not read until loading providers have begun: idle ones would count as
            # ready.
            self._health.use(None)
            await self._adopt()
            await self._providers.load()
            self._health.use(self.router, notes, self.workspace)

    async def _adopt(self) -> None:
        """Apply the current settings and providers to every feature."""
        old, self.router = (
            self.router,
            Router(
                self.configs,
                self._providers.named,
                pause=self.activity.pause,
                own_servers=self._own_servers,
            ),
        )
        self.features.configure(self.configs, self.router)
        if old is not None:
            await old.aclose()

    def _rested(self) -> None:
        """Do what a keystroke has left undone, and plan what can be prepared."""
        self.read_log()
        if (document := self._latest_document()) is not None:
            self.features.idle(document)
        self.rests.tell(None)

    def _latest_document(self) -> Document | None:
        """Return the document that is worked on, None if nothing may be prepared for it."""
        document = self._documents.get(self._latest)
        if document is None or not self.activity.allows_idle_work(document.snapshot.root):
            return None
        return document

    def _snippets_came(self, uri: str) -> None:
        """Let the model read a prompt whose snippets are other ones than it has read."""
        document = self._latest_document()
        if document is not None and document.snapshot.uri == uri:
            self._prefill.idle(document)

    def _came_ready(self) -> None:
        self._prompt_cache.restore_recent()
        if self._latest:
            self._scheduler.rest_later()
