"""Puts the server together and runs it over stdio or loopback TCP."""

from __future__ import annotations

import logging
from typing import Any, NoReturn, cast

from pygls.lsp.server import LanguageServer

from nearfield import __version__
from nearfield.config.load import load_folders
from nearfield.lsp import (
    action_commands,
    admission,
    chat,
    code_action,
    commands,
    commit_message,
    completion,
    copilot_calls,
    copilot_panel,
    events,
    explain,
    hover,
    inline_completion,
    kept_chats,
    lifecycle,
    models,
    next_edit,
    notebook_sync,
    offers,
    progress,
    review,
    status,
    text_sync,
    trace,
    transport,
)
from nearfield.lsp.protocol import NearfieldProtocol
from nearfield.lsp.session import MakeService, Session
from nearfield.lsp.settings import Load
from nearfield.tasks import describe
from nearfield.terminal import say

log = logging.getLogger(__name__)

HANDLER_MODULES = (
    lifecycle,
    text_sync,
    notebook_sync,
    inline_completion,
    completion,
    next_edit,
    trace,
    status,
    progress,
    events,
    offers,
    hover,
    explain,
    review,
    code_action,
    action_commands,
    chat,
    kept_chats,
    models,
    commit_message,
    copilot_calls,
    copilot_panel,
    commands,
)


class NearfieldServer(LanguageServer):
    """The pygls server, with a session beside it and no popups for our own faults."""

    def __init__(self, load: Load, make: MakeService | None) -> None:
        super().__init__("nearfield", __version__, protocol_cls=NearfieldProtocol)
        self.session = Session(cast(NearfieldProtocol, self.protocol), load, make)
        for module in HANDLER_MODULES:
            module.register(self, self.session)

    def report_server_error(self, error: Exception, source: Any) -> None:
        """To the log, without the error's own words."""
        log.error("pygls: %s", describe(error))


def build(load: Load = load_folders, make: MakeService | None = None) -> NearfieldServer:
    """A server for one client. `load` reads the settings; `make` makes the service from them (by
    default `features.service.Service`, imported once `initialize` is answered)."""
    # On INFO pygls logs what it sends, documents included.
    logging.getLogger("pygls").setLevel(logging.WARNING)
    return NearfieldServer(load, make)


def run_stdio(server: NearfieldServer | None = None) -> NoReturn:
    """Serve the client at the other end of stdin and stdout until it ends, and end the process with
    0 after a `shutdown`, else 1."""
    read, write = transport.take_stdio()
    server = server or build()
    transport.run(server.session.protocol, read, write, server.session.close)


def run_tcp(host: str, port: int, server: NearfieldServer | None = None) -> NoReturn:
    """Wait for one client on a loopback address (port 0 picks one and says which) that shows the
    token, serve it until it ends. Raises ValueError for an address that others could reach, and
    `ConfigError` when the token cannot be used."""
    from nearfield.features.token import token

    server = server or build()
    shown = token()

    def announce(chosen: int) -> None:
        say(
            f"nearfield: the token is in {shown.where}; an editor says it as"
            f" initializationOptions.token\nnearfield: waiting for a client on {host}:{chosen}"
        )

    client, said = admission.admitted(host, port, shown.matches, announce)
    with client:
        read = admission.Begun(said, client.makefile("rb", buffering=0))
        write = client.makefile("wb", buffering=0)
        transport.run(server.session.protocol, read, write, server.session.close)
