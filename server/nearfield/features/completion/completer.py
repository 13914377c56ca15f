"""Completion: from a request to suggestions.

Every request gets one answer and one trace. A newer request for the same document ends the running
one, which answers "superseded". A cancelled one closes its stream and writes its trace before the
cancellation is raised. Past the deadline the answer is a whole line or nothing.

A suggestion is complete by the syntax tree (the stream is closed as soon as it is), checked in the
document, and for the version that was asked about. A result that comes too late is only cached.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from nearfield.config.folders import FolderConfigs
from nearfield.config.schema import Config
from nearfield.errors import NearfieldError
from nearfield.features.completion.acceptance import Acceptance
from nearfield.features.completion.alternatives import (
    MAX_ALTERNATIVES,
    Alternatives,
    Candidate,
)
from nearfield.features.completion.answer_cache import (
    CachedCompletion,
    CacheMatch,
    CompletionCache,
    cache_position,
)
from nearfield.features.completion.generate import (
    Ending,
    Generated,
    confidence_of,
    generate,
    is_unsure,
)
from nearfield.features.completion.prompting import included, request_context
from nearfield.features.completion.question import Questions, on_this_machine
from nearfield.features.completion.shape import Shaped, Shaper
from nearfield.features.document_filter import DocumentFilter
from nearfield.features.documents import Document, Documents
from nearfield.features.feature import DocumentChange, Feature
from nearfield.features.idle import Activity
from nearfield.features.offers import Offers
from nearfield.features.reasons import reason_of
from nearfield.features.suggestion_record import SuggestionRecord
from nearfield.features.trace import RequestMetrics, TraceLog
from nearfield.routing.request_context import Task
from nearfield.routing.router import Router
from nearfield.tasks import run_task, stop_task
from nearfield.types import (
    CompletionAnswer,
    CompletionRequest,
    Priority,
    Reason,
    Situation,
    Snapshot,
    Span,
    Suggestion,
    Trace,
)

ALTERNATIVE_TEMPERATURE = 0.8
"""For providers that cannot be told which beginnings to avoid: enough to leave the likeliest."""

ALTERNATIVES_SECONDS = 5.0
"""Maximum wait for alternatives when the user asks a second time."""

UNNOTICED_MS = 150.0
"""Alternatives that take no longer than this together are waited for at once."""

NOT_SHOWABLE = frozenset({Reason.REPEATS, Reason.SYNTAX})
"""Reasons for which an alternative takes the place of the first answer."""

NextEditFor = Callable[[CompletionRequest], Awaitable[Suggestion | None]]
"""Returns the next edit at the cursor, which takes precedence over the model."""

Recorded = Callable[[str, Trace], SuggestionRecord | None]
"""Takes the language and the trace of a request; None if nothing is recorded of it."""


class Completer(Feature):
    """Answers completion requests for any number of documents, on one event loop.

    `on_outcome` is called after each request to a model with its error (None on success) and
    whether another provider had failed before. `offers` takes what may be offered with an answer.
    """

    def __init__(
        self,
        documents: Documents,
        questions: Questions,
        activity: Activity,
        traces: TraceLog,
        acceptance: Acceptance,
        on_outcome: Callable[[NearfieldError | None, bool], None],
        offers: Offers,
        next_edit: NextEditFor,
        recorded: Recorded,
    ) -> None:
        self.cache = CompletionCache()
        self.questions = questions
        self._activity = activity
        self._next_edit = next_edit
        self._recorded = recorded
        self._documents = documents
        self._traces = traces
        self._acceptance = acceptance
        self._on_outcome = on_outcome
        self._offers = offers
        self._running: dict[str, asyncio.Task[CompletionAnswer]] = {}
        self._suggestions = 0
        self._alternatives: Alternatives | None = None
        self.configure(FolderConfigs(Config()), None)

    def configure(self, config: FolderConfigs, router: Router | None) -> None:
        """Apply settings and providers from the next request on; None: no provider is ready."""
        self.questions.configure(config)
        self._filter = DocumentFilter(config)
        self._router = router

    def changed(self, change: DocumentChange) -> None:
        """Drop the alternatives for the text before the change."""
        self._stop_alternatives(change.after.uri)

    def activity_changed(self) -> None:
        """Stop looking for alternatives when paused."""
        if self._activity.is_paused:
            self._stop_alternatives()

    def closed(self, uri: str) -> None:
        """End the document's running request; drop its answers."""
        task = self._running.pop(uri, None)
        if task is not None:
            task.cancel()
        self._stop_alternatives(uri)
        self.cache.forget(uri)

    @property
    def is_busy(self) -> bool:
        """Return whether a request is running."""
        return bool(self._running)

    async def aclose(self) -> None:
        """End every request."""
        self._stop_alternatives()
        for task in tuple(self._running.values()):
            await stop_task(task)

    async def complete(self, request: CompletionRequest) -> CompletionAnswer:
        """Return the answer to `request`, without suggestions while paused. Raises only
        `CancelledError` and unexpected exceptions."""
        snapshot, record = request.snapshot, None
        metrics = RequestMetrics(
            self._traces, request.method, snapshot, id=request.id, reason=Reason.ERROR
        )
        try:
            with metrics:
                answer = CompletionAnswer(reason=Reason.PAUSED)
                if not self._activity.is_paused:
                    answer = await self._in_turn(request, metrics)
                metrics.reason = answer.reason
        finally:
            if metrics.trace is not None and self.questions.settings(snapshot).record:
                record = self._recorded(snapshot.language, metrics.trace)
        if answer.suggestions:
            self._acceptance.offered(snapshot.uri, answer.suggestions, record)
        return answer

    def ready(self, snapshot: Snapshot, offset: int) -> tuple[Suggestion, ...]:
        """Return what can be suggested at once, without a model and without parsing the text."""
        if self._activity.is_paused or self._filter.reason(snapshot):
            return ()
        request = CompletionRequest("", "", snapshot, offset)
        found = self._checked_before(request, self._cached(request))
        if found is None:
            return ()
        self._acceptance.offered(snapshot.uri, found.suggestions)
        return found.suggestions

    # --- one request ------------------------------------------------------------------------

    async def _in_turn(
        self, request: CompletionRequest, metrics: RequestMetrics
    ) -> CompletionAnswer:
        """Run the request as the document's only one; a newer one may end it."""
        uri = request.snapshot.uri
        task = run_task(self._answer(request, metrics), f"complete {request.id}")
        older, self._running[uri] = self._running.get(uri), task
        if older is not None:
            older.cancel()
        try:
            await asyncio.wait({task})
        finally:
            if self._running.get(uri) is task:
                del self._running[uri]
            await stop_task(task)
        return CompletionAnswer(reason=Reason.SUPERSEDED) if task.cancelled() else task.result()

    async def _answer(
        self, request: CompletionRequest, metrics: RequestMetrics
    ) -> CompletionAnswer:
        """Answer from the next edits, else from the cache, else from a model."""
        snapshot, settings = request.snapshot, self.questions.settings(request.snapshot)
        if refused := self._filter.reason(snapshot):
            return CompletionAnswer(reason=refused)
        if self._alternatives is not None and not self._alternatives.is_for(request):
            self._stop_alternatives()
        document = self._documents.at(snapshot)
        metrics.situation = document.asked(request.offset)
        if (edit := await self._next_edit(request)) is not None:
            metrics.situation = Situation.NEXT_EDIT
            return CompletionAnswer((edit,))
        milliseconds = settings.invoked_deadline_ms if request.invoked else settings.deadline_ms
        deadline = metrics.started + milliseconds / 1000
        if matches := self._cached(request):
            cached = self._checked_before(request, matches)
            if cached is None:
                cached = await self._checked_now(request, matches)
            if cached is not None:
                metrics.situation = Situation.CACHED
                # A manual request right after a shown suggestion asks for alternatives.
                confidence = matches[0].completion.confidence
                is_again = request.invoked and not is_unsure(confidence, settings)
                wait = ALTERNATIVES_SECONDS if is_again else 0.0
                return await self._with_alternatives(request, cached, deadline, wait)
        router = self._router
        if router is not None:
            wait = self.questions.wait_ms(request, document, router)
            await asyncio.sleep(wait / 1000)
        if self._documents.is_stale(snapshot):
            return CompletionAnswer(reason=Reason.STALE)
        if router is None:
            return CompletionAnswer(reason=Reason.NOT_READY)
        return await self._from_model(request, document, router, deadline, metrics)

    async def _from_model(
        self,
        request: CompletionRequest,
        document: Document,
        router: Router,
        deadline: float,
        metrics: RequestMetrics,
    ) -> CompletionAnswer:
        asked = await self.questions.make(request, document, router, deadline)
        document.window = asked.plan().piece.window
        metrics.included = included(asked.plan().piece)
        found = Generated(min_logprob=asked.min_logprob)
        workspace = request.snapshot.root or ""
        accepted = self._offers.take(workspace, Task.COMPLETE)
        try:
            context = request_context(asked.cursor, accepted)
            await generate(found, router, asked.request, context, asked.shaper)
        finally:
            if found.asked.isdisjoint(accepted):
                self._offers.give_back(workspace, Task.COMPLETE, accepted)
            self._offers.add(found.offers)
            metrics.provider, metrics.model = found.provider, found.model
            metrics.usage = found.usage
            if found.watch.first is not None:
                plan = asked.plan(found.usage)
                document.sent(plan.sent)
                metrics.included = included(plan.piece)
                self.questions.rates.learn(found.provider, found.watch, plan.new_chars, found.usage)
        answer = self._judged(request, found, asked.shaper, metrics)
        if request.invoked and answer.reason in NOT_SHOWABLE and self._is_on_this_machine():
            return await self._instead(request, found.text, answer, deadline)
        decode_ms = metrics.usage.decode_ms if metrics.usage else None
        expected = MAX_ALTERNATIVES * (decode_ms or 0.0)
        wait = expected / 1000 if expected <= UNNOTICED_MS else 0.0
        return await self._with_alternatives(request, answer, deadline, wait)

    def _judged(
        self,
        request: CompletionRequest,
        found: Generated,
        shaper: Shaper,
        metrics: RequestMetrics,
    ) -> CompletionAnswer:
        """Shape and cache what came; show it only if it still belongs to the document."""
        uri = request.snapshot.uri
        if found.ending is not Ending.DEADLINE:
            self._on_outcome(found.error, found.stumbled)
        if found.ending is Ending.FAILED:
            metrics.detail = found.error.message if found.error else ""
            return CompletionAnswer(reason=reason_of(found.error))
        lines = found.whole_lines()
        cut_off = found.cut_off
        if not lines and cut_off:
            nothing = Shaped("", Span(request.offset, request.offset), cut_off)
            completion = _completion(request, found, nothing, len(found.text))
            _add_confidence(metrics, completion)
            # A model that was unsure is not asked the same again; one that had no time is.
            if found.ending is Ending.UNSURE:
                self.cache.put(uri, *cache_position(request), completion)
            return CompletionAnswer(reason=cut_off)
        shaped = shaper.finish(lines)
        if found.ended_by and not lines.strip():
            shaped = replace(shaped, reason=Reason.CONTROL_TOKEN)
        completion = _completion(request, found, shaped)
        _add_confidence(metrics, completion)
        self.cache.put(uri, *cache_position(request), completion)
        if past := self._past(request):
            return CompletionAnswer(reason=past)
        if not shaped.text:
            return CompletionAnswer(reason=shaped.reason)
        if self._is_hidden(request, completion):
            return CompletionAnswer(reason=Reason.UNSURE)
        return CompletionAnswer((self._suggestion(request, shaped, completion),))

    def _past(self, request: CompletionRequest) -> Reason:
        """Return why an answer comes too late to be shown, `SHOWN` if it does not."""
        if self._documents.is_stale(request.snapshot):
            return Reason.STALE
        is_late = request.late is not None and request.late()
        return Reason.LATE if is_late else Reason.SHOWN

    def _is_hidden(self, request: CompletionRequest, completion: CachedCompletion) -> bool:
        """Return whether confidence is too low to show it without being asked by a key."""
        settings = self.questions.settings(request.snapshot)
        return not request.invoked and is_unsure(completion.confidence, settings)

    def _suggestion(
        self, request: CompletionRequest, shaped: Shaped, completion: CachedCompletion
    ) -> Suggestion:
        self._suggestions += 1
        return Suggestion(
            id=f"{request.id}-{self._suggestions}",
            text=shaped.text,
            replace=shaped.replace,
            confidence=completion.confidence.mean if completion.confidence else None,
            provider=completion.provider,
            model=completion.model,
        )

    # --- the cache --------------------------------------------------------------------------

    def _cached(self, request: CompletionRequest) -> list[CacheMatch]:
        """Return the cached answers at the cursor, newest first. An empty answer counts too, unless
        the user asks by a key. An unsure one is asked again once some of it has been typed."""
        return [
            match
            for match in self.cache.find(request.snapshot.uri, *cache_position(request))
            if (match.rest or not request.invoked)
            and not (match.typed and self._is_hidden(request, match.completion))
        ]

    def _checked_before(
        self, request: CompletionRequest, matches: Sequence[CacheMatch]
    ) -> CompletionAnswer | None:
        """Answer with the first match that leads to the exact text in which it was checked."""
        if matches and not matches[0].rest:
            return CompletionAnswer(reason=matches[0].completion.reason)
        if matches and self._is_hidden(request, matches[0].completion):
            return CompletionAnswer(reason=Reason.UNSURE)
        if request.selected is not None:
            return None
        text, offset = request.snapshot.text, request.offset
        for match in matches:
            completion = match.completion
            is_same = match.rest and _text_hash(text, offset, match.rest) == completion.result
            if is_same and not self._is_hidden(request, completion):
                shaped = Shaped(match.rest, Span(offset, offset))
                return CompletionAnswer((self._suggestion(request, shaped, completion),))
        return None

    async def _checked_now(
        self, request: CompletionRequest, matches: Sequence[CacheMatch]
    ) -> CompletionAnswer | None:
        """Answer with the first match that can be shown in the current text."""
        cursor = await self.questions.cursor(request.snapshot, request.offset, request.selected)
        for match in matches:
            shaped = self.questions.shaper(cursor, request.invoked).finish(match.rest)
            if shaped.text and not self._is_hidden(request, match.completion):
                suggestion = self._suggestion(request, shaped, match.completion)
                return CompletionAnswer((suggestion,))
        return None

    # --- alternatives -----------------------------------------------------------------------

    async def _with_alternatives(
        self, request: CompletionRequest, answer: CompletionAnswer, deadline: float, wait: float
    ) -> CompletionAnswer:
        """Return `answer` with the alternatives that exist or are found within `wait` seconds."""
        if not answer.suggestions:
            return answer
        if (request.invoked or request.again) and self._is_on_this_machine():
            first = answer.suggestions[0].text[request.item_length :]
            alternatives = self._find_alternatives(request, first, deadline)
            seconds = min(wait, max(0.0, deadline - time.monotonic()))
            await asyncio.wait({alternatives.task}, timeout=seconds)
        return CompletionAnswer((*answer.suggestions, *self._alternative_suggestions(request)))

    async def _instead(
        self, request: CompletionRequest, unfit: str, answer: CompletionAnswer, deadline: float
    ) -> CompletionAnswer:
        """Answer with alternatives to a text that cannot be shown, else with `answer`."""
        alternatives = self._find_alternatives(request, unfit, deadline)
        with contextlib.suppress(TimeoutError):
            seconds = max(0.0, deadline - time.monotonic())
            await asyncio.wait_for(alternatives.has_first.wait(), seconds)
        if past := self._past(request):
            return CompletionAnswer(reason=past)
        others = self._alternative_suggestions(request)
        return CompletionAnswer(others) if others else answer

    def _is_on_this_machine(self) -> bool:
        """Return whether asking three times costs nothing but time."""
        return on_this_machine(self._router) is not None

    def _find_alternatives(
        self, request: CompletionRequest, first: str, deadline: float
    ) -> Alternatives:
        """Look for alternatives to `first`, unless that is under way or done at this cursor."""
        if self._alternatives is None or not self._alternatives.is_for(request):
            self._stop_alternatives()
            self._alternatives = Alternatives(self._one_more, request, first, deadline)
        return self._alternatives

    def _stop_alternatives(self, uri: str | None = None) -> None:
        """Stop and drop the alternatives for that document, or for any."""
        found = self._alternatives
        if found is not None and uri in (None, found.request.snapshot.uri):
            found.task.cancel()
            self._alternatives = None

    def _alternative_suggestions(self, request: CompletionRequest) -> tuple[Suggestion, ...]:
        found = self._alternatives
        if found is None or not found.is_for(request):
            return ()
        return tuple(self._suggestion(request, *candidate) for candidate in found.candidates)

    async def _one_more(
        self, request: CompletionRequest, avoid: tuple[str, ...], deadline: float
    ) -> tuple[str, Candidate | None]:
        """Return one more answer as the model wrote it ("" for none), and its shaped form. It has
        the lowest priority."""
        router = self._router
        if router is None or self._documents.is_stale(request.snapshot):
            return "", None
        document = self._documents.at(request.snapshot)
        asked = await self.questions.make(request, document, router, deadline)
        infill = replace(
            asked.request,
            avoid=avoid,
            temperature=ALTERNATIVE_TEMPERATURE,
            priority=Priority.PREFILL,
        )
        found = Generated()
        await generate(found, router, infill, request_context(asked.cursor), asked.shaper)
        if found.watch.first is not None:
            document.sent(asked.plan(found.usage).sent)
        if found.ending is Ending.FAILED:
            return "", None
        lines = found.whole_lines()
        shaped = asked.shaper.finish(lines)
        return lines, (shaped, _completion(request, found, shaped))


def _completion(
    request: CompletionRequest, found: Generated, shaped: Shaped, chars: int | None = None
) -> CachedCompletion:
    """Return what came as a cache entry; its confidence is that of the first `chars` characters, by
    default of what remains of `shaped` after the selected item."""
    rest = shaped.text[request.item_length :]
    return CachedCompletion(
        rest,
        shaped.reason,
        confidence_of(found.logprobs, len(rest) if chars is None else chars),
        found.provider,
        found.model,
        result=_text_hash(*request.with_item(), rest),
    )


def _add_confidence(metrics: RequestMetrics, completion: CachedCompletion) -> None:
    if completion.confidence is not None:
        metrics.mean_logprob = completion.confidence.mean
        metrics.min_logprob = completion.confidence.min_logprob


def _text_hash(text: str, offset: int, continuation: str) -> int:
    """Return the hash of the document with `continuation` inserted at `offset`."""
    return hash(text[:offset] + continuation + text[offset:])
