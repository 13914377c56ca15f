"""Which provider a running trial gives a completion to, without ever keeping the user waiting.

The second model is asked only while it is in memory and answers in time; else the first answers,
and the record says so. Of a trial both models are asked alone: an answer that another provider
would replace says nothing about its model.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from nearfield.features.trial.trial import Trial
from nearfield.providers.base import Provider
from nearfield.providers.memory import Resident
from nearfield.routing.request_context import Task
from nearfield.routing.router import EMBEDDED_TRIAL, STAND_INS, Router
from nearfield.types import GIVEN_UP, Reason, Situation, Surface, Trace

MAX_LATE = 3
"""Answers in a row that come after the deadline, before the second model is passed over."""
LATE_SECONDS = 600.0
"""Time for which it is passed over then."""


class TrialArms:
    """See the module. One event loop."""

    def __init__(self) -> None:
        self.trial: Trial | None = None
        self.is_ready = False
        """Whether the second model can answer at once, as last seen."""
        self._first = ""
        self._second: Provider | None = None
        self._late = 0
        self._passed_until = 0.0

    @property
    def second(self) -> Provider | None:
        """The provider of the second model while a trial runs here."""
        return self._second if self._first else None

    def configure(self, trial: Trial | None, router: Router | None) -> None:
        """Follow a trial, or none, with these providers."""
        self.trial, self._first, self._second, self.is_ready = trial, "", None, False
        if trial is None or router is None:
            return
        found = router.candidates_for(Task.COMPLETE)
        engine = router.providers.get(EMBEDDED_TRIAL)
        self._second = engine or router.providers.get(STAND_INS[EMBEDDED_TRIAL])
        # Where something else completes by now, it is no trial of these two.
        if self._second is not None and found and found[0].model == trial.first_name:
            self._first = found[0].name

    def only(self, uri: str, found: Sequence[Provider]) -> str:
        """Return the provider that alone answers for a document; "" where no trial decides.
        `found` are the candidates."""
        if self.trial is None or not self._first or not found or found[0].name != self._first:
            return ""
        if self.trial.arm(uri, time.time()) and self._is_usable():
            assert self._second is not None  # noqa: S101 - set with `_first`
            return self._second.name
        return self._first

    def mark(self, trace: Trace) -> str:
        """Return what the record of a request has of the trial, "" where it is no part of it."""
        if self.trial is None or not self._first or self._second is None:
            return ""
        is_edit = trace.surface is Surface.NEXT_EDIT or trace.situation == Situation.NEXT_EDIT
        if is_edit or trace.provider not in ("", self._first, self._second.name):
            return ""
        return self.trial.mark(trace.uri, time.time())

    def answered(self, trace: Trace) -> None:
        """Note whether the second model was in time. One that says nothing is not named."""
        if self.trial is None or self._second is None or not self._is_usable():
            return
        is_its = trace.provider == self._second.name
        is_silent = not trace.provider and self.trial.arm(trace.uri, time.time()) == 1
        if is_its or (is_silent and trace.reason is Reason.DEADLINE):
            self._note(trace.reason)

    def _is_usable(self) -> bool:
        if not self.is_ready or time.monotonic() < self._passed_until:
            return False
        return not isinstance(self._second, Resident) or self._second.in_memory

    def _note(self, reason: Reason) -> None:
        if reason is not Reason.DEADLINE:
            self._late = self._late if reason in GIVEN_UP else 0
            return
        self._late += 1
        if self._late >= MAX_LATE:
            self._late, self._passed_until = 0, time.monotonic() + LATE_SECONDS
