"""Slash commands: the reviews, actions and explanations that editors have, asked for in a chat.

A place is `FILE[:LINE[-LINE]]` after the command, or the first file that the message refers to. The
text is the client's, read by the rules of the workspace. Edits are shown and made as in a chat.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from nearfield.acp.chat_host import ClientHost
from nearfield.acp.prompts import Prompt
from nearfield.acp.updates import Updates
from nearfield.errors import NearfieldError
from nearfield.features.chat.chat import ChatService
from nearfield.features.chat.folder import Folder
from nearfield.features.chat.protocol import Ask, ProposedFile, Reply, TurnPart
from nearfield.features.chat.references import named_lines
from nearfield.features.chat.tool_context import ToolContext
from nearfield.features.code_actions.hunks import applied, unified
from nearfield.features.code_actions.proposal import ActionRequest, Proposal
from nearfield.features.diagnostics import Diagnostic
from nearfield.features.offered_edits import proposal_applied
from nearfield.features.review.findings import ReviewFinding
from nearfield.features.review.pieces import ReviewPiece
from nearfield.features.review.reviewer import Review
from nearfield.features.service import Service
from nearfield.files.git_diff import changed_files
from nearfield.files.lines import split_lines
from nearfield.files.uris import uri_of
from nearfield.syntax.languages import language_for
from nearfield.types import Edit, Snapshot, Span

_PLACE = re.compile(r'^(?:@file:)?(?:"([^"\n]+)"|(\S+))[ \t]*(.*)', re.DOTALL)


@dataclass(frozen=True, slots=True)
class SlashCommand:
    """A command as the client lists it."""

    about: str
    hint: str


COMMANDS: dict[str, SlashCommand] = {
    "review": SlashCommand(
        "Look for defects in a file, or in what has changed", "[FILE[:LINE[-LINE]]]"
    ),
    "fix": SlashCommand("Fix the function at a line", "FILE:LINE what is wrong"),
    "test": SlashCommand("Write tests for the function at a line", "FILE:LINE"),
    "explain": SlashCommand("Explain the code at a line", "FILE:LINE[-LINE]"),
}


@dataclass(frozen=True, slots=True)
class CommandPlace:
    """A document and the part of it that is meant; `rest` are the words after it. `is_whole`: no
    lines were named."""

    snapshot: Snapshot
    rows: range
    span: Span
    rest: str
    is_whole: bool


@dataclass(slots=True)
class Commands:
    """The commands of one prompt."""

    service: Service
    talk: ChatService
    host: ClientHost
    updates: Updates
    root: str

    async def run(
        self, name: str, words: str, prompt: Prompt, session: str, *, can_edit: bool
    ) -> Reply:
        """Carry out a command; its words go to the client, and into the conversation. Raises
        `NearfieldError`."""
        reply = Reply(session)
        place = await self._place(words, prompt)
        if name == "review":
            await self._review(place, reply)
        elif place is None:
            raise NearfieldError(f"/{name} needs a place.", f"Write /{name} {COMMANDS[name].hint}.")
        elif name == "explain":
            await self._explain(place, reply)
        elif not can_edit:
            raise NearfieldError(
                f"/{name} makes edits, and the mode is `ask`.", "Choose the mode `edit`."
            )
        else:
            await self._act(name, place, reply)
        path = place.snapshot.shown_path if place is not None else ""
        ask = Ask(f"/{name} {words}".strip(), session=session, workspace=self.root)
        await self.talk.note(ask, [TurnPart(reply.text, path)], reply)
        return reply

    def _say(self, reply: Reply, text: str) -> None:
        reply.text += text
        self.updates.text(text)

    # --- the commands ---

    async def _review(self, place: CommandPlace | None, reply: Reply) -> None:
        def found(snapshot: Snapshot, _: ReviewPiece, findings: list[ReviewFinding]) -> None:
            for one in findings:
                self._say(reply, _finding(snapshot, one))

        reviewer = self.service.reviewer
        if place is None:
            root = Path(self.root)
            files = await changed_files(root)
            result = await reviewer.review_files(files, root, on_found=found)
        else:
            rows = None if place.is_whole else place.rows
            result = await reviewer.review(place.snapshot, rows, on_found=found)
        reply.provider, reply.model = result.provider, result.model
        self._say(reply, _summary(result))

    async def _explain(self, place: CommandPlace, reply: Reply) -> None:
        explained = await self.service.explainer.explain(
            place.snapshot, place.span, self.updates.text, self.updates.restart
        )
        told = explained.explanation
        reply.text, reply.wrong = told.text, told.wrong
        reply.provider, reply.model = told.provider, told.model
        if not told.text:
            self._say(reply, "There is nothing to explain there.")

    async def _act(self, name: str, place: CommandPlace, reply: Reply) -> None:
        if place.is_whole:
            raise NearfieldError(f"/{name} needs a line.", f"Write /{name} {COMMANDS[name].hint}.")
        problems = (Diagnostic(place.span, place.rest),) if place.rest else ()
        request = ActionRequest(name, place.snapshot, place.span, problems)
        proposal = await self.service.actions.propose(
            request, lambda words: self.updates.thinking(f"{words}\n"), self.host.ask_user
        )
        reply.provider, reply.model, reply.wrong = proposal.provider, proposal.model, proposal.wrong
        await self._apply(proposal, reply)

    async def _apply(self, proposal: Proposal, reply: Reply) -> None:
        folder = Folder(self.root, self.host.exclude)
        for number, file in enumerate(proposal.files):
            path = file.path or ""
            shown = await asyncio.to_thread(_shown, folder, path)
            if not shown:
                raise NearfieldError("The edit is for a file that is not in the folder.")
            call_id = f"{reply.session}-{proposal.title}-{number}"
            self.updates.call_id = call_id
            before = None if file.new else file.before
            change = ProposedFile(path, shown, before, file.after, proposal.title)
            done = await self.host.apply(change)
            if done:
                one = replace(proposal, files=(file,))
                proposal_applied(self.service, one, time.time(), self.root)
            self.updates.ended(call_id, done=done)
            self._say(reply, f"{shown} {'was changed' if done else 'was left as it is'}.\n")

    # --- places ---

    async def _place(self, words: str, prompt: Prompt) -> CommandPlace | None:
        """Return the place that is named, None for none. Raises `ToolRefused` where it may not be
        read."""
        match = _PLACE.match(words)
        name, rest = (match[1] or match[2], match[3].strip()) if match else ("", "")
        if name and not await self._is_file(name):
            name, rest = "", words
        if not name and prompt.files:
            name = prompt.files[0]
        if not name:
            if words:
                raise NearfieldError(
                    f"There is no file {words.split()[0][:100]!r} in the folder.",
                    "Name one by its path from the folder, as src/app.py:10.",
                )
            return None
        path, first, last = named_lines(name)
        config = self.service.configs.of(self.root)
        inside = Folder(self.root, config.files.exclude)
        context = ToolContext(config.chat, self.host, inside=inside)
        found, text = await context.read(path)
        whole = str(Path(self.root) / found)
        language = language_for("", whole)
        snapshot = Snapshot(
            uri_of(Path(whole)), language.name if language else "", None, text, whole, self.root
        )
        lines = split_lines(text, keepends=True)
        rows = range(first - 1, min(last, len(lines))) if first else range(len(lines))
        if first > max(1, len(lines)):
            raise NearfieldError(f"{found} has {len(lines)} lines.")
        start = sum(map(len, lines[: rows.start]))
        # One line means the code around it; several lines are a selection.
        indent = len(lines[rows.start]) - len(lines[rows.start].lstrip()) if lines else 0
        is_one = len(rows) == 1
        end = start + indent if is_one else sum(map(len, lines[: rows.stop]))
        span = Span(start + indent if is_one else start, end)
        return CommandPlace(snapshot, rows, span, rest, not first)

    async def _is_file(self, name: str) -> bool:
        folder = await asyncio.to_thread(Folder, self.root, self.host.exclude)
        path, _, _ = named_lines(name)
        try:
            found = await asyncio.to_thread(folder.look, path)
        except NearfieldError:
            # One that is kept out is refused with its reason when it is read.
            whole = str(folder.root / path)
            is_named = await asyncio.to_thread(os.path.lexists, whole)
            return is_named or await self._is_held(folder, path)
        return found.kind == "file"

    async def _is_held(self, folder: Folder, path: str) -> bool:
        """Return whether the client has a file that is not on the disk."""
        with suppress(NearfieldError):
            inside = await asyncio.to_thread(folder.inside, path)
            return await self.host.open_text(str(folder.root / inside)) is not None
        return False


def _shown(folder: Folder, path: str) -> str:
    """Return a path from the folder, "" for one outside and for a withheld file."""
    return folder.visible(path) or folder.visible(os.path.realpath(path))


def _finding(snapshot: Snapshot, one: ReviewFinding) -> str:
    """Return a finding as Markdown, with its fix as a diff."""
    path = snapshot.shown_path
    text = f"- `{path}:{one.row + 1}` **{one.severity.value}**: {one.message}\n"
    if one.suggestion:
        text += f"  {one.suggestion}\n"
    if one.replacement is not None:
        after = applied(snapshot.text, [Edit(one.span, one.replacement)])
        text += f"\n```diff\n{unified(snapshot.text, after, path)}```\n"
    return text


def _summary(found: Review) -> str:
    count = len(found.findings)
    what = f"{count} finding{'' if count == 1 else 's'}" if count else "Nothing found"
    pieces = f"{found.pieces} piece{'' if found.pieces == 1 else 's'}"
    shown = [found.note] if found.note else []
    lines = [f"{what} in {pieces}.", *shown, *(f"Left out: {one}" for one in found.left_out)]
    if found.failed:
        lines.append(f"{found.failed} of them got no answer: {found.error}")
    return "\n" + "\n".join(lines)
