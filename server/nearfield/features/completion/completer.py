"""Completion: from a request to suggestions.

Every request gets one answer and one trace. A newer request for the same document ends the running
one, which answers "superseded". A cancelled one closes its stream and writes its trace before the
cancellation is raised. But while the user types what the model writes, the stream goes on and
answers a later request. Past the deadline the answer is a whole line or nothing.

A suggestion is complete by the syntax tree (the stream is closed as soon as it is), checked in the
document, and for the version that was asked about. A result that comes too late is only cached.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from nearfield.config.folders import FolderConfigs
from nearfield.config.schema import Completion, Config
from nearfield.errors import NearfieldError, RequestStopped
from nearfield.features.completion.alternatives import (
    MAX_ALTERNATIVES,
    AlternativeSearch,
    Candidate,
)
from nearfield.features.completion.answers import (
    CachedCompletion,
    CacheMatch,
    CompletionCache,
    Ending,
    Generated,
    is_typed_along,
)
from nearfield.features.completion.postprocess import Shaped, Shaper
from nearfield.features.completion.prompting import included
from nearfield.features.completion.question import (
    PreparedQuestion,
    Questions,
    RequestScope,
    wait_ms,
)
from nearfield.features.documents import Answered, Document, DocumentFilter, Documents
from nearfield.features.feature import Feature
from nearfield.features.health import HealthWatch
from nearfield.features.idle import Activity, IdleScheduler
from nearfield.features.offers import Offers
from nearfield.features.reasons import reason_of
from nearfield.features.trace import RequestMetrics, TraceLog
from nearfield.files.lines import line_at, plain_breaks
from nearfield.routing.request_context import RequestContext, Task
from nearfield.routing.router import Restart, Router
from nearfield.tasks import run_task, stop_task
from nearfield.types import (
    CompletionAnswer,
    CompletionRequest,
    InfillRequest,
    Priority,
    Reason,
    Situation,
    Snapshot,
    Span,
    Suggestion,
    Surface,
)

ALTERNATIVE_TEMPERATURE = 0.8
"""For providers that cannot be told which beginnings to avoid: enough to leave the likeliest."""

ALTERNATIVES_SECONDS = 5.0
"""Maximum wait for alternatives when the user asks a second time."""

UNNOTICED_MS = 150.0
"""Alternatives that take no longer than this together are waited for at once."""

NOT_SHOWABLE = frozenset({Reason.REPEATS, Reason.SYNTAX})
"""Reasons for which an alternative takes the place of the first answer."""

_ARRIVALS = (Situation.COLD, Situation.MOVED)

_ENDED_BY_US = (Ending.ENOUGH, Ending.UNSURE, Ending.OVERTAKEN)

NextEditFor = Callable[[CompletionRequest], Awaitable[Suggestion | None]]
"""Returns the next edit at the cursor, which takes precedence over the model."""


@dataclass(slots=True)
class _Turn:
    """A request that is being answered. `scope` is None while there is no provider, or none is
    needed yet. `deadline` is of the monotonic clock. `is_arrival` says that it is the first one at
    an empty line that the user has come to."""

    request: CompletionRequest
    settings: Completion
    metrics: RequestMetrics
    document: Document
    deadline: float
    is_arrival: bool = False
    scope: RequestScope | None = None

    @property
    def is_past(self) -> bool:
        """Return whether the document was changed since the request, or closed."""
        text = self.document.snapshot.text
        return not self.document.is_open or text != self.request.snapshot.text

    def is_wanted(self, written: str) -> bool:
        """Return whether the user has typed nothing since but what a model has `written`."""
        if not self.is_past:
            return True
        text = self.document.snapshot.text
        return self.document.is_open and is_typed_along(self.request, written, text)

    def too_late(self) -> Reason:
        """Return why an answer comes too late to be shown, `SHOWN` if it does not."""
        if self.is_past:
            return Reason.STALE
        is_late = self.request.late is not None and self.request.late()
        return Reason.LATE if is_late else Reason.SHOWN


@dataclass(frozen=True, slots=True)
class _Stream:
    """A model's answer as it comes. It goes on while the user types what it writes, so that a slow
    model need not begin again at each key."""

    turn: _Turn
    found: Generated
    task: asyncio.Task[CompletionAnswer]

    @property
    def is_wanted(self) -> bool:
        """Return whether it answers what will be asked next, by what is known of it."""
        return not self.turn.request.invoked and self.turn.is_wanted(self.found.text)


class Completer(Feature):
    """Answers completion requests for any number of documents, on one event loop. `health` learns
    how each request to a model ended; `offers` takes what may be offered with an answer."""

    def __init__(
        self,
        documents: Documents,
        questions: Questions,
        activity: Activity,
        scheduler: IdleScheduler,
        traces: TraceLog,
        health: HealthWatch,
        offers: Offers,
        next_edit: NextEditFor,
    ) -> None:
        self.cache = CompletionCache()
        self.questions = questions
        self._activity = activity
        self._next_edit = next_edit
        self._documents = documents
        self._traces = traces
        self._health = health
        self._offers = offers
        self._running: dict[str, asyncio.Task[CompletionAnswer]] = {}
        self._streams: dict[str, _Stream] = {}
        self._suggestions = 0
        self._alternatives = AlternativeSearch(scheduler, self._one_more)
        self.configure(FolderConfigs(Config()), None)

    def configure(self, config: FolderConfigs, router: Router | None) -> None:
        """Apply settings and providers from the next request on; None: no provider is ready."""
        self._settings = {folder: one.completion for folder, one in config.folders.items()}
        self._default = config.user.completion
        self._filter = DocumentFilter(config)
        self._router = router

    def settings(self, snapshot: Snapshot) -> Completion:
        """Return the settings of the folder that a document is in."""
        return self._settings.get(snapshot.root or "", self._default)

    def activity_changed(self) -> None:
        """Stop looking for alternatives when paused."""
        if self._activity.is_paused:
            self._alternatives.stop()

    def closed(self, uri: str) -> None:
        """End the document's running request and stream; drop its answers."""
        stream = self._streams.pop(uri, None)
        for task in (self._running.pop(uri, None), stream and stream.task):
            if task is not None:
                task.cancel()
        self._alternatives.stop(uri)
        self.cache.forget(uri)

    @property
    def is_busy(self) -> bool:
        """Return whether a request is running."""
        return bool(self._running or self._streams)

    async def aclose(self) -> None:
        """End every request."""
        self._alternatives.stop()
        streams = [stream.task for stream in self._streams.values()]
        for task in (*self._running.values(), *streams):
            await stop_task(task)

    async def complete(self, request: CompletionRequest) -> CompletionAnswer:
        """Return the answer to `request`, without suggestions while paused. Raises only
        `CancelledError` and unexpected exceptions."""
        snapshot = request.snapshot
        settings = self.settings(snapshot)
        answer = CompletionAnswer(reason=Reason.PAUSED)
        metrics = RequestMetrics(
            self._traces, request.surface, snapshot, id=request.id, reason=Reason.ERROR
        )
        try:
            with metrics:
                if not self._activity.pause.is_on:
                    answer = await self._in_turn(request, settings, metrics)
                metrics.reason = answer.reason
        finally:
            trace = metrics.trace if settings.record else None
            self._documents.answered(Answered(snapshot, answer.suggestions, trace))
        return answer

    def ready(self, snapshot: Snapshot, offset: int) -> tuple[Suggestion, ...]:
        """Return what can be suggested at once, without a model and without parsing the text."""
        if self._activity.is_paused or self._filter.reason(snapshot):
            return ()
        request = CompletionRequest("", Surface.POPUP, snapshot, offset)
        metrics = RequestMetrics(self._traces, Surface.POPUP, snapshot)
        settings, document = self.settings(snapshot), self._documents.at(snapshot)
        turn = _Turn(request, settings, metrics, document, 0.0)
        found = self._checked_before(turn, self._cached(turn))
        if found is None:
            return ()
        self._documents.answered(Answered(snapshot, found.suggestions))
        return found.suggestions

    # --- one request ------------------------------------------------------------------------

    async def _in_turn(
        self, request: CompletionRequest, settings: Completion, metrics: RequestMetrics
    ) -> CompletionAnswer:
        """Run the request as the document's only one; a newer one may end it."""
        uri = request.snapshot.uri
        # No background work: its errors are the caller's, who waits for it.
        task = asyncio.create_task(self._answer(request, settings, metrics))
        older, self._running[uri] = self._running.get(uri), task
        if older is not None:
            older.cancel()
        try:
            return await task
        except asyncio.CancelledError:
            caller = asyncio.current_task()
            if caller is None or caller.cancelling():
                raise
            return CompletionAnswer(reason=Reason.SUPERSEDED)
        finally:
            if self._running.get(uri) is task:
                del self._running[uri]

    async def _answer(
        self, request: CompletionRequest, settings: Completion, metrics: RequestMetrics
    ) -> CompletionAnswer:
        """Answer from the next edits, else from the cache, else from what is being written, else
        from a model."""
        snapshot = request.snapshot
        if refused := self._filter.reason(snapshot):
            return CompletionAnswer(reason=refused)
        if self._alternatives.found is not None:
            self._alternatives.leave(request)
        document = self._documents.at(snapshot)
        # After typing at the cursor the user wants to continue there.
        is_typing = document.edited == request.offset
        metrics.situation = document.asked(request.offset)
        if not is_typing and (edit := await self._next_edit(request)) is not None:
            metrics.situation = Situation.NEXT_EDIT
            return CompletionAnswer((edit,))
        milliseconds = settings.invoked_deadline_ms if request.invoked else settings.deadline_ms
        deadline = metrics.started + milliseconds / 1000
        has_come = not is_typing and metrics.situation in _ARRIVALS
        is_arrival = has_come and not line_at(snapshot.text, request.offset)
        turn = _Turn(request, settings, metrics, document, deadline, is_arrival)
        cached = await self._from_cache(turn)
        if cached is None and await self._is_written(turn):
            cached = await self._from_cache(turn)
        if cached is not None:
            return cached
        if (scope := self._scope(turn)) is not None:
            await asyncio.sleep(wait_ms(request, document, scope.can, settings) / 1000)
        return await self._from_model(turn)

    def _scope(self, turn: _Turn) -> RequestScope | None:
        """Return who may answer, which a cached answer does without."""
        if turn.scope is None and self._router is not None:
            snapshot, settings = turn.request.snapshot, turn.settings
            turn.scope = self.questions.scope(snapshot, settings, self._router)
        return turn.scope

    async def _from_cache(self, turn: _Turn) -> CompletionAnswer | None:
        """Answer as an earlier request was answered, if one fits."""
        matches = self._cached(turn)
        if not matches:
            return None
        cached = self._checked_before(turn, matches) or await self._checked_now(turn, matches)
        if cached is None:
            return None
        turn.metrics.situation = Situation.CACHED
        # A manual request right after a shown suggestion asks for alternatives.
        first = matches[0].completion
        is_seen = self._alternatives.found is not None or not first.unasked(turn.settings)
        wait = ALTERNATIVES_SECONDS if turn.request.invoked and is_seen else 0.0
        return await self._with_alternatives(turn, cached, wait)

    async def _is_written(self, turn: _Turn) -> bool:
        """Wait for the stream of a former request whose text the user has typed since, and return
        whether there was one. Another stream is ended."""
        request = turn.request
        stream = self._streams.get(request.snapshot.uri)
        if stream is None:
            return False
        is_wanted = not request.invoked and stream.is_wanted
        try:
            if is_wanted:
                seconds = max(0.0, turn.deadline - time.monotonic())
                await asyncio.wait({stream.task}, timeout=seconds)
        finally:
            # Cancelled by another key, it may answer that one.
            if not (turn.is_past and stream.is_wanted):
                await stop_task(stream.task)
        return is_wanted

    async def _from_model(self, turn: _Turn) -> CompletionAnswer:
        request, document, metrics, scope = turn.request, turn.document, turn.metrics, turn.scope
        if turn.is_past:
            return CompletionAnswer(reason=Reason.STALE)
        if scope is None:
            return CompletionAnswer(reason=Reason.NOT_READY)
        uri = request.snapshot.uri
        asked = await self.questions.make(
            request, document, scope, turn.deadline, is_arrival=turn.is_arrival
        )
        metrics.included = asked.included
        found = Generated(asked.min_logprob, turn.is_arrival)
        task = run_task(self._written(turn, scope, asked, found), f"write {request.id}")
        stream = self._streams[uri] = _Stream(turn, found, task)
        task.add_done_callback(self._stream_ended)
        try:
            await asyncio.wait({task})
        finally:
            if not task.done():
                if turn.is_past and stream.is_wanted:
                    metrics.usage = found.usage
                else:
                    await stop_task(task)
            metrics.provider, metrics.model = found.provider, found.model
        answer = task.result()
        if request.invoked and answer.reason in NOT_SHOWABLE and scope.is_local:
            return await self._instead(turn, found.text, answer)
        decode_ms = metrics.usage.decode_ms if metrics.usage else None
        their_ms = MAX_ALTERNATIVES * (decode_ms or 0.0)
        wait = their_ms / 1000 if their_ms <= UNNOTICED_MS else 0.0
        return await self._with_alternatives(turn, answer, wait)

    def _stream_ended(self, task: asyncio.Task[CompletionAnswer]) -> None:
        self._streams = {uri: one for uri, one in self._streams.items() if one.task is not task}

    async def _written(
        self, turn: _Turn, scope: RequestScope, asked: PreparedQuestion, found: Generated
    ) -> CompletionAnswer:
        """Read the model's answer into `found`, and cache it."""
        request, document, metrics = turn.request, turn.document, turn.metrics
        expected, context = asked.plans[asked.default], asked.context
        document.window = expected.piece.window
        if self._offers.accepted:
            accepted = self._offers.take(request.snapshot.root or "", Task.COMPLETE)
            context = replace(context, accepted=accepted)
        try:
            await _read(found, scope.router, asked.request, context, asked.shaper, turn)
        finally:
            metrics.usage = found.usage
            if context.accepted or found.offers:
                self._offers.settle(context, found.asked, found.offers)
            if found.watch.first is not None:
                plan = asked.used(found, document, self.questions.rates)
                if plan is not expected:
                    metrics.included = included(plan.piece, request.snapshot)
        return self._judged(turn, found, asked.shaper)

    def _judged(self, turn: _Turn, found: Generated, shaper: Shaper) -> CompletionAnswer:
        """Shape and cache what came; show it only if it still belongs to the document."""
        request, metrics = turn.request, turn.metrics
        is_news = found.error is not None or found.stumbled or not self._health.is_well
        # A request that the user stopped says nothing about the model.
        is_stopped = isinstance(found.error, RequestStopped)
        if is_news and not is_stopped and found.ending is not Ending.DEADLINE:
            self._health.outcome(found.error, found.stumbled)
        if found.ending is Ending.FAILED:
            metrics.detail = found.error.message if found.error else ""
            return CompletionAnswer(reason=reason_of(found.error))
        lines, cut_off = found.whole_lines(), found.cut_off
        part = "" if lines or request.invoked else found.sure_part()
        if not lines and not part and cut_off:
            nothing = Shaped("", Span(request.offset, request.offset), cut_off)
            completion = CachedCompletion.of(request, found, nothing, len(found.text))
            _add_confidence(metrics, completion)
            # A model that was unsure is not asked the same again; one that had no time is.
            if found.ending is Ending.UNSURE:
                self.cache.put(request, completion)
            return CompletionAnswer(reason=cut_off)
        shaped = shaper.part(part) if part else shaper.finish(lines)
        if found.ended_by and not (lines or part).strip():
            shaped = replace(shaped, reason=Reason.CONTROL_TOKEN)
        completion = CachedCompletion.of(request, found, shaped, part=bool(part))
        self.cache.put(request, completion)
        hidden = completion.hidden(request, turn.settings)
        _add_confidence(metrics, completion)
        if reason := turn.too_late() or shaped.reason or hidden:
            return CompletionAnswer(reason=reason)
        return CompletionAnswer((self._suggestion(turn, shaped, completion),))

    def _suggestion(self, turn: _Turn, shaped: Shaped, completion: CachedCompletion) -> Suggestion:
        self._suggestions += 1
        return Suggestion(
            id=f"{turn.request.id}-{self._suggestions}",
            text=shaped.text,
            replace=shaped.replace,
            confidence=completion.confidence.mean if completion.confidence else None,
            provider=completion.provider,
            model=completion.model,
            prompt=completion.prompt,
        )

    # --- the cache --------------------------------------------------------------------------

    def _cached(self, turn: _Turn) -> list[CacheMatch]:
        """Return the cached answers at the cursor, newest first. An empty answer and a part count
        too, unless the user asks by a key. An unsure one is asked again once some of it has been
        typed."""
        request, settings = turn.request, turn.settings
        return [
            match
            for match in self.cache.find(request)
            if not (request.invoked and (match.completion.part or not match.rest))
            and not (match.typed and match.completion.hidden(request, settings) is Reason.UNSURE)
        ]

    def _checked_before(
        self, turn: _Turn, matches: Sequence[CacheMatch]
    ) -> CompletionAnswer | None:
        """Answer with the first match that leads to the exact text in which it was checked."""
        request, settings = turn.request, turn.settings
        if matches and not matches[0].rest:
            return CompletionAnswer(reason=matches[0].completion.reason)
        if matches and (hidden := matches[0].completion.hidden(request, settings)):
            return CompletionAnswer(reason=hidden)
        if request.selected is not None:
            return None
        text, offset = request.snapshot.text, request.offset
        for match in matches:
            completion = match.completion
            is_same = match.rest and completion.was_checked_in(text, offset, match.rest)
            if is_same and not completion.hidden(request, settings):
                shaped = Shaped(match.rest, Span(offset, offset))
                return CompletionAnswer((self._suggestion(turn, shaped, completion),))
        return None

    async def _checked_now(
        self, turn: _Turn, matches: Sequence[CacheMatch]
    ) -> CompletionAnswer | None:
        """Answer with the first match that can be shown in the current text."""
        request = turn.request
        cursor = await self.questions.cursor(request.snapshot, request.offset, request.selected)
        for match in matches:
            shaper = Shaper.at(cursor, turn.settings, is_manual=request.invoked)
            finish = shaper.part if match.completion.part else shaper.finish
            shaped = finish(plain_breaks(match.rest))
            if shaped.text and not match.completion.hidden(request, turn.settings):
                suggestion = self._suggestion(turn, shaped, match.completion)
                return CompletionAnswer((suggestion,))
        return None

    # --- alternatives -----------------------------------------------------------------------

    async def _with_alternatives(
        self, turn: _Turn, answer: CompletionAnswer, wait: float
    ) -> CompletionAnswer:
        """Return `answer` with the alternatives that exist or are found within `wait` seconds."""
        if not answer.suggestions:
            return answer
        request = turn.request
        scope = self._scope(turn) if request.invoked or request.again else None
        if scope is not None and scope.is_local:
            first = answer.suggestions[0].text[request.item_length :]
            alternatives = self._alternatives.begin(request, first, turn.deadline)
            seconds = min(wait, max(0.0, turn.deadline - time.monotonic()))
            await asyncio.wait({alternatives.task}, timeout=seconds)
        if self._alternatives.found is None:
            return answer
        return CompletionAnswer((*answer.suggestions, *self._alternative_suggestions(turn)))

    async def _instead(self, turn: _Turn, unfit: str, answer: CompletionAnswer) -> CompletionAnswer:
        """Answer with alternatives to a text that cannot be shown, else with `answer`."""
        alternatives = self._alternatives.begin(turn.request, unfit, turn.deadline)
        with contextlib.suppress(TimeoutError):
            seconds = max(0.0, turn.deadline - time.monotonic())
            await asyncio.wait_for(alternatives.has_first.wait(), seconds)
        if late := turn.too_late():
            return CompletionAnswer(reason=late)
        others = self._alternative_suggestions(turn)
        return CompletionAnswer(others) if others else answer

    def _alternative_suggestions(self, turn: _Turn) -> tuple[Suggestion, ...]:
        found = self._alternatives.at(turn.request)
        return tuple(self._suggestion(turn, *candidate) for candidate in found)

    async def _one_more(
        self, request: CompletionRequest, avoid: tuple[str, ...], deadline: float
    ) -> tuple[str, Candidate | None]:
        """Return one more answer as the model wrote it ("" for none), and its shaped form. It has
        the lowest priority."""
        router = self._router
        if router is None or self._documents.is_stale(request.snapshot):
            return "", None
        document = self._documents.at(request.snapshot)
        scope = self.questions.scope(request.snapshot, self.settings(request.snapshot), router)
        asked = await self.questions.make(request, document, scope, deadline)
        infill = replace(
            asked.request,
            avoid=avoid,
            temperature=ALTERNATIVE_TEMPERATURE,
            priority=Priority.PREFILL,
        )
        found = Generated()
        await _read(found, router, infill, asked.context, asked.shaper)
        if found.watch.first is not None:
            asked.used(found, document)
        if found.ending is Ending.FAILED:
            return "", None
        lines = found.whole_lines()
        shaped = asked.shaper.finish(lines)
        return lines, (shaped, CachedCompletion.of(request, found, shaped))


async def _read(
    found: Generated,
    router: Router,
    request: InfillRequest,
    context: RequestContext,
    shaper: Shaper,
    turn: _Turn | None = None,
) -> None:
    """Stream the answer to `request` into `found` until it ends, `shaper` has enough, or the user
    has typed something else in the document of `turn`.

    The stream is always closed at the end, which frees the model. A `NearfieldError` is stored in
    `found.error`; a cancellation is raised.
    """
    seconds = None if request.deadline is None else max(0.0, request.deadline - time.monotonic())
    route = router.infill(request, context)
    is_stopped = False
    try:
        async with asyncio.timeout(seconds), route:
            async for item in route:
                if route.provider is not None:
                    found.provider, found.model = route.provider.name, route.provider.model
                if isinstance(item, Restart):
                    found.restart()
                    is_stopped = False
                elif not is_stopped:
                    found.add(item)
                    # No unit ends before a line does.
                    if item.text and "\n" in found.text and shaper.is_enough(found.text):
                        found.ending = Ending.ENOUGH
                    elif found.is_unforgivable:
                        found.ending = Ending.UNSURE
                    elif (
                        turn
                        and turn.document.snapshot.text is not turn.request.snapshot.text
                        and not turn.is_wanted(found.text)
                    ):
                        found.ending = Ending.OVERTAKEN
                    is_stopped = found.ending in _ENDED_BY_US
                    if is_stopped:
                        route.enough()
    except TimeoutError:
        # An answer that was long enough is whole, though a better provider was waited for.
        found.ending = found.ending or Ending.DEADLINE
    except NearfieldError as error:
        is_late = request.deadline is not None and time.monotonic() >= request.deadline
        found.ending = Ending.DEADLINE if is_late else Ending.FAILED
        found.error = error
    finally:
        found.asked, found.ended_by = frozenset(route.asked), route.ended_by
        found.offers, found.stumbled = tuple(route.offers), bool(route.failures)
    found.ending = found.ending or Ending.FINISHED
    if found.ending not in (Ending.FAILED, Ending.DEADLINE) and found.is_unsure:
        found.ending = Ending.UNSURE


def _add_confidence(metrics: RequestMetrics, completion: CachedCompletion) -> None:
    if completion.confidence is not None:
        metrics.mean_logprob = completion.confidence.mean
        metrics.min_logprob = completion.confidence.min_logprob
