"""Questions to the servers of this user that run: one connection, one line each way."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from nearfield.coerce import NotJson, loads
from nearfield.errors import NearfieldError
from nearfield.features.running.registration import Registration, forget, registered

ANSWER_SECONDS = 5.0
"""A server that has not answered by then is busy with something else, or stopped."""
MAX_LINE_BYTES = 4 << 20


class ServerError(NearfieldError):
    """A running server did not answer, or refused."""


class ServerEnded(ServerError):
    """A server that has a file does not run any more."""


async def ask(
    server: Registration,
    what: str,
    params: Mapping[str, Any] | None = None,
    seconds: float = ANSWER_SECONDS,
) -> Any:
    """Return a server's answer. Raises `ServerEnded` where nothing listens, and `ServerError`."""
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await _connect(server)
            try:
                question = {"token": server.token, "ask": what, "params": params or {}}
                writer.write(msgspec.json.encode(question) + b"\n")
                line = await reader.readline()
            finally:
                writer.close()
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise ServerEnded(f"The server {server.pid} has ended.") from error
    except (TimeoutError, OSError, ValueError) as error:
        raise ServerError(
            f"The server {server.pid} does not answer ({type(error).__name__}).",
            "It may be busy or stopped; ask again, or restart its editor.",
        ) from error
    return _result(server, line)


async def running(kinds: Sequence[str] = ()) -> list[Registration]:
    """Return the servers that listen, the oldest first: those of `kinds`, or all. Removes what
    ended ones have left."""
    found = await asyncio.to_thread(registered)
    wanted = [one for one in found if not kinds or one.kind in kinds]
    listening = await asyncio.gather(*map(_listens, wanted))
    return [one for one, yes in zip(wanted, listening, strict=True) if yes]


async def _listens(server: Registration) -> bool:
    """Return whether a server can be connected to; a busy one can."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            _, writer = await _connect(server)
    except (FileNotFoundError, ConnectionRefusedError):
        await asyncio.to_thread(forget, server.id)
        return False
    except (TimeoutError, OSError):
        return True
    writer.close()
    return True


async def _connect(server: Registration) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if server.socket:
        return await asyncio.open_unix_connection(server.socket, limit=MAX_LINE_BYTES)
    return await asyncio.open_connection("127.0.0.1", server.port, limit=MAX_LINE_BYTES)


def _result(server: Registration, line: bytes) -> Any:
    try:
        answer = loads(line)
    except NotJson:
        answer = None
    if not isinstance(answer, dict):
        raise ServerError(f"The server {server.pid} broke off its answer.", "Ask again.")
    if (error := answer.get("error")) is not None:
        raise ServerError(str(error), str(answer.get("hint") or ""))
    return answer.get("result")
