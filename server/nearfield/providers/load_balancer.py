"""Several servers with the same model under one name.

A request goes to the server that already read its document or session, as long as that one is not
busier than the others; else to the one with the fewest requests in flight. A server that cannot be
reached, or is loading or limited, is left alone for a while and then tried again; what it had not
begun to answer goes to the next one. An answer that broke off is the caller's to repeat: the text
so far may already be on a screen.

Nothing runs in the background: a server is looked at when somebody asks.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TypeVar

from nearfield.errors import (
    BadAnswer,
    DeadlineExceeded,
    NotReady,
    ProviderError,
    RateLimited,
    Unreachable,
)
from nearfield.providers.base import Provider
from nearfield.types import (
    WOULD_ANSWER,
    Capabilities,
    ChatRequest,
    Delta,
    EditRequest,
    Health,
    HealthState,
    InfillRequest,
    ServedModel,
)

REST_S = 2.0
"""How long a server that failed is left alone; doubled each time it fails again."""
REST_MAX_S = 60.0
KEYS_KEPT = 512
"""Documents and sessions whose server is remembered; one server holds far fewer."""
AFFINITY_SLACK = 1
"""A document stays with its server while that has at most this many requests more than the idlest:
evaluating a prompt again takes longer than waiting for one answer."""

_ELSEWHERE = (Unreachable, NotReady, RateLimited, BadAnswer)
"""Failures that another server may not have."""

_T = TypeVar("_T")


@dataclass(slots=True, eq=False)
class Member:
    """One server. `load` counts its requests in flight."""

    provider: Provider
    load: int = 0
    failures: int = 0
    rests_until: float = 0.0
    detail: str = ""

    def rests(self) -> bool:
        """Return whether it is left alone now."""
        return time.monotonic() < self.rests_until

    def failed(self, error: ProviderError) -> None:
        """Leave it alone, for as long as it asks or for twice as long as last time."""
        rest = min(REST_MAX_S, REST_S * 2**self.failures)
        if isinstance(error, RateLimited) and error.retry_after is not None:
            rest = max(error.retry_after, 0.0)
        self.failures += 1
        self.detail = str(error)
        self.rests_until = time.monotonic() + rest

    def worked(self) -> None:
        """It answered: forget its failures."""
        self.failures, self.rests_until, self.detail = 0, 0.0, ""


class LoadBalancer:
    """See the module's docstring; `members` are providers of the same model."""

    def __init__(self, name: str, model: str, members: Sequence[Provider]) -> None:
        self.name = name
        self.model = model
        self.members = tuple(Member(provider) for provider in members)
        self._homes: OrderedDict[str, Member] = OrderedDict()

    @property
    def capabilities(self) -> Capabilities:
        """See `Provider`: what all of them can; local only when every one is."""
        all_can = [m.provider.capabilities for m in self.members]
        contexts = [c.context_tokens for c in all_can if c.context_tokens]
        return replace(
            all_can[0],
            infill=all(c.infill for c in all_can),
            chat=all(c.chat for c in all_can),
            tools=all(c.tools for c in all_can),
            schema=all(c.schema for c in all_can),
            embed=all(c.embed for c in all_can),
            local=all(c.local for c in all_can),
            context_tokens=min(contexts, default=None),
        )

    async def health(self) -> Health:
        """See `Provider`: asks every server; one is enough."""
        all_health = await asyncio.gather(*(m.provider.health() for m in self.members))
        for member, health in zip(self.members, all_health, strict=True):
            if health.state in WOULD_ANSWER:
                member.worked()
            else:
                member.failed(Unreachable(health.detail))
        up = sum(health.state in WOULD_ANSWER for health in all_health)
        said = " ".join(h.detail for h in all_health if h.state not in WOULD_ANSWER)
        detail = f"{up} of {len(self.members)} servers are up. {said}".strip()
        if up:
            return Health(HealthState.READY, detail)
        starting = any(health.state is HealthState.STARTING for health in all_health)
        return Health(HealthState.STARTING if starting else HealthState.UNAVAILABLE, detail)

    async def infill(self, request: InfillRequest) -> AsyncGenerator[Delta]:
        """See `Provider`."""
        stream = self._stream(request.document, lambda p: p.infill(request))
        async with aclosing(stream):
            async for delta in stream:
                yield delta

    async def edit(self, request: EditRequest) -> AsyncGenerator[Delta]:
        """See `Provider`."""
        async with aclosing(self._stream(request.document, lambda p: p.edit(request))) as stream:
            async for delta in stream:
                yield delta

    async def chat(self, request: ChatRequest) -> AsyncGenerator[Delta]:
        """See `Provider`."""
        async with aclosing(self._stream(request.session, lambda p: p.chat(request))) as stream:
            async for delta in stream:
                yield delta

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """See `Provider`."""
        return await self._ask(lambda p: p.embed(texts))

    async def count_tokens(self, text: str) -> int:
        """See `Provider`."""
        return await self._ask(lambda p: p.count_tokens(text))

    async def models(self) -> list[ServedModel]:
        """See `Provider`."""
        return await self._ask(lambda p: p.models())

    async def aclose(self) -> None:
        """See `Provider`."""
        await asyncio.gather(*(member.provider.aclose() for member in self.members))

    def _order(self, key: str) -> list[Member]:
        """The servers to try: those that rest are last, as a last resort."""
        order = sorted(self.members, key=lambda m: (m.rests(), m.load))
        home = self._homes.get(key) if key else None
        if home is not None and not home.rests() and home.load <= order[0].load + AFFINITY_SLACK:
            order.remove(home)
            order.insert(0, home)
        return order

    def _settle(self, key: str, member: Member) -> None:
        if key:
            self._homes[key] = member
            self._homes.move_to_end(key)
            while len(self._homes) > KEYS_KEPT:
                self._homes.popitem(last=False)

    async def _stream(
        self, key: str, ask: Callable[[Provider], AsyncGenerator[Delta]]
    ) -> AsyncGenerator[Delta]:
        failure: ProviderError | None = None
        for member in self._order(key):
            begun = False
            member.load += 1
            self._settle(key, member)
            try:
                async with aclosing(ask(member.provider)) as stream:
                    async for delta in stream:
                        begun = True
                        yield delta
            except _ELSEWHERE as error:
                member.failed(error)
                if begun:
                    raise
                failure = error
            except DeadlineExceeded as error:
                member.failed(error)  # it may hang; its next request is another's
                raise
            else:
                member.worked()
                return
            finally:
                member.load -= 1
        raise failure or Unreachable(f"{self.name} has no servers.")

    async def _ask(self, ask: Callable[[Provider], Awaitable[_T]]) -> _T:
        failure: ProviderError | None = None
        for member in self._order(""):
            member.load += 1
            try:
                answer = await ask(member.provider)
            except _ELSEWHERE as error:
                member.failed(error)
                failure = error
            else:
                member.worked()
                return answer
            finally:
                member.load -= 1
        raise failure or Unreachable(f"{self.name} has no servers.")
