"""The user's consents to what leaves this machine: answers to offers, and decisions kept."""

from __future__ import annotations

from collections.abc import Callable

from nearfield.config.folders import FolderConfigs
from nearfield.config.schema import Config
from nearfield.features.feature import Feature
from nearfield.features.idle import Activity
from nearfield.features.offers import Offers
from nearfield.features.remote_choice import clouds
from nearfield.routing.consent import Consent, ConsentRecord
from nearfield.routing.request_context import Task
from nearfield.routing.router import Router, built


class Consents(Feature):
    """See the module. `on_decision` is called when a decision was made or revoked, `on_consent`
    when one lets a provider answer."""

    def __init__(
        self,
        offers: Offers,
        activity: Activity,
        on_decision: Callable[[], None],
        on_consent: Callable[[], None],
    ) -> None:
        self._offers = offers
        self._activity = activity
        self._on_decision = on_decision
        self._on_consent = on_consent
        self._configs = FolderConfigs(Config())
        self._router: Router | None = None

    def configure(self, config: FolderConfigs, router: Router | None) -> None:
        """Apply settings and providers from now on."""
        self._configs, self._router = config, router

    async def aclose(self) -> None:
        """Ask no provider any more."""
        self._router = None

    async def answer(self, offer_id: str, decision: Consent) -> bool:
        """Store the user's answer to an offer; False when no open one has that id. After a yes the
        offered provider may answer the next question.
        """
        offer = self._offers.answered(offer_id, decision)
        if offer is None or self._router is None:
            return False
        await self._router.answer(offer, decision)
        if decision is not Consent.NEVER:
            # What was not good enough, or was not there, is not said again.
            self._on_consent()
        self._on_decision()
        return True

    async def said(self) -> list[ConsentRecord]:
        """Return every decision about what may be sent outside this machine. Raises `NotReady`
        before the providers are built, and `LedgerError`."""
        return await built(self._router).said()

    async def revoke(self, workspace: str | None, provider: str | None) -> int:
        """Forget decisions: of one workspace or provider, or all for None. Returns how many.
        Raises as `said`."""
        self._offers.forget()
        gone = await built(self._router).revoke(workspace, provider)
        self._on_decision()
        return gone

    async def clouds(self, task: str, workspace: str | None) -> tuple[tuple[str, str], ...]:
        """Return the providers outside this machine that could do `task` for the user, with their
        models; none while paused.
        """
        router = None if self._activity.is_paused else self._router
        return await clouds(router, self._configs, Task(task), workspace or "")
