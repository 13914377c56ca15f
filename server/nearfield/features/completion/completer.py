"""Completion, from the question to the suggestion.

One question, one answer, one trace, whatever happens: a newer question for the same document ends
the running one, which answers "superseded"; a cancelled one closes its stream and writes its trace
before the cancellation goes on; past the deadline there is a whole line or nothing.

What is shown is complete by the syntax tree (the stream is closed as soon as it is), checked in
place, and belongs to the version that was asked about. What comes too late to be shown is cached.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from nearfield.config.folders import FolderConfigs
from nearfield.config.schema import Completion, Config
from nearfield.errors import NearfieldError
from nearfield.features.completion.acceptance import Acceptance
from nearfield.features.completion.alternatives import (
    MOST,
    UNFIT,
    UNNOTICED_MS,
    Alternative,
    Alternatives,
)
from nearfield.features.completion.answer_cache import CompletionCache, Hit, Said
from nearfield.features.completion.confidence import confidence_of, unsure
from nearfield.features.completion.generate import Ending, Generated, generate
from nearfield.features.completion.prompting import errand_of, included
from nearfield.features.completion.question import Questions, on_this_machine, sequences
from nearfield.features.completion.request import CompletionAnswer, CompletionAsk
from nearfield.features.completion.request_metrics import Account
from nearfield.features.completion.shape import Shaped, Shaper
from nearfield.features.document_filter import DocumentFilter
from nearfield.features.documents import Document, Documents
from nearfield.features.feature import DocumentChange, Feature
from nearfield.features.idle import Activity
from nearfield.features.metrics.row import Row
from nearfield.features.offers import Offers
from nearfield.features.reasons import reason_of
from nearfield.features.trace import TraceLog
from nearfield.routing.request_context import Task
from nearfield.routing.router import Router
from nearfield.tasks import run_task, stop_task
from nearfield.types import (
    Priority,
    Reason,
    Situation,
    Snapshot,
    Span,
    Suggestion,
    Trace,
)

log = logging.getLogger(__name__)

OTHER_TEMPERATURE = 0.8
"""For providers that cannot be told to begin otherwise: enough to leave the likeliest path."""

OTHERS_SECONDS = 5.0
"""Whoever asks again waits so long at most for what else there is."""

NextEditFor = Callable[[CompletionAsk], Awaitable[Suggestion | None]]
"""Return what an edit elsewhere has left to be changed at the cursor, before a model is asked."""

Recorded = Callable[[str, Trace], Row | None]
"""Record the trace of a question in a document of that language; return the row that what becomes
of its suggestions is added to, None when nothing is kept."""


async def no_edit(_ask: CompletionAsk) -> Suggestion | None:
    """Return no next edit."""
    return None


class Completer(Feature):
    """Answers completion questions; one event loop, any number of documents.

    `on_outcome` hears after each question to a model whether it answered: None, or the error, and
    whether somebody had failed before. `offers` gets what may be offered beside an answer.
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
        self._made = 0
        self.others = Alternatives(self._other)
        """What may be suggested besides, where the user asks by a key."""
        self.configure(FolderConfigs(Config()), None)

    def changed(self, change: DocumentChange) -> None:
        """Forget the other suggestions for the text before."""
        self.others.stop(change.after.uri)

    def configure(self, config: FolderConfigs, router: Router | None) -> None:
        """Work by these settings and providers from the next question on; no router yet: nothing
        is ready."""
        self._configs = config
        self.questions.configure(config)
        self._permitted = DocumentFilter(config)
        self._router = router

    async def complete(self, ask: CompletionAsk) -> CompletionAnswer:
        """Answer `ask`, with nothing while paused. Raises only `CancelledError`, and what nobody
        expects."""
        account = Account(time.monotonic())
        try:
            if self._activity.is_paused:
                answer = CompletionAnswer(reason=Reason.PAUSED)
            else:
                answer = await self._in_turn(ask, account)
            account.shown, account.reason = bool(answer.suggestions), answer.reason
        except asyncio.CancelledError:
            account.reason = Reason.CANCELLED
            raise
        finally:
            trace = account.trace(ask)
            self._traces.add(trace)
            recorded = self._settings(ask.snapshot).record
            row = self._recorded(ask.snapshot.language, trace) if recorded else None
        if answer.suggestions:
            self._acceptance.offered(ask.snapshot.uri, answer.suggestions, row)
        return answer

    def ready(self, snapshot: Snapshot, offset: int) -> tuple[Suggestion, ...]:
        """What can be suggested at once, without a model and without parsing the text."""
        if self._activity.is_paused or self._permitted.reason(snapshot):
            return ()
        ask = CompletionAsk("", "", snapshot, offset)
        found = self._known(ask, self._remembered(ask))
        if found is None:
            return ()
        self._acceptance.offered(snapshot.uri, found.suggestions)
        return found.suggestions

    def activity_changed(self) -> None:
        """Stop looking for other suggestions when paused."""
        if self._activity.is_paused:
            self.others.stop()

    def closed(self, uri: str) -> None:
        """The document is gone: its running question ends, its answers are dropped."""
        task = self._running.pop(uri, None)
        if task is not None:
            task.cancel()
        self.others.stop(uri)
        self.cache.forget(uri)

    @property
    def busy(self) -> bool:
        """Whether a question is under way."""
        return bool(self._running)

    async def aclose(self) -> None:
        """End every question."""
        self.others.stop()
        for task in tuple(self._running.values()):
            await stop_task(task)

    # --- one question -----------------------------------------------------------------------

    async def _in_turn(self, ask: CompletionAsk, account: Account) -> CompletionAnswer:
        """Run the question as the document's only one; a newer one may end it."""
        uri = ask.snapshot.uri
        task = run_task(self._answer(ask, account), f"complete {ask.id}")
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

    async def _answer(self, ask: CompletionAsk, account: Account) -> CompletionAnswer:
        refused = self._permitted.reason(ask.snapshot)
        if refused:
            return CompletionAnswer(reason=refused)
        self.others.leave(ask)
        document = self._documents.at(ask.snapshot)
        account.situation = document.asked(ask.offset)
        if (edit := await self._next_edit(ask)) is not None:
            account.situation = Situation.NEXT_EDIT
            return CompletionAnswer((edit,))
        if hits := self._remembered(ask):
            cached = self._known(ask, hits) or await self._checked(ask, hits)
            if cached is not None:
                account.situation = Situation.CACHED
                deadline = self._deadline(ask, account)
                # Who has seen the first one, and asks, wants the others.
                seen = ask.invoked and not unsure(
                    hits[0].said.confidence, self._settings(ask.snapshot)
                )
                return await self._with_others(ask, cached, deadline, OTHERS_SECONDS * seen)
        if self._router is not None:
            wait = self.questions.wait_ms(ask, document, self._router)
            await asyncio.sleep(wait / 1000)
        if self._documents.is_stale(ask.snapshot):
            return CompletionAnswer(reason=Reason.STALE)
        if self._router is None:
            return CompletionAnswer(reason=Reason.NOT_READY)
        return await self._from_model(ask, document, self._router, account)

    async def _from_model(
        self, ask: CompletionAsk, document: Document, router: Router, account: Account
    ) -> CompletionAnswer:
        deadline = self._deadline(ask, account)
        asked = await self.questions.make(ask, document, router, deadline)
        document.window = asked.plan.piece.window
        account.included = included(asked.plan.piece)
        fresh = document.fresh_chars(asked.plan.prompt)
        found = Generated(least=asked.least)
        workspace = ask.snapshot.root or ""
        accepted = self._offers.take(workspace, Task.COMPLETE)
        try:
            errand = errand_of(asked.cursor, accepted)
            await generate(found, router, asked.request, errand, asked.shaper)
        finally:
            if found.asked.isdisjoint(accepted):
                self._offers.give_back(workspace, Task.COMPLETE, accepted)
            self._offers.add(found.offers)
            account.provider, account.model, account.usage = (
                found.provider,
                found.model,
                found.usage,
            )
            if found.watch.first is not None:
                self._documents.evaluated(document, asked.plan.held, sequences(router))
                self.questions.rates.learn(found.provider, found.watch, fresh, found.usage)
        answer = self._judged(ask, found, asked.shaper, account)
        if ask.invoked and answer.reason in UNFIT and self._on_this_machine():
            return await self._instead(ask, found.text, answer, deadline)
        expected = MOST * (found.usage.decode_ms or 0.0) if found.usage else 0.0
        wait = expected / 1000 if expected <= UNNOTICED_MS else 0.0
        return await self._with_others(ask, answer, deadline, wait)

    def _settings(self, snapshot: Snapshot) -> Completion:
        return self._configs.of(snapshot.root).completion

    def _deadline(self, ask: CompletionAsk, account: Account) -> float:
        settings = self._settings(ask.snapshot)
        wait = settings.invoked_deadline_ms if ask.invoked else settings.deadline_ms
        return account.begun + wait / 1000

    # --- alternatives -----------------------------------------------------------------------

    async def _with_others(
        self, ask: CompletionAsk, answer: CompletionAnswer, deadline: float, wait: float
    ) -> CompletionAnswer:
        """`answer` with what else there is, or will be within `wait` seconds."""
        if not answer.suggestions:
            return answer
        if (ask.invoked or ask.again) and self._on_this_machine():
            first = answer.suggestions[0].text[ask.item_length :]
            self.others.begin(ask, first, deadline)
            await self.others.wait(min(wait, max(0.0, deadline - time.monotonic())))
        return CompletionAnswer((*answer.suggestions, *self._offered(ask)))

    def _offered(self, ask: CompletionAsk) -> tuple[Suggestion, ...]:
        return tuple(self._offer(ask, *other).suggestions[0] for other in self.others.at(ask))

    async def _instead(
        self, ask: CompletionAsk, unfit: str, answer: CompletionAnswer, deadline: float
    ) -> CompletionAnswer:
        """What begins otherwise than an answer that cannot be shown."""
        self.others.begin(ask, unfit, deadline)
        await self.others.one(max(0.0, deadline - time.monotonic()))
        if past := self._past(ask):
            return CompletionAnswer(reason=past)
        others = self._offered(ask)
        return CompletionAnswer(others) if others else answer

    def _on_this_machine(self) -> bool:
        """Return whether asking three times costs nothing but time."""
        return on_this_machine(self._router) is not None

    async def _other(
        self, ask: CompletionAsk, avoid: tuple[str, ...], deadline: float
    ) -> Alternative:
        """One more answer to `ask`, behind everything that somebody waits for."""
        router = self._router
        if router is None or self._documents.is_stale(ask.snapshot):
            return Alternative("")
        document = self._documents.at(ask.snapshot)
        asked = await self.questions.make(ask, document, router, deadline)
        request = replace(
            asked.request, avoid=avoid, temperature=OTHER_TEMPERATURE, priority=Priority.PREFILL
        )
        found = Generated()
        await generate(found, router, request, errand_of(asked.cursor), asked.shaper)
        if found.watch.first is not None:
            self._documents.evaluated(document, asked.plan.held, sequences(router))
        if found.ending is Ending.FAILED:
            return Alternative("")
        lines = found.whole_lines()
        shaped = asked.shaper.finish(lines)
        rest = shaped.text[ask.item_length :]
        confidence = confidence_of(found.logprobs, len(rest))
        said = Said(rest, shaped.reason, confidence, found.provider, found.model)
        return Alternative(lines, shaped, said)

    def _judged(
        self, ask: CompletionAsk, found: Generated, shaper: Shaper, account: Account
    ) -> CompletionAnswer:
        """What came, shaped and remembered; shown only if it still belongs to the document."""
        if found.ending is not Ending.DEADLINE:
            self._on_outcome(found.error, found.stumbled)
        if found.ending is Ending.FAILED:
            account.detail = found.error.message if found.error else ""
            return CompletionAnswer(reason=reason_of(found.error))
        lines = found.whole_lines()
        if not lines and found.cut_off:
            return self._nothing_of(ask, found, account)
        shaped = shaper.finish(lines)
        if found.ended_by and not lines.strip():
            shaped = replace(shaped, reason=Reason.CONTROL_TOKEN)
        text, offset = ask.place()
        continuation = shaped.text[ask.item_length :]
        account.confidence = confidence_of(found.logprobs, len(continuation))
        said = Said(
            continuation,
            shaped.reason,
            account.confidence,
            found.provider,
            found.model,
            result=_result(text, offset, continuation),
        )
        self.cache.put(ask.snapshot.uri, *ask.remembered_by(), said)
        if past := self._past(ask):
            return CompletionAnswer(reason=past)
        if not shaped.text:
            return CompletionAnswer(reason=shaped.reason)
        if self._unsure(ask, said):
            return CompletionAnswer(reason=Reason.UNSURE)
        return self._offer(ask, shaped, said)

    def _nothing_of(
        self, ask: CompletionAsk, found: Generated, account: Account
    ) -> CompletionAnswer:
        """No line was whole when the stream was cut off. A model that was not sure is not asked
        the same again, one that had no time is."""
        account.confidence = confidence_of(found.logprobs, len(found.text))
        if found.ending is Ending.UNSURE:
            said = Said("", found.cut_off, account.confidence, found.provider, found.model)
            self.cache.put(ask.snapshot.uri, *ask.remembered_by(), said)
        return CompletionAnswer(reason=found.cut_off)

    def _past(self, ask: CompletionAsk) -> Reason:
        """Why an answer comes too late to be shown, `SHOWN` when it does not."""
        if self._documents.is_stale(ask.snapshot):
            return Reason.STALE
        return Reason.LATE if ask.late is not None and ask.late() else Reason.SHOWN

    def _unsure(self, ask: CompletionAsk, said: Said) -> bool:
        """Return whether it is kept back; whoever asks by a key sees it."""
        return not ask.invoked and unsure(said.confidence, self._settings(ask.snapshot))

    def _offer(self, ask: CompletionAsk, shaped: Shaped, said: Said) -> CompletionAnswer:
        self._made += 1
        suggestion = Suggestion(
            id=f"{ask.id}-{self._made}",
            text=shaped.text,
            replace=shaped.replace,
            confidence=said.confidence.mean if said.confidence else None,
            provider=said.provider,
            model=said.model,
        )
        return CompletionAnswer((suggestion,))

    # --- the cache --------------------------------------------------------------------------

    def _remembered(self, ask: CompletionAsk) -> list[Hit]:
        """What was said here before, newest first. That there was nothing to say is an answer too,
        unless the user insists. What the model was not sure of is asked again once some of it has
        been typed."""
        hits = self.cache.find(ask.snapshot.uri, *ask.remembered_by())
        return [
            hit
            for hit in hits
            if (hit.rest or not ask.invoked) and not (hit.typed and self._unsure(ask, hit.said))
        ]

    def _known(self, ask: CompletionAsk, hits: Sequence[Hit]) -> CompletionAnswer | None:
        """The first of `hits` that leads to the very text in which it was checked when it was said;
        it needs no other check."""
        if hits and not hits[0].rest:
            return CompletionAnswer(reason=hits[0].said.reason)
        if hits and self._unsure(ask, hits[0].said):
            return CompletionAnswer(reason=Reason.UNSURE)
        if ask.selected is not None:
            return None
        text, offset = ask.place()
        for hit in hits:
            if self._unsure(ask, hit.said):
                continue
            if hit.rest and _result(text, offset, hit.rest) == hit.said.result:
                return self._offer(ask, Shaped(hit.rest, Span(offset, offset)), hit.said)
        return None

    async def _checked(self, ask: CompletionAsk, hits: Sequence[Hit]) -> CompletionAnswer | None:
        """The first of `hits` that may be shown in the text as it is now."""
        cursor = await self.questions.cursor(ask.snapshot, ask.offset, ask.selected)
        for hit in hits:
            shaped = self.questions.shaper(cursor, ask.invoked).finish(hit.rest)
            if shaped.text and not self._unsure(ask, hit.said):
                return self._offer(ask, shaped, hit.said)
        return None


def _result(text: str, offset: int, continuation: str) -> int:
    """What stands for the text with `continuation` in it: equal texts have equal ones."""
    return hash(text[:offset] + continuation + text[offset:])
