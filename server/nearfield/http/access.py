"""Admission: of the one user of this machine by a token, or of the people of a team.

Without a team a request names this machine as its host and may use every path. Names of other hosts
are for a team's server alone.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    nullcontext,
)
from typing import Protocol

from nearfield.features.team.settings import Use
from nearfield.features.token import Token
from nearfield.http.exchange import HttpExchange
from nearfield.http.member import MAX_REQUESTS, THE_USER, Member
from nearfield.http.wire import BadRequest

HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})


class Admission(Protocol):
    """Decides who may ask for what, and when."""

    answers: str
    """The sentence for a request that names another host."""

    def answers_to(self, host: str) -> bool:
        """Return whether a request may name this host, without a port."""
        ...

    def member(self, shown: str) -> Member | None:
        """Return whose token `shown` is; None where it is none."""
        ...

    def look(self, member: Member) -> None:
        """Count a request that waits for no model. Raises `BadRequest` where there are too many."""
        ...

    def place(self, member: Member, use: Use, *, urgent: bool) -> AbstractAsyncContextManager[None]:
        """Hold a place for a request to a model. Raises `BadRequest` where there is none."""
        ...

    def observed(self, exchange: HttpExchange, use: Use | None) -> AbstractContextManager[None]:
        """Observe a request to a known path while the body runs."""
        ...


class OneUser:
    """Access by the one token of this machine's user."""

    answers = "This server answers to 127.0.0.1 and localhost."

    def __init__(self, token: Token) -> None:
        self._token = token
        self._running = 0

    def answers_to(self, host: str) -> bool:
        """See `Admission`: this machine's names, so that no web page gets here by its own."""
        return host.lower() in HOSTS

    def member(self, shown: str) -> Member | None:
        """See `Admission`."""
        return THE_USER if self._token.matches(shown) else None

    def observed(self, exchange: HttpExchange, use: Use | None) -> AbstractContextManager[None]:
        """See `Admission`; nothing is observed."""
        return nullcontext()

    def look(self, member: Member) -> None:
        """See `Admission`; nothing is counted."""

    @asynccontextmanager
    async def place(self, member: Member, use: Use, *, urgent: bool) -> AsyncGenerator[None]:
        """See `Admission`; no request waits."""
        if self._running >= MAX_REQUESTS:
            raise BadRequest(f"{self._running} requests are being answered.", status=429)
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1
