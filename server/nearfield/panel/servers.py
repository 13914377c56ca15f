"""The servers of this user that run, asked all at once or one by one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from nearfield.features.running import client
from nearfield.features.running.client import ServerEnded, ServerError
from nearfield.features.running.registration import Registration, forget, registered
from nearfield.http.wire import BadRequest


class Servers:
    """See the module."""

    async def ask_all(
        self, what: str, params: Mapping[str, Any] | None = None
    ) -> list[tuple[Registration, Any]]:
        """Return the servers that run, each with its answer, or with the `ServerError`."""
        found = await asyncio.to_thread(registered)
        answers = await asyncio.gather(*(self._asked(one, what, params) for one in found))
        pairs = zip(found, answers, strict=True)
        return [(one, answer) for one, answer in pairs if not isinstance(answer, ServerEnded)]

    async def ask(self, name: str, what: str, params: Mapping[str, Any] | None = None) -> Any:
        """Return the answer of the server `name`. Raises `BadRequest` for one that does not run,
        and `ServerError`."""
        for one in await asyncio.to_thread(registered):
            if one.id == name:
                return await client.ask(one, what, params)
        raise BadRequest("There is no such server; it may have ended.", "server", status=404)

    async def tell(
        self, name: str, what: str, params: Mapping[str, Any] | None = None
    ) -> list[str]:
        """Tell the server `name`, or all for "", and return those that have done it. Raises as
        `ask`."""
        if name:
            await self.ask(name, what, params)
            return [name]
        answers = await self.ask_all(what, params)
        return [one.id for one, answer in answers if not isinstance(answer, ServerError)]

    async def _asked(self, one: Registration, what: str, params: Mapping[str, Any] | None) -> Any:
        try:
            return await client.ask(one, what, params)
        except ServerEnded as error:
            await asyncio.to_thread(forget, one.id)
            return error
        except ServerError as error:
            return error


def facts(one: Registration) -> dict[str, Any]:
    """Return what is known of a server without asking it."""
    return {
        "id": one.id,
        "kind": one.kind,
        "client": one.client,
        "pid": one.pid,
        "started": one.started,
        "version": one.version,
        "error": "",
    }


def folders(answers: Sequence[tuple[Registration, Any]]) -> dict[str, list[str]]:
    """Return the folders that servers have open, each with the servers' names."""
    found: dict[str, list[str]] = {}
    for one, answer in answers:
        if isinstance(answer, dict):
            for folder in answer.get("folders", ()):
                found.setdefault(folder, []).append(one.id)
    return found
