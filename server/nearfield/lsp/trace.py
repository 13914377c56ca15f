"""`nearfield/trace` `{last: N}`: the account of the last N requests, newest first."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from pygls.lsp.server import LanguageServer

from nearfield.features.trace import flat
from nearfield.lsp import wire
from nearfield.lsp.session import Session

TRACE = "nearfield/trace"


class TraceParams(msgspec.Struct, frozen=True):
    """How many entries to answer with."""

    last: Annotated[int, msgspec.Meta(ge=0)] = 20


def register(server: LanguageServer, session: Session) -> None:
    """Answer with the traces; they never hold any text of a document."""

    async def trace(params: Any) -> list[dict[str, Any]]:
        last = wire.read(TraceParams, params).last
        service = await session.service()
        return [flat(entry) for entry in service.traces.last(last)]

    server.feature(TRACE)(trace)
