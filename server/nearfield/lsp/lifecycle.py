"""The beginning of a session, and what the client says of its settings and folders later."""

from __future__ import annotations

import logging

from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer

from nearfield.lsp import parent
from nearfield.lsp.protocol import NearfieldProtocol
from nearfield.lsp.session import Session
from nearfield.lsp.settings import SECTION, can_do
from nearfield.tasks import run_task

log = logging.getLogger(__name__)


def register(server: LanguageServer, session: Session) -> None:
    """Handle the beginning of the session and its settings."""
    protocol = session.protocol

    async def initialize(params: types.InitializeParams) -> None:
        # 0 is no process's number; it would count as ended at once.
        if params.process_id is not None and params.process_id > 0:
            run_task(parent.watch(params.process_id, protocol.stop), "watch the client")
        await session.begin(params)

    async def initialized(_: types.InitializedParams) -> None:
        change = getattr(protocol.client_capabilities.workspace, "did_change_configuration", None)
        if change and change.dynamic_registration:
            registration = types.Registration(
                "settings",
                types.WORKSPACE_DID_CHANGE_CONFIGURATION,
                types.DidChangeConfigurationRegistrationOptions(section=SECTION),
            )
            run_task(_register(protocol, registration), "ask for changes of the settings")
        await session.service()

    async def changed(params: types.DidChangeConfigurationParams) -> None:
        if can_do(protocol.client_capabilities, "configuration"):
            await session.settings.pull(session.reload)
        else:
            session.settings.push(params.settings)
        await session.reload()

    async def folders_changed(params: types.DidChangeWorkspaceFoldersParams) -> None:
        session.documents.change_roots(
            [folder.uri for folder in params.event.added],
            [folder.uri for folder in params.event.removed],
        )
        await session.reload()

    server.feature(types.INITIALIZE)(initialize)
    server.feature(types.INITIALIZED)(initialized)
    server.feature(types.WORKSPACE_DID_CHANGE_CONFIGURATION)(changed)
    server.feature(types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS)(folders_changed)


async def _register(protocol: NearfieldProtocol, registration: types.Registration) -> None:
    try:
        await protocol.send_request_async(
            types.CLIENT_REGISTER_CAPABILITY, types.RegistrationParams([registration])
        )
    except JsonRpcException:
        log.warning("the editor does not tell when its settings change")
