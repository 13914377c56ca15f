"""Idle prefill: while the user thinks, evaluate the prompt of the next request in advance.

The next request most likely comes from the last one's place, or from the end of the accepted text,
with a larger budget than the first one. So the largest slice there is evaluated, at the lowest
priority. Any other request ends it at once: closing the stream frees the model within one step. The
tokens evaluated by then are kept, and the next pause continues there. Nothing runs when nothing has
changed.
"""

from __future__ import annotations

import logging
from functools import partial

from nearfield.config.folders import FolderConfigs
from nearfield.config.schema import Config
from nearfield.context.slice import snippet_chars
from nearfield.errors import NearfieldError
from nearfield.features.completion.completer import Completer
from nearfield.features.completion.prompting import (
    GROWTH_TOKENS,
    PromptPlan,
    allow,
    continued,
    cut,
    prefill_request,
    request_context,
)
from nearfield.features.completion.question import RequestScope, is_ready
from nearfield.features.documents import Document, DocumentFilter, Documents
from nearfield.features.feature import Feature
from nearfield.features.idle import IdleScheduler
from nearfield.providers.estimate import CHARS_PER_TOKEN
from nearfield.routing.router import Router
from nearfield.tasks import describe
from nearfield.types import Snippet

log = logging.getLogger(__name__)

REST_SECONDS = 0.4
"""The pause in typing after which prefill starts: longer than the 0.1 to 0.3 s between keystrokes,
so that it rarely starts only to be stopped."""


PREFILL = "prefill"
"""The name of its job."""

ENOUGH_LINES = 5
"""A prompt with more lines after its middle token is replaced before requests can no longer
continue it (`MAX_WRITTEN_LINES`). Sooner would only waste CPU."""


class Prefill(Feature):
    """At most one prefill at a time, for the document that was worked on last."""

    def __init__(
        self, documents: Documents, completer: Completer, scheduler: IdleScheduler
    ) -> None:
        self._documents = documents
        self._completer = completer
        self._scheduler = scheduler
        self._permitted = DocumentFilter(Config())
        self._router: Router | None = None

    def configure(self, config: FolderConfigs, router: Router | None) -> None:
        """Stop, and apply these settings and providers."""
        self._scheduler.cancel(PREFILL)
        self._permitted, self._router = DocumentFilter(config), router

    def idle(self, document: Document) -> None:
        """Prefill the document's prompt soon."""
        work = partial(self._when_idle, document.snapshot.uri)
        self._scheduler.at(REST_SECONDS, PREFILL, work)

    async def _when_idle(self, uri: str) -> None:
        document = self._documents.get(uri)
        router = self._router
        if self._completer.is_busy:
            return  # its end plans the next one
        if document is None or router is None or self._permitted.reason(document.snapshot):
            return
        questions = self._completer.questions
        settings = self._completer.settings(document.snapshot)
        scope = questions.scope(document.snapshot, settings, router)
        if scope.is_local and await is_ready(scope.providers[0]):
            await self._evaluate(document, scope)

    async def _evaluate(self, document: Document, scope: RequestScope) -> None:
        snapshot, questions = document.snapshot, self._completer.questions
        settings = scope.settings
        offset = len(snapshot.text) if document.cursor is None else document.cursor
        cursor = await questions.cursor(snapshot, min(offset, len(snapshot.text)))
        allowance = allow(scope.can, settings.deadline_ms / 1000, settings.max_tokens)
        snippets = document.snippets(allowance.snippet_chars) if document.snippets else ()
        plans = continued(cursor, document, allowance)
        plan = next((one for one in plans if _is_enough(one, snippets)), None)
        if plan is None:
            taken = int(snippet_chars(snippets) / CHARS_PER_TOKEN)
            size = max(allowance.idle_tokens - GROWTH_TOKENS - taken, allowance.fresh_tokens)
            plan = cut(cursor, document, size, settings, snippets, full=True)
        if document.prompts and document.prompts[-1].text == plan.sent.text:
            return
        document.begun(plan.sent)
        request = prefill_request(plan, cursor, settings)
        try:
            context = request_context(cursor, only=scope.only)
            async with scope.router.infill(request, context) as route:
                async for _ in route:
                    pass
        except NearfieldError as error:
            log.info("prefill ended: %s", describe(error))
            return
        document.window = plan.piece.window
        document.sent(plan.sent)


def _is_enough(plan: PromptPlan, snippets: tuple[Snippet, ...]) -> bool:
    """Return whether the prompt that `plan` continues suffices for some more lines."""
    sent = plan.sent
    if sent.stale or not sent.full or sent.text.snippets != snippets:
        return False
    return sent.text.written.count("\n") <= ENOUGH_LINES
