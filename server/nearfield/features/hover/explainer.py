"""Explanations in time: what a hover shows at once, what it waits for, and what is prepared.

A hover has the facts immediately. Its explanation is there when it was computed before, or comes
within the wait; else it is computed in the background and shown the next time. One explanation is
computed at a time, the one that was pointed at last; typing ends it at once. When the cursor rests
somewhere, the explanation of what is there is prepared by a model of this machine.

An explanation belongs to the hash of all that shaped it, so an edit elsewhere keeps it, and an edit
of the code that it was made from does not.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from nearfield.config.folders import FolderConfigs
from nearfield.config.schema import Config
from nearfield.config.schema import Hover as HoverSettings
from nearfield.errors import NearfieldError, ProviderError
from nearfield.features.document_filter import DocumentFilter
from nearfield.features.feature import DocumentChange, Feature
from nearfield.features.hover.facts import Facts, Known, Outlines, facts_of, local_facts
from nearfield.features.hover.markdown import page
from nearfield.features.hover.problems import Problems
from nearfield.features.hover.subject import Kind, Subject, line_at, subject_at, subject_of
from nearfield.features.hover.wording import (
    SENTENCES,
    SENTENCES_ASKED,
    Question,
    complaint,
    enough,
    question_of,
    tidy,
)
from nearfield.features.offers import Offers
from nearfield.features.remote_choice import RemoteChoice
from nearfield.features.trace import RequestMetrics, TraceLog
from nearfield.features.workspace_context.knowledge import CursorOf
from nearfield.routing.request_context import RequestContext, Task
from nearfield.routing.router import Restart, Router
from nearfield.routing.tasks import TASK_ROLES
from nearfield.syntax.definitions import unit_at
from nearfield.tasks import describe, run_task, stop_task
from nearfield.types import HealthState, Reason, Snapshot, Span, Trace, Usage

log = logging.getLogger(__name__)

KEPT = 512
"""Explanations in memory, about half a kilobyte each; routing keeps them on disk besides."""
REST_SECONDS = 1.0
"""The cursor rests: longer than idle prefill waits, which serves what is typed next."""
FACTS_SECONDS = 0.25
"""A hover waits for the document's tree and the facts at least this long; they take milliseconds,
but for the first look at a very large document."""
BACKGROUND_SECONDS = 120.0
"""An explanation that takes longer is of no use to anybody any more."""

HOVER = "textDocument/hover"
EXPLAIN = "nearfield.explain"


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a model has said: `text` is tidy Markdown ("" when it was of no use, and `wrong` says
    why); `by` names the model for people."""

    text: str
    by: str = ""
    wrong: str = ""
    provider: str = ""
    model: str = ""
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class Hover:
    """What to show, and of which part of the document."""

    markdown: str
    span: Span


@dataclass(frozen=True, slots=True)
class Explained:
    """What somebody who asked gets: all of it as `markdown`, and its parts."""

    markdown: str
    explanation: Explanation
    subject: Subject
    facts: Facts | None


@dataclass(frozen=True, slots=True)
class _Topic:
    """A subject with its facts."""

    snapshot: Snapshot
    subject: Subject
    facts: Facts | None


class Explainer(Feature):
    """See the module's docstring. One event loop."""

    def __init__(
        self, cursor_of: CursorOf, known: Known | None, offers: Offers, traces: TraceLog
    ) -> None:
        self.problems = Problems()
        self._cursor_of = cursor_of
        self._known = known
        self._offers = offers
        self._traces = traces
        self._outlines = Outlines()
        self._kept: OrderedDict[str, Explanation] = OrderedDict()
        self._running: tuple[str, asyncio.Task[Explanation | None]] | None = None
        self._resting: asyncio.Task[None] | None = None
        self._rested: tuple[str, int] | None = None
        self._asked = 0
        self._edits = 0
        self._paused = False
        self.configure(FolderConfigs(Config()), None)

    # --- life -------------------------------------------------------------------------------

    def configure(self, config: FolderConfigs, router: Router | None) -> None:
        """Work by these from now on. Another model would have explained otherwise."""
        self.stop()
        self._kept.clear()
        self._configs, self._permitted = config, DocumentFilter(config)
        self._roles = config.user.routing.tasks
        self._router = router

    def pause(self, is_paused: bool) -> None:
        """Ask no model, until told otherwise."""
        self._paused = is_paused
        if is_paused:
            self.stop()

    def stop(self) -> None:
        """Something more urgent comes: compute nothing that nobody waits for."""
        if self._resting is not None:
            self._resting.cancel()
        if self._running is not None:
            self._running[1].cancel()
            self._running = None

    async def aclose(self) -> None:
        """End all work."""
        running, resting = self._running, self._resting
        self.stop()
        await stop_task(resting)
        if running is not None:
            await stop_task(running[1])

    @property
    def model(self) -> str:
        """The model that would be asked first, "" for none or while nothing may be asked."""
        if self._router is None or self._paused:
            return ""
        return speaker(self._router, self._roles, Task.EXPLAIN)

    # --- what the user does -----------------------------------------------------------------

    def changed(self, change: DocumentChange) -> None:
        """Stop explaining: the user types."""
        snapshot, edits = change.after, change.edits
        self.stop()
        self._edits += 1
        self._rested = None
        self.problems.changed(snapshot.uri, edits)
        if edits:
            last = edits[-1]
            self.rest(snapshot, last.span.start + len(last.text))

    def closed(self, uri: str) -> None:
        """The document is gone."""
        self.stop()
        self.problems.closed(uri)

    def rest(self, snapshot: Snapshot, offset: int) -> None:
        """The cursor is there now: prepare what a hover would say, unless something else comes."""
        if (snapshot.uri, offset) == self._rested:
            return
        self._rested = (snapshot.uri, offset)
        if self._resting is not None:
            self._resting.cancel()
        settings = self._settings(snapshot.root)
        if settings.enabled and settings.explain and settings.prepare:
            self._resting = run_task(self._prepare(snapshot, offset), "prepare an explanation")

    # --- questions --------------------------------------------------------------------------

    async def hover(self, snapshot: Snapshot, offset: int) -> Hover | None:
        """What to show at `offset`, within the wait of the settings; None for nothing."""
        begun, edits = time.monotonic(), self._edits
        settings = self._settings(snapshot.root)
        wait = settings.wait_ms / 1000
        if not settings.enabled or self._permitted.kept_out(snapshot):
            return None
        try:
            async with asyncio.timeout(max(wait, FACTS_SECONDS)):
                topic = await self._topic(snapshot, offset)
        except TimeoutError:
            topic = None
        if topic is None:
            self._account(snapshot, begun, None, Reason.NOTHING)
            return None
        question = question_of(snapshot, topic.subject, topic.facts)
        said = self._kept.get(question.key)
        cached = said is not None
        typed = self._edits != edits  # typing has gone on meanwhile, and it goes first
        if said is None and not typed and (task := self._begin(question, snapshot.root or "")):
            await asyncio.wait({task}, timeout=max(0.0, begun + wait - time.monotonic()))
            said = self._kept.get(question.key)
        preparing = said is None and self._running is not None
        # Reading prose takes milliseconds, and the first time its parser is imported.
        shown = await asyncio.to_thread(self._page, topic, said, preparing)
        self._account(snapshot, begun, said, Reason.SHOWN if shown else Reason.NOTHING, cached)
        return Hover(shown, topic.subject.span) if shown else None

    async def explain(
        self,
        snapshot: Snapshot,
        span: Span,
        said: Callable[[str], None] | None = None,
        restarted: Callable[[], None] | None = None,
        elsewhere: RemoteChoice | None = None,
    ) -> Explained:
        """Explain what `span` holds, for somebody who waits; an empty one is a place. `said` hears
        the answer as it comes, `restarted` that another model starts over; `elsewhere` is who is
        to do it. Raises from the error tree; a cancelled caller frees the model."""
        with RequestMetrics(self._traces, EXPLAIN, snapshot) as account:
            explained = await self._explained(snapshot, span, said, restarted, elsewhere)
            told = explained.explanation
            account.provider, account.model, account.usage = told.provider, told.model, told.usage
            account.reason = Reason.SHOWN if told.text else Reason.EMPTY
            return explained

    async def _explained(
        self,
        snapshot: Snapshot,
        span: Span,
        said: Callable[[str], None] | None,
        restarted: Callable[[], None] | None,
        elsewhere: RemoteChoice | None,
    ) -> Explained:
        router = self._permitted.require(snapshot, self._router, self._paused)
        self.stop()
        cursor = await self._cursor_of(snapshot, span.start)
        problems = self.problems.at(snapshot.uri)
        subject = await asyncio.to_thread(subject_of, snapshot, cursor.parsed, span)
        named = subject
        if span.start == span.end and problems:
            subject = subject_at(snapshot, cursor.parsed, span.start, problems)
        if subject is None:
            unit = unit_at(cursor.parsed, snapshot.text, span).span
            text = snapshot.text[unit.start : unit.end]
            if not text.strip():
                raise NearfieldError("There is nothing to explain here.", "Point at some code.")
            line = line_at(snapshot.text, unit.start)
            subject = Subject(Kind.SELECTION, text, unit, line, unit)
        named = named or subject
        local = await asyncio.to_thread(local_facts, snapshot, cursor.parsed, named, self._outlines)
        facts = await facts_of(self._known, snapshot, named, local)
        question = question_of(snapshot, subject, facts, asked=True)
        explanation = await self._asked_for(router, question, snapshot, said, restarted, elsewhere)
        topic = _Topic(snapshot, subject, facts)
        shown = await asyncio.to_thread(self._page, topic, explanation, False)
        return Explained(shown, explanation, subject, facts)

    # --- inside -----------------------------------------------------------------------------

    def _settings(self, root: str | None) -> HoverSettings:
        return self._configs.of(root).hover

    async def _topic(self, snapshot: Snapshot, offset: int) -> _Topic | None:
        cursor = await self._cursor_of(snapshot, offset)
        problems = self.problems.at(snapshot.uri)

        def look() -> tuple[Subject, Subject, Facts | None] | None:
            subject = subject_at(snapshot, cursor.parsed, offset, problems)
            if subject is None:
                return None
            # A problem is explained, and the name that it is at has its facts all the same.
            named = subject if subject.problem is None else None
            named = named or subject_at(snapshot, cursor.parsed, offset) or subject
            return subject, named, local_facts(snapshot, cursor.parsed, named, self._outlines)

        found = await asyncio.to_thread(look)
        if found is None:
            return None
        subject, named, local = found
        return _Topic(snapshot, subject, await facts_of(self._known, snapshot, named, local))

    def _page(self, topic: _Topic, said: Explanation | None, preparing: bool) -> str:
        facts = topic.facts if self._settings(topic.snapshot.root).facts else None
        text, by = (said.text, said.by) if said else ("", "")
        return page(topic.subject, facts, topic.snapshot.language, text, by, preparing)

    def _begin(
        self, question: Question, workspace: str, *, loads: bool = True
    ) -> asyncio.Task[Explanation | None] | None:
        """Compute the answer in the background, unless it is being computed; what was computed for
        something else makes way. `loads`: also by a model that has to be loaded for it. None where
        no model may or can."""
        if self._router is None or self._paused or not self._settings(workspace).explain:
            return None
        if self._running is not None:
            key, task = self._running
            if key == question.key and not task.done():
                return task
            task.cancel()
        work = self._compute(self._router, question, workspace, loads)
        task = run_task(work, "explain")
        self._running = (question.key, task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Explanation | None]) -> None:
        if self._running is not None and self._running[1] is task:
            self._running = None

    async def _compute(
        self, router: Router, question: Question, workspace: str, loads: bool
    ) -> Explanation | None:
        errand = RequestContext(Task.EXPLAIN, workspace, question.sources, (complaint,))
        if not await self._awake(router, question, errand, loads):
            return None
        try:
            async with asyncio.timeout(BACKGROUND_SECONDS):
                said = await _listen(router, question, errand, SENTENCES)
        except TimeoutError:
            return None
        except NearfieldError as error:
            log.info("no explanation: %s", describe(error))
            return None
        if said.wrong:
            log.info("an explanation of %s is not shown: %s", said.model, said.wrong)
        self._kept[question.key] = said
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return said

    @staticmethod
    async def _awake(
        router: Router, question: Question, errand: RequestContext, loads: bool
    ) -> bool:
        """Whether who would be asked first is there, or is to be loaded (`loads`); a model that is
        being loaded already is not waited for."""
        candidates = router.candidates(router.choose(question.request, errand).role)
        chatting = [provider for provider in candidates if provider.capabilities.chat]
        if not chatting:
            return False
        if not errand.workspace and not chatting[0].capabilities.local:
            return False
        if not chatting[0].capabilities.local:
            return True
        try:
            state = (await chatting[0].health()).state
        except ProviderError:
            return False
        return state is HealthState.READY or (loads and state is HealthState.IDLE)

    async def _prepare(self, snapshot: Snapshot, offset: int) -> None:
        await asyncio.sleep(REST_SECONDS)
        if self._permitted.kept_out(snapshot) or self._running is not None or self._asked:
            return
        topic = await self._topic(snapshot, offset)
        if topic is None:
            return
        question = question_of(snapshot, topic.subject, topic.facts)
        if question.key not in self._kept:
            # Without a workspace nothing can have been consented to: it stays on this machine.
            self._begin(question, "", loads=False)

    async def _asked_for(
        self,
        router: Router,
        question: Question,
        snapshot: Snapshot,
        said: Callable[[str], None] | None,
        restarted: Callable[[], None] | None,
        elsewhere: RemoteChoice | None,
    ) -> Explanation:
        workspace = snapshot.root or ""
        if elsewhere is None:
            accepted = self._offers.take(workspace, Task.EXPLAIN)
        else:
            errand = RequestContext(Task.EXPLAIN, workspace, question.sources)
            accepted = await elsewhere.accepted(router, question.request, errand)
        errand = RequestContext(Task.EXPLAIN, workspace, question.sources, (complaint,), accepted)
        self._asked += 1
        try:
            return await _listen(
                router, question, errand, SENTENCES_ASKED, self._offers, said, restarted
            )
        finally:
            self._asked -= 1

    def _account(
        self,
        snapshot: Snapshot,
        begun: float,
        said: Explanation | None,
        reason: Reason,
        cached: bool = False,
    ) -> None:
        self._traces.add(
            Trace(
                id="",
                method=HOVER,
                uri=snapshot.uri,
                version=snapshot.version,
                provider=said.provider if said else "",
                model=said.model if said else "",
                situation="cached" if cached else "",
                total_ms=(time.monotonic() - begun) * 1000,
                shown=not reason,
                reason=reason,
                usage=said.usage if said and not cached else None,
            )
        )


def speaker(router: Router, tasks: Mapping[str, str], task: Task) -> str:
    """The model of who would be asked first for `task`, "" for nobody; `tasks` are the user's roles
    for tasks."""
    candidates = router.candidates(tasks.get(task) or TASK_ROLES[task])
    return next((one.model for one in candidates if one.capabilities.chat), "")


async def _listen(
    router: Router,
    question: Question,
    errand: RequestContext,
    sentences: int,
    offers: Offers | None = None,
    said: Callable[[str], None] | None = None,
    restarted: Callable[[], None] | None = None,
) -> Explanation:
    """Ask, and hear the answer to its end, or until there is enough of it."""
    text, usage, stopped = "", None, False
    async with router.chat(question.request, context=errand) as route:
        try:
            async for item in route:
                if isinstance(item, Restart):
                    text, stopped = "", False
                    if restarted is not None:
                        restarted()
                    continue
                usage = item.usage or usage
                if stopped:
                    continue
                text += item.text
                if said is not None and item.text:
                    said(item.text)
                if sentences == SENTENCES and enough(text):
                    route.enough()
                    stopped = True
        finally:
            if offers is not None:
                if route.asked.isdisjoint(errand.accepted):
                    offers.give_back(errand.workspace, Task.EXPLAIN, errand.accepted)
                offers.add(route.offers)
    provider = route.provider
    name, model = (provider.name, provider.model) if provider else ("", "")
    local = provider is not None and provider.capabilities.local
    by = f"{model}, on this machine" if local else f"{model}, by {name}"
    shown = "" if route.wrong else await asyncio.to_thread(tidy, text, sentences)
    return Explanation(shown, by, route.wrong, name, model, usage)
