"""The models that can be picked, the one that is, and those that are loaded.

nearfield/models/list     {role?, workspace?}   →  see `features.model_picks.Picks`
nearfield/models/use      {role, name, workspace?}  →  {role, model, missing, outside, note}
nearfield/chat/prepare    {role?, workspace?}   notification: the user begins to type a question
nearfield.loadModel       role, or none         →  {provider}; none is that of chats
nearfield.unloadModel     role, or none         →  {providers}
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from pygls.exceptions import JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer

from nearfield.lsp import wire
from nearfield.lsp.session import Session

LIST = "nearfield/models/list"
USE = "nearfield/models/use"
PREPARE = "nearfield/chat/prepare"
LOAD = "nearfield.loadModel"
UNLOAD = "nearfield.unloadModel"


class ModelsParams(msgspec.Struct, frozen=True):
    """The role whose models are wanted; "" for the roles alone."""

    role: str = ""
    workspace: str = ""


class UseParams(msgspec.Struct, frozen=True):
    """A role, and the model for it by a name of the list."""

    role: str
    name: str
    workspace: str = ""


class PrepareParams(msgspec.Struct, frozen=True, kw_only=True):
    """The conversation that a question is typed for."""

    role: str = ""
    workspace: str = ""


def register(server: LanguageServer, session: Session) -> None:
    """Answer them."""

    async def listed(what: Any) -> dict[str, Any]:
        from nearfield.features.model_picks import model_picks
        from nearfield.routing.router import built

        params = wire.read(ModelsParams, what)
        service = await session.built_service()
        folder = _folder(session, params.workspace)
        found = await model_picks(built(service.router), service.config, params.role, folder)
        return msgspec.to_builtins(found)

    async def use(what: Any) -> dict[str, Any]:
        from nearfield.features.model_picks import overruled, pick
        from nearfield.routing.router import built

        params = wire.read(UseParams, what)
        service = await session.built_service()
        folder = _folder(session, params.workspace)
        router = built(service.router)
        now = await pick(router, params.role, params.name, folder, service.config)
        await session.reload()
        note = await asyncio.to_thread(overruled, now, service.config)
        told = {"role": now.role, "model": now.model, "missing": now.missing}
        return {**told, "outside": now.outside, "note": note}

    async def prepare(what: Any) -> None:
        params = wire.read(PrepareParams, what)
        if (service := session.running_service) is not None:
            await service.loader.prepare(params.role, _folder(session, params.workspace))

    async def load(role: Any = "chat") -> dict[str, str]:
        if not isinstance(role, str):
            raise JsonRpcInvalidParams(f'{LOAD} takes a role, such as "chat" or "complete".')
        return {"provider": (await session.built_service()).loader.load(role, _folder(session))}

    async def unload(role: Any = None) -> dict[str, list[str]]:
        if role is not None and not isinstance(role, str):
            raise JsonRpcInvalidParams(f"{UNLOAD} takes a role, or nothing for every model.")
        service = await session.built_service()
        return {"providers": await service.loader.unload(role or "", _folder(session))}

    server.feature(LIST)(listed)
    server.feature(USE)(use)
    server.feature(PREPARE)(prepare)
    server.command(LOAD)(load)
    server.command(UNLOAD)(unload)


def _folder(session: Session, named: str = "") -> str:
    """Return the folder whose settings count: the named one, if it is one of the workspace's."""
    roots = session.documents.roots
    return named if named in roots else next(iter(roots), "")
