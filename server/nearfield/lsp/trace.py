"""Costs: `nearfield/trace` `{last: N}` returns the traces of the last N requests, newest first.
`nearfield/spent` returns the tokens evaluated and generated since the start, by purpose.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import msgspec
from pygls.lsp.server import LanguageServer

from nearfield.features.trace import flat
from nearfield.lsp import wire
from nearfield.lsp.session import Session

TRACE = "nearfield/trace"
SPENT = "nearfield/spent"


class TraceParams(msgspec.Struct, frozen=True):
    """Number of traces to return."""

    last: Annotated[int, msgspec.Meta(ge=0)] = 20


def register(server: LanguageServer, session: Session) -> None:
    """Answer with the traces; they never hold any text of a document."""

    async def trace(params: Any) -> list[dict[str, Any]]:
        last = wire.read(TraceParams, params).last
        service = await session.service()
        return [flat(entry) for entry in service.traces.last(last)]

    async def spent(_: Any = None) -> dict[str, Any]:
        service = await session.service()
        return {kind.name.lower(): asdict(sum) for kind, sum in service.spent().items()}

    server.feature(TRACE)(trace)
    server.feature(SPENT)(spent)
