"""`nearfield complete FILE:LINE:COL`: one completion, without an editor."""

from __future__ import annotations

import asyncio
import contextlib
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nearfield.cli.named import WORKSPACE_MARKS, enclosing, named_text
from nearfield.cli.opening import begin_log, settings_of
from nearfield.cli.output import ExitCode, emit, fail, print_json, say
from nearfield.cli.serving import load_model, until_loaded
from nearfield.files.links import resolved
from nearfield.files.uris import uri_of
from nearfield.terminal import answers_on_terminal
from nearfield.types import Reason, Snapshot, Span

if TYPE_CHECKING:
    from nearfield.config.load import Loaded
    from nearfield.features.service import Service
    from nearfield.types import CompletionAnswer, Suggestion, Trace

INDEX_SECONDS = 5.0
"""How long to wait for the index before completing without it; the next run continues it. With
`--explain` the wait is longer.
"""
EXPLAIN_SECONDS = 600.0
UNANSWERED = (Reason.NOT_READY, Reason.NO_PROVIDER, Reason.ERROR)
"""Reasons with which no provider could answer."""
LINE_BREAK = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Place:
    """A cursor in a document."""

    snapshot: Snapshot
    offset: int
    marked: bool = False
    """Whether the folder is certainly a workspace: any other is not indexed for one question."""


def complete(
    target: Annotated[
        str, typer.Argument(metavar="FILE:LINE:COL", help="The cursor, counted from 1.")
    ],
    explain: Annotated[
        bool,
        typer.Option("--explain", help="Say what of other files the model was shown, and why."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    log_level: Annotated[str, typer.Option(help="error, warning, info or debug.")] = "error",
) -> None:
    """Complete the code at a cursor, as an editor would show it.

    On a terminal the suggestion is shown in its place; a pipe gets its text alone. Exit codes: 0
    there is a suggestion, 1 there is none, 2 wrong usage, 3 no model could answer.
    """
    begin_log(log_level)

    place = find_place(target)
    loaded = settings_of(Path(place.snapshot.root) if place.snapshot.root else None)
    answer, trace, reasons = asyncio.run(
        _ask(place, loaded, EXPLAIN_SECONDS if explain else INDEX_SECONDS)
    )
    if as_json:
        print_json(
            {
                "suggestions": [_row(place, suggestion) for suggestion in answer.suggestions],
                "reason": answer.reason,
                "trace": trace,
            }
            | ({"included": _explained(trace, reasons)} if explain else {})
        )
    else:
        _show(place, answer, trace)
        if explain:
            _say_why(_explained(trace, reasons))
    if not answer.suggestions:
        raise typer.Exit(ExitCode.NOTHING)


def find_place(target: str) -> Place:
    """The document and offset of `FILE:LINE:COL`; ends the command when there is no such place."""
    match = re.fullmatch(r"(.+):(\d+):(\d+)", target)
    if match is None:
        fail(f"{target!r} is not FILE:LINE:COL.", "For example: app.py:12:5")
    path = resolved(Path(match[1]))
    text = named_text(Path(match[1])).text
    offset = _offset(text, int(match[2]), int(match[3]))
    snapshot = _snapshot(path, text)
    marked = any(Path(snapshot.root or path, mark).exists() for mark in WORKSPACE_MARKS)
    return Place(snapshot, offset, marked)


def _offset(text: str, line: int, column: int) -> int:
    starts = [0, *(found.end() for found in LINE_BREAK.finditer(text))]
    if not 1 <= line <= len(starts):
        fail(f"There is no line {line}: the file has {len(starts)}.")
    start = starts[line - 1]
    found = LINE_BREAK.search(text, start)
    length = (found.start() if found else len(text)) - start
    if not 1 <= column <= length + 1:
        fail(f"There is no column {column}: line {line} ends at column {length + 1}.")
    return start + column - 1


def _snapshot(path: Path, text: str) -> Snapshot:
    from nearfield.syntax.languages import language_for

    language = language_for("", str(path))
    return Snapshot(
        uri=uri_of(path),
        language=language.name if language else "",
        version=1,
        text=text,
        path=str(path),
        root=str(enclosing(path.parent)),
    )


async def why(place: Place, loaded: Loaded) -> Trace:
    """Return the trace of a suggestion there, requested as if by typing, with the reason why it
    would not be shown. Raises `NotReady`.
    """
    from msgspec import structs

    from nearfield.cli.serving import serving
    from nearfield.types import CompletionRequest, Surface

    unrecorded = structs.replace(loaded.config.completion, record=False)
    loaded = replace(loaded, config=structs.replace(loaded.config, completion=unrecorded))
    async with serving(loaded) as service:
        service.opened(place.snapshot)
        ask = CompletionRequest(
            "1", Surface.COMMAND_LINE, place.snapshot, place.offset, client_waits=True
        )
        await service.complete(ask)
        return service.traces.last(1)[0]


async def _ask(
    place: Place, loaded: Loaded, index_seconds: float
) -> tuple[CompletionAnswer, dict[str, Any], dict[str, list[str]]]:
    """The answer, its account as `nearfield/trace` gives it, and why the snippets of which file
    were ready. Raises from the error tree."""
    from msgspec import structs

    from nearfield.errors import NoProvider
    from nearfield.features.reasons import words
    from nearfield.features.service import Service
    from nearfield.features.trace import flat
    from nearfield.types import CompletionRequest, Surface

    # The record is of what an editor showed.
    unrecorded = structs.replace(loaded.config.completion, record=False)
    service = Service(structs.replace(loaded.config, completion=unrecorded))
    try:
        if place.marked and place.snapshot.root:
            service.knowledge.wait_seconds = 0.0
            service.knowledge.folders([place.snapshot.root])
        await service.start()
        service.opened(place.snapshot)
        await _until_ready(service)
        if place.marked:
            await _until_indexed(service, place, index_seconds)
        ask = CompletionRequest(
            id="1",
            surface=Surface.COMMAND_LINE,
            snapshot=place.snapshot,
            offset=place.offset,
            invoked=True,
            client_waits=True,
        )
        answer = await service.complete(ask)
        if not answer.suggestions and answer.reason in UNANSWERED:
            told = words(service.traces.last(1)[0])
            raise NoProvider(service.status.detail or told.sentence, told.advice)
        traces = service.traces.last(1)
        reasons: dict[str, list[str]] = {}
        for piece in service.knowledge.pieces(place.snapshot.uri):
            reasons.setdefault(piece.path, []).append(piece.why)
        return answer, flat(traces[0]) if traces else {}, reasons
    finally:
        await service.aclose()


async def _until_ready(service: Service) -> None:
    """Wait until a model has loaded. Raises `NoProvider`, or `NotReady` when it takes too long."""
    from nearfield.errors import NoProvider
    from nearfield.features.status import ServiceState
    from nearfield.routing.request_context import Task

    await until_loaded(service)
    # A server that loads its model when it is asked would do so longer than an answer may take.
    for provider in service.router.candidates_for(Task.COMPLETE)[:1] if service.router else ():
        await load_model(provider)
    if service.status.state is ServiceState.UNAVAILABLE:
        raise NoProvider(service.status.detail, "Run `nearfield doctor` to see what to do.")


async def _until_indexed(service: Service, place: Place, seconds: float) -> None:
    """Wait until names and text are indexed, at most `seconds`, and prepare the context of the
    cursor. The rest of the index is left to the servers.
    """
    known = service.knowledge
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while known.state.is_coming:
                if not service.config.index.enabled:
                    return
                await asyncio.sleep(0.02)
    known.suspend()
    await known.prepare(place.snapshot, place.offset, seconds)


def _explained(trace: dict[str, Any], reasons: dict[str, list[str]]) -> list[dict[str, Any]]:
    """Return the snippets of other files in the prompt, with the reasons for each."""
    return [
        {**row, "why": ", ".join(dict.fromkeys(reasons.get(row["path"], ())))}
        for row in trace.get("included", ())
    ]


def _say_why(rows: list[dict[str, Any]]) -> None:
    if not rows:
        say("Nothing of other files was shown to the model.")
        return
    say("Shown to the model of other files:")
    for row in rows:
        say(f"  {row['path']}  {row['kind']}, about {row['tokens']} tokens: {row['why']}")


def _row(place: Place, suggestion: Suggestion) -> dict[str, Any]:
    return {
        "text": suggestion.text,
        "replace": _range(place.snapshot.text, suggestion.replace),
        "confidence": suggestion.confidence,
        "provider": suggestion.provider,
        "model": suggestion.model,
    }


def _range(text: str, span: Span) -> dict[str, int]:
    """A range on one line, counted from 1, its end exclusive."""
    breaks = list(LINE_BREAK.finditer(text, 0, span.start))
    start = breaks[-1].end() if breaks else 0
    line = len(breaks) + 1
    return {
        "line": line,
        "column": span.start - start + 1,
        "end_column": span.end - start + 1,
    }


def _show(place: Place, answer: CompletionAnswer, trace: dict[str, Any]) -> None:
    from nearfield.features.reasons import WORDS

    if not answer.suggestions:
        say(f"No suggestion ({answer.reason}). {WORDS[answer.reason].sentence}")
        return
    best = answer.suggestions[0]
    if not answers_on_terminal():
        emit(best.text)
        return
    from nearfield.cli.console import Console
    from nearfield.cli.ghost import ghost_text

    document = place.snapshot
    ghost = ghost_text(
        document.text, place.offset, best.text, best.replace, language=document.language
    )
    Console().print(ghost)
    say(account(trace))


def account(trace: dict[str, Any]) -> str:
    """Return one line on the cost of an answer."""
    no_reuse = " (this model cannot)" if trace["reuses_prefix"] is False else ""
    return (
        f"{trace['model']}: {trace['total_ms']:.0f} ms; tokens: {trace['evaluated_tokens'] or 0}"
        f" evaluated, {trace['reused_tokens'] or 0} reused{no_reuse},"
        f" {trace['generated_tokens'] or 0} generated"
    )
