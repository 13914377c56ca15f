"""The candidates of one request that did not answer: why, and which are offered to the user."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace

from nearfield.errors import (
    ContextTooLong,
    LeftAlone,
    NearfieldError,
    NoConsent,
    NoProvider,
    NotPermitted,
    OverBudget,
    ProviderError,
)
from nearfield.routing.consent import Consent
from nearfield.routing.plan import BROKE, NO_CLOUD, NO_LOCAL, REFUSED, WITHOUT_CLOUD
from nearfield.routing.provider_pool import ProviderPool
from nearfield.routing.request_context import Offer, RequestContext
from nearfield.types import ChatRequest, EditRequest, InfillRequest

SHARE = 0.5
"""While others are left, a candidate or a question may keep the user waiting for this share of the
time that remains: the next one needs the rest."""


class Unanswered:
    """See the module. `context` is that of the request, with what the user has allowed since."""

    def __init__(
        self,
        pool: ProviderPool,
        request: InfillRequest | EditRequest | ChatRequest,
        context: RequestContext,
    ) -> None:
        self._pool = pool
        self._request = request
        self.context = context
        self.failures: list[str] = []
        self.offers: list[Offer] = []
        self._causes: list[NearfieldError] = []

    def failed(self, name: str, error: NearfieldError) -> None:
        """Note that `name` did not answer because of `error`."""
        self.failures.append(reason(name, error))
        self._causes.append(error)

    def error(self, skipped: Sequence[tuple[str, str]]) -> NoProvider:
        """Return the error of the request, with every reason; `skipped` were not even tried."""
        reasons = (*self.failures, *(f"{name}: {why}" for name, why in skipped))
        # What failed now says more than what was not even tried.
        untried = (self._untried(name, why) for name, why in skipped)
        return no_provider(reasons, (*untried, *self._causes))

    def _untried(self, name: str, why: str) -> NearfieldError:
        """Return the error that represents a candidate that was left out."""
        said = f"{name}: {why}."
        if why == BROKE:
            return OverBudget(said)
        if why in (NO_CLOUD, REFUSED):
            return NoConsent(said)
        if self._pool.missing(name) == why:
            return ProviderError(said)
        return LeftAlone(said)

    async def offer(self, name: str, reason: str, announce: bool = True) -> Offer | None:
        """Return the offer of `name`, also told to the user where `announce`; None, and a failure,
        where the request could not be sent."""
        if any(offer.provider == name for offer in self.offers):
            return next(offer for offer in self.offers if offer.provider == name)
        try:
            offer = await self._pool.offer(name, self._request, self.context, reason)
        except NotPermitted as error:
            self.failed(name, error)
            return None
        if announce:
            self.offers.append(offer)
            said = f"{name}: offered to you"
            self.failures.append(said)
            self._causes.insert(0, NoConsent(f"{said}."))
        return offer

    async def ask(self, offer: Offer) -> bool:
        """Put the offer to the user; return whether it may be taken now. No answer in time is
        no."""
        if self.context.ask is None:
            self.offers.append(offer)
            return False
        patience = float(self._pool.config.routing.ask_timeout_s)
        if self._request.deadline is not None:
            left = max(0.0, self._request.deadline - time.monotonic())
            patience = min(patience, left * SHARE)
        try:
            async with asyncio.timeout(patience):
                decision = await self.context.ask(offer)
        except TimeoutError:
            decision = None
        if decision is None or decision is Consent.NEVER:
            said = f"{offer.provider}: you did not allow it"
            self.failures.append(said)
            self._causes.append(NoConsent(f"{said}."))
        if decision is not None:
            await self._pool.say(offer, decision)
        if decision in (Consent.ONCE, Consent.WORKSPACE):
            accepted = (*self.context.accepted, offer.provider)
            self.context = replace(self.context, accepted=accepted)
            return True
        return False


def reason(name: str, error: NearfieldError) -> str:
    """Return why a provider did not answer, as part of a sentence: most messages begin with its
    name.
    """
    said = error.message.removesuffix(".")
    return said if said.startswith(f"{name} ") else f"{name}: {said}"


def no_provider(reasons: tuple[str, ...], causes: tuple[NearfieldError, ...] = ()) -> NoProvider:
    """Return the error of a request that no provider answered, with every reason in it."""
    what = "; ".join(reasons) if reasons else "none is configured for this"
    only_local = reasons and all(reason.endswith(NO_LOCAL) for reason in reasons)
    hint = WITHOUT_CLOUD if only_local else "`nearfield doctor` looks for causes."
    hint = next((one.hint for one in causes if isinstance(one, ContextTooLong)), hint)
    return NoProvider(f"No provider could answer: {what}.", hint, causes)
