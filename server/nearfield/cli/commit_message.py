"""`nearfield commit-message`: a message for what is staged, on standard output."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nearfield.cli.opening import begin_log, settings_of
from nearfield.cli.output import emit, fail, print_json, say
from nearfield.files.links import resolved

if TYPE_CHECKING:
    from nearfield.config.load import Loaded
    from nearfield.features.commit_message import CommitMessages, Style

STYLES: dict[str, Style] = {"auto": "auto", "conventional": "conventional", "plain": "plain"}


def commit_message(
    workspace: Annotated[Path, typer.Option(help="A folder of the repository.")] = Path(),
    count: Annotated[int, typer.Option(min=1, max=5, help="How many to choose from.")] = 1,
    style: Annotated[
        str, typer.Option(help="auto: as the last commits; conventional; plain.")
    ] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    log_level: Annotated[str, typer.Option(help="error, warning, info or debug.")] = "error",
) -> None:
    """Suggest a commit message for what is staged; nothing is committed.

    Exit codes: 0 there is one, 2 wrong usage, 3 nothing is staged, or no model could answer.
    """
    begin_log(log_level)
    if style not in STYLES:
        fail(f"There is no style {style!r}.", f"It may be: {', '.join(STYLES)}.")
    folder = resolved(workspace)
    loaded = settings_of(folder)
    found = asyncio.run(_asked(loaded, folder, count, STYLES[style]))
    if as_json:
        print_json(found)
        return
    for number, message in enumerate(found.messages):
        emit(message if number == 0 else f"---\n{message}")
    for note in found.notes:
        say(f"note: {note}")


async def _asked(loaded: Loaded, folder: Path, count: int, style: Style) -> CommitMessages:
    from nearfield.cli.ask import put_offer
    from nearfield.cli.serving import serving
    from nearfield.features.commit_message import commit_messages
    from nearfield.files.git_diff import staged_files

    # Without a change no model is loaded.
    await staged_files(folder)
    ask = put_offer if sys.stdin.isatty() else None
    async with serving(loaded) as service:
        return await commit_messages(service, folder, count=count, style=style, ask=ask)
