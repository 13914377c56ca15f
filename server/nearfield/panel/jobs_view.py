"""The jobs of the panel, to read and to stop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from nearfield.panel.jobs import Jobs
from nearfield.panel.view import Query, Read, ViewAction


class JobBody(msgspec.Struct, frozen=True):
    """A job by its number."""

    id: str


class JobsView:
    """See the module."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    def reads(self) -> Mapping[str, Read]:
        """See `View`."""
        return {"jobs": self._all}

    def actions(self) -> Mapping[str, ViewAction]:
        """See `View`."""
        return {"jobs/stop": ViewAction(JobBody, self._stop)}

    async def _all(self, query: Query) -> dict[str, Any]:
        return {"jobs": self._jobs.all()}

    async def _stop(self, body: JobBody) -> dict[str, Any]:
        return {"job": self._jobs.stop(body.id)}
