"""A team's access: people by their tokens, what their roles allow, fair places, sums of use."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager

from nearfield.features.team.limits import Limits, OverLimit
from nearfield.features.team.people import People
from nearfield.features.team.queue import Crowded, FairQueue
from nearfield.features.team.settings import TeamRole, TeamSettings, Use
from nearfield.features.team.usage_store import UsageStore
from nearfield.http.app import PathHandler
from nearfield.http.exchange import HttpExchange
from nearfield.http.member import Member
from nearfield.http.telemetry import Metrics, Telemetry, Traces, answered, waited
from nearfield.http.wire import BadRequest
from nearfield.routing.activity import METER
from nearfield.tasks import run_task, stop_task


class TeamAccess:
    """Access for the people of a team; see `Admission`."""

    answers = "This server has another name."

    def __init__(self, settings: TeamSettings, people: People | None = None) -> None:
        self.settings = settings
        self._people = people or People()
        self.store = UsageStore(self._people.folder)
        self.limits = Limits(self.store)
        server = settings.server
        self.queue = FairQueue(server.at_once, server.waiting, server.wait_seconds)
        self._hosts = frozenset(host.lower() for host in server.hosts)
        wants_metrics = any("metrics" in role.uses for role in settings.roles.values())
        self.telemetry = Telemetry(
            Metrics(self.queue) if wants_metrics else None,
            Traces(server.traces) if server.traces else None,
        )
        self._keeping: asyncio.Task[None] | None = None

    def paths(self) -> dict[str, PathHandler]:
        """Return the paths that a team's server has besides those of the models."""
        if self.telemetry.metrics is None:
            return {}
        return {"/metrics": PathHandler("GET", self.telemetry.metrics.answer, use="metrics")}

    def observed(self, exchange: HttpExchange, use: Use | None) -> AbstractContextManager[None]:
        """See `Admission`."""
        return self.telemetry.request(exchange, use or "other")

    async def begin(self) -> None:
        """Read what was used today, and keep what is used from now on. Raises `UsageUnusable`."""
        await self.limits.load()
        self._keeping = run_task(self.limits.keep(), "keep the team's use")

    async def aclose(self) -> None:
        """Write what was used, and close the file."""
        if self._keeping is not None:
            await stop_task(self._keeping)
        await self.limits.flush()
        await asyncio.to_thread(self.store.close)
        if self.telemetry.traces is not None:
            await asyncio.to_thread(self.telemetry.traces.close)

    def answers_to(self, host: str) -> bool:
        """See `Admission`."""
        return not self._hosts or host.lower() in self._hosts

    def member(self, shown: str) -> Member | None:
        """See `Admission`. A person whose role the team's file does not have may use nothing."""
        person = self._people.find(shown)
        if person is None:
            return None
        owner, role = self._people.key(person.name), self.settings.roles.get(person.role)
        if role is None:
            return Member(person.name, owner, (), (), ())
        return Member(
            person.name,
            owner,
            tuple(role.uses),
            None if role.models is None else tuple(role.models),
            None if role.functions is None else tuple(role.functions),
            role.at_once,
        )

    def look(self, member: Member) -> None:
        """See `Admission`: counted apart from requests to models."""
        role = self._role(member)
        with _refused():
            self.limits.look(member.name, role)

    @asynccontextmanager
    async def place(self, member: Member, use: Use, *, urgent: bool) -> AsyncGenerator[None]:
        """See `Admission`: counted against the person's limits, waited for in the fair queue."""
        role = self._role(member)
        asked = time.monotonic()
        with _refused():
            self.limits.admit(member.name, role, use)

        def used(model: str, read: int, written: int) -> None:
            self.limits.used(member.name, use, model, read, written)
            answered(model, read, written)

        token = METER.set(used)
        try:
            async with self.queue.place(member.name, role.at_once, urgent=urgent):
                waited(time.monotonic() - asked)
                yield
        except Crowded as error:
            raise BadRequest(error.message, code="crowded", status=429, hint=error.hint) from error
        finally:
            METER.reset(token)

    def _role(self, member: Member) -> TeamRole:
        person = self._people.all().people.get(member.name)
        role = self.settings.roles.get(person.role) if person is not None else None
        if role is None:
            raise BadRequest("Your role has been taken away.", code="forbidden", status=403)
        return role


@contextmanager
def _refused() -> Generator[None]:
    """Answer a limit that is reached as HTTP does."""
    try:
        yield
    except OverLimit as error:
        raise BadRequest(
            error.message, code="quota_exceeded", status=429, wait_seconds=error.wait_seconds
        ) from error
