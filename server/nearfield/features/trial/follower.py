"""A trial as a running server follows it: begun and ended elsewhere, and ended here when due.

The file is looked at now and then, since a trial is started by a command or by the panel. The
second model is loaded while the user rests, beside the first and never in its place.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from nearfield.config.folders import FolderConfigs
from nearfield.errors import NearfieldError
from nearfield.features.assemble import Loading
from nearfield.features.documents import Answered, Document
from nearfield.features.feature import Feature
from nearfield.features.metrics.store import RecordStore
from nearfield.features.trial.arms import TrialArms
from nearfield.features.trial.result import look
from nearfield.features.trial.trial import Trial, kept_trial
from nearfield.routing.router import Router
from nearfield.tasks import describe, run_task, stop_task
from nearfield.types import HealthState

log = logging.getLogger(__name__)

LOOK_SECONDS = 30.0
"""Interval at which the file is looked at."""
RESULT_SECONDS = 900.0
"""Interval at which the result is computed, which reads the records of the trial."""


class TrialFollower(Feature):
    """See the module. `is_ready` tells whether the first model answers."""

    def __init__(self, arms: TrialArms, store: RecordStore, is_ready: Callable[[], bool]) -> None:
        self._arms = arms
        self._store = store
        self._is_ready = is_ready
        self._trial: Trial | None = None
        self._looked = -RESULT_SECONDS
        self._loading: asyncio.Task[None] | None = None

    @property
    def challenger(self) -> str:
        """The second model of the running trial, as the settings would name it; "" for none."""
        return self._trial.second if self._trial is not None else ""

    def configure(self, config: FolderConfigs, router: Router | None) -> None:
        """Follow the trial with these providers."""
        self._arms.configure(self._trial, router)

    def idle(self, document: Document) -> None:
        """Load the second model, or see whether it is loaded."""
        is_at_it = self._loading is not None and not self._loading.done()
        if self._arms.second is not None and not is_at_it and self._is_ready():
            self._loading = run_task(self._look_at_second(), "look at the trial's model")

    def answered(self, answer: Answered) -> None:
        """Pass the second model over for a while once it is late again and again."""
        if answer.trace is not None:
            self._arms.answered(answer.trace)

    async def look(self) -> bool:
        """Read the file, and return whether another trial runs."""
        kept = await asyncio.to_thread(kept_trial)
        before, self._trial = self._trial, kept if kept and kept.is_running else None
        old, new = (one.id if one is not None else "" for one in (before, self._trial))
        return old != new

    async def run(self, changed: Callable[[], Awaitable[None]]) -> None:
        """Look now and then until cancelled, and end the trial where that is due; `changed` is
        called when another one runs."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await asyncio.to_thread(self._end_if_due)
            if await self.look():
                await changed()

    async def aclose(self) -> None:
        """Stop looking at the second model."""
        await stop_task(self._loading)

    def _end_if_due(self) -> None:
        now = time.monotonic()
        if self._trial is None or now - self._looked < RESULT_SECONDS:
            return
        self._looked = now
        try:
            look(self._store)
        except NearfieldError as error:
            log.warning("the trial cannot be looked at: %s", describe(error))

    async def _look_at_second(self) -> None:
        second = self._arms.second
        if second is None:
            return
        health = await second.health()
        self._arms.is_ready = health.state is HealthState.READY
        if health.state is HealthState.IDLE and isinstance(second, Loading):
            second.start()
