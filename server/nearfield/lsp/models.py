"""`nearfield/chat/prepare`, `nearfield.loadModel` and `nearfield.unloadModel`.

nearfield/chat/prepare    {role?, workspace?}   notification: the user begins to type a question
nearfield.loadModel       role, or none         →  {provider}; none is that of chats
nearfield.unloadModel     role, or none         →  {providers}
"""

from __future__ import annotations

from typing import Any

import msgspec
from pygls.exceptions import JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer

from nearfield.lsp import wire
from nearfield.lsp.session import Session

PREPARE = "nearfield/chat/prepare"
LOAD = "nearfield.loadModel"
UNLOAD = "nearfield.unloadModel"


class PrepareParams(msgspec.Struct, frozen=True, kw_only=True):
    """The conversation that a question is typed for."""

    role: str = ""
    workspace: str = ""


def register(server: LanguageServer, session: Session) -> None:
    """Answer them."""

    async def prepare(what: Any) -> None:
        params = wire.read(PrepareParams, what)
        if (service := session.running_service) is not None:
            await service.loader.prepare(params.role, _folder(session, params.workspace))

    async def load(role: Any = "chat") -> dict[str, str]:
        if not isinstance(role, str):
            raise JsonRpcInvalidParams(f'{LOAD} takes a role, such as "chat" or "complete".')
        return {"provider": (await session.service()).loader.load(role, _folder(session))}

    async def unload(role: Any = None) -> dict[str, list[str]]:
        if role is not None and not isinstance(role, str):
            raise JsonRpcInvalidParams(f"{UNLOAD} takes a role, or nothing for every model.")
        service = await session.service()
        return {"providers": await service.loader.unload(role or "", _folder(session))}

    server.feature(PREPARE)(prepare)
    server.command(LOAD)(load)
    server.command(UNLOAD)(unload)


def _folder(session: Session, named: str = "") -> str:
    """Return the folder whose settings count: the named one, if it is one of the workspace's."""
    roots = session.documents.roots
    return named if named in roots else next(iter(roots), "")
