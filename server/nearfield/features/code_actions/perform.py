"""The work of an action: from a request to a proposal of checked edits.

A model is asked once, and once more with what is wrong with its answer. That second answer must
pass the quality gate, or the router asks the next provider. A proposal is data: nothing is changed
here. Cancelling the caller closes the stream and leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from nearfield.config.folders import FolderConfigs
from nearfield.errors import EditRefused
from nearfield.features.code_actions import prompts
from nearfield.features.code_actions.actions import ACTIONS, DOCUMENT, REWRITES, Action
from nearfield.features.code_actions.around import head_with_documentation, with_surroundings
from nearfield.features.code_actions.dialogue import Backing, Dialogue, ModelReply
from nearfield.features.code_actions.document import Documenting
from nearfield.features.code_actions.fit import UNCHANGED, UNSOLVED, AnswerRejected, Fitting
from nearfield.features.code_actions.generate_tests import OpenText, plan_tests
from nearfield.features.code_actions.menu import MenuEntry, candidates_for, entries
from nearfield.features.code_actions.prompts import ActionPrompt
from nearfield.features.code_actions.proposal import (
    ActionRequest,
    FileChange,
    Proposal,
    ProposedEdit,
    Report,
    rebased_file,
)
from nearfield.features.code_actions.refactorings import REFACTORINGS, refactored
from nearfield.features.code_actions.testing_advice import testing_advice
from nearfield.features.diagnostics import Diagnostic, LanguageServers
from nearfield.features.documents import DocumentFilter
from nearfield.features.project_rules import project_rules
from nearfield.features.suitability import why_unsuited
from nearfield.features.trace import RequestMetrics
from nearfield.files.lines import line_at
from nearfield.routing.request_context import AskUser, RequestContext, Source, Task
from nearfield.syntax.definitions import Unit, unit_at
from nearfield.syntax.parser import CursorOf, Parsed
from nearfield.syntax.white_space import format_of
from nearfield.types import Snapshot, Snippet, Span, Surface, SymbolLocation

__all__ = ["Actions"]

MAX_SNIPPET_CHARS = 1200
"""Characters of other files that are shown: a small model repeats what it reads."""
LOOKUP_SECONDS = 10.0
"""The longest that the index is asked for a name of a test; it takes milliseconds."""
_REMARKS = re.compile(r"\b(?:comment|remark|doc(?:string|ument)?|annotat\w+|blank|empty)s?\b", re.I)
"""An instruction with such a word may be about comments and empty lines, which are kept
otherwise."""
_LAYOUT = re.compile(
    r"\b(?:comments?|remarks?|doc(?:string|ument)\w*|white ?space|indent\w*|too long|newlines?|"
    r"trailing|blank lines?|format\w*)\b",
    re.I,
)
"""A problem with such a word may be mended without changing code."""
_KEPT_OUT = {
    "too_big": "the file is larger than files.max_bytes",
    "excluded": "files.exclude keeps the file out",
}


class WorkspaceSnippets(Protocol):
    """Finds code of the workspace that helps at a position."""

    async def around(self, snapshot: Snapshot, offset: int, *, budget: int) -> tuple[Snippet, ...]:
        """Return at most `budget` characters, the most helpful snippet last."""
        ...

    async def definitions(
        self, name: str, snapshot: Snapshot | None = None
    ) -> tuple[SymbolLocation, ...]:
        """Return the definitions of `name` in the folder of `snapshot`."""
        ...


@dataclass(frozen=True)
class _ActionJob:
    """A request with everything found out about it."""

    request: ActionRequest
    action: Action
    parsed: Parsed | None
    unit: Unit
    fitting: Fitting
    snippets: tuple[Snippet, ...]
    dialogue: Dialogue
    report: Report

    @property
    def language(self) -> str:
        """The language's name, for the model."""
        return self.parsed.language.name if self.parsed else self.request.snapshot.language

    @property
    def kind(self) -> str:
        """The unit's kind, for the model."""
        return "code" if self.unit.kind == "block" else self.unit.kind


class Actions:
    """Does actions on documents. One event loop."""

    def __init__(
        self,
        backing: Backing,
        cursor_of: CursorOf,
        snippets: WorkspaceSnippets | None = None,
        servers: LanguageServers | None = None,
    ) -> None:
        self._backing = backing
        self._cursor_of = cursor_of
        self._snippets = snippets
        self._rules: tuple[FolderConfigs, DocumentFilter] | None = None
        self._servers = servers or LanguageServers()

    async def propose(
        self,
        request: ActionRequest,
        report: Report = lambda message: None,
        ask: AskUser | None = None,
        open_text: OpenText = lambda path: None,
    ) -> Proposal:
        """Return the edits of an action. `report` is told about the progress, `ask` puts offers to
        the user, `open_text` knows the open documents. Raises `EditRefused` if no edit can be
        trusted, `NoProvider` and `NotReady` if no model can answer."""
        snapshot = request.snapshot
        with RequestMetrics(
            self._backing.traces, Surface.ACTION, snapshot, request.action
        ) as account:
            if why := self.kept_out(snapshot):
                raise EditRefused(f"Nothing is done here: {why}.")
            parsed = (await self._cursor_of(snapshot, request.span.start)).parsed
            if request.action in REFACTORINGS:
                changes = await asyncio.to_thread(refactored, request, parsed)
                return Proposal(request.action, (_own_file(snapshot, changes),))
            action = ACTIONS.get(request.action)
            if action is None:
                raise EditRefused(f"There is no action {request.action!r}.")
            job = await self._job(request, action, parsed, account, report, ask)
            if action.id in REWRITES:
                return await self._rewritten(job)
            if action.id == DOCUMENT:
                return await self._documented(job)
            return await self._tested(job, open_text)

    async def menu(
        self, snapshot: Snapshot, span: Span, problems: Sequence[Diagnostic]
    ) -> list[MenuEntry]:
        """Return what is offered at `span`, where other tools report `problems`. Asks no model and
        raises nothing of its own."""
        if self.kept_out(snapshot):
            return []
        self._servers.note(snapshot.language, problems)
        backing = self._backing
        who = await candidates_for(backing.router, backing.configs, snapshot.root or "")
        parsed = (await self._cursor_of(snapshot, span.start)).parsed
        return await asyncio.to_thread(
            entries,
            snapshot,
            parsed,
            span,
            problems,
            who,
            has_language_server=self._servers.serve(snapshot.language),
        )

    async def rebase(self, file: FileChange, now: Snapshot) -> FileChange:
        """Return `file` for the document as it is now. Raises `EditRefused` if that cannot be."""
        parsed = (await self._cursor_of(now, 0)).parsed
        return await asyncio.to_thread(rebased_file, file, now, parsed)

    def kept_out(self, snapshot: Snapshot) -> str:
        """Return why nothing is done in a document, "" if something may be."""
        configs = self._backing.configs
        if self._rules is None or self._rules[0] is not configs:
            self._rules = configs, DocumentFilter(configs)
        reason = self._rules[1].kept_out(snapshot)
        return _KEPT_OUT.get(reason, reason)

    async def _job(
        self,
        request: ActionRequest,
        action: Action,
        parsed: Parsed | None,
        account: RequestMetrics,
        report: Report,
        ask: AskUser | None,
    ) -> _ActionJob:
        snapshot = request.snapshot
        unit = await asyncio.to_thread(unit_at, parsed, snapshot.text, request.span)
        if not unit.text(snapshot.text).strip():
            raise EditRefused("There is no code at this place.")
        told = " ".join([request.instruction, *(one.message for one in request.problems)])
        fitting = Fitting(
            snapshot.text,
            parsed,
            unit,
            action.free,
            _REMARKS.search(request.instruction) is not None,
            format_of(snapshot.language, snapshot.path),
            repair=action.task is Task.FIX,
            layout=_LAYOUT.search(told) is not None,
            problems=tuple(problem.span for problem in request.problems),
            adds=action.adds,
        )
        snippets: tuple[Snippet, ...] = ()
        if self._snippets is not None:
            snippets = await self._snippets.around(
                snapshot, unit.span.start, budget=MAX_SNIPPET_CHARS
            )
        context = RequestContext(
            task=action.task,
            workspace=snapshot.root or "",
            sources=(Source(snapshot.path or snapshot.uri, unit.span),),
            diagnostics=len(request.problems),
            document=snapshot.text,
        )
        config = self._backing.configs.of(snapshot.root or "")
        rules = await asyncio.to_thread(project_rules, snapshot.root, snapshot.path, config)
        if rules is not None:
            account.included = (rules.included,)
            report(rules.note)
        dialogue = Dialogue(
            self._backing,
            context,
            account,
            # A comment comes without the code that it is about.
            wanted="" if action.id == DOCUMENT else unit.name,
            provider=request.provider,
            ask=ask,
            rules=rules,
        )
        return _ActionJob(request, action, parsed, unit, fitting, snippets, dialogue, report)

    async def _rewritten(self, job: _ActionJob) -> Proposal:
        """Return the unit changed as the action or the user says."""
        shown = await asyncio.to_thread(with_surroundings, job.fitting)
        head = await asyncio.to_thread(head_with_documentation, job.fitting)
        instruction = job.request.instruction.strip()
        goal = job.action.goal or instruction
        is_fix, problems = job.action.task is Task.FIX, job.request.problems
        if is_fix:
            lines = [_with_line(job, problem) for problem in problems]
            goal = prompts.goal_of_fix(job.kind, lines, bool(head))
            goal = f"{goal} {instruction}".rstrip()
        if not goal:
            raise EditRefused("A rewrite needs an instruction.", "Say what is to be done.")
        prompt = prompts.edit(shown, job.language, job.kind, goal, job.snippets)
        # The documentation says nothing about a problem that another tool found.
        fresh = head if is_fix and not problems else ""
        second = prompts.from_signature(fresh, job.language, job.kind) if fresh else None
        return await self._asked(job, prompt, shown, job.fitting.changes, second, copied=shown)

    async def _documented(self, job: _ActionJob) -> Proposal:
        """Return a comment for the unit, whose code stays untouched."""
        writer = await asyncio.to_thread(Documenting, job.fitting)
        shown = await asyncio.to_thread(lambda: job.fitting.shown)
        style, names = writer.style, writer.parameters
        prompt = prompts.documentation(shown, job.language, job.kind, style, names)
        whole = writer.whole_changes
        return await self._asked(job, prompt, shown, whole, otherwise=writer.changes)

    async def _tested(self, job: _ActionJob, open_text: OpenText) -> Proposal:
        """Return tests for the unit, in a new file or at the end of an existing one."""
        snapshot = job.request.snapshot
        exclude = self._backing.configs.of(snapshot.root).files.exclude
        loop = asyncio.get_running_loop()

        def definitions(name: str) -> tuple[SymbolLocation, ...]:
            if self._snippets is None:
                return ()
            found = self._snippets.definitions(name, snapshot)
            return asyncio.run_coroutine_threadsafe(found, loop).result(LOOKUP_SECONDS)

        plan = await asyncio.to_thread(
            plan_tests, snapshot, job.fitting, open_text, exclude, definitions
        )
        shown = await asyncio.to_thread(lambda: job.fitting.shown)
        suite = plan.suite
        advice = testing_advice(shown, plan.name) if job.language == "python" else ()
        prompt = prompts.tests(
            shown, job.language, plan.name, suite.framework, suite.example, advice
        )
        code = shown + suite.example.text
        proposal = await self._asked(job, prompt, code, plan.changes)
        changes = proposal.files[0].changes
        file = FileChange(
            plan.uri, str(suite.path), plan.version, plan.before, changes, plan.is_new
        )
        return replace(proposal, files=(file,))

    async def _asked(
        self,
        job: _ActionJob,
        prompt: ActionPrompt,
        code: str,
        changes_of: Callable[[str], tuple[ProposedEdit, ...]],
        if_unchanged: ActionPrompt | None = None,
        *,
        otherwise: Callable[[str], tuple[ProposedEdit, ...]] | None = None,
        copied: str = "",
    ) -> Proposal:
        """Ask, and ask once more if the answer cannot become an edit: `if_unchanged` after one that
        changes nothing, else with what is wrong. The second answer is read by `otherwise`, where
        that is given, and the first one is if the second is of no use. An answer mostly repeats
        `copied`."""
        dialogue = job.dialogue
        room = dialogue.room(prompt, code)
        speaker = dialogue.speaker(prompt)
        if why := await asyncio.to_thread(why_unsuited, job.action.id, speaker):
            raise EditRefused(f"This is not offered: {why}.")
        job.report(f"asking {speaker}")
        reply = await dialogue.say(prompt, room, copied=copied)
        try:
            changes = await asyncio.to_thread(changes_of, reply.text)
        except AnswerRejected as rejected:
            complaint = str(rejected)
            second = if_unchanged if complaint in (UNCHANGED, UNSOLVED) else None
            second = second or prompts.retry(prompt, reply.text, complaint, job.kind)
            job.report(f"asking again: {complaint}")
            read = otherwise or changes_of
            rest = await asyncio.to_thread(_usable, reply.text, otherwise)
            try:
                reply, changes = await self._retried(dialogue, second, room, read, copied)
            except EditRefused:
                if not rest:
                    raise
                changes = rest
        name = f"`{job.unit.name}`" if job.unit.name else "the code"
        title = job.action.title.format(what=name).removesuffix(" …")
        files = (_own_file(job.request.snapshot, changes),)
        return Proposal(title, files, reply.provider, reply.model, reply.wrong, reply.prompt)

    @staticmethod
    async def _retried(
        dialogue: Dialogue,
        prompt: ActionPrompt,
        room: int,
        changes_of: Callable[[str], tuple[ProposedEdit, ...]],
        copied: str,
    ) -> tuple[ModelReply, tuple[ProposedEdit, ...]]:
        def check(text: str) -> str:
            try:
                changes_of(text)
            except AnswerRejected as rejected:
                return str(rejected)
            return ""

        reply = await dialogue.say(prompt, room, (check,), copied)
        try:
            return reply, await asyncio.to_thread(changes_of, reply.text)
        except AnswerRejected as rejected:
            if str(rejected) == UNCHANGED:
                raise EditRefused(f"{reply.model} found nothing to change.") from None
            if str(rejected) == UNSOLVED:
                raise EditRefused(f"The answer of {reply.model} does not mend it.") from None
            # The message may reach a log, and what it quotes is code.
            why = re.sub(r"`[^`]*`", "…", str(rejected))
            raise EditRefused(
                f"The answer of {reply.model} cannot be used: {why}.",
                "Try again, select less, or use a larger model.",
            ) from None


def _usable(
    text: str, read: Callable[[str], tuple[ProposedEdit, ...]] | None
) -> tuple[ProposedEdit, ...]:
    """Return the edits that `read` takes from an answer; none where it takes none."""
    try:
        return read(text) if read else ()
    except AnswerRejected:
        return ()


def _with_line(job: _ActionJob, problem: Diagnostic) -> str:
    """Return a problem with the line that it is on."""
    text, unit = job.request.snapshot.text, job.unit.span
    place = min(max(problem.span.start, unit.start), unit.end)
    line = line_at(text, place)
    return f"in the line `{line}`: {problem.message}" if line else problem.message


def _own_file(snapshot: Snapshot, changes: tuple[ProposedEdit, ...]) -> FileChange:
    return FileChange(snapshot.uri, snapshot.path, snapshot.version, snapshot.text, changes)
