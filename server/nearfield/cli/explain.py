"""`nearfield explain FILE:LINE[:COL]`: an explanation of the code there."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nearfield.cli.complete import Place, find_place
from nearfield.cli.opening import begin_log, settings_of
from nearfield.cli.output import ExitCode, emit, print_json, say
from nearfield.cli.serving import serving
from nearfield.terminal import answers_on_terminal
from nearfield.types import Span

if TYPE_CHECKING:
    from nearfield.config.load import Loaded
    from nearfield.features.hover.explainer import Explained
    from nearfield.features.hover.facts import Facts


def explain(
    target: Annotated[
        str,
        typer.Argument(
            metavar="FILE:LINE[:COL]",
            help="The place, counted from 1; without a column the first name of the line.",
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    log_level: Annotated[str, typer.Option(help="error, warning, info or debug.")] = "error",
) -> None:
    """Explain the name, expression, regular expression or setting at a place.

    On a terminal the answer appears as it is written; a pipe gets it whole, as Markdown. Exit
    codes: 0 explained, 1 nothing to say, 2 wrong usage, 3 no model could answer.
    """
    begin_log(log_level)

    place = place_of(target)
    loaded = settings_of(Path(place.snapshot.root) if place.snapshot.root else None)
    streams = answers_on_terminal() and not as_json
    explained = asyncio.run(_explain(place, loaded, streams))
    told = explained.explanation
    if as_json:
        print_json(
            {
                "markdown": explained.markdown,
                "text": told.text,
                "subject": {"kind": explained.subject.kind.value, "text": explained.subject.text},
                "facts": _facts(explained.facts),
                "provider": told.provider,
                "model": told.model,
                "wrong": told.wrong,
            }
        )
    elif not streams:
        emit(explained.markdown)
    if told.wrong:
        say(f"note: the model's answer was of no use ({told.wrong}).")
    if not told.text:
        raise typer.Exit(ExitCode.NOTHING)


def place_of(target: str) -> Place:
    """Return the place of FILE:LINE[:COL]; ends the command when there is no such place."""
    if re.fullmatch(r".+:\d+:\d+", target) or not re.fullmatch(r".+:\d+", target):
        return find_place(target)
    return _at_first_name(find_place(f"{target}:1"))


def _at_first_name(place: Place) -> Place:
    """Return the place of the first name in its line, else that of the first thing there."""
    from nearfield.files.lines import line_end
    from nearfield.syntax.languages import language_for
    from nearfield.syntax.parser import parse

    text = place.snapshot.text
    language = language_for(place.snapshot.language, place.snapshot.path)
    parsed = parse(language, text) if language else None
    words = [*re.finditer(r"\w+|\S", text[place.offset : line_end(text, place.offset)])]
    for word in words:
        nodes = parsed.path_to(place.offset + word.start()) if parsed else []
        if nodes and nodes[-1].type.endswith("identifier"):
            return replace(place, offset=place.offset + word.start())
    return replace(place, offset=place.offset + words[0].start()) if words else place


async def _explain(place: Place, loaded: Loaded, streams: bool) -> Explained:
    """Return the explanation, printed as it comes if `streams`. Raises from the error tree."""

    def on_text(text: str) -> None:
        if streams:
            emit(text, end="")

    def on_restart() -> None:
        if streams:
            say("\n[another model starts over]")

    async with serving(loaded) as service:
        service.opened(place.snapshot)
        span = Span(place.offset, place.offset)
        explained = await service.explainer.explain(place.snapshot, span, on_text, on_restart)
    if streams:
        facts = explained.facts
        emit()
        if facts is not None:
            emit(f"\n{facts.kind} {facts.name}, defined in {facts.path}:{facts.row + 1}")
        say(explained.explanation.by)
    return explained


def _facts(facts: Facts | None) -> dict[str, object] | None:
    if facts is None:
        return None
    return {
        "name": facts.name,
        "kind": facts.kind,
        "signature": facts.signature,
        "path": facts.path,
        "line": facts.row + 1,
        "doc": facts.doc,
        "uses": facts.uses,
        "files": facts.files,
    }
