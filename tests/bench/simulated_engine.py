"""The engine without its process, on a simulated clock: scheduler and bookkeeping are the worker's
own, and a step takes the time that a `Speed` tells, so that counts depend on no machine.

Import `simulated_clock` before what reads a clock.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from nearfield.engine.client import EngineState, EngineStatus
from nearfield.engine.frames import Done, Event, Generate, JobFailed, ModelLoaded, Started
from nearfield.engine.job import Job
from nearfield.engine.lane import Abort
from nearfield.engine.rates import Rates
from nearfield.engine.scheduler import Scheduler
from nearfield.types import Priority, TokenTotals

Pick = Callable[[Generate], Any]


@dataclass(frozen=True, slots=True)
class Speed:
    """The seconds of a batch: `batch_s`, and one by `prefill` for each token of a prompt. An answer
    has `decode` tokens a second."""

    prefill: float
    decode: float
    batch_s: float = 0.0

    def times(self, factor: float) -> Speed:
        """Return the speed of a machine that is `factor` times as fast."""
        return Speed(self.prefill * factor, self.decode * factor, self.batch_s / factor)

    def evaluation(self, tokens: int) -> float:
        """Return the seconds that a batch of a prompt takes."""
        return self.batch_s + tokens / self.prefill

    def step(self, job: Job, chunk: int) -> float:
        """Return the seconds that the next step of `job` takes."""
        if not job.todo or job.late:
            return 0.0
        return 1 / self.decode if job.generated else self.evaluation(len(job.todo[:chunk]))


class SimulatedScheduler(Scheduler):
    """The worker's scheduler; `sampler` makes what chooses the tokens of a job."""

    sampler: Pick

    def next_job(self) -> Job | None:
        """Return the job that the next step advances."""
        return min(self._jobs.values(), key=lambda j: (j.spec.priority, j.arrival), default=None)

    def _sampler(self, spec: Generate) -> Any:
        return self.sampler(spec)


class SimulatedEngine:
    """The client's side, with the scheduler in the same event loop. `count` is told of each job's
    end; `busy` sums the seconds that steps took."""

    idle_seconds = 0.0
    is_busy = False

    def __init__(
        self,
        model: Any,
        lane: Any,
        sampler: Pick,
        speed: Speed,
        kind: type[SimulatedScheduler] = SimulatedScheduler,
    ) -> None:
        self.spent = {priority: TokenTotals() for priority in Priority}
        self.count: Callable[[Priority, Done], None] = lambda kind, done: None
        self.busy = 0.0
        self._speed, self._chunk = speed, int(lane.chunk)
        prefill = self._chunk / speed.evaluation(self._chunk)
        rates = Rates(prefill, speed.decode)
        self._scheduler = kind(model, lambda _: lane, rates, Abort(), self._send)
        self._scheduler.sampler = sampler
        self._events: dict[int, asyncio.Queue[Event]] = {}
        self._kinds: dict[int, Priority] = {}
        self._wake, self._abort, self._running = asyncio.Event(), asyncio.Event(), 0
        self._work: asyncio.Task[None] | None = None
        info = ModelLoaded(
            name="simulated", context_train=32768, document_tokens=lane.document_tokens,
            documents=len(lane.table.all), layers=1, vocabulary=1, bytes=1, fim=[""] * 5,
            chat_template=False, tools=False, load_ms=0.0,
            prefill_rate=prefill, decode_rate=speed.decode,
        )  # fmt: skip
        started = Started("1", "", False)
        self.status = EngineStatus(EngineState.READY, "simulated", None, info, started)

    async def ready(self, deadline: float | None = None) -> ModelLoaded:
        """See `EngineClient`."""
        assert self.status.info is not None
        return self.status.info

    async def stop(self) -> None:
        """See `EngineClient`."""
        if self._work is not None:
            self._work.cancel()
            await asyncio.gather(self._work, return_exceptions=True)

    async def generate(self, spec: Generate, deadline: float | None = None) -> AsyncGenerator[Any]:
        """See `EngineClient`."""
        if self._work is None:
            self._work = asyncio.create_task(self._run())
        id = len(self._kinds) + 1
        self._kinds[id] = Priority(spec.priority)
        if self._running and Priority(spec.priority) < self._kinds[self._running]:
            self._abort.set()  # a step that is preempted leaves no tokens
        events = self._events[id] = asyncio.Queue()
        self._scheduler.add(msgspec.structs.replace(spec, id=id))
        self._wake.set()
        event: Event | None = None
        try:
            while not isinstance(event, Done):
                event = await events.get()
                assert not isinstance(event, JobFailed), event.message
                yield event
        finally:
            if not isinstance(event, Done):
                if self._running == id:
                    self._abort.set()
                self._scheduler.cancel(id)

    async def save(self, document: str, path: str, variants: object) -> int:
        """Keep nothing."""
        return 0

    async def restore(self, document: str, path: str) -> int:
        """Restore nothing."""
        return 0

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            while self._scheduler.idle:
                self._wake.clear()
                await self._wake.wait()
            job = self._scheduler.next_job()
            assert job is not None
            seconds, self._running = self._speed.step(job, self._chunk), job.spec.id
            self._abort.clear()
            begun = loop.time()
            try:
                async with asyncio.timeout(seconds):
                    await self._abort.wait()
            except TimeoutError:
                if self._scheduler.next_job() is job:
                    self._scheduler.step()
            self.busy += loop.time() - begun

    def _send(self, event: Event) -> None:
        if isinstance(event, Done):
            self.count(self._kinds[event.id], event)
        id: int = getattr(event, "id", 0)
        self._events[id].put_nowait(event)
