"""`nearfield search "…"`: find code in a workspace by its name, its words or its meaning."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nearfield.cli.index import workspace_of
from nearfield.cli.named import enclosing
from nearfield.cli.output import ExitCode, emit, fail, print_json

if TYPE_CHECKING:
    from nearfield.index.search import Hit

SHOWN_LINES = 8


def search(
    query: Annotated[str, typer.Argument(help="A name, a question in words, or a piece of code.")],
    folder: Annotated[
        Path | None, typer.Option("--workspace", help="The workspace; the one around if none.")
    ] = None,
    count: Annotated[int, typer.Option("-n", min=1, max=100, help="How many results.")] = 10,
    kind: Annotated[str, typer.Option(help="symbol, words or code; found out if not given.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Search the index of a workspace, which is brought up to date first unless it is a team's.

    Exit codes: 0 something was found, 1 nothing was, 2 wrong usage.
    """
    from nearfield.index.facts import up_to_date
    from nearfield.index.search import QueryKind

    if not query.strip():
        fail("The query is empty.", "Give a name, a question or a piece of code.")
    if kind and kind not in {one.value for one in QueryKind}:
        fail(f"There is no kind {kind!r}.", "Choose symbol, words or code.")
    if folder is not None and not folder.is_dir():
        fail(f"{folder} is no folder.", "Name the folder of a workspace.")
    workspace = workspace_of(folder or enclosing(Path.cwd()))
    hits = up_to_date(workspace, query, QueryKind(kind) if kind else None, count)
    if as_json:
        print_json([hit.row() for hit in hits])
    else:
        _print(hits)
    if not hits:
        raise typer.Exit(ExitCode.NOTHING)


def _print(hits: list[Hit]) -> None:
    from rich.text import Text

    from nearfield.cli.console import Console

    console = Console(soft_wrap=True)
    for hit in hits:
        title = f"{hit.path}:{hit.first + 1}-{hit.last}  {hit.symbol}".rstrip()
        console.print(Text(title, style="bold"))
        lines = [line for line in hit.text.split("\n") if line.strip()]
        for line in lines[:SHOWN_LINES]:
            emit(f"    {line.rstrip()}")
        if len(lines) > SHOWN_LINES:
            emit("    …")
