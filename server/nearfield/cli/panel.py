"""`nearfield panel`: the control panel in the browser."""

from __future__ import annotations

import json
import os
import webbrowser
from typing import Annotated

import typer

from nearfield.cli import logs
from nearfield.cli.output import emit, say
from nearfield.errors import ExtraMissing


def panel(
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.")] = 0,
    no_open: Annotated[
        bool, typer.Option("--no-open", help="Print the address, and open no browser.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the address as JSON.")] = False,
) -> None:
    """Show everything in the browser: what runs, models, routing, what left the machine, chats.

    It is served on this machine alone, to those who have the address, until Ctrl-C.
    """
    try:
        from nearfield.panel import server
    except ModuleNotFoundError as error:
        raise ExtraMissing("`panel`", "http") from error

    logs.setup("warning")

    def announce(address: str, once: str) -> None:
        if as_json:
            emit(json.dumps({"address": address, "pid": os.getpid()}) + "\n", end="")
        else:
            emit(f"{address}\n", end="")  # at once, as programs wait for it
        if not (no_open or webbrowser.open(once)):
            say("No browser could be opened: open that address yourself.")

    raise typer.Exit(server.run(port, announce))
