"""The places for requests to models, shared fairly between the people of a team.

A free place goes to the waiting person who has the fewest; among equals to whom it was given
longest ago. Requests of a keystroke come before others, but for one turn in `TURNS`, and a part of
the places is kept for them. One event loop.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from nearfield.errors import NearfieldError

KEPT_SHARE = 4
"""One place in this many is kept for keystrokes: a chat holds its place for a hundred times as
long."""
TURNS = 5
"""One turn in this many goes to other requests first, so that none waits for ever."""


class Crowded(NearfieldError):
    """There was no place in time, or too many of the person's requests wait."""


@dataclass(slots=True, eq=False)
class _Ticket:
    person: str
    most: int
    urgent: bool
    given: asyncio.Future[None]


class FairQueue:
    """See the module. `waiting` requests of a person may wait, for `wait_seconds`."""

    def __init__(self, at_once: int, waiting: int, wait_seconds: float) -> None:
        self._at_once = at_once
        self._waiting = waiting
        self._wait_seconds = wait_seconds
        self._tickets: defaultdict[str, deque[_Ticket]] = defaultdict(deque)
        self._held: Counter[str] = Counter()
        self._held_by_others = 0
        """Places of requests that are not of a keystroke."""
        self._served: dict[str, int] = {}
        self._turn = 0

    @property
    def running(self) -> int:
        """The number of places that are taken."""
        return self._held.total()

    @property
    def length(self) -> int:
        """The number of requests that wait."""
        return sum(map(len, self._tickets.values()))

    @asynccontextmanager
    async def place(self, person: str, most: int, *, urgent: bool) -> AsyncGenerator[None]:
        """Hold a place, waited for, while the body runs; a person has `most` at once. Raises
        `Crowded`."""
        given = asyncio.get_running_loop().create_future()
        ticket = _Ticket(person, most, urgent, given)
        self._tickets[person].append(ticket)
        self._give()
        try:
            await self._wait(ticket)
            yield
        finally:
            self._leave(ticket)

    async def _wait(self, ticket: _Ticket) -> None:
        if ticket.given.done():
            return
        if len(self._tickets[ticket.person]) > self._waiting:
            raise Crowded(f"{self._waiting} of your requests wait already.")
        try:
            async with asyncio.timeout(self._wait_seconds):
                await ticket.given
        except TimeoutError:
            raise Crowded("No place became free in time.", "Ask again in a moment.") from None

    def _leave(self, ticket: _Ticket) -> None:
        """Give a place back, or stop waiting for one."""
        if ticket.given.done() and not ticket.given.cancelled():
            self._held[ticket.person] -= 1
            self._held_by_others -= not ticket.urgent
            if not self._held[ticket.person]:
                del self._held[ticket.person]
        else:
            self._take_out(ticket)
        self._give()

    def _take_out(self, ticket: _Ticket) -> None:
        waiting = self._tickets[ticket.person]
        if ticket in waiting:
            waiting.remove(ticket)
        if not waiting:
            del self._tickets[ticket.person]

    def _give(self) -> None:
        """Give the free places away."""
        while self.running < self._at_once and (ticket := self._next()) is not None:
            self._take_out(ticket)
            self._turn += 1
            self._held[ticket.person] += 1
            self._held_by_others += not ticket.urgent
            self._served[ticket.person] = self._turn
            ticket.given.set_result(None)

    def _next(self) -> _Ticket | None:
        """Return whose turn it is."""
        kept = self._at_once // KEPT_SHARE
        may_others = self._held_by_others < self._at_once - kept
        others_first = self._turn % TURNS == TURNS - 1
        best: tuple[tuple[bool, int, int], _Ticket] | None = None
        for person, waiting in self._tickets.items():
            held, served = self._held[person], self._served.get(person, 0)
            for ticket in waiting:
                if ticket.given.done() or held >= ticket.most:
                    continue
                if not ticket.urgent and not may_others:
                    continue
                rank = (ticket.urgent is others_first, held, served)
                if best is None or rank < best[0]:
                    best = rank, ticket
        return best[1] if best is not None else None
