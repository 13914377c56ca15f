"""The order in which jobs advance, whatever runs the model.

Work advances in steps, and between two steps the most urgent job goes first; of two equally
urgent ones the older. What other processes answer is in `typing_lock`: its `StepGate` says when a
step has to wait.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from nearfield.engine.frames import Event, Generate, JobFailed
from nearfield.engine.typing_lock import StepGate
from nearfield.errors import NearfieldError
from nearfield.types import Priority


@dataclass(slots=True)
class QueuedJob:
    """A request, its number in the order of arrival, and when it was received."""

    spec: Generate
    arrival: int
    received: float = field(default_factory=time.monotonic, kw_only=True)

    @property
    def late(self) -> bool:
        """True once the deadline has passed."""
        limit = self.spec.deadline_ms
        return bool(limit) and (time.monotonic() - self.received) * 1000 >= limit


OneJob = TypeVar("OneJob", bound=QueuedJob)


class JobQueue(ABC, Generic[OneJob]):
    """The jobs of one loaded model. Used from one thread."""

    def __init__(self, send: Callable[[Event], None], gate: StepGate | None) -> None:
        self._send = send
        self._gate = gate or StepGate()
        self._jobs: dict[int, OneJob] = {}
        self._arrivals = 0

    @property
    def idle(self) -> bool:
        """True if there is no job."""
        return not self._jobs

    def cancel(self, id: int) -> None:
        """End a job; nothing happens when it has ended already."""
        if job := self._jobs.get(id):
            self._end(job, "cancelled")

    def must_wait(self) -> bool:
        """Return whether the most urgent job has to wait, because another process answers typing.
        There is a job."""
        job = self._first()
        types = job.spec.priority <= Priority.COMPLETION
        return not self._gate.may_begin(types=types) and not job.late

    def step(self) -> None:
        """Advance the most urgent job by one step."""
        job = self._first()
        if job.late:
            self._end(job, "deadline")
            return
        try:
            self._go_on(job)
        except NearfieldError as error:
            self._close(job)
            self._fail(job.spec.id, error)

    def end_all(self) -> None:
        """End every job, as before a model is freed."""
        for job in list(self._jobs.values()):
            self._end(job, "cancelled")

    def _first(self) -> OneJob:
        return min(self._jobs.values(), key=lambda job: (job.spec.priority, job.arrival))

    @abstractmethod
    def _go_on(self, job: OneJob) -> None:
        """Do one step of a job, and end it where it has finished. Raises from the error tree."""

    @abstractmethod
    def _end(self, job: OneJob, finish: str) -> None:
        """Close a job and send its cost."""

    @abstractmethod
    def _close(self, job: OneJob) -> None:
        """Take a job out, and free what it holds."""

    def _fail(self, id: int, error: NearfieldError) -> None:
        self._send(JobFailed(id, type(error).__name__, error.message, error.hint))
