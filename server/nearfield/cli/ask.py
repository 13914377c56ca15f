"""`nearfield ask "…"`: one question to the model that suits it, answered as it is written."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nearfield.cli.coloured import ColouredAnswer
from nearfield.cli.named import named_text
from nearfield.cli.opening import begin_log, settings_of
from nearfield.cli.output import ExitCode, ask_choice, emit, fail, print_json, say
from nearfield.cli.serving import load_model, work_shown
from nearfield.coerce import NotJson, loads
from nearfield.errors import NoProvider
from nearfield.features.routed import routed
from nearfield.files.links import resolved
from nearfield.terminal import answers_on_terminal, say_piece

if TYPE_CHECKING:
    from nearfield.config.load import Loaded
    from nearfield.providers.base import Provider
    from nearfield.routing.consent import Consent
    from nearfield.routing.request_context import Offer, RequestContext
    from nearfield.routing.router import Router
    from nearfield.types import ChatRequest, Usage


@dataclass(slots=True)
class Answer:
    """The answer to a question."""

    text: str = ""
    provider: str = ""
    model: str = ""
    wrong: str = ""
    kept: bool = False
    role: str = ""
    why: str = ""
    usage: Usage | None = None
    notes: list[str] = field(default_factory=list[str])
    offers: Sequence[Offer] = ()


def ask(
    question: Annotated[str, typer.Argument(help="What to ask; - reads standard input.")],
    file: Annotated[
        list[Path] | None, typer.Option(help="A file to show with it; may be repeated.")
    ] = None,
    task: Annotated[
        str, typer.Option(help="chat, explain, code, review …: which kind of task it is.")
    ] = "chat",
    role: Annotated[str, typer.Option(help="The role to ask, instead of the task's.")] = "",
    once: Annotated[
        str, typer.Option(help="Let this provider outside the machine answer, this time.")
    ] = "",
    schema: Annotated[
        Path | None, typer.Option(help="A JSON schema that the answer must meet.")
    ] = None,
    tools: Annotated[
        bool, typer.Option("--tools", help="Let the model use functions on the workspace.")
    ] = False,
    workspace: Annotated[Path, typer.Option(help="The workspace folder it is about.")] = Path(),
    max_tokens: Annotated[int, typer.Option(min=1, help="The longest answer.")] = 1024,
    thinking: Annotated[
        bool, typer.Option("--thinking", help="Show what a reasoning model thinks.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    log_level: Annotated[str, typer.Option(help="error, warning, info or debug.")] = "error",
) -> None:
    """Ask a model. On a terminal the answer appears as it is written; a pipe gets it whole.

    Exit codes: 0 answered, 1 an empty answer, 2 wrong usage, 3 no model could answer.
    """
    from nearfield.routing.roles import check_role

    begin_log(log_level)
    check_role(role)
    loaded = settings_of(resolved(workspace))
    context = context_of(task, workspace, file or [], once)
    if tools:
        if schema is not None:
            fail("--tools and --schema do not go together.", "Leave one of them out.")
        _converse(loaded, question_text(question), context, role, max_tokens, as_json, thinking)
        return
    said, form = question_text(question), _schema(schema)
    streams = answers_on_terminal() and not as_json
    answer = asyncio.run(_ask(loaded, said, form, context, role, max_tokens, streams, thinking))
    if as_json:
        print_json(asdict(answer))
    else:
        if form is not None or not streams:
            emit(answer.text)
        _notes(answer)
    if not answer.text.strip():
        raise typer.Exit(ExitCode.NOTHING)


def context_of(task: str, workspace: Path, files: list[Path], once: str) -> RequestContext:
    """Return the context of a question about `files`. Ends the command for an unknown task."""
    from nearfield.routing.request_context import RequestContext, Source, Task

    if task not in [one.value for one in Task]:
        fail(f"There is no task {task!r}.", f"It may be: {', '.join(Task)}.")
    # Not resolved: whether a link leads out of the workspace decides whether it may leave.
    sources = [Source(str(path.absolute()), text=named_text(path).text) for path in files]
    accepted = (once,) if once else ()
    questions = put_offer if sys.stdin.isatty() else None
    return RequestContext(
        Task(task), str(resolved(workspace)), tuple(sources), (), accepted, questions
    )


def say_excerpt(name: str, note: str) -> None:
    """Say which part of a file is shown."""
    say(f"note: {name}: {note}.")


def question_text(question: str) -> str:
    """Return the question, from standard input for "-". Ends the command when it is empty."""
    try:
        said = sys.stdin.read().removeprefix("\ufeff") if question == "-" else question
    except UnicodeDecodeError as error:
        fail(f"Standard input is not UTF-8 text (byte {error.start}).")
    said = said.encode("utf-8", "replace").decode()  # an argument's bytes may be no text
    if not said.strip():
        fail("There is no question.")
    return said


def _converse(
    loaded: Loaded,
    question: str,
    context: RequestContext,
    role: str,
    max_tokens: int,
    as_json: bool,
    thinks: bool,
) -> None:
    from nearfield.cli.converse import converse

    streams = answers_on_terminal() and not as_json
    found = asyncio.run(
        converse(loaded, question, context, role, max_tokens, streams=streams, thinks=thinks)
    )
    if as_json:
        print_json(found)
    else:
        if not streams:
            emit(found["text"])
        say_notes(found["wrong"], found["notes"])
    if found["finish"] == "empty" or not found["text"].strip():
        raise typer.Exit(ExitCode.NOTHING)


def _schema(path: Path | None) -> dict[str, Any] | None:
    if path is None:
        return None
    try:
        value: Any = loads(named_text(path).text.encode())
    except NotJson:
        fail(f"{path} is not JSON, or it is nested too deeply.")
    if not isinstance(value, dict):
        fail(f"{path} is no JSON schema.", "A schema is an object.")
    return value


async def _ask(
    loaded: Loaded,
    said: str,
    schema: dict[str, Any] | None,
    context: RequestContext,
    role: str,
    max_tokens: int,
    streams: bool,
    thinks: bool,
) -> Answer:
    from nearfield.features import assemble
    from nearfield.features.question import question_of
    from nearfield.features.room import room
    from nearfield.routing.roles import usual_role

    async with routed(loaded.config) as (router, built):
        assemble.begin(built)
        asked = role or usual_role(loaded.config, context.task)
        size = room(router, loaded.config, asked, context.workspace, max_tokens)
        request, context = question_of(said, context, size, max_tokens, schema, say_excerpt)
        with work_shown():
            if request.schema is not None:
                return await _structured(router, request, context, role)
            request = replace(request, thinking=loaded.config.chat.thinking_tokens)
            return await _listen(router, request, context, role, streams, thinks)


async def _structured(
    router: Router, request: ChatRequest, context: RequestContext, role: str
) -> Answer:
    from nearfield.features.chat.structured import structured
    from nearfield.json_schema import SchemaUnusable

    choice = router.choose(request, context)
    await _loaded(router.candidates(role or choice.role))
    try:
        found = await structured(
            router,
            request.messages,
            request.schema or {},
            context,
            role=role,
            max_tokens=request.max_tokens,
        )
    except SchemaUnusable as error:
        fail(error.message, error.hint)
    answer = Answer(found.text, found.provider, found.model, role=role or choice.role)
    answer.why = choice.why
    return answer


async def _listen(
    router: Router,
    request: ChatRequest,
    context: RequestContext,
    role: str,
    streams: bool,
    thinks: bool,
) -> Answer:
    from nearfield.routing.router import Restart
    from nearfield.types import Finish

    choice = router.choose(request, context)
    answer = Answer(role=role or choice.role, why=choice.why)
    shown = ColouredAnswer() if streams else None
    await _loaded(router.candidates(answer.role))
    async with router.chat(request, role, context) as route:
        try:
            async for item in route:
                if isinstance(item, Restart):
                    answer.text = ""
                    answer.notes.clear()
                    if shown is not None:
                        shown.restart()
                        say(f"\n[{item.provider} starts over: {item.reason}]")
                    continue
                if thinks and item.thinking:
                    say_piece(item.thinking)
                answer.text += item.text
                answer.usage = item.usage or answer.usage
                if item.finish is Finish.LENGTH:
                    cut = f"The answer was cut off at its limit of {request.max_tokens} tokens."
                    answer.notes.append(cut)
                if shown is not None:
                    shown.piece(item.text)
        except NoProvider:
            _notes(Answer(offers=route.offers))
            raise
    if shown is not None:
        shown.end()
    if route.provider is not None:
        answer.provider, answer.model = route.provider.name, route.provider.model
    answer.wrong, answer.kept, answer.offers = route.wrong, route.kept, route.offers
    return answer


async def _loaded(candidates: tuple[Provider, ...]) -> None:
    if candidates:
        await load_model(candidates[0])


async def put_offer(offer: Offer) -> Consent | None:
    """Ask on the terminal whether a provider outside this machine may be sent a request."""
    return await asyncio.to_thread(_put, offer)


def _put(offer: Offer) -> Consent | None:
    from nearfield.features.offers import words
    from nearfield.routing.consent import ANSWERS, Consent

    say(f"\n{words(offer)}")
    said = ask_choice("Send it?", ("once", "workspace", "never", "no"))
    return Consent(said) if said in ANSWERS else None


def say_notes(wrong: str, notes: list[str]) -> None:
    """Say what the user should know of an answer."""
    if wrong:
        say(f"note: this answer may be of no use ({wrong}).")
    for note in notes:
        say(f"note: {note}")


def _notes(answer: Answer) -> None:
    from nearfield.features.offers import words

    say_notes(answer.wrong, answer.notes)
    for offer in answer.offers:
        say(f"{words(offer)}\n  Add `--once {offer.provider}` to send it.")
