"""The only way to a provider outside this machine.

`Egress` wraps such a provider and holds the only reference to it. Each request passes
`Guard.admit`, which checks consent, cuts out withheld files, replaces secrets and writes the
ledger. All that precedes the provider's own code; the answer's placeholders are put back on the way
in. Asked without a context (as any plain `Provider` is) it answers `NotPermitted`, so code that
does not know about routing cannot send anything by accident. It counts tokens by estimate and asks
the far server for neither its health nor its models: those would be connections, too.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from typing import Any

from nearfield.errors import NearfieldError, NotPermitted
from nearfield.providers.base import Provider
from nearfield.routing.guard import Admitted, Guard, Remote, Request
from nearfield.routing.ledger import RequestOutcome
from nearfield.routing.money import estimate_tokens, read_tokens
from nearfield.routing.redact import Restorer
from nearfield.routing.request_context import RequestContext
from nearfield.types import (
    Capabilities,
    ChatRequest,
    Delta,
    EditRequest,
    Health,
    HealthState,
    InfillRequest,
    ServedModel,
    Usage,
)

log = logging.getLogger(__name__)


class Egress:
    """See the module. Implements `Provider`."""

    def __init__(self, provider: Provider, to: Remote, guard: Guard) -> None:
        self.name = provider.name
        self.model = provider.model
        self.to = to
        self._provider = provider
        self._guard = guard
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def capabilities(self) -> Capabilities:
        """The provider's own."""
        return self._provider.capabilities

    async def health(self) -> Health:
        """Return whether it may be used, which is all that is known without a connection."""
        try:
            why_not = await asyncio.to_thread(self._guard.never, self.to)
        except NotPermitted as error:
            why_not = error.message
        if why_not:
            return Health(HealthState.UNAVAILABLE, why_not)
        return Health(HealthState.READY, "outside this machine; not asked")

    def infill(
        self, request: InfillRequest, context: RequestContext | None = None
    ) -> AsyncGenerator[Delta]:
        """Stream the middle, if it may be asked for. Raises `NotPermitted`."""
        return self._send(request, context, self._provider.infill, as_json=False)

    def edit(
        self, request: EditRequest, context: RequestContext | None = None
    ) -> AsyncGenerator[Delta]:
        """Stream a window's new text, if it may be asked for. Raises `NotPermitted`."""
        return self._send(request, context, self._provider.edit, as_json=False)

    def chat(
        self, request: ChatRequest, context: RequestContext | None = None
    ) -> AsyncGenerator[Delta]:
        """Stream the next turn, if it may be asked for. Raises `NotPermitted`."""
        return self._send(request, context, self._provider.chat, request.schema is not None)

    async def count_tokens(self, text: str) -> int:
        """An estimate: asking the server would send it the text."""
        return estimate_tokens(len(text))

    async def models(self) -> list[ServedModel]:
        """The one in the settings."""
        return [ServedModel(self.model, self.capabilities.context_tokens)]

    async def settled(self) -> None:
        """Wait until the ledger knows how every ended request ended."""
        while self._closing:
            await asyncio.wait(self._closing)

    async def aclose(self) -> None:
        """Settle the ledger and free the provider."""
        await self.settled()
        await self._provider.aclose()

    async def _send(
        self,
        request: Request,
        context: RequestContext | None,
        ask: Callable[[Any], AsyncGenerator[Delta]],
        as_json: bool,
    ) -> AsyncGenerator[Delta]:
        admitted = await self._admit(request, context)
        restorer = Restorer(admitted.redactions, as_json)
        outcome, usage, characters = str(RequestOutcome.CANCELLED), None, 0
        try:
            async with aclosing(ask(admitted.request)) as stream:
                async for delta in stream:
                    usage = delta.usage or usage
                    characters += len(delta.text)
                    if delta.finish is not None:
                        # The reader of the last delta may stop without asking for another.
                        outcome = RequestOutcome.ANSWERED
                    if (restored := restorer.feed(delta)) is not None:
                        yield restored
            if rest := restorer.rest():
                yield Delta(rest)
            outcome = RequestOutcome.ANSWERED
        except NearfieldError as error:
            outcome = type(error).__name__
            raise
        finally:
            read, written = _tokens(usage, admitted.request, characters)
            self._close_entry(admitted.entry, outcome, read, written)

    async def _admit(self, request: Request, context: RequestContext | None) -> Admitted:
        if context is None:
            raise NotPermitted(f"Nothing is sent to {self.name}: nobody said what for.")
        return await asyncio.to_thread(self._guard.admit, self.to, request, context)

    def _close_entry(self, entry: int, outcome: str, read: int, written: int) -> None:
        """Record the end in the background: a cancelled caller must not wait for the disk."""
        self._hold(
            asyncio.to_thread(self._guard.close_entry, self.to, entry, outcome, read, written)
        )

    def _hold(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work, name=f"ledger of {self.name}")
        self._closing.add(task)
        task.add_done_callback(self._closed)

    def _closed(self, task: asyncio.Task[None]) -> None:
        self._closing.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # The entry stays "sending": the ledger still says that something was sent.
            log.error("the end of a request to %s was not recorded: %s", self.name, type(error))


def _tokens(usage: Usage | None, request: Request, characters: int) -> tuple[int, int]:
    """Tokens read and written: what the provider says, else an estimate."""
    written = usage.generated_tokens if usage else None
    if written is None:
        written = estimate_tokens(characters) if characters else 0
    return read_tokens(usage, request), written
