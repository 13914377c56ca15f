"""`nearfield ask --tools`: one question whose answer may use the workspace.

The terminal is the host: changes of files are shown as a diff and asked for, deletions and commands
are asked for each time. Without a terminal to ask on, nothing is changed.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfield.cli.coloured import ColouredAnswer
from nearfield.cli.ending import on_end
from nearfield.cli.output import ask_choice, say
from nearfield.cli.serving import serving, until_indexed
from nearfield.features.chat.protocol import (
    Allow,
    Ask,
    CallReport,
    CallState,
    ProposedFile,
    Question,
    Reply,
    ToolRefused,
    WithoutEditor,
)
from nearfield.terminal import say_piece

if TYPE_CHECKING:
    from nearfield.config.load import Loaded
    from nearfield.routing.request_context import RequestContext


async def converse(
    loaded: Loaded,
    question: str,
    context: RequestContext,
    role: str,
    max_tokens: int,
    *,
    streams: bool,
    thinks: bool = False,
) -> dict[str, Any]:
    """Ask, and return the reply as programs read it. `context` has the workspace, the files to show
    and the providers that may be asked."""
    from nearfield.features.chat.chat import ChatService

    shown = " ".join(f'@file:"{_inside(s.path, context.workspace)}"' for s in context.sources)
    ask = Ask(
        message=f"{question}\n\n{shown}".strip(),
        workspace=context.workspace,
        role=role,
        max_tokens=max_tokens,
        accepted=context.accepted,
    )
    asking = asyncio.current_task()
    on_end(lambda: asking)
    async with serving(loaded) as service:
        service.knowledge.folders((context.workspace,))
        if loaded.config.index.enabled:
            await until_indexed(service.knowledge)
        host = Terminal(context.workspace, loaded.config.files.exclude)
        chat = ChatService(service, host, knowledge=lambda: service.knowledge, ask_user=context.ask)
        screen = Screen(streams=streams, thinks=thinks)
        reply = await chat.say(ask, screen)
        screen.end()
    return _as_dict(reply)


class Terminal(WithoutEditor):
    """Implements `features.chat.protocol.ChatHost` on a terminal."""

    def __init__(self, workspace: str, exclude: Sequence[str]) -> None:
        self._workspace = workspace
        self._exclude = exclude

    async def allow(self, question: Question) -> Allow:
        """Ask; no without a terminal."""
        choices = ["yes", "no"] if question.each_time else ["yes", "always", "no"]
        said = await asyncio.to_thread(_chosen, f"Let the model {question.title}?", choices)
        return {"yes": Allow.ONCE, "always": Allow.SESSION}.get(said, Allow.NO)

    async def apply(self, change: ProposedFile) -> bool:
        """Show the diff, ask, and write the file if it is still the same."""
        from nearfield.features.chat.folder import Folder
        from nearfield.features.code_actions.hunks import unified

        new = change.before is None
        say("\n" + unified(change.before or "", change.after, change.shown, new))
        if not sys.stdin.isatty():
            raise ToolRefused("There is no terminal to ask on, so nothing is written.")
        if await asyncio.to_thread(_chosen, f"{change.title}?", ["yes", "no"]) != "yes":
            return False
        folder = Folder(self._workspace, self._exclude)
        await asyncio.to_thread(folder.write, change.shown, change.before, change.after)
        return True


class Screen:
    """Implements `features.chat.protocol.Listener`: the answer on standard output, the rest on
    standard error."""

    def __init__(self, *, streams: bool, thinks: bool = False) -> None:
        self._shown = ColouredAnswer() if streams else None
        self._thinks = thinks

    def thinking(self, text: str) -> None:
        """See `Listener`."""
        if self._thinks:
            say_piece(text)

    def text(self, text: str) -> None:
        """See `Listener`."""
        if self._shown is not None:
            self._shown.piece(text)

    def end(self) -> None:
        """End the line of the answer."""
        if self._shown is not None:
            self._shown.end()

    def restart(self) -> None:
        """See `Listener`."""
        if self._shown is not None:
            self._shown.restart()
            say("\n[another model starts over]")

    def call(self, report: CallReport) -> None:
        """See `Listener`."""
        if report.state in (CallState.DONE, CallState.DENIED, CallState.FAILED):
            told = ", ".join(f"{name}={_short(value)}" for name, value in report.arguments.items())
            why = "" if report.state is CallState.DONE else f": {report.result[:200]}"
            say(f"[{report.name}({told}) {report.state}{why}]")


def _chosen(question: str, choices: Sequence[str]) -> str:
    if not sys.stdin.isatty():
        return "no"
    return ask_choice(question, choices)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


def _inside(path: str, workspace: str) -> str:
    whole = Path(path)
    return whole.relative_to(workspace).as_posix() if whole.is_relative_to(workspace) else path


def _as_dict(reply: Reply) -> dict[str, Any]:
    return {
        "text": reply.text,
        "provider": reply.provider,
        "model": reply.model,
        "finish": reply.finish.value,
        "wrong": reply.wrong,
        "notes": reply.notes,
        "calls": [asdict(report) for report in reply.calls],
    }
