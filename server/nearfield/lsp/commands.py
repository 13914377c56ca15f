"""`workspace/executeCommand`: `nearfield.accept`, `nearfield.pause`, `nearfield.resume`."""

from __future__ import annotations

from typing import Any

from pygls.exceptions import JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer

from nearfield.lsp.session import Session

ACCEPT = "nearfield.accept"
PAUSE = "nearfield.pause"
RESUME = "nearfield.resume"


def register(server: LanguageServer, session: Session) -> None:
    """Offer the commands."""

    def accept(suggestion: Any) -> None:
        if not isinstance(suggestion, str):
            raise JsonRpcInvalidParams(f"{ACCEPT} takes the id of a suggestion.")
        if (service := session.running_service) is not None:
            service.accepted(suggestion)

    async def pause() -> None:
        (await session.service()).pause()

    async def resume() -> None:
        (await session.service()).resume()

    server.command(ACCEPT)(accept)
    server.command(PAUSE)(pause)
    server.command(RESUME)(resume)
