"""From a cursor to what a model is asked there, and when.

A request waits for the next keystroke before a model is asked, to spare it what that would make
useless. So the wait is never longer than the evaluation that it could spare: while a user types
along a line there is next to none. It is as long as the settings say where much is new, where keys
come faster than that, and where a request leaves this machine.
"""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from msgspec import structs

from nearfield.config.schema import Completion
from nearfield.features.completion.answers import Generated, Stopwatch
from nearfield.features.completion.postprocess import Shaper
from nearfield.features.completion.prompting import (
    MIN_PROMPT_TOKENS,
    PromptPlan,
    allow,
    candidates,
    continued,
    included,
    infill_request,
    request_context,
    unchosen,
)
from nearfield.features.documents import Document
from nearfield.features.trial.arms import TrialArms
from nearfield.providers.base import Provider
from nearfield.providers.estimate import CHARS_PER_TOKEN, LINE_TOKENS
from nearfield.routing.request_context import RequestContext, Task
from nearfield.routing.router import Router
from nearfield.syntax.parser import Cursor, ParseCache
from nearfield.types import (
    Capabilities,
    CompletionRequest,
    HealthState,
    Included,
    InfillRequest,
    Snapshot,
    Usage,
)

CLIENT_WAITED_MS = 5
"""The wait when the client has waited itself: just long enough that of several requests in one read
only the last one reaches a model."""

SOON_SHARE = 0.2
"""After this share of the time for an answer, the finished lines are shown while the user types,
without waiting for the end of their statement or block: 0.5 s of 2.5. Later ones come when the user
has begun to type (tests/bench/RESULTS.md, A typist's keys).
"""

KEEP_OLD_RATE = 0.7
"""Weight of the earlier value when a rate is measured again: steadies it over some three
requests."""

Prepare = Callable[[Snapshot, int], Awaitable[None]]
"""Makes the snippets of other files ready for an offset of a document."""


@dataclass(frozen=True, slots=True)
class PreparedQuestion:
    """A model's request, and what judges its answer.

    `plans` are the prompts that may be used, `default` the index of that for a provider that does
    not choose. `context` is what routing must know, `included` what the default prompt shows of
    other code. `min_logprob` is that of `Generated`.
    """

    plans: list[PromptPlan]
    default: int
    shaper: Shaper
    request: InfillRequest
    context: RequestContext
    included: tuple[Included, ...]
    min_logprob: float

    def used(
        self, found: Generated, document: Document, rates: LearnedRates | None = None
    ) -> PromptPlan:
        """Return the prompt that the provider of `found` has read, and note it. `rates` learn from
        it."""
        variant = found.reported.variant if found.reported is not None else None
        plan = self.plans[self.default if variant is None else variant]
        if rates is not None:
            rates.learn(found.provider, found.watch, plan.new_chars, found.reported)
        document.sent(plan.sent)
        found.prompt = plan.sent.text.hash
        return plan


@dataclass(frozen=True, slots=True)
class RequestScope:
    """The router of one request, the settings of its folder, the providers that may answer, in
    order, and the capabilities of the first of them."""

    router: Router
    settings: Completion
    providers: tuple[Provider, ...]
    can: Capabilities
    only: str = ""
    """The provider that a trial chose; "" where none did."""

    @property
    def is_local(self) -> bool:
        """Return whether a model on this machine is asked first: then a request costs only time."""
        return bool(self.providers) and self.can.local


class LearnedRates:
    """Rates of providers that do not measure their own, learned from their answers.

    Without timings of its own a provider's time to the first token counts as the prefill. It
    includes the round trip, so the rate is never overestimated.
    """

    def __init__(self) -> None:
        self._prefill: dict[str, float] = {}
        self._decode: dict[str, float] = {}

    def fill_in(self, name: str, can: Capabilities) -> Capabilities:
        """Return `can` with the learned rates where it has none."""
        prefill = can.prefill_rate or self._prefill.get(name)
        decode = can.decode_rate or self._decode.get(name)
        if (prefill, decode) == (can.prefill_rate, can.decode_rate):
            return can
        return replace(can, prefill_rate=prefill, decode_rate=decode)

    def learn(self, name: str, watch: Stopwatch, new_chars: int, usage: Usage | None) -> None:
        """Learn from a request to `name`, of whose prompt `new_chars` were not sent before."""
        if watch.first is not None:
            evaluated = usage.evaluated_tokens if usage else None
            tokens = new_chars / CHARS_PER_TOKEN if evaluated is None else evaluated
            if tokens >= MIN_PROMPT_TOKENS:
                _blend(self._prefill, name, tokens / max(1e-3, watch.first - watch.begun))
        if watch.first is not None and watch.last is not None and watch.tokens >= LINE_TOKENS:
            _blend(self._decode, name, watch.tokens / max(1e-3, watch.last - watch.first))


def _blend(rates: dict[str, float], name: str, measured: float) -> None:
    old = rates.get(name, measured)
    rates[name] = old * KEEP_OLD_RATE + measured * (1 - KEEP_OLD_RATE)


class Questions:
    """Factory of questions, by the provider's speed. `prepare` is called for manual requests;
    `arms` chooses the provider while a trial runs. For one event loop.
    """

    def __init__(
        self,
        trees: ParseCache,
        prepare: Prepare,
        arms: TrialArms | None = None,
    ) -> None:
        self.rates = LearnedRates()
        self.cursor = trees.cursor
        self._prepare = prepare
        self._arms = arms or TrialArms()

    def scope(self, snapshot: Snapshot, settings: Completion, router: Router) -> RequestScope:
        """Return what holds for a request about `snapshot`."""
        found = router.candidates_for(Task.COMPLETE, snapshot.root or "")
        only = self._arms.only(snapshot.uri, found) if self._arms.trial is not None else ""
        found = (router.provider(only),) if only else found
        can = self.rates.fill_in(found[0].name, found[0].capabilities) if found else Capabilities()
        return RequestScope(router, settings, found, can, only)

    async def make(
        self,
        request: CompletionRequest,
        document: Document,
        scope: RequestScope,
        deadline: float,
        *,
        is_arrival: bool = False,
    ) -> PreparedQuestion:
        """Return the question for `request`, to be answered before the moment `deadline`. For
        `is_arrival` see `ARRIVAL_SECONDS`."""
        snapshot, settings, is_manual = request.snapshot, scope.settings, request.invoked
        if request.max_tokens is not None:
            most = min(request.max_tokens, settings.max_tokens)
            settings = structs.replace(settings, max_tokens=most)
        cursor = await self.cursor(snapshot, request.offset, request.selected)
        soon = deadline - (1 - SOON_SHARE) * settings.deadline_ms / 1000
        shaper = Shaper.at(cursor, settings, is_manual=is_manual, soon=soon)
        # What follows an unlikely token is not generated, as it would not be shown; unless a rest
        # of the line could cut the token away, or others may be asked if the answer is poor.
        min_logprob = -math.inf
        if not is_manual and shaper.is_at_line_end and len(scope.providers) == 1:
            min_logprob = settings.min_token_confidence
        single_line = shaper.is_single_line
        seconds = deadline - time.monotonic()
        allowance = allow(
            scope.can, seconds, settings.max_tokens, is_manual=is_manual, is_arrival=is_arrival
        )
        if is_manual:
            await self._prepare(snapshot, request.offset)
        snippets = document.snippets(allowance.snippet_chars) if document.snippets else ()
        plans = candidates(
            cursor, document, allowance, settings, is_manual=is_manual, snippets=snippets
        )
        default = unchosen(plans, allowance)
        context = request_context(cursor, only=scope.only)
        shown = included(plans[default].piece, snapshot)
        infill = infill_request(
            plans,
            default,
            cursor,
            settings,
            single_line=single_line,
            deadline=deadline,
            is_manual=is_manual,
        )
        return PreparedQuestion(plans, default, shaper, infill, context, shown, min_logprob)


def wait_ms(
    request: CompletionRequest, document: Document, can: Capabilities, settings: Completion
) -> float:
    """Return the milliseconds that `request` waits; `can` is of the provider that is asked
    first."""
    if request.invoked:
        return 0
    longest = settings.debounce_ms
    if request.client_waits:
        longest = min(longest, CLIENT_WAITED_MS)
    if not can.local or not can.prefill_rate or document.gap * 1000 < settings.debounce_ms:
        return longest
    cursor = Cursor(request.snapshot, None, request.offset, request.selected)
    plans = continued(cursor, document, allow(can, 0, settings.max_tokens))
    if not plans:
        return longest
    return min(longest, plans[0].new_chars / CHARS_PER_TOKEN / can.prefill_rate * 1000)


async def is_ready(provider: Provider) -> bool:
    """Return whether a provider would answer at once."""
    return (await provider.health()).state is HealthState.READY
