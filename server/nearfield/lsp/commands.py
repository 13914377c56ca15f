"""`workspace/executeCommand`: `nearfield.accept`, `nearfield.rate`, `nearfield.pause`,
`nearfield.resume`.
"""

from __future__ import annotations

import asyncio
from typing import Any

from pygls.exceptions import JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer

from nearfield.lsp.session import Session

ACCEPT = "nearfield.accept"
RATE = "nearfield.rate"
PAUSE = "nearfield.pause"
RESUME = "nearfield.resume"


def register(server: LanguageServer, session: Session) -> None:
    """Offer the commands."""

    def accept(suggestion: Any) -> None:
        if not isinstance(suggestion, str):
            raise JsonRpcInvalidParams(f"{ACCEPT} takes the id of a suggestion.")
        if (service := session.running_service) is not None:
            service.accepted(suggestion)

    async def rate(word: Any) -> dict[str, str]:
        from nearfield.features.ratings import rate_last
        from nearfield.features.trace import KEPT

        if word not in ("good", "bad"):
            raise JsonRpcInvalidParams(f'{RATE} takes "good" or "bad".')
        service = await session.service()
        traces = service.traces.last(KEPT)
        rated = await asyncio.to_thread(rate_last, traces, service.config, good=word == "good")
        return {"kind": rated.kind, "model": rated.model}

    async def pause() -> None:
        (await session.service()).pause()

    async def resume() -> None:
        (await session.service()).resume()

    server.command(ACCEPT)(accept)
    server.command(RATE)(rate)
    server.command(PAUSE)(pause)
    server.command(RESUME)(resume)
