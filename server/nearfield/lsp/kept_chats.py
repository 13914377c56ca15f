"""`nearfield/chat/list`, `nearfield/chat/history`, `nearfield/chat/export` and
`nearfield/chat/delete`: the chats that are kept on disk.

    nearfield/chat/list     {workspace?}  →  {chats: [{session, title, workspace, begun, changed,
                                              count}]}
    nearfield/chat/history  {session}     →  {session, title, workspace, exchanges: [{question,
                                              answer, model, calls: [{name, state}]}]}
    nearfield/chat/export   {session}     →  {text}
    nearfield/chat/delete   {session}     →  {deleted}

A list is of the folders that are open, or of the one that is named; `nearfield/chat` with the
`session` of one continues it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
from pygls.exceptions import JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer

from nearfield.lsp import wire
from nearfield.lsp.chat import chats_of
from nearfield.lsp.session import Session

if TYPE_CHECKING:
    from nearfield.features.chat.kept_chats import ChatHead, KeptChat, KeptChats

LIST = "nearfield/chat/list"
HISTORY = "nearfield/chat/history"
EXPORT = "nearfield/chat/export"
DELETE = "nearfield/chat/delete"


class ListParams(msgspec.Struct, frozen=True):
    """The folder whose chats are wanted; "" for all that are open."""

    workspace: str = ""


class KeptParams(msgspec.Struct, frozen=True):
    """A kept chat, by its id."""

    session: str


def register(server: LanguageServer, session: Session) -> None:
    """Answer the requests."""

    async def listed(what: Any) -> dict[str, Any]:
        wanted = wire.read(ListParams, what).workspace
        folders = [wanted] if wanted else list(session.documents.roots) or [""]
        return {"chats": await asyncio.to_thread(_heads, folders)}

    async def history(what: Any) -> dict[str, Any]:
        chat = await asyncio.to_thread(_found, wire.read(KeptParams, what).session)
        exchanges = [
            {
                "question": one.question,
                "answer": one.answer,
                "model": one.model,
                "calls": [{"name": name, "state": state} for name, state in one.calls],
            }
            for one in chat.exchanges
        ]
        about = {"session": chat.id, "title": chat.title, "workspace": chat.workspace}
        return {**about, "exchanges": exchanges}

    async def export(what: Any) -> dict[str, str]:
        from nearfield.features.chat.kept_chats import markdown

        return {
            "text": markdown(await asyncio.to_thread(_found, wire.read(KeptParams, what).session))
        }

    async def delete(what: Any) -> dict[str, bool]:
        name = wire.read(KeptParams, what).session
        chats = chats_of(session, await session.service())
        return {"deleted": await chats.delete(name)}

    for method, answer in (
        (LIST, listed),
        (HISTORY, history),
        (EXPORT, export),
        (DELETE, delete),
    ):
        server.feature(method)(answer)


def _kept() -> KeptChats:
    from nearfield.features.chat.kept_chats import KeptChats

    return KeptChats()


def _heads(folders: list[str]) -> list[dict[str, Any]]:
    kept = _kept()
    return [_head(one) for folder in folders for one in kept.heads(folder)]


def _head(head: ChatHead) -> dict[str, Any]:
    return {
        "session": head.id,
        "title": head.title,
        "workspace": head.workspace,
        "begun": head.begun,
        "changed": head.changed,
        "count": head.count,
    }


def _found(name: str) -> KeptChat:
    chat = _kept().load(name)
    if chat is None:
        raise JsonRpcInvalidParams("There is no kept chat of that id.")
    return chat
