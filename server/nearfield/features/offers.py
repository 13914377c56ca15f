"""Offers of providers beyond this machine, and the user's answers.

An offer never delays an answer: it is made after the local one, each provider once in a session for
a workspace and a task. It is repeated only when the user has said something that makes it worth
asking again. A "once" is good for one request, the next of its task in its workspace.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from nearfield.listeners import Listeners
from nearfield.routing.consent import Consent
from nearfield.routing.money import dollars
from nearfield.routing.request_context import Offer, RequestContext, Task

MAX_OPEN = 32
"""Unanswered offers beyond this number are dropped, the oldest first."""

Place = tuple[str, Task]
"""A workspace and a task."""


class Offers:
    """The offers of one session; one event loop."""

    def __init__(self) -> None:
        self._listeners = Listeners[Offer]()
        self._open: dict[str, Offer] = {}
        self._told: set[tuple[Place, str]] = set()
        self.accepted: dict[Place, str] = {}
        """The providers that may answer one request, the next of its task in its workspace."""

    def subscribe(self, callback: Callable[[Offer], None]) -> Callable[[], None]:
        """Call `callback` with every offer from now on; returns the function that ends it."""
        return self._listeners.add(callback)

    def add(self, offers: Sequence[Offer]) -> None:
        """A request has ended with `offers`: tell those that have not been told."""
        for offer in offers:
            cause = (_place(offer), offer.provider)
            if cause in self._told or not self._listeners:
                continue
            self._told.add(cause)
            self._open[offer.id] = offer
            while len(self._open) > MAX_OPEN:
                del self._open[next(iter(self._open))]
            self._listeners.tell(offer)

    def answered(self, offer_id: str, decision: Consent) -> Offer | None:
        """The user has said `decision`; the offer, or None when there is none open of that id."""
        offer = self._open.pop(offer_id, None)
        if offer is not None and decision is Consent.ONCE:
            self.accepted[_place(offer)] = offer.provider
            self._told.discard((_place(offer), offer.provider))
        return offer

    def forget(self) -> None:
        """Decisions were revoked: what was told may be told again, and a "once" holds no longer."""
        self._told.clear()
        self.accepted.clear()

    def take(self, workspace: str, task: Task) -> tuple[str, ...]:
        """Return the providers outside this machine that may answer the request that begins now."""
        provider = self.accepted.pop((workspace, task), "")
        return (provider,) if provider else ()

    def settle(
        self, context: RequestContext, asked: Collection[str], offers: Sequence[Offer]
    ) -> None:
        """Add the `offers` that a request ended with; give back what was allowed for it if none of
        those was asked."""
        if context.accepted and not set(context.accepted) & set(asked):
            self.give_back(context.workspace, context.task, context.accepted)
        self.add(offers)

    def give_back(self, workspace: str, task: Task, accepted: Sequence[str]) -> None:
        """The request has ended before any of `accepted` was asked: they may be, still."""
        for provider in accepted:
            self.accepted.setdefault((workspace, task), provider)


def words(offer: Offer) -> str:
    """Return `offer` as a sentence for the user: the provider, the reason, the text to send, the
    price.
    """
    files = f" from {', '.join(offer.files)}" if offer.files else ""
    hidden = sum(count for _, count in offer.redactions)
    redacted = f", {hidden} secret{'' if hidden == 1 else 's'} replaced" if hidden else ""
    price = "price unknown" if offer.price is None else f"at most {dollars(offer.price)}"
    warning = f"; {offer.warning}" if offer.warning else ""
    return (
        f"{offer.provider} ({offer.model}) could answer, because {offer.reason}: it would be sent"
        f" {offer.bytes} bytes{files}{redacted}, {price}{warning}."
    )


def _place(offer: Offer) -> Place:
    return offer.workspace, offer.task
