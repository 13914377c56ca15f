"""`nearfield chat`: a conversation in the terminal, one message a line.

The terminal is the host, as for `ask --tools`: changes are shown as a diff and asked for. A pipe is
read to its end, each line a message.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nearfield.cli.opening import begin_log, settings_of
from nearfield.cli.output import ExitCode, emit, fail, read_line, report, say
from nearfield.errors import NearfieldError
from nearfield.files.links import resolved

if TYPE_CHECKING:
    from nearfield.config.load import Loaded
    from nearfield.features.chat.chat import ChatService
    from nearfield.features.chat.protocol import ChatWishes
    from nearfield.features.service import Service
    from nearfield.routing.request_context import Offer

HELP = """\
/new      begin a new chat; `nearfield chats list` has this one, where chats are kept
/history  show what was said
/code     answers are code alone from now on; once more: in words again
/good     say that the last answer was good, /bad that it was not: `nearfield stats` counts them
/quit     end, as Ctrl-D does; Ctrl-C ends an answer
@file:PATH, @file:PATH:10-20, @symbol:NAME, @diff and @workspace show the model what they name."""
BEGINNING = "A message a line; /help shows the rest, Ctrl-D ends."


def chat(
    workspace: Annotated[Path, typer.Option(help="The workspace folder it is about.")] = Path(),
    role: Annotated[str, typer.Option(help="The role to ask, instead of that for chats.")] = "",
    tools: Annotated[
        bool,
        typer.Option("--tools/--no-tools", help="Whether the model may use functions."),
    ] = True,
    max_tokens: Annotated[int, typer.Option(min=1, help="The longest answer.")] = 1024,
    resume: Annotated[
        str,
        typer.Option(metavar="ID", help="Continue a kept chat; `last` is the last one here."),
    ] = "",
    instructions: Annotated[
        str, typer.Option(metavar="TEXT", help="What the model should keep to in this chat.")
    ] = "",
    temperature: Annotated[
        float | None, typer.Option(min=0, max=2, help="The model's temperature in this chat.")
    ] = None,
    context: Annotated[
        int, typer.Option(metavar="TOKENS", help="The most that this chat may take of its context.")
    ] = 0,
    log_level: Annotated[str, typer.Option(help="error, warning, info or debug.")] = "error",
) -> None:
    """Talk with a model about a workspace: it knows what was said before.

    Exit codes: 0 the last message was answered, 2 wrong usage, 3 no model could answer it.
    """
    from nearfield.features.chat.protocol import ChatWishes, ToolRefused
    from nearfield.routing.roles import check_role

    begin_log(log_level)
    check_role(role)
    try:
        wishes = ChatWishes(instructions, temperature, context).check()
    except ToolRefused as error:
        fail(error.message)
    folder = str(resolved(workspace))
    loaded = settings_of(resolved(workspace))
    talk = Talk(folder, role, max_tokens, tools, wishes)
    if resume:
        talk.resume(resume)
    if not asyncio.run(talk.run(loaded)):
        raise typer.Exit(ExitCode.NO_PROVIDER)


@dataclass(slots=True)
class Talk:
    """A conversation. `said` holds its turns, as (speaker, text)."""

    workspace: str
    role: str
    max_tokens: int
    tools: bool
    wishes: ChatWishes
    code_only: bool = False
    session: str = ""
    said: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    _answering: asyncio.Task[bool] | None = None

    def resume(self, beginning: str) -> None:
        """Continue the kept chat whose id begins so. Raises `NearfieldError` for none, and for one
        of another folder."""
        from nearfield.features.chat.kept_chats import KeptChats, real

        kept = KeptChats()
        here = kept.heads(self.workspace)
        chat = kept.find(here[0].id if beginning == "last" and here else beginning)
        if chat.workspace != real(self.workspace):
            raise NearfieldError(
                f"This chat is about {chat.workspace}.",
                "Name that folder with --workspace.",
            )
        self.session = chat.id
        for one in chat.exchanges:
            self.said += [("you", one.question), (one.model, one.answer)]
        say(f"{chat.title} ({len(chat.exchanges)} messages; /history shows them)")

    async def run(self, loaded: Loaded) -> bool:
        """Answer until the user ends it; whether the last message was answered."""
        from nearfield.cli.ask import put_offer
        from nearfield.cli.converse import Terminal
        from nearfield.cli.ending import on_end
        from nearfield.cli.serving import serving, until_indexed
        from nearfield.features.chat.chat import ChatService
        from nearfield.features.chat.kept_chats import KeptChats

        answered = True
        with suppress(NotImplementedError):  # on Windows Ctrl-C ends the command
            asyncio.get_running_loop().add_signal_handler(signal.SIGINT, self._interrupt)
        on_end(lambda: self._answering)
        async with serving(loaded) as service:
            service.knowledge.folders((self.workspace,))
            if self.tools and loaded.config.index.enabled:
                await until_indexed(service.knowledge)
            host = Terminal(self.workspace, loaded.config.files.exclude)
            put = put_offer if sys.stdin.isatty() else None
            chats = ChatService(
                service,
                host,
                knowledge=lambda: service.knowledge,
                ask_user=put,
                kept=KeptChats(),
            )
            service.offers.subscribe(_tell)
            if sys.stdin.isatty():
                say(BEGINNING)
                await service.loader.prepare(self.role, self.workspace)
            while (message := await asyncio.to_thread(read_line, ">")) is not None:
                if message.startswith("/"):
                    if message in ("/good", "/bad"):
                        await _rate(service, good=message == "/good")
                    elif not self._obeyed(message, chats):
                        break
                elif message:
                    self._answering = asyncio.create_task(self._answer(chats, message))
                    with suppress(asyncio.CancelledError):
                        answered = await self._answering
                    self._answering = None
            await chats.aclose()
        return answered

    async def _answer(self, chats: ChatService, message: str) -> bool:
        from nearfield.cli.ask import say_notes
        from nearfield.cli.converse import Screen
        from nearfield.features.chat.protocol import Ask

        ask = Ask(
            message=message,
            session=self.session,
            workspace=self.workspace,
            role=self.role,
            max_tokens=self.max_tokens,
            functions=None if self.tools else (),
            wishes=self.wishes,
            code_only=self.code_only,
        )
        self.said.append(("you", message))
        screen = Screen(streams=True)
        try:
            reply = await chats.say(ask, screen)
        except NearfieldError as error:
            report(error)
            return False
        screen.end()
        self.session = reply.session
        self.said.append((reply.model, reply.text))
        say_notes(reply.wrong, reply.notes)
        return True

    def _interrupt(self) -> None:
        if self._answering is None:
            say("\n/quit or Ctrl-D ends.")
        else:
            self._answering.cancel()
            say("\n[stopped]")

    def _obeyed(self, command: str, chats: ChatService) -> bool:
        """Do what a line with a slash says; False when the conversation ends."""
        if command in ("/quit", "/exit"):
            return False
        if command == "/new":
            chats.close(self.session)
            self.session, self.said = "", []
            say("The conversation begins again.")
        elif command == "/code":
            self.code_only = not self.code_only
            say(f"Answers are {'code alone' if self.code_only else 'in words again'}.")
        elif command == "/history":
            for speaker, text in self.said:
                emit(f"{speaker}: {text}\n")
        else:
            say(HELP)
        return True


async def _rate(service: Service, *, good: bool) -> None:
    from nearfield.features.ratings import rate_last
    from nearfield.features.trace import KEPT

    traces = service.traces.last(KEPT)
    try:
        rated = await asyncio.to_thread(rate_last, traces, service.config, good=good)
    except NearfieldError as error:
        report(error)
    else:
        say(f"Noted for {rated.model}.")


def _tell(offer: Offer) -> None:
    from nearfield.features.offers import words

    say(f"{words(offer)}\n  `nearfield consent allow {offer.provider}` lets it answer here.")
