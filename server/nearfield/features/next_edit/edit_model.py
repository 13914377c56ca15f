"""Asks a model that was trained for it what the user changes next.

The model is that of the role `edit`; without one nothing is asked. Its answer is shown as far as
the gate lets it pass, and each request leaves a trace with the gate's reasons.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from nearfield.config.folders import FolderConfigs
from nearfield.config.schema import Config
from nearfield.context.slice import prompt_hash
from nearfield.errors import NearfieldError
from nearfield.features.accepted import Origin
from nearfield.features.documents import DocumentFilter
from nearfield.features.next_edit.edit_prompt import (
    FORMS,
    EditPrompt,
    EditQuestion,
    fitted,
    kept_window,
    read_answer,
    render,
    window_around,
    with_excerpts,
)
from nearfield.features.next_edit.gate import EditProposal, judge
from nearfield.features.next_edit.hunk_history import HunkHistory
from nearfield.features.next_edit.project_names import (
    IndexedNames,
    edited_definitions,
    objection,
)
from nearfield.features.reasons import reason_of
from nearfield.features.trace import RequestMetrics, TraceLog
from nearfield.files.lines import plain_breaks
from nearfield.routing.request_context import RequestContext, Source, Task
from nearfield.routing.router import Restart, Router
from nearfield.syntax.parser import Parsed
from nearfield.types import (
    Edit,
    EditForm,
    EditRequest,
    Finish,
    Reason,
    Snapshot,
    Span,
    Surface,
    Trace,
)

__all__ = ["EditModel"]

ASK_SECONDS = 30.0
"""A small model on two cores takes five to ten for a window."""
MORE_TOKENS = 128
CHARS_PER_TOKEN = 2
"""Fewer than code has, so that a window is not cut off."""
MAX_TOKENS = 1024
USUAL_CONTEXT_TOKENS = 8192
"""That a model can read where its provider does not say: Sweep's small ones were trained on it."""
MAX_DOCUMENTS = 16
"""Whose last question is remembered."""


@dataclass(frozen=True, slots=True)
class _LastWindow:
    """The last question about a document: how many lines were above and below its window, and the
    rows around which it showed the file as it was before change number `since`."""

    form: EditForm
    above: int
    below: int
    since: int
    excerpt_rows: tuple[int, ...]


class EditModel:
    """See the module. `recent` is what the user changed; `record` is told each trace, with the
    document's language; `names` is the index."""

    def __init__(
        self,
        recent: HunkHistory,
        traces: TraceLog,
        record: Callable[[str, Trace], object] | None = None,
        names: IndexedNames | None = None,
    ) -> None:
        self._recent = recent
        self._traces = traces
        self._record = record
        self._names = names
        self._router: Router | None = None
        self._asked: dict[str, _LastWindow] = {}
        self.origin = Origin()
        """The source of the last answer; one question is asked at a time."""
        self.configure(FolderConfigs(Config()), None)

    def configure(self, config: FolderConfigs, router: Router | None) -> None:
        """Apply settings and providers from now on."""
        self._configs, self._router = config, router
        self._filter = DocumentFilter(config)

    def form(self, snapshot: Snapshot) -> EditForm:
        """Return the form in which the model for the document's folder is asked; `NONE` where
        there is no model, or nothing to ask it."""
        if self._router is None or not self._recent.has(snapshot):
            return EditForm.NONE
        return self._router.edit_form(snapshot.root or "")

    def is_here(self, snapshot: Snapshot) -> bool:
        """Return whether the model that would be asked is on this machine."""
        if self._router is None:
            return False
        found = self._router.candidates("edit", snapshot.root or "")
        return bool(found) and found[0].capabilities.local

    async def ask(
        self, snapshot: Snapshot, offset: int, parsed: Parsed | None, is_wanted: bool
    ) -> Edit | None:
        """Return the edit that may be offered for a cursor at `offset`, None for none. What the
        user does not wait for (`is_wanted`) stays on this machine. Cancelling frees the model."""
        form, router = self.form(snapshot), self._router
        if router is None or not form or "\r" in snapshot.text.replace("\r\n", ""):
            return None
        begun = time.monotonic()
        hunks = [
            (document, hunk)
            for document, hunk in self._recent.hunks(snapshot)
            if document.uri == snapshot.uri or not self._filter.kept_out(document)
        ]
        if not hunks:
            return None
        text = plain_breaks(snapshot.text)
        cursor = offset - snapshot.text.count("\r", 0, offset)
        question = EditQuestion(
            snapshot.shown_path,
            text,
            self.window(snapshot.uri, form, text, cursor),
            cursor,
            tuple(
                replace(one, old=one.old.replace("\r", ""), new=one.new.replace("\r", ""))
                for _, one in hunks
            ),
        )
        changes = question.hunks
        first = next(iter(router.candidates("edit", snapshot.root or "")), None)
        can_read = first.capabilities.context_tokens if first is not None else None
        question = fitted(form, question, can_read or USUAL_CONTEXT_TOKENS)
        question = self._like_last(snapshot, form, question)
        record = partial(self._record, snapshot.language) if self._record is not None else None
        with RequestMetrics(
            self._traces, Surface.NEXT_EDIT, snapshot, started=begun, ended=record
        ) as account:
            prompt = render(form, question)
            if prompt is None:
                account.reason = Reason.REFUSED
                return None
            sources = {document.path or document.uri: None for document, _ in hunks}
            sources[snapshot.path or snapshot.uri] = None
            context = RequestContext(
                Task.EDIT,
                workspace=(snapshot.root or "") if is_wanted else "",
                sources=tuple(Source(path) for path in sources),
                document=snapshot.text,
            )
            key = f"{snapshot.uri}#next-edit"
            asked = time.monotonic()
            account.stages["context"] = (asked - begun) * 1000
            try:
                answer = await self._answer(router, form, key, question, prompt, context, account)
            finally:
                account.answered(time.monotonic() - asked)
            if answer is None:
                return None
            said, logprobs = answer
            new = read_answer(form, question, said) if said != prompt.prefill else None
            if new is None:
                account.reason = Reason.NOTHING
                return None
            judging = time.monotonic()
            found = await asyncio.to_thread(
                judge,
                EditProposal(
                    text,
                    question.window,
                    cursor,
                    new,
                    changes,
                    [plain_breaks(state) for state in self._recent.states(snapshot.uri)],
                    parsed if text == snapshot.text else None,
                    logprobs if said.startswith(new) else (),
                    self._configs.of(snapshot.root).completion.min_confidence,
                    await edited_definitions(self._names, snapshot, hunks),
                ),
            )
            reasons, edit = found.reasons, found.edit
            against = await objection(self._names, snapshot, found.calls)
            if against is not None:
                reasons, edit = (*reasons, against), None
            account.stages["gate"] = (time.monotonic() - judging) * 1000
            account.detail = ", ".join(reasons)
            if edit is None:
                account.reason = reasons[-1]
                return None
            return _restored(edit, snapshot.text)

    def window(self, uri: str, form: EditForm, text: str, cursor: int) -> Span:
        """Return the lines that the model may rewrite: the window of the last question where
        that can be kept."""
        last, row = self._asked.get(uri), FORMS[form]
        if last is not None and last.form is form and row.keeps_window:
            kept = kept_window(text, cursor, last.above, last.below, row.window_bytes)
            if kept is not None:
                return kept
        return window_around(form, text, cursor)

    def _like_last(
        self, snapshot: Snapshot, form: EditForm, question: EditQuestion
    ) -> EditQuestion:
        """The question with the file as the last one showed it, while the change since which it was
        shown is known; kept for the next one."""
        last = self._asked.pop(snapshot.uri, None)
        since, rows = question.hunks[0].number, ()
        number, before = self._recent.before(snapshot, last.since if last is not None else since)
        if last is not None and number == last.since:
            rows = last.excerpt_rows
        elif last is not None:
            number, before = self._recent.before(snapshot, since)
        question = with_excerpts(question, plain_breaks(before), rows)
        text, window = question.text, question.window
        above, below = text.count("\n", 0, window.start), text.count("\n", window.end)
        self._asked[snapshot.uri] = _LastWindow(form, above, below, number, question.excerpt_rows)
        while len(self._asked) > MAX_DOCUMENTS:
            del self._asked[next(iter(self._asked))]
        return question

    async def _answer(
        self,
        router: Router,
        form: EditForm,
        document: str,
        question: EditQuestion,
        prompt: EditPrompt,
        context: RequestContext,
        account: RequestMetrics,
    ) -> tuple[str, list[tuple[int, float]]] | None:
        """The whole answer, with the prefill, and where in it each token begins, with the logarithm
        of its probability; None where there is none."""
        request = EditRequest(
            form=form,
            document=document,
            path=question.path,
            segments=prompt.segments,
            is_chat=prompt.is_chat,
            stop=prompt.stop,
            max_tokens=min(
                MAX_TOKENS,
                (len(question.old) - len(prompt.prefill)) // CHARS_PER_TOKEN + MORE_TOKENS,
            ),
            copied=prompt.copied(question),
        )
        text, finish = prompt.prefill, None
        logprobs: list[tuple[int, float]] = []
        route, asked = router.edit(request, context), prompt_hash((request.text,))
        try:
            async with asyncio.timeout(ASK_SECONDS), route:
                async for item in route:
                    if route.provider is not None:
                        account.provider, account.model = route.provider.name, route.provider.model
                        self.origin = Origin(account.provider, account.model, asked)
                    if isinstance(item, Restart):
                        text, logprobs = prompt.prefill, []
                        continue
                    logprobs += item.tokens_at(len(text))
                    text += item.text
                    finish = item.finish or finish
                    if item.finish is not None and item.usage is not None:
                        account.spent(item.usage)
        except TimeoutError:
            account.reason = Reason.DEADLINE
            return None
        except NearfieldError as error:
            account.reason = reason_of(error)
            return None
        if finish is Finish.LENGTH:
            account.reason = Reason.LENGTH
            return None
        return text, logprobs


def _restored(edit: Edit, text: str) -> Edit:
    """The edit of `text` with plain line breaks as one of `text`, which may have others."""
    if "\r" not in text:
        return edit
    breaks = [at for at, char in enumerate(text) if char == "\r"]

    def original(offset: int) -> int:
        for before, at in enumerate(breaks):
            if at - before >= offset:
                return offset + before
        return offset + len(breaks)

    span = Span(original(edit.span.start), original(edit.span.end))
    return Edit(span, edit.text.replace("\n", "\r\n"))
