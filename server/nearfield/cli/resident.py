"""`nearfield models load` and `unload`: the models in the memory of a running HTTP server.

An editor's server has no address to be asked at: in editors the commands of the same names do it.
"""

from __future__ import annotations

import asyncio
import os
from typing import Annotated, Any

import typer

from nearfield.catalog.partial_file import megabytes
from nearfield.cli.output import emit, fail, print_json, reported, say

LOAD_SECONDS = 610.0
"""Longer than the server waits for a model, so that its reason is heard."""
STOPPED = "Stopped waiting. The server goes on."

Server = Annotated[
    str,
    typer.Option(metavar="HOST:PORT", help="Where `nearfield serve --http` listens, if not there."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON value.")]


def load(
    role: Annotated[
        str, typer.Argument(help="chat, complete, edit or another role; the completing one if none")
    ] = "complete",
    server: Server = "",
    as_json: AsJson = False,
) -> None:
    """Load the model of a role into the memory of a running `nearfield serve --http` now."""
    _ask("load", role, server, as_json)


def unload(
    role: Annotated[str, typer.Argument(help="A role; every model if none.")] = "",
    server: Server = "",
    as_json: AsJson = False,
) -> None:
    """Give the memory of a running `nearfield serve --http` back. A model that answers stays."""
    _ask("unload", role, server, as_json)


def _ask(what: str, role: str, server: str, as_json: bool) -> None:
    from nearfield.routing.roles import check_role

    if role != "chat":
        check_role(role)
    address = server or asyncio.run(_newest_server())
    if not address:
        fail(
            "No server is known that could be asked.",
            "Start one by `nearfield serve --http 127.0.0.1:8764`. In an editor use its commands.",
        )
    with reported(as_json, STOPPED):
        found = asyncio.run(_asked(address, f"/nearfield/models/{what}", role))
    if as_json:
        print_json(found)
        return
    for one in found["models"]:
        state = f"in memory, {megabytes(one['bytes'])}" if one["loaded"] else "not in memory"
        emit(f"{one['model']} ({one['role']}): {state}. {one['why']}".strip())
    is_left = not found["providers"] and any(one["loaded"] for one in found["models"])
    if what == "unload" and is_left:
        say("note: a model that answers or is being loaded stays. Run it again afterwards.")


async def _newest_server() -> str:
    """Return the address of this user's HTTP server that was started last; "" for none."""
    from nearfield.features.running.client import running

    return next((one.address for one in reversed(await running(["http"]))), "")


async def _asked(address: str, path: str, role: str) -> Any:
    from nearfield.features.token import token
    from nearfield.providers.http import Http
    from nearfield.providers.options import Key, ServerOptions

    base = address if "://" in address else f"http://{address}"
    key = Key("nearfield", os.environ, value=token().value)
    http = Http("nearfield", base.rstrip("/"), ServerOptions(), key, environ=os.environ)
    try:
        return await http.ask("POST", path, {"role": role}, timeout_s=LOAD_SECONDS)
    finally:
        await http.aclose()
