"""Doing an action: from what the user wants to a proposal of checked edits.

A model is asked once, and once more with what is wrong with its answer; that second answer must
pass the quality gate, or the router goes on to whoever else may answer. Nothing is changed here: a
proposal is data. Cancelling the caller closes the stream and leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from nearfield.config.folders import FolderConfigs
from nearfield.errors import EditRefused
from nearfield.features.code_actions import prompts
from nearfield.features.code_actions.actions import ACTIONS, DOCUMENT, REWRITES, Action
from nearfield.features.code_actions.around import head_with_documentation, with_surroundings
from nearfield.features.code_actions.dialogue import Backing, Dialogue, Said
from nearfield.features.code_actions.document import Documenting
from nearfield.features.code_actions.fit import UNCHANGED, Fitting, Unfit
from nearfield.features.code_actions.menu import Entry, entries, speakers
from nearfield.features.code_actions.prompts import Prompt
from nearfield.features.code_actions.proposal import (
    Change,
    FileChange,
    Problem,
    Proposal,
    Report,
    Wish,
)
from nearfield.features.code_actions.rebase import rebased_file
from nearfield.features.code_actions.testing import OpenText, plan_tests
from nearfield.features.code_actions.trees import TREE_ACTIONS, tree_changes
from nearfield.features.document_filter import DocumentFilter
from nearfield.features.trace import RequestMetrics
from nearfield.features.workspace_context.knowledge import CursorOf
from nearfield.files.lines import LINE_END
from nearfield.routing.request_context import AskUser, RequestContext, Source
from nearfield.syntax.definitions import Unit, unit_at
from nearfield.syntax.parser import Parsed
from nearfield.syntax.white_space import format_of
from nearfield.types import Snapshot, Snippet, Span

__all__ = ["Actions"]

METHOD = "nearfield.action"
"""What the trace calls every action; its situation is which."""
SNIPPET_CHARS = 1200
"""So much of other files is shown at most: a small model repeats what it reads."""
_REMARKS = re.compile(r"\b(?:comment|remark|doc(?:string|ument)?|annotat\w+|blank|empty)s?\b", re.I)
"""An instruction with such a word may be about what is kept otherwise."""
_KEPT_OUT = {
    "too_big": "the file is larger than files.max_bytes",
    "excluded": "files.exclude keeps the file out",
}


class WorkspaceSnippets(Protocol):
    """Finds code of the workspace that helps at a position."""

    async def around(self, snapshot: Snapshot, offset: int, *, budget: int) -> tuple[Snippet, ...]:
        """Return at most `budget` characters, the most helpful snippet last."""
        ...


@dataclass(frozen=True)
class _Job:
    """One wish with all that was found out about it."""

    wish: Wish
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
        return self.parsed.language.name if self.parsed else self.wish.snapshot.language


class Actions:
    """Does actions on documents. One event loop."""

    def __init__(
        self, backing: Backing, cursor_of: CursorOf, snippets: WorkspaceSnippets | None = None
    ) -> None:
        self._backing = backing
        self._cursor_of = cursor_of
        self._snippets = snippets
        self._rules: tuple[FolderConfigs, DocumentFilter] | None = None

    async def propose(
        self,
        wish: Wish,
        report: Report | None = None,
        ask: AskUser | None = None,
        held: OpenText | None = None,
    ) -> Proposal:
        """The edits that `wish` comes to. `report` hears what is going on, `ask` puts offers to
        the user, `held` knows the open documents. Raises `EditRefused` when no edit can be
        trusted, `NoProvider` and `NotReady` when nobody can answer."""
        with RequestMetrics(self._backing.traces, METHOD, wish.snapshot, wish.action) as account:
            return await self._proposed(wish, account, report or _quiet, ask, held or _nothing_held)

    async def _proposed(
        self,
        wish: Wish,
        account: RequestMetrics,
        report: Report,
        ask: AskUser | None,
        held: OpenText,
    ) -> Proposal:
        snapshot = wish.snapshot
        if why := self.kept_out(snapshot):
            raise EditRefused(f"Nothing is done here: {why}.")
        parsed = (await self._cursor_of(snapshot, wish.span.start)).parsed
        if wish.action in TREE_ACTIONS:
            changes = await asyncio.to_thread(tree_changes, wish, parsed)
            return Proposal(wish.action, (_own_file(snapshot, changes),))
        action = ACTIONS.get(wish.action)
        if action is None:
            raise EditRefused(f"There is no action {wish.action!r}.")
        job = await self._job(wish, action, parsed, account, report, ask)
        if action.id in REWRITES:
            return await self._rewritten(job)
        if action.id == DOCUMENT:
            return await self._documented(job)
        return await self._tested(job, held)

    async def menu(
        self, snapshot: Snapshot, span: Span, problems: Sequence[Problem]
    ) -> list[Entry]:
        """What is offered at `span`, without asking any model. Raises nothing of its own."""
        if self.kept_out(snapshot):
            return []
        backing = self._backing
        who = await speakers(backing.router, backing.configs, snapshot.root or "")
        parsed = (await self._cursor_of(snapshot, span.start)).parsed
        return await asyncio.to_thread(entries, snapshot, parsed, span, problems, who)

    async def rebase(self, file: FileChange, now: Snapshot) -> FileChange:
        """`file` for the document as it is now. Raises `EditRefused` when that cannot be."""
        parsed = (await self._cursor_of(now, 0)).parsed
        return await asyncio.to_thread(rebased_file, file, now, parsed)

    def kept_out(self, snapshot: Snapshot) -> str:
        """Why nothing is done in a document, "" when something may be."""
        configs = self._backing.configs
        if self._rules is None or self._rules[0] is not configs:
            self._rules = configs, DocumentFilter(configs)
        reason = self._rules[1].kept_out(snapshot)
        return _KEPT_OUT.get(reason, reason)

    async def _job(
        self,
        wish: Wish,
        action: Action,
        parsed: Parsed | None,
        account: RequestMetrics,
        report: Report,
        ask: AskUser | None,
    ) -> _Job:
        snapshot = wish.snapshot
        unit = await asyncio.to_thread(unit_at, parsed, snapshot.text, wish.span)
        if not unit.text(snapshot.text).strip():
            raise EditRefused("There is no code at this place.")
        loose = _REMARKS.search(wish.instruction) is not None
        white = format_of(snapshot.language, snapshot.path)
        fitting = Fitting(snapshot.text, parsed, unit, action.free, loose, white)
        snippets: tuple[Snippet, ...] = ()
        if self._snippets is not None:
            snippets = await self._snippets.around(snapshot, unit.span.start, budget=SNIPPET_CHARS)
        errand = RequestContext(
            task=action.task,
            workspace=snapshot.root or "",
            sources=(Source(snapshot.path or snapshot.uri, unit.span),),
            diagnostics=len(wish.problems),
            document=snapshot.text,
        )
        dialogue = Dialogue(
            self._backing,
            errand,
            account,
            wanted=unit.name,
            provider=wish.provider,
            ask=ask,
            heard=lambda lines: report(f"{lines} lines"),
        )
        return _Job(wish, action, parsed, unit, fitting, snippets, dialogue, report)

    # --- rewriting --------------------------------------------------------------------------

    async def _rewritten(self, job: _Job) -> Proposal:
        """The unit changed, as the action or the user says."""
        fitting, unit = job.fitting, job.unit
        shown = await asyncio.to_thread(with_surroundings, fitting)
        kind = _kind(unit)
        head = await asyncio.to_thread(head_with_documentation, fitting)
        goal = job.action.goal or job.wish.instruction.strip()
        if job.action.task.value == "fix":
            problems = [_said(job.wish.snapshot, unit, problem) for problem in job.wish.problems]
            goal = prompts.goal_of_fix(kind, problems, bool(head))
            if job.wish.instruction.strip():
                goal = f"{goal} {job.wish.instruction.strip()}"
        if not goal:
            raise EditRefused("A rewrite needs an instruction.", "Say what is to be done.")
        prompt = prompts.edit(shown, job.language, kind, goal, job.snippets)
        # What the documentation asks for says nothing about a problem that another tool found.
        fresh = head if job.action.task.value == "fix" and not job.wish.problems else ""
        return await self._settled(
            job, prompt, shown, fitting.changes, lambda: _second(job, fresh, kind)
        )

    async def _settled(
        self,
        job: _Job,
        prompt: Prompt,
        code: str,
        changes_of: Callable[[str], tuple[Change, ...]],
        instead: Callable[[], Prompt | None],
    ) -> Proposal:
        """Ask, and ask once more when the answer cannot become an edit."""
        dialogue = job.dialogue
        room = dialogue.room(prompt, code)
        job.report(f"asking {dialogue.speaker(prompt)}")
        said = await dialogue.say(prompt, room)
        try:
            changes = await asyncio.to_thread(changes_of, said.text)
        except Unfit as unfit:
            said, changes = await self._once_more(
                job, prompt, said, str(unfit), room, changes_of, instead
            )
        return _proposal(job, changes, said)

    async def _once_more(
        self,
        job: _Job,
        prompt: Prompt,
        said: Said,
        complaint: str,
        room: int,
        changes_of: Callable[[str], tuple[Change, ...]],
        instead: Callable[[], Prompt | None],
    ) -> tuple[Said, tuple[Change, ...]]:
        second = instead() if complaint == UNCHANGED else None
        second = second or prompts.again(prompt, said.text, complaint, _kind(job.unit))
        job.report(f"asking again: {complaint}")

        def check(text: str) -> str:
            try:
                changes_of(text)
            except Unfit as unfit:
                return str(unfit)
            return ""

        said = await job.dialogue.say(second, room, (check,))
        try:
            return said, await asyncio.to_thread(changes_of, said.text)
        except Unfit as unfit:
            if str(unfit) == UNCHANGED:
                raise EditRefused(f"{said.model} found nothing to change.") from None
            raise EditRefused(
                f"The answer of {said.model} cannot be used: {_without_code(str(unfit))}.",
                "Try again, select less, or use a larger model.",
            ) from None

    # --- documentation and tests ------------------------------------------------------------

    async def _documented(self, job: _Job) -> Proposal:
        """A comment for the unit; its code stays untouched."""
        writer = await asyncio.to_thread(Documenting, job.fitting)
        shown = await asyncio.to_thread(lambda: job.fitting.shown)
        kind = _kind(job.unit)
        prompt = prompts.documentation(shown, job.language, kind, writer.style)
        return await self._settled(job, prompt, shown, writer.changes, _nothing_else)

    async def _tested(self, job: _Job, held: OpenText) -> Proposal:
        """Tests for the unit, in a new file or at the end of one that is there."""
        exclude = self._backing.configs.of(job.wish.snapshot.root).files.exclude
        plan = await asyncio.to_thread(plan_tests, job.wish.snapshot, job.fitting, held, exclude)
        shown = await asyncio.to_thread(lambda: job.fitting.shown)
        suite = plan.suite
        prompt = prompts.tests(shown, job.language, plan.name, suite.framework, suite.example)
        proposal = await self._settled(
            job, prompt, shown + suite.example.text, plan.changes, _nothing_else
        )
        changes = proposal.files[0].changes
        file = FileChange(plan.uri, str(suite.path), plan.version, plan.before, changes, plan.new)
        return Proposal(proposal.title, (file,), proposal.provider, proposal.model, proposal.wrong)


def _kind(unit: Unit) -> str:
    return "code" if unit.kind == "block" else unit.kind


def _second(job: _Job, head: str, kind: str) -> Prompt | None:
    """What to ask after an answer that changes nothing: with documentation, to write the body
    without seeing the wrong one."""
    return prompts.anew(head, job.language, kind) if head else None


def _said(snapshot: Snapshot, unit: Unit, problem: Problem) -> str:
    """A problem with the line that it is on."""
    text = snapshot.text
    place = min(max(problem.span.start, unit.span.start), unit.span.end)
    start = max(text.rfind("\n", 0, place), text.rfind("\r", 0, place)) + 1
    line = LINE_END.split(text[start:], maxsplit=1)[0].strip()
    return f"in the line `{line}`: {problem.message}" if line else problem.message


def _own_file(snapshot: Snapshot, changes: tuple[Change, ...]) -> FileChange:
    return FileChange(snapshot.uri, snapshot.path, snapshot.version, snapshot.text, changes)


def _proposal(job: _Job, changes: tuple[Change, ...], said: Said) -> Proposal:
    name = f"`{job.unit.name}`" if job.unit.name else "the code"
    title = job.action.title.format(what=name).removesuffix(" …")
    files = (_own_file(job.wish.snapshot, changes),)
    return Proposal(title, files, said.provider, said.model, said.wrong)


def _without_code(complaint: str) -> str:
    """`complaint` as it may reach a log: what it quotes is code."""
    return re.sub(r"`[^`]*`", "…", complaint)


def _nothing_else() -> None:
    """There is nothing else to ask."""


def _nothing_held(_: str) -> None:
    """No document is open."""


def _quiet(_: str) -> None:
    """Nobody wants to know."""
