"""A server's ear for the user's other programs: a private socket that one line is read from.

Begun once the service has started, off the way of any request; only the user can connect, and shows
the token of the server's file. Where it cannot listen, all else works, and the log says so.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import os
import secrets
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import structs

from nearfield import __version__
from nearfield.coerce import NotJson, loads
from nearfield.errors import NearfieldError
from nearfield.features.running.questions import ServerQuestions
from nearfield.features.running.registration import (
    Registration,
    forget,
    register,
    servers_folder,
    socket_of,
)
from nearfield.files.private import private_folder
from nearfield.tasks import run_task

if TYPE_CHECKING:
    from nearfield.features.service import Service

log = logging.getLogger(__name__)

MAX_QUESTION_BYTES = 65_536
QUESTION_SECONDS = 10.0
"""For a whole question to arrive."""
BEGIN_SECONDS = 5.0
"""The longest that the end waits for the beginning, which is short unless a disk hangs."""
KEPT_LINES = 200
"""Lines of the log that can be asked for."""


class ServerListener:
    """See the module. It does nothing before `begin`."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._questions: ServerQuestions | None = None
        self._token = secrets.token_urlsafe(32)
        self._work: asyncio.Task[None] | None = None
        self._server: asyncio.Server | None = None
        self._log = KeptLog()
        self._id = ""

    def begin(
        self,
        kind: str,
        client: str = "",
        folders: Callable[[], Sequence[str]] = tuple,
        address: str = "",
    ) -> asyncio.Task[None]:
        """Listen, in the background; the task ends when others can find this server. See
        `Registration`; `folders` are those of the workspace."""
        self._questions = ServerQuestions(self._service, folders, self._log.lines)
        logging.getLogger("nearfield").addHandler(self._log)
        about = Registration(
            id=f"{os.getpid()}-{secrets.token_hex(4)}",
            kind=kind,
            client=client,
            pid=os.getpid(),
            started=time.time(),
            version=__version__,
            token=self._token,
            address=address,
        )
        self._work = run_task(self._listen(about), "listen for the user's other programs")
        return self._work

    async def aclose(self) -> None:
        """Listen no longer, and remove the file that says where."""
        if self._work is not None:
            # Not cancelled: a socket or a file that is made just then would be left behind.
            await asyncio.wait({self._work}, timeout=BEGIN_SECONDS)
        logging.getLogger("nearfield").removeHandler(self._log)
        if self._server is not None:
            self._server.close()
            self._server = None
        if self._id:
            await asyncio.to_thread(forget, self._id)

    async def _listen(self, about: Registration) -> None:
        try:
            await asyncio.to_thread(private_folder, servers_folder())
            self._id = about.id
            path = socket_of(about.id)
            if path is not None:
                self._server = await asyncio.start_unix_server(
                    self._answer, path, limit=MAX_QUESTION_BYTES
                )
                await asyncio.to_thread(path.chmod, 0o600)
                about = structs.replace(about, socket=str(path))
            else:
                self._server = await asyncio.start_server(
                    self._answer, "127.0.0.1", 0, limit=MAX_QUESTION_BYTES
                )
                port = self._server.sockets[0].getsockname()[1]
                about = structs.replace(about, port=port)
            await asyncio.to_thread(register, about)
        except OSError as error:
            why = error.strerror or type(error).__name__
            log.warning("the control panel cannot ask this server: %s", why)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one question of one connection."""
        try:
            async with asyncio.timeout(QUESTION_SECONDS):
                line = await reader.readline()
            if line:
                writer.write(msgspec.json.encode(await self._answered(line)) + b"\n")
                await writer.drain()
        except (TimeoutError, OSError, ValueError):
            pass  # a client that has left, or says no line
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _answered(self, line: bytes) -> dict[str, Any]:
        try:
            said = loads(line)
        except NotJson:
            said = None
        if not isinstance(said, dict) or not _shows(said.get("token"), self._token):
            return {"error": "The token is missing or wrong."}
        params = said.get("params")
        params = params if isinstance(params, dict) else {}
        try:
            assert self._questions is not None  # noqa: S101 - made before it listens
            return {"result": await self._questions.answer(str(said.get("ask")), params)}
        except NearfieldError as error:
            return {"error": error.message, "hint": error.hint}


def _shows(token: object, wanted: str) -> bool:
    return isinstance(token, str) and hmac.compare_digest(token.encode(), wanted.encode())


class KeptLog(logging.Handler):
    """Holds the last lines of the log in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: deque[dict[str, Any]] = deque(maxlen=KEPT_LINES)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record."""
        self.lines.append(
            {
                "at": record.created,
                "level": record.levelname.lower(),
                "name": record.name,
                "text": record.getMessage(),
            }
        )
