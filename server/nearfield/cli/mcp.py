"""`nearfield mcp`: the workspace's index for agents, by the Model Context Protocol."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nearfield.cli import logs
from nearfield.cli.named import enclosing
from nearfield.cli.output import fail
from nearfield.errors import ExtraMissing
from nearfield.files.links import resolved


def mcp(
    workspace: Annotated[
        Path | None, typer.Option(help="The workspace; the one around this folder if none.")
    ] = None,
) -> None:
    """Serve one agent with the Model Context Protocol over standard input and output: search,
    definitions, uses and files of a workspace, to be read only."""
    from nearfield.config.load import load

    if workspace is not None and not workspace.is_dir():
        fail(f"{workspace} is no folder.", "Name the folder of a workspace.")
    root = resolved(workspace or enclosing(Path.cwd()))
    logs.setup(load(root).config.log.level)
    try:
        from nearfield.mcp import server
    except ModuleNotFoundError as error:
        raise ExtraMissing("`nearfield mcp`", "mcp") from error
    from nearfield.mcp.workspace import ExposedWorkspace

    server.run(ExposedWorkspace.of(root))
