"""`nearfield/commitMessage`: messages for what is staged.

nearfield/commitMessage  {workspace?, count?, style?, workDoneToken?}
                      →  {messages, provider, model, notes}
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from pygls.exceptions import JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer

from nearfield.lsp import wire
from nearfield.lsp.offers import asker
from nearfield.lsp.protocol import CLIENT_TOKEN
from nearfield.lsp.session import Session
from nearfield.lsp.work import shown_work

COMMIT_MESSAGE = "nearfield/commitMessage"


class CommitMessageParams(msgspec.Struct, frozen=True, rename="camel"):
    """The folder of the repository, "" for the first that is open."""

    workspace: str = ""
    count: Annotated[int, msgspec.Meta(ge=1, le=5)] = 1
    style: Literal["auto", "conventional", "plain"] = "auto"
    work_done_token: int | str | None = None


def register(server: LanguageServer, session: Session) -> None:
    """Answer the request."""

    async def commit_message(what: Any) -> dict[str, Any]:
        from nearfield.features.commit_message import commit_messages

        params = wire.read(CommitMessageParams, what)
        roots = session.documents.roots
        folder = params.workspace or next(iter(roots), "")
        if folder not in roots:
            raise JsonRpcInvalidParams("That is no folder of the workspace.")
        service = await session.built_service()
        CLIENT_TOKEN.set(params.work_done_token)
        async with shown_work(session.protocol, "Nearfield: writing a commit message"):
            found = await commit_messages(
                service,
                Path(folder),
                count=params.count,
                style=params.style,
                ask=asker(session),
            )
        return {
            "messages": found.messages,
            "provider": found.provider,
            "model": found.model,
            "notes": found.notes,
        }

    server.feature(COMMIT_MESSAGE)(commit_message)
