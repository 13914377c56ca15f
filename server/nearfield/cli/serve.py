"""`nearfield serve`: the language server, for editors."""

from __future__ import annotations

from typing import Annotated

import typer

from nearfield.cli import logs
from nearfield.cli.output import fail

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def serve(
    stdio: Annotated[
        bool,
        typer.Option("--stdio", help="Speak over standard input and output (the default)."),
    ] = False,
    tcp: Annotated[
        str,
        typer.Option(metavar="HOST:PORT", help="Listen for one editor on this loopback address."),
    ] = "",
    log_level: Annotated[
        str, typer.Option(help="error, warning, info or debug; otherwise as configured.")
    ] = "",
) -> None:
    """Serve one editor with the Language Server Protocol, until it goes."""
    if stdio and tcp:
        fail("--stdio and --tcp exclude each other.")
    if log_level and log_level not in logs.LEVELS:
        fail(f"There is no log level {log_level!r}.", f"Choose one of {', '.join(logs.LEVELS)}.")
    address = _address(tcp) if tcp else None
    logs.setup(log_level or _configured_level())

    from nearfield.lsp import server

    raise typer.Exit(server.run_stdio() if address is None else server.run_tcp(*address))


def _address(tcp: str) -> tuple[str, int]:
    """The host and port of `HOST:PORT`; anything but loopback is refused, as whoever can connect
    can have files completed."""
    host, _, port = tcp.rpartition(":")
    host = host.strip("[]")
    if not port.isdecimal() or not 0 <= int(port) <= 65535:
        fail(f"{tcp!r} is not HOST:PORT.", "For example: --tcp 127.0.0.1:8764")
    if host not in LOOPBACK:
        fail(f"Nearfield listens on loopback only, not on {host!r}.", f"Use 127.0.0.1:{port}.")
    return host, int(port)


def _configured_level() -> str:
    from nearfield.config.load import load

    return load().config.log.level
