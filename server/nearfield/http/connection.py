"""A connection of the HTTP frontend, and how long it may stay open without a request.

uvicorn closes a connection that is idle between two requests, and counts all connections alike:
some that send nothing, or one byte a minute, would lock all others out. Here a connection has
`HEADER_SECONDS` for a whole header, and for the rest of a body that is no longer read. Above the
limit, the one that has waited longest without a request is closed, and first of all one that has
never shown the token. `app.py` limits what a request may cost once its token is checked.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from nearfield.http.exchange import SHOWN

HEADER_SECONDS = 10.0
MAX_CONNECTIONS = 200
"""Each is a file descriptor; systems allow a process 256 or more."""

MAX_READ_BYTES = 8 * 1024
"""Bytes that are read in one go. h11 takes 10 us for a chunk, which may be of one byte; all of
asyncio's 256 KiB in such chunks would block all others for half a second.
"""


class HttpConnection(H11Protocol):
    """See the module. It reads what uvicorn's own protocol keeps: the state of h11, the cycle of
    the request under way, and the connections of the server."""

    cycle: RequestResponseCycle | None  # pyright: ignore[reportIncompatibleVariableOverride] - None before the first request
    waits_since: float | None = None
    """Since when there is no request under way; None while there is one."""
    most: int = MAX_CONNECTIONS
    """Connections above which one that waits is closed."""
    known: bool = False
    """Whether a request of this connection has shown the token."""
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Take a place, another one's if there is none."""
        super().connection_made(transport)
        # asyncio does so only for sockets that name their protocol, which a listening one does not.
        # Otherwise an answer's body waits for the client's acknowledgement of its head: 40 ms.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # Of asyncio's own transports; the rest is read when the others have had their turn.
        transport.max_size = MAX_READ_BYTES
        self._look()
        if len(self.connections) > self.most:
            others = [one for one in self.connections if isinstance(one, HttpConnection)]
            waiting = [
                (one.known, one.waits_since, id(one), one)
                for one in others
                if one is not self and one.waits_since is not None
            ]
            if waiting:
                min(waiting)[-1].transport.abort()

    def data_received(self, data: bytes) -> None:
        """Take `data` in."""
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        """A request has been answered."""
        self.known = self.known or SHOWN in self.scope.get("state", {})
        super().on_response_complete()
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place back."""
        self._disarm()
        super().connection_lost(exc)

    def _look(self) -> None:
        """Does it keep a place without asking for anything?"""
        if self.cycle is not None and not self.cycle.response_complete:
            self.waits_since = None
            self._disarm()
            return
        if self.waits_since is None:
            self.waits_since = self.loop.time()
        # Between two requests uvicorn's own, longer patience holds.
        rests = self.timeout_keep_alive_task is not None and self.conn.their_state is h11.IDLE
        if rests and not self.conn.trailing_data[0]:
            self._disarm()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(HEADER_SECONDS, self.transport.abort)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
