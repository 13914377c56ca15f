"""The view "Now": which servers run, what their models do, and the last requests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from nearfield.features.running.client import ServerError
from nearfield.panel.servers import Servers, facts
from nearfield.panel.view import Query, Read, ViewAction


class ServerBody(msgspec.Struct, frozen=True):
    """A server by its name; "" for all."""

    server: str = ""


class RoleOfServer(msgspec.Struct, frozen=True):
    """A role of a server; "" for the completing one, or for all."""

    server: str
    role: str = ""


class RequestOfServer(msgspec.Struct, frozen=True):
    """A request that a server answers."""

    server: str
    request: int


class NowView:
    """See the module."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers

    def reads(self) -> Mapping[str, Read]:
        """See `View`."""
        return {"now": self.now}

    def actions(self) -> Mapping[str, ViewAction]:
        """See `View`."""
        return {
            "now/pause": ViewAction(ServerBody, self._pause),
            "now/resume": ViewAction(ServerBody, self._resume),
            "now/load": ViewAction(RoleOfServer, self._load),
            "now/unload": ViewAction(RoleOfServer, self._unload),
            "now/cancel": ViewAction(RequestOfServer, self._cancel),
        }

    async def now(self, query: Query) -> dict[str, Any]:
        """Return every server that runs, and what they are together."""
        rows: list[dict[str, Any]] = []
        for one, answer in await self._servers.ask_all("now"):
            if isinstance(answer, ServerError):
                rows.append({**facts(one), "workspace": "", "folders": [], "error": str(answer)})
            else:
                rows.append({**facts(one), **answer})
        return {"servers": rows, "together": _together(rows)}

    async def _pause(self, body: ServerBody) -> dict[str, Any]:
        return {"servers": await self._servers.tell(body.server, "pause", {"on": True})}

    async def _resume(self, body: ServerBody) -> dict[str, Any]:
        return {"servers": await self._servers.tell(body.server, "pause", {"on": False})}

    async def _load(self, body: RoleOfServer) -> Any:
        return await self._servers.ask(body.server, "load", {"role": body.role})

    async def _unload(self, body: RoleOfServer) -> Any:
        return await self._servers.ask(body.server, "unload", {"role": body.role})

    async def _cancel(self, body: RequestOfServer) -> Any:
        return await self._servers.ask(body.server, "cancel", {"request": body.request})


def _together(rows: list[dict[str, Any]]) -> dict[str, int]:
    models = [model for row in rows for model in row.get("models", ())]
    spent = [kind for row in rows for kind in row.get("spent", {}).values()]
    return {
        "servers": len(rows),
        "loaded_bytes": sum(model["bytes"] for model in models if model["loaded"]),
        "running": sum(len(row.get("running", ())) for row in rows),
        **{
            name: sum(kind[name] for kind in spent) for name in ("evaluated", "reused", "generated")
        },
    }
