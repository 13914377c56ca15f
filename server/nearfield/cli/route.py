"""`nearfield route explain`: which providers a request would be put to, and why."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nearfield.cli.ask import context_of, question_text, say_excerpt
from nearfield.cli.opening import settings_of
from nearfield.cli.output import ExitCode, emit, print_json
from nearfield.files.links import resolved

if TYPE_CHECKING:
    from nearfield.routing.explain import RouteExplanation

app = typer.Typer(no_args_is_help=True, help="Explain which model answers.")


@app.callback()
def _group() -> None:
    """Keep `explain` a command of its own; alone it would be the group's."""


@app.command("explain")
def explain(
    question: Annotated[
        str, typer.Argument(help="What would be asked; - reads standard input.")
    ] = "",
    file: Annotated[
        list[Path] | None, typer.Option(help="A file that it is about; may be repeated.")
    ] = None,
    task: Annotated[
        str, typer.Option(help="complete, chat, explain, code, review …: the kind of task.")
    ] = "chat",
    role: Annotated[str, typer.Option(help="The role to ask, instead of the task's.")] = "",
    workspace: Annotated[Path, typer.Option(help="The workspace folder it is about.")] = Path(),
    max_tokens: Annotated[int, typer.Option(min=1, help="The longest answer.")] = 1024,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say which rule, role and providers a request would get now. Nothing is sent.

    Exit code 3 when no provider would be asked.
    """
    from nearfield.features.question import explained

    config = settings_of(resolved(workspace)).config
    context = context_of(task, workspace, file or [], "")
    said = "" if task in ("complete", "edit") else question_text(question)
    found = asyncio.run(explained(config, said, context, role, max_tokens, say_excerpt))
    if as_json:
        print_json(asdict(found))
    else:
        _print(found)
    if not any(turn.use == "is asked" for turn in found.turns):
        raise typer.Exit(ExitCode.NO_PROVIDER)


def _print(found: RouteExplanation) -> None:
    from nearfield.routing.money import dollars

    decided = f'your rule "{found.rule}"' if found.rule else "no rule of yours"
    emit(f"decided by: {decided}")
    emit(f"role: {found.role}")
    emit(f"complex: {'yes' if found.is_complex else 'no'}, {found.why}")
    for number, turn in enumerate(found.turns, 1):
        where = "this machine" if turn.is_local else "outside"
        emit(f"{number}. {turn.provider} ({turn.model or 'no model'}, {where}) {turn.use}")
        if not turn.is_local:
            secrets = f", {turn.redactions} secrets replaced" * bool(turn.redactions)
            emit(f"   {turn.bytes} bytes{secrets}, at most {dollars(turn.price)}")
    for name, why in found.left_out:
        emit(f"not {name}: {why}")
    if not found.turns:
        emit("No provider would be asked.")
