"""Wait on a loopback address for the one client that is an editor and shows the token.

Everything on this machine can connect there: other users, and every web page by a request that it
sends blindly. So a connection has to begin as the base protocol does, and its first message has to
be `initialize` with the token, as `initializationOptions.token` or in a header `Authorization:
Bearer TOKEN`. Any other connection is closed, a silent one after a while, and neither keeps another
one out.
"""

from __future__ import annotations

import contextlib
import io
import logging
import selectors
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from lsprotocol import types

from nearfield.coerce import NotJson, loads
from nearfield.lsp import frames
from nearfield.network.hosts import LOOPBACK

log = logging.getLogger(__name__)

HELLO_SECONDS = 10.0
"""Time that a connection has for its first message."""
MAX_CALLERS = 32
"""Maximum number of connections that are not admitted yet; one more closes the oldest."""
HEADER_BYTES = 8 * 1024
HELLO_BYTES = 4 * 1024 * 1024

_BLANK = b"\r\n\r\n"
_FIELDS = ("content-length", "content-type", "authorization")
_OPTIONS = "initializationOptions"
_TOKEN = "token"  # noqa: S105 - the name of the option
_REFUSED = {
    "code": -32600,
    "message": "The token is missing or wrong: say it as `initializationOptions.token`; the server"
    " has said at its start where it is.",
}


class _Refused(Exception):
    """A connection that is not the expected client; `answer` is sent to it, b"" for nothing."""

    def __init__(self, answer: bytes = b"") -> None:
        super().__init__()
        self.answer = answer


@dataclass(slots=True, eq=False)
class _Caller:
    """A connection that has not said enough."""

    connection: socket.socket
    deadline: float
    said: bytearray = field(default_factory=bytearray)
    needed: int = 0
    """Bytes, before it is worth looking again."""


class Begun(io.RawIOBase):
    """A stream of which something was read already."""

    def __init__(self, begun: bytes, rest: io.RawIOBase) -> None:
        self._begun = begun
        self._rest = rest

    def readable(self) -> bool:
        """Always."""
        return True

    def read(self, size: int = -1, /) -> bytes | None:
        """At most `size` bytes."""
        if not self._begun:
            return self._rest.read(size)
        part, self._begun = self._begun[:size], self._begun[size:] if size >= 0 else b""
        return part


def admitted(
    host: str, port: int, shows_token: Callable[[str], bool], announce: Callable[[int], None]
) -> tuple[socket.socket, bytes]:
    """The connection of the client that is let in, and what it has said, without the token.
    `announce` is told the port (0 picks one). Raises ValueError for an address that others could
    reach."""
    if host not in LOOPBACK:
        raise ValueError(f"{host} is not a loopback address; use one of {', '.join(LOOPBACK)}.")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family) as listener:
        listener.setblocking(False)
        announce(listener.getsockname()[1])
        with _Door(listener, shows_token) as door:
            return door.admitted()


class _Door:
    """Listens to all callers at once."""

    def __init__(self, listener: socket.socket, shows_token: Callable[[str], bool]) -> None:
        self._listener = listener
        self._shows_token = shows_token
        self._callers: dict[socket.socket, _Caller] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ)

    def __enter__(self) -> _Door:
        return self

    def __exit__(self, *_: object) -> None:
        for caller in list(self._callers.values()):
            self._close(caller)
        self._selector.close()

    def admitted(self) -> tuple[socket.socket, bytes]:
        """See the function of that name."""
        while True:
            for key, _ in self._selector.select(self._patience()):
                if key.fileobj is self._listener:
                    self._take()
                elif (caller := self._callers.get(key.fileobj)) is not None:  # type: ignore[call-overload]
                    said = self._listen(caller)
                    if said:
                        self._forget(caller)
                        caller.connection.setblocking(True)
                        caller.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                        return caller.connection, said
            now = time.monotonic()
            for late in [one for one in self._callers.values() if one.deadline <= now]:
                self._close(late)

    def _patience(self) -> float | None:
        """Return the seconds until the next deadline of a connection."""
        deadline = min((one.deadline for one in self._callers.values()), default=None)
        return None if deadline is None else max(0.0, deadline - time.monotonic())

    def _take(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        connection.setblocking(False)
        if len(self._callers) >= MAX_CALLERS:
            self._close(next(iter(self._callers.values())))
        self._callers[connection] = _Caller(connection, time.monotonic() + HELLO_SECONDS)
        self._selector.register(connection, selectors.EVENT_READ)

    def _listen(self, caller: _Caller) -> bytes:
        """Return the caller's bytes once it is admitted, else b""."""
        try:
            data = caller.connection.recv(64 * 1024)
            caller.said += data
            if data and len(caller.said) >= caller.needed:
                caller.needed = _needed(bytes(caller.said))
            if data and len(caller.said) >= caller.needed:
                return _hello(bytes(caller.said), self._shows_token)
            if not data:
                self._close(caller)
        except BlockingIOError:
            return b""
        except _Refused as refusal:
            log.warning("a connection was refused: it is no editor with the token")
            with contextlib.suppress(OSError):
                caller.connection.send(refusal.answer)
            self._close(caller)
        except OSError:
            self._close(caller)
        return b""

    def _forget(self, caller: _Caller) -> None:
        del self._callers[caller.connection]
        self._selector.unregister(caller.connection)

    def _close(self, caller: _Caller) -> None:
        self._forget(caller)
        caller.connection.close()


def _needed(said: bytes) -> int:
    """Return the size of the first message in bytes, or the received size plus one while its header
    is incomplete. Raises `_Refused`.
    """
    header, end, _ = said.partition(_BLANK)
    fields = _fields(header.decode("latin-1"), whole=bool(end))
    if not end:
        return len(said) + 1
    length = fields.get("content-length", "")
    if not length.isdecimal() or len(length) > 9 or int(length) > HELLO_BYTES:
        raise _Refused
    return len(header) + len(_BLANK) + int(length)


def _hello(said: bytes, shows_token: Callable[[str], bool]) -> bytes:
    """Return the received bytes `said`, whose first message is complete, without the token. Raises
    `_Refused`.
    """
    header, _, rest = said.partition(_BLANK)
    fields = _fields(header.decode("latin-1"), whole=True)
    length = int(fields.get("content-length", "0"))
    body, rest = rest[:length], rest[length:]
    try:
        message: Any = loads(body, constants=True)
    except NotJson:
        raise _Refused from None
    if not isinstance(message, dict) or message.get("method") != types.INITIALIZE:
        raise _Refused
    kind, _, shown = fields.get("authorization", "").partition(" ")
    told = _taken_token(message)
    if not shows_token(shown.strip() if kind.lower() == "bearer" else told):
        said_id: Any = message.get("id")
        raise _Refused(frames.encode({"jsonrpc": "2.0", "id": said_id, "error": _REFUSED}))
    return frames.encode(message) + rest


def _fields(header: str, *, whole: bool) -> dict[str, str]:
    """The fields of a header, of which the last line may be begun. Raises `_Refused` for what the
    base protocol does not know."""
    if len(header) > HEADER_BYTES:
        raise _Refused
    *lines, last = header.split("\r\n")
    fields: dict[str, str] = {}
    for line in [*lines, last] if whole else lines:
        name, colon, value = line.partition(":")
        if not colon or name.lower() not in _FIELDS:
            raise _Refused
        fields[name.lower()] = value.strip()
    begun = last.removesuffix("\r").partition(":")[0].lower()
    if not any(name.startswith(begun) for name in _FIELDS):
        raise _Refused
    return fields


def _taken_token(message: dict[str, Any]) -> str:
    """The token in the options of `initialize`, taken out: they are settings else."""
    params: Any = message.get("params")
    options: Any = params.get(_OPTIONS) if isinstance(params, dict) else None
    found: Any = ""
    for table in (options, options.get("nearfield") if isinstance(options, dict) else None):
        if isinstance(table, dict) and _TOKEN in table:
            found = table.pop(_TOKEN)
    return found if isinstance(found, str) else ""
