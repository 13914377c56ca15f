"""`nearfield serve`: the language server, for editors, and the HTTP APIs for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nearfield.cli import logs
from nearfield.cli.opening import check_level
from nearfield.cli.output import fail
from nearfield.errors import ExtraMissing
from nearfield.files.links import resolved
from nearfield.network.hosts import LOOPBACK


def serve(
    stdio: Annotated[
        bool,
        typer.Option("--stdio", help="Speak over standard input and output (the default)."),
    ] = False,
    tcp: Annotated[
        str,
        typer.Option(metavar="HOST:PORT", help="Listen for one editor on this loopback address."),
    ] = "",
    http: Annotated[
        str,
        typer.Option(
            metavar="HOST:PORT",
            help="Offer the HTTP APIs of model servers (OpenAI's, llama.cpp's, Anthropic's) on this"
            " loopback address instead, to any tool with the token.",
        ),
    ] = "",
    workspace: Annotated[
        Path | None,
        typer.Option(help="With --http: the folder whose settings and consent count."),
    ] = None,
    ollama: Annotated[
        bool,
        typer.Option(
            "--ollama",
            help="With --http: offer Ollama's API too, to every program of this machine without a"
            " token. What it asks never leaves the machine.",
        ),
    ] = False,
    team: Annotated[
        Path | None,
        typer.Option(
            help="With --http, on any address: serve the people of a team by the roles of this"
            " file; `nearfield team` makes their tokens.",
        ),
    ] = None,
    log_level: Annotated[
        str, typer.Option(help="error, warning, info or debug; otherwise as configured.")
    ] = "",
) -> None:
    """Serve one editor with the Language Server Protocol, until it disconnects, or
    tools by HTTP.
    """
    if sum(map(bool, (stdio, tcp, http))) > 1:
        fail("--stdio, --tcp and --http exclude each other.")
    if workspace is not None and not http:
        fail("--workspace goes with --http.", "Editors say which folders they have open.")
    if ollama and not http:
        fail("--ollama goes with --http.", "For example: --http 127.0.0.1:11434 --ollama")
    if team is not None and (not http or workspace is not None):
        fail("--team goes with --http and without --workspace.", "docs/team.md has an example.")
    if log_level:
        check_level(log_level)
    option, is_shared = "--tcp" if tcp else "--http", team is not None
    address = _address(tcp or http, option, is_shared=is_shared) if tcp or http else None
    logs.setup(log_level or _configured_level())

    if http and address is not None:
        try:
            from nearfield.http import server as http_server
            from nearfield.panel.panel import Panel
        except ModuleNotFoundError as error:
            raise ExtraMissing("`serve --http`", "http") from error

        if team is not None:
            from nearfield.features.team.settings import read_team

            raise typer.Exit(http_server.run_team(*address, read_team(team), ollama=ollama))
        folder = resolved(workspace) if workspace is not None else None
        raise typer.Exit(
            http_server.run(
                *address, folder, ollama=ollama, more=lambda service, token: Panel(token, service)
            )
        )

    from nearfield.lsp import server

    if address is None:
        server.run_stdio()
    server.run_tcp(*address)


def _address(said: str, option: str, *, is_shared: bool) -> tuple[str, int]:
    """Return the host and port of `HOST:PORT`. Only loopback is allowed, as any client that
    connects can have files completed, but where a team shares the server.
    """
    host, _, port = said.rpartition(":")
    host = host.strip("[]")
    if not port.isdecimal() or not 0 <= int(port) <= 65535:
        fail(f"{said!r} is not HOST:PORT.", f"For example: {option} 127.0.0.1:8764")
    if host not in LOOPBACK and not is_shared:
        fail(
            f"Nearfield listens on loopback only, not on {host!r}.",
            f"Use 127.0.0.1:{port}; for other people there is --team, see docs/team.md.",
        )
    return host, int(port)


def _configured_level() -> str:
    from nearfield.config.load import load

    return load().config.log.level
