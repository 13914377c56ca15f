"""Runs the panel in a process of its own until that is told to end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from nearfield.features.token import token
from nearfield.http.access import OneUser
from nearfield.http.app import App
from nearfield.http.server import listening, serve
from nearfield.panel.panel import Panel


def run(port: int, announce: Callable[[str, str], None]) -> int:
    """Serve on loopback (port 0 takes a free one) until a signal; answers the exit code.

    `announce` is called once it listens, with the address that has the token and with one that is
    good once, for a browser. Raises `ConfigError` when the port or the token cannot be used.
    """
    shown = token()
    with listening("127.0.0.1", port) as (socket, address):

        async def begin() -> None:
            panel = Panel(shown)
            panel.begin()
            announce(
                f"{address}/panel/#token={shown.value}", f"{address}/panel/#code={panel.code()}"
            )
            try:
                await serve(socket, App(panel.paths(), OneUser(shown)))
            finally:
                await panel.aclose()

        asyncio.run(begin())
    return 0
