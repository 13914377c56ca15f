"""Hovers and explanations: what is shown at once, what is waited for, and what is prepared.

A hover has the facts immediately. Its explanation is shown if it is cached, or comes within the
wait; otherwise it is computed in the background for the next time. Typing stops that at once. When
the cursor rests, a model of this machine prepares the explanation of what is there.
"""

from __future__ import annotations

import asyncio
import builtins
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from nearfield.config.folders import FolderConfigs
from nearfield.config.schema import Config
from nearfield.config.schema import Hover as HoverSettings
from nearfield.errors import NearfieldError
from nearfield.features.documents import Document, DocumentChange, DocumentFilter, Documents
from nearfield.features.feature import Feature
from nearfield.features.hover.diagnostic_store import DiagnosticStore
from nearfield.features.hover.explanations import Explanation, Explanations
from nearfield.features.hover.facts import Facts, Outlines, SymbolSource, facts_of, local_facts
from nearfield.features.hover.markdown import page
from nearfield.features.hover.subject import Subject, SubjectKind, subject_at, subject_of
from nearfield.features.hover.wording import request_for
from nearfield.features.idle import Activity, IdleScheduler
from nearfield.features.offers import Offers
from nearfield.features.remote_choice import RemoteChoice, chat_model
from nearfield.features.trace import RequestMetrics, TraceLog
from nearfield.files.lines import line_at, line_number
from nearfield.routing.request_context import Task
from nearfield.routing.router import Router
from nearfield.syntax.definitions import unit_at
from nearfield.syntax.parser import CursorOf, Parsed
from nearfield.types import Reason, Snapshot, Span, Surface, Trace

REST_SECONDS = 1.0
"""After this the cursor rests: longer than idle prefill waits, which serves the next completion."""
FACTS_SECONDS = 0.25
"""Minimum time that a hover waits for the tree and the facts. They take milliseconds, except for
the first look at a very large document."""

_CALL = re.compile(r"([^\W\d]\w*)[ \t]*!?\(")
PREPARE = "prepare an explanation"
"""The name of the idle job."""


@dataclass(frozen=True, slots=True)
class HoverContent:
    """The text to show, and the part of the document that it is about."""

    markdown: str
    span: Span


@dataclass(frozen=True, slots=True)
class Explained:
    """The answer to a command: all of it as `markdown`, and its parts."""

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
        self,
        documents: Documents,
        cursor_of: CursorOf,
        symbols: SymbolSource | None,
        offers: Offers,
        traces: TraceLog,
        scheduler: IdleScheduler,
        activity: Activity,
    ) -> None:
        self.problems = DiagnosticStore(documents)
        self._scheduler = scheduler
        self._activity = activity
        self._cursor_of = cursor_of
        self._symbols = symbols
        self._traces = traces
        self._outlines = Outlines()
        self._explanations = Explanations(offers, scheduler)
        self._documents = documents
        self._rested: tuple[Snapshot, int] | None = None
        self.configure(FolderConfigs(Config()), None)

    # --- lifecycle --------------------------------------------------------------------------

    def configure(self, config: FolderConfigs, router: Router | None) -> None:
        """Apply settings and providers; explanations of another model are forgotten."""
        self.stop()
        self._explanations.clear()
        self._configs, self._filter, self._router = config, DocumentFilter(config), router

    def activity_changed(self) -> None:
        """Stop when paused."""
        if self._activity.is_paused:
            self.stop()

    def stop(self) -> None:
        """Cancel work that the user does not wait for."""
        self._scheduler.cancel(PREPARE)
        self._explanations.stop()

    async def aclose(self) -> None:
        """Stop all work and wait for its end."""
        self.stop()
        await self._explanations.aclose()

    @property
    def model(self) -> str:
        """The model that would be asked first, "" for none or while paused."""
        router = None if self._activity.is_paused else self._router
        return chat_model(router, Task.EXPLAIN)

    def changed(self, change: DocumentChange) -> None:
        """Let the diagnostics follow their text."""
        self.problems.changed(change.after.uri, change.edits)

    def closed(self, uri: str) -> None:
        """Cancel work that the user does not wait for."""
        self.stop()

    def idle(self, document: Document) -> None:
        """Prepare soon what a hover at the place of the last edit or request would show."""
        if document.focus is not None:
            self.rest(document.snapshot, document.focus)

    def rest(self, snapshot: Snapshot, offset: int) -> None:
        """Prepare what a hover at `offset`, where the cursor is, would show."""
        if (snapshot, offset) == self._rested:
            return
        self._rested = (snapshot, offset)
        settings = self._settings(snapshot.root)
        if settings.enabled and settings.explain and settings.prepare:
            work = partial(self._prepare, snapshot, offset)
            self._scheduler.at(REST_SECONDS, PREPARE, work)

    async def _prepare(self, snapshot: Snapshot, offset: int) -> None:
        if self._filter.kept_out(snapshot) or self._explanations.is_busy:
            return
        topic = await self._topic(snapshot, offset)
        router = self._router_for(snapshot.root)
        if topic is None or router is None:
            return
        request = request_for(snapshot, topic.subject, topic.facts)
        if self._explanations.cached(request) is None:
            # Without a workspace nothing can have been consented to: it stays on this machine.
            self._explanations.start(router, request, "", loads=False)

    # --- requests ---------------------------------------------------------------------------

    async def hover(self, snapshot: Snapshot, offset: int) -> HoverContent | None:
        """Return what to show at `offset`, within the wait of the settings; None for nothing."""
        started, revision = time.monotonic(), self._documents.revision
        settings = self._settings(snapshot.root)
        wait = settings.wait_ms / 1000
        if not settings.enabled or self._filter.kept_out(snapshot):
            return None
        try:
            async with asyncio.timeout(max(wait, FACTS_SECONDS)):
                topic = await self._topic(snapshot, offset)
        except TimeoutError:
            topic = None
        if topic is None:
            self._record(snapshot, started, None, Reason.NOTHING)
            return None
        request = request_for(snapshot, topic.subject, topic.facts)
        found = self._explanations.cached(request)
        is_cached = found is not None
        router = self._router_for(snapshot.root)
        # Typing that went on meanwhile has precedence.
        if found is None and router is not None and self._documents.revision == revision:
            task = self._explanations.start(router, request, snapshot.root or "")
            await asyncio.wait({task}, timeout=max(0.0, started + wait - time.monotonic()))
            found = self._explanations.cached(request)
        is_preparing = found is None and self._explanations.is_running
        # Reading prose takes milliseconds, and the first time its parser is imported.
        shown = await asyncio.to_thread(self._page, topic, found, is_preparing)
        reason = Reason.SHOWN if shown else Reason.NOTHING
        self._record(snapshot, started, found, reason, is_cached)
        return HoverContent(shown, topic.subject.span) if shown else None

    async def explain(
        self,
        snapshot: Snapshot,
        span: Span,
        on_text: Callable[[str], None] = lambda text: None,
        on_restart: Callable[[], None] = lambda: None,
        elsewhere: RemoteChoice | None = None,
    ) -> Explained:
        """Explain the selection, or the symbol at an empty `span`, for a user who waits. `on_text`
        gets the answer as it comes, `on_restart` is called if another model starts over.
        `elsewhere` is the provider that the user chose. Raises from the error tree; a cancelled
        caller frees the model.
        """
        with RequestMetrics(self._traces, Surface.EXPLANATION, snapshot) as account:
            router = self._filter.require(snapshot, self._router, self._activity.pause)
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
                subject = Subject(SubjectKind.SELECTION, text, unit, line, unit)
            named = named or subject
            local = await asyncio.to_thread(
                local_facts, snapshot, cursor.parsed, named, self._outlines
            )
            facts = await facts_of(self._symbols, snapshot, named, local)
            called = await asyncio.to_thread(_called, cursor.parsed, subject, self._outlines)
            request = request_for(snapshot, subject, facts, manual=True, called=called)
            found = await self._explanations.ask(
                router, request, snapshot.root or "", on_text, on_restart, elsewhere
            )
            account.provider, account.model, account.usage = (
                found.provider,
                found.model,
                found.usage,
            )
            account.reason = Reason.SHOWN if found.text else Reason.EMPTY
            topic = _Topic(snapshot, subject, facts)
            shown = await asyncio.to_thread(self._page, topic, found, False)
            return Explained(shown, found, subject, facts)

    def _settings(self, root: str | None) -> HoverSettings:
        return self._configs.of(root).hover

    def _router_for(self, root: str | None) -> Router | None:
        """Return the router if it may be asked for explanations in a workspace folder."""
        may_ask = not self._activity.is_paused and self._settings(root).explain
        return self._router if may_ask else None

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
        return _Topic(snapshot, subject, await facts_of(self._symbols, snapshot, named, local))

    def _page(self, topic: _Topic, found: Explanation | None, is_preparing: bool) -> str:
        facts = topic.facts if self._settings(topic.snapshot.root).facts else None
        text, by = (found.text, found.by) if found else ("", "")
        return page(topic.subject, facts, topic.snapshot.language, text, by, is_preparing)

    def _record(
        self,
        snapshot: Snapshot,
        started: float,
        found: Explanation | None,
        reason: Reason,
        is_cached: bool = False,
    ) -> None:
        self._traces.add(
            Trace(
                id="",
                surface=Surface.HOVER,
                uri=snapshot.uri,
                version=snapshot.version,
                provider=found.provider if found else "",
                model=found.model if found else "",
                situation="cached" if is_cached else "",
                total_ms=(time.monotonic() - started) * 1000,
                shown=not reason,
                reason=reason,
                usage=found.usage if found and not is_cached else None,
            )
        )


def _called(parsed: Parsed | None, subject: Subject, outlines: Outlines) -> tuple[str, ...]:
    """Return the functions that selected code calls, in order, without those that every program of
    the language has."""
    if parsed is None or subject.kind is not SubjectKind.SELECTION:
        return ()
    found = outlines.of(parsed)
    first, last = (line_number(parsed.text, at) for at in (subject.span.start, subject.span.end))
    own = {one.name for one in found.definitions if first <= one.row <= last}
    usual = frozenset(dir(builtins)) if parsed.language.name == "python" else frozenset[str]()
    places = {match[1]: match.start() for match in reversed([*_CALL.finditer(subject.text)])}
    names = (places.keys() & found.references.keys()) - usual - own
    return tuple(sorted(names, key=lambda name: places[name]))
