"""Explanations of a model: computed one at a time in the background, and cached.

An explanation belongs to the hash of everything that shaped it, so an edit elsewhere keeps it, and
an edit of the code that it was made from does not.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from nearfield.errors import NearfieldError, ProviderError
from nearfield.features.hover.wording import (
    COMMAND_SENTENCES,
    HOVER_SENTENCES,
    ExplanationRequest,
    complaint,
    has_enough,
    tidy,
)
from nearfield.features.idle import IdleScheduler
from nearfield.features.offers import Offers
from nearfield.features.remote_choice import RemoteChoice
from nearfield.routing.request_context import RequestContext, Task
from nearfield.routing.router import Restart, Router
from nearfield.tasks import describe, stop_task
from nearfield.types import WOULD_ANSWER, HealthState, Usage

log = logging.getLogger(__name__)

MAX_CACHED = 512
"""Explanations in memory, about half a kilobyte each; routing also caches them on disk."""
EXPLAIN = "explain"
"""The name of the job, which a keystroke ends."""
BACKGROUND_SECONDS = 120.0
"""Timeout of an explanation that is computed in the background."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """The answer of a model: `text` is tidy Markdown ("" if it was of no use, and `wrong` says
    why); `by` names the model for people."""

    text: str
    by: str = ""
    wrong: str = ""
    provider: str = ""
    model: str = ""
    usage: Usage | None = None


class Explanations:
    """See the module's docstring. One event loop."""

    def __init__(self, offers: Offers, scheduler: IdleScheduler) -> None:
        self._offers = offers
        self._scheduler = scheduler
        self._cached: OrderedDict[str, Explanation] = OrderedDict()
        self._running: tuple[str, asyncio.Task[Explanation | None]] | None = None
        self._manual = 0

    @property
    def is_running(self) -> bool:
        """Return whether an explanation is being computed in the background."""
        return self._running is not None and not self._running[1].cancelling()

    @property
    def is_busy(self) -> bool:
        """Return whether any explanation is being computed."""
        return self.is_running or self._manual > 0

    def cached(self, request: ExplanationRequest) -> Explanation | None:
        """Return the explanation of `request` if it has been computed."""
        return self._cached.get(request.key)

    def clear(self) -> None:
        """Stop, and forget all explanations."""
        self.stop()
        self._cached.clear()

    def stop(self) -> None:
        """Cancel the background work, to make room for something more urgent."""
        if self._running is not None:
            self._running[1].cancel()
            self._running = None

    async def aclose(self) -> None:
        """Stop, and wait for the end of the background work."""
        running = self._running
        self.stop()
        if running is not None:
            await stop_task(running[1])

    def start(
        self, router: Router, request: ExplanationRequest, workspace: str, *, loads: bool = True
    ) -> asyncio.Task[Explanation | None]:
        """Compute an explanation in the background, replacing any other; one that is running for
        the same request continues. With `loads` a model may be loaded for it.
        """
        if self._running is not None:
            key, task = self._running
            if key == request.key and not (task.done() or task.cancelling()):
                return task
        task = self._scheduler.run(EXPLAIN, self._compute(router, request, workspace, loads))
        self._running = (request.key, task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Explanation | None]) -> None:
        if self._running is not None and self._running[1] is task:
            self._running = None

    async def _compute(
        self, router: Router, request: ExplanationRequest, workspace: str, loads: bool
    ) -> Explanation | None:
        context = RequestContext(Task.EXPLAIN, workspace, request.sources, (complaint,))
        if not await _can_answer(router, request, context, loads):
            return None
        try:
            async with asyncio.timeout(BACKGROUND_SECONDS):
                found = await _listen(router, request, context, HOVER_SENTENCES)
        except TimeoutError:
            return None
        except NearfieldError as error:
            log.info("no explanation: %s", describe(error))
            return None
        if found.wrong:
            log.info("an explanation of %s is not shown: %s", found.model, found.wrong)
        self._cached[request.key] = found
        while len(self._cached) > MAX_CACHED:
            self._cached.popitem(last=False)
        return found

    async def ask(
        self,
        router: Router,
        request: ExplanationRequest,
        workspace: str,
        on_text: Callable[[str], None],
        on_restart: Callable[[], None],
        elsewhere: RemoteChoice | None,
    ) -> Explanation:
        """Return the explanation that the user waits for; `on_text` gets the answer as it comes,
        `on_restart` is called if another model starts over, `elsewhere` is the provider that the
        user chose. Raises from the error tree."""
        context = RequestContext(Task.EXPLAIN, workspace, request.sources)
        if elsewhere is None:
            accepted = self._offers.take(workspace, Task.EXPLAIN)
        else:
            accepted = await elsewhere.accepted(router, request.request, context)
        context = RequestContext(Task.EXPLAIN, workspace, request.sources, (complaint,), accepted)
        self._manual += 1
        try:
            return await _listen(
                router, request, context, COMMAND_SENTENCES, self._offers, on_text, on_restart
            )
        finally:
            self._manual -= 1


async def _can_answer(
    router: Router, request: ExplanationRequest, context: RequestContext, loads: bool
) -> bool:
    """Return whether the first provider is ready, or may be loaded (`loads`). A model that is being
    loaded already is not waited for. Without `loads` no user has asked: only a provider may
    answer that yields to completions."""
    candidates = router.candidates(router.choose(request.request, context).role)
    first = next((one for one in candidates if one.capabilities.chat), None)
    if first is None:
        return False
    if not first.capabilities.local:
        return bool(context.workspace)
    try:
        state = (await first.health()).state
    except ProviderError:
        return False
    if not loads:
        return state is HealthState.READY and first.capabilities.yields
    return state in WOULD_ANSWER


async def _listen(
    router: Router,
    request: ExplanationRequest,
    context: RequestContext,
    sentences: int,
    offers: Offers | None = None,
    on_text: Callable[[str], None] = lambda text: None,
    on_restart: Callable[[], None] = lambda: None,
) -> Explanation:
    """Ask, and read the answer to its end, for a hover until it has enough."""
    text, usage, is_stopped = "", None, False
    async with router.chat(request.request, context=context) as route:
        try:
            async for item in route:
                if isinstance(item, Restart):
                    text, is_stopped = "", False
                    on_restart()
                    continue
                usage = item.usage or usage
                if is_stopped:
                    continue
                text += item.text
                if item.text:
                    on_text(item.text)
                if sentences == HOVER_SENTENCES and has_enough(text):
                    route.enough()
                    is_stopped = True
        finally:
            if offers is not None:
                if route.asked.isdisjoint(context.accepted):
                    offers.give_back(context.workspace, Task.EXPLAIN, context.accepted)
                offers.add(route.offers)
    provider = route.provider
    name, model = (provider.name, provider.model) if provider else ("", "")
    is_local = provider is not None and provider.capabilities.local
    by = f"{model}, on this machine" if is_local else f"{model}, by {name}"
    shown = "" if route.wrong else await asyncio.to_thread(tidy, text, sentences)
    return Explanation(shown, by, route.wrong, name, model, usage)
