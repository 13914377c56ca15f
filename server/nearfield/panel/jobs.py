"""Work of the panel that takes longer than a request: downloads, measurements, checks.

Each has a number, a progress that is told as it changes, and an end that says what came of it. Work
in threads reports from there and is stopped there. One event loop.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from msgspec import structs

from nearfield.errors import NearfieldError
from nearfield.http.wire import BadRequest
from nearfield.listeners import Listeners
from nearfield.tasks import describe, run_task, stop_task

MAX_KEPT = 50
MAX_RUNNING = 8
TELL_SECONDS = 0.25
"""Interval between two reports of one job's progress."""


class JobStopped(Exception):
    """The user has stopped the job; raised where it reports its progress."""


class PanelJob(msgspec.Struct, kw_only=True):
    """A job. `kind` says what it does and `about` to what; `done` of `total` are counted in `unit`,
    None where that is unknown; `step` is a word for the stage. Times are in seconds since the
    epoch. `error` has a message and a hint.
    """

    id: str
    kind: str
    title: str
    about: str = ""
    state: str = "running"
    step: str = ""
    done: int | None = None
    total: int | None = None
    unit: str = ""
    started: float = 0.0
    ended: float | None = None
    result: Any = None
    error: dict[str, str] | None = None


class JobProgress:
    """The reports of one job; may be used in any thread."""

    def __init__(self, job: PanelJob, tell: Callable[[PanelJob], None]) -> None:
        self._job = job
        self._tell = tell
        self._loop = asyncio.get_running_loop()
        self._told = 0.0
        self.is_stopped = False

    def at(
        self,
        step: str | None = None,
        done: int | None = None,
        total: int | None = None,
        *,
        result: Any = None,
    ) -> None:
        """Report the progress. Raises `JobStopped` once the user has stopped the job."""
        if self.is_stopped:
            raise JobStopped
        job = self._job
        is_new = step is not None and step != job.step
        job.step = job.step if step is None else step
        job.done = job.done if done is None else done
        job.total = job.total if total is None else total
        job.result = job.result if result is None else result
        now = time.monotonic()
        if is_new or now - self._told >= TELL_SECONDS:
            self._told = now
            self._loop.call_soon_threadsafe(self._tell, structs.replace(job))


Work = Callable[[JobProgress], Awaitable[Any]]


class Jobs:
    """See the module."""

    def __init__(self) -> None:
        self.changes = Listeners[PanelJob]()
        self._jobs: dict[str, PanelJob] = {}
        self._tasks: dict[str, tuple[asyncio.Task[None], JobProgress]] = {}

    def start(
        self, kind: str, title: str, work: Work, *, about: str = "", unit: str = ""
    ) -> PanelJob:
        """Begin a job. Raises `BadRequest` when it is under way already, or too many are."""
        if (same := self.running(kind, about)) is not None:
            raise BadRequest(f"{same.title} is under way.", status=409)
        if len(self._tasks) >= MAX_RUNNING:
            raise BadRequest(f"{MAX_RUNNING} jobs are under way.", status=429)
        job = PanelJob(
            id=secrets.token_hex(6),
            kind=kind,
            title=title,
            about=about,
            unit=unit,
            started=time.time(),
        )
        self._jobs[job.id] = job
        for old in list(self._jobs):
            if len(self._jobs) > MAX_KEPT and old not in self._tasks:
                del self._jobs[old]
        progress = JobProgress(job, self.changes.tell)
        task = run_task(self._run(job, progress, work), f"job {kind}")
        self._tasks[job.id] = task, progress
        # Not at the end of `_run`, which does not begin where the job is stopped at once.
        task.add_done_callback(lambda _: self._ended(job))
        return job

    def running(self, kind: str, about: str = "") -> PanelJob | None:
        """Return the job of that kind about that which is under way, None without one."""
        found = (self._jobs[name] for name in self._tasks)
        return next((one for one in found if (one.kind, one.about) == (kind, about)), None)

    def all(self) -> list[PanelJob]:
        """Return the jobs, the newest first."""
        return list(reversed(self._jobs.values()))

    def last(self, kind: str) -> PanelJob | None:
        """Return the newest job of that kind, None without one."""
        return next((one for one in self.all() if one.kind == kind), None)

    def stop(self, name: str) -> PanelJob:
        """Stop a job, which ends at its next step. Raises `BadRequest` for one that is unknown."""
        job = self._jobs.get(name)
        if job is None:
            raise BadRequest("There is no such job.", "id", status=404)
        if name in self._tasks:
            task, progress = self._tasks[name]
            progress.is_stopped = True
            job.step = "stopping"  # a thread that waits for the network notices late
            self.changes.tell(structs.replace(job))
            task.cancel()
        return job

    async def aclose(self) -> None:
        """Stop all jobs."""
        for task, progress in list(self._tasks.values()):
            progress.is_stopped = True
            await stop_task(task)

    async def _run(self, job: PanelJob, progress: JobProgress, work: Work) -> None:
        try:
            job.result = await work(progress)
            job.state = "done"
        except (JobStopped, asyncio.CancelledError):
            job.state = "stopped"
        except NearfieldError as error:
            job.state, job.error = "failed", {"message": error.message, "hint": error.hint}
        except Exception as error:
            job.state = "failed"
            said = f"Something went wrong in Nearfield itself ({type(error).__name__})."
            job.error = {"message": said, "hint": describe(error)}
            raise

    def _ended(self, job: PanelJob) -> None:
        job.state = "stopped" if job.state == "running" else job.state
        job.ended = time.time()
        del self._tasks[job.id]
        self.changes.tell(structs.replace(job))


async def in_thread(work: Callable[[], Any], progress: JobProgress) -> Any:
    """Run blocking `work`, which reports to `progress`, in a thread. When the job is stopped, wait
    until the thread has noticed, so that no two write one file."""
    running = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        progress.is_stopped = True
        await asyncio.wait({running})
        if not running.cancelled():
            running.exception()
        raise
