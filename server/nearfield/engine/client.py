"""The server's side of the engine: starts the worker, talks to it, and survives it.

`EngineClient` promises that a job either ends with `Done` or raises from the error tree; that the
worker's death ends every running job with `EngineDied` and nothing else; that it is started again,
at once the first time and after growing pauses when it keeps dying; and that closing a stream
frees the model within one step.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, replace
from enum import StrEnum

import msgspec
import psutil

from nearfield import errors
from nearfield.config.schema import Engine as EngineSettings
from nearfield.engine import frames
from nearfield.engine.frames import (
    Done,
    Generate,
    LoadModel,
    ModelLoaded,
    Prefilled,
    Reading,
    Scored,
    Tokens,
)
from nearfield.engine.programs import LLAMA, WorkerProgram
from nearfield.errors import (
    EngineDied,
    EngineError,
    EngineMissing,
    ModelLoadFailed,
    NearfieldError,
    NotReady,
)
from nearfield.types import Priority, TokenTotals

log = logging.getLogger(__name__)

RESTART_PAUSES = (0.0, 1.0, 4.0, 15.0, 60.0)
"""Seconds before the worker is started again, by the number of its recent deaths; the last one
repeats.
"""

GIVE_UP_AFTER = 4
"""Deaths in a row without ever having been ready, some 20 seconds, after which requests fail with
the reason instead of waiting. The worker is still restarted, after the longest pause."""

STEADY_AFTER = 120.0
"""A worker that lived this long (seconds) has not "kept dying"."""

STDERR_LINES = 20

LOAD_WAIT_SECONDS = 600.0
"""The longest that a request without a deadline waits for a model: one of 30 GB on a hard disk."""

SILENCE_SECONDS = 900.0
"""A worker that has work and sends no event for this long hangs. A prompt of 8192 tokens takes a
slow laptop seven minutes without an event."""

SPIN_COUNT = "1000"
"""How long OpenMP's threads spin before they sleep when they wait for each other, hundreds of times
a token. GCC's default is made for machines that do nothing else: with one other busy process on two
cores it generates 2.5 tokens/s, this 26; on an idle machine both give the same."""


class EngineState(StrEnum):
    """The states of the engine."""

    STOPPED = "stopped"
    STARTING = "starting"
    LOADING = "loading"
    READY = "ready"
    WAITING = "waiting"  # died, to be started again after a pause
    FAILED = "failed"  # cannot work until something changes; `EngineStatus.error` says what


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """`progress` is 0..1 while loading; `info` describes the loaded model."""

    state: EngineState
    model: str = ""
    progress: float | None = None
    info: ModelLoaded | None = None
    started: frames.Started | None = None
    error: NearfieldError | None = None


def installed(program: WorkerProgram = LLAMA) -> bool:
    """Return whether a worker's package is there; llama-cpp-python for none."""
    return program.installed()


def physical_cores() -> int:
    """Cores without hyper-threading: more threads than that make llama.cpp slower."""
    return psutil.cpu_count(logical=False) or os.cpu_count() or 1


class _PendingJob:
    """The events of a running job, and when it began."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[frames.Event | NearfieldError] = asyncio.Queue()
        self.begun = time.monotonic()


class EngineClient:
    """A worker process with a model, changed by the LoRA adapter in the file `adapter` where one is
    given. `program` is the worker, `device` where it runs the model, in that library's words. Use
    from one event loop."""

    def __init__(
        self,
        settings: EngineSettings,
        on_status: Callable[[EngineStatus], None] | None = None,
        *,
        adapter: str = "",
        adapter_scale: float = 1.0,
        program: WorkerProgram = LLAMA,
        device: str = "",
    ) -> None:
        self.admit: Callable[[], Awaitable[None]] | None = None
        """Awaited before the model is loaded; what it raises ends the loading."""
        self._settings = settings
        self._on_status = on_status
        self.adapter, self.adapter_scale = adapter, adapter_scale
        self._program, self._device = program, device
        self._status = EngineStatus(EngineState.STOPPED)
        self._process: asyncio.subprocess.Process | None = None
        self._jobs: dict[int, _PendingJob] = {}
        self._next_id = 0
        self._load: LoadModel | None = None
        self._changed = asyncio.Event()
        self._supervisor: asyncio.Task[None] | None = None
        self._stderr: deque[str] = deque(maxlen=STDERR_LINES)
        self._deaths = 0
        self._unready = 0
        """Deaths since it was last ready."""
        self._code = 0
        self._last_used = self._heard = time.monotonic()
        self._kinds: dict[int, Priority] = {}
        self.spent = {kind: TokenTotals() for kind in Priority}

    @property
    def status(self) -> EngineStatus:
        """The engine's state now."""
        return self._status

    @property
    def is_busy(self) -> bool:
        """Return whether a request is under way."""
        return bool(self._jobs)

    @property
    def idle_seconds(self) -> float:
        """Seconds since the last request ended, 0 during one."""
        return 0.0 if self._jobs else time.monotonic() - self._last_used

    @property
    def pid(self) -> int | None:
        """The worker's process id, None while there is no worker."""
        return self._process.pid if self._process else None

    def start(self, path: str) -> None:
        """Begin loading the model at `path` in the background; returns at once.

        Raises `EngineMissing` when the worker's package is not installed.
        """
        if not installed(self._program):
            raise EngineMissing(f"{self._program.name} is not installed.", self._program.install)
        if self._supervisor is not None and not self._supervisor.done():
            return
        settings = self._settings
        self._load = LoadModel(
            path=path,
            threads=settings.threads or physical_cores(),
            gpu_layers=settings.gpu_layers if settings.gpu_layers >= 0 else 999,
            context_size=settings.context_size,
            chat_context_size=settings.chat_context_size,
            memory_limit=settings.memory_limit_mb << 20,
            adapter=self.adapter,
            adapter_scale=self.adapter_scale,
            device=self._device,
        )
        self._deaths = self._unready = 0
        self._set(EngineStatus(EngineState.STARTING, model=path))
        self._supervisor = asyncio.create_task(self._supervise(), name="engine supervisor")

    async def stop(self) -> None:
        """End the worker and free its memory; `start` works again afterwards."""
        supervisor, self._supervisor = self._supervisor, None
        if supervisor is not None:
            supervisor.cancel()
            await asyncio.gather(supervisor, return_exceptions=True)
        self._set(EngineStatus(EngineState.STOPPED))

    async def ready(self, deadline: float | None = None) -> ModelLoaded:
        """Return the loaded model's description; wait for it until `deadline` (monotonic seconds),
        at most `LOAD_WAIT_SECONDS`.

        Raises `NotReady` when it does not come in time, or what keeps it from coming at all.
        """
        limit = time.monotonic() + LOAD_WAIT_SECONDS
        limit = limit if deadline is None else min(limit, deadline)
        while True:
            status = self._status
            if status.state is EngineState.READY and status.info is not None:
                return status.info
            if status.state in (EngineState.FAILED, EngineState.STOPPED):
                raise status.error or NotReady("The embedded engine is not running.")
            try:
                # Not wait_for: it waits in a task of its own, which may begin after the change.
                async with asyncio.timeout(limit - time.monotonic()):
                    await self._changed.wait()
            except TimeoutError:
                raise NotReady("The model is still loading.", "Ask again in a moment.") from None

    async def generate(
        self, spec: Generate, deadline: float | None = None
    ) -> AsyncGenerator[Reading | Prefilled | Tokens | Scored | Done]:
        """Run a job and stream its events; the last one is `Done`.

        `spec.id` is assigned here. Closing the generator cancels the job. Raises from the tree.
        """
        await self.ready(deadline)
        id, job = self._open()
        finished = False
        try:
            self._send(msgspec.structs.replace(spec, id=id))
            self._kinds[id] = Priority(spec.priority)
            while True:
                event = await self._next(job)
                if isinstance(event, NearfieldError):
                    finished = True
                    raise event
                if isinstance(event, Reading | Prefilled | Tokens | Scored | Done):
                    finished = isinstance(event, Done)
                    yield event
                    if finished:
                        return
        finally:
            self._close(id)
            if not finished:
                with contextlib.suppress(EngineDied):
                    self._send(frames.Cancel(id))

    async def tokenize(self, text: str) -> list[int]:
        """Return the model's tokens of `text`."""
        event = await self._ask(lambda id: frames.Tokenize(id, text))
        return event.tokens if isinstance(event, frames.Tokenized) else []

    async def tokenize_prompt(self, prompt: frames.Variant) -> tuple[list[int], bytes]:
        """Return the tokens that are evaluated for a prompt, and the bytes with which the answer
        begins where its last token is healed."""
        event = await self._ask(lambda id: frames.Tokenize(id, "", prompt))
        return (event.tokens, event.owed) if isinstance(event, frames.Tokenized) else ([], b"")

    async def save(
        self, document: str, path: str, variants: list[frames.Variant], lane: str = "infill"
    ) -> int:
        """Write what the KV cache holds of a prompt to `path`; return how many tokens. In the lane
        "chat" it is a conversation, which needs no variants."""
        event = await self._ask(lambda id: frames.Save(id, document, path, variants, lane))
        return event.tokens if isinstance(event, frames.StateTokens) else 0

    async def restore(self, document: str, path: str, lane: str = "infill") -> int:
        """Load what `save` wrote for `document`; return how many tokens, 0 if it is of no use."""
        event = await self._ask(lambda id: frames.Restore(id, document, path, lane))
        return event.tokens if isinstance(event, frames.StateTokens) else 0

    # --- jobs ----------------------------------------------------------------------------

    async def _ask(self, command: Callable[[int], frames.Command]) -> frames.Event:
        await self.ready()
        id, job = self._open()
        try:
            self._send(command(id))
            event = await self._next(job)
        finally:
            self._close(id)
        if isinstance(event, NearfieldError):
            raise event
        return event

    async def _next(self, job: _PendingJob) -> frames.Event | NearfieldError:
        """Return the next event of `job`. A worker that sends no event for `SILENCE_SECONDS` hangs:
        it is killed, which ends its jobs, and restarted."""
        while True:
            silent_since = max(self._heard, job.begun)
            try:
                async with asyncio.timeout(silent_since + SILENCE_SECONDS - time.monotonic()):
                    return await job.events.get()
            except TimeoutError:
                if max(self._heard, job.begun) > silent_since:
                    continue
                log.warning("engine worker ended: it has said nothing for %.0f s", SILENCE_SECONDS)
                if self._process is not None:
                    with contextlib.suppress(ProcessLookupError):
                        self._process.kill()
                return EngineDied(
                    f"The engine has said nothing for {SILENCE_SECONDS:.0f} s.",
                    "It is started again.",
                )

    def _open(self) -> tuple[int, _PendingJob]:
        self._next_id += 1
        job = self._jobs[self._next_id] = _PendingJob()
        return self._next_id, job

    def _close(self, id: int) -> None:
        self._jobs.pop(id, None)
        self._last_used = time.monotonic()

    def _send(self, command: frames.Command) -> None:
        process = self._process
        if process is None or process.stdin is None or process.stdin.is_closing():
            raise EngineDied("The engine's worker is gone.", "It is being started again.")
        process.stdin.write(frames.encode(command))

    # --- the worker ----------------------------------------------------------------------

    async def _supervise(self) -> None:
        """Keep a worker running until told to stop."""
        if self.admit is not None:
            try:
                await self.admit()
            except NearfieldError as error:
                self._set(EngineStatus(EngineState.STOPPED, error=error))
                return
        while True:
            born = time.monotonic()
            try:
                await self._live()
            finally:
                self._end_jobs()
            if self._status.state is EngineState.FAILED:
                return
            self._deaths = 1 if time.monotonic() - born > STEADY_AFTER else self._deaths + 1
            self._unready += 1
            pause = RESTART_PAUSES[min(self._deaths, len(RESTART_PAUSES)) - 1]
            if self._unready >= GIVE_UP_AFTER:
                pause = RESTART_PAUSES[-1]  # callers that wait must see that it failed
            last = self._stderr[-1] if self._stderr else ""
            log.warning(
                "engine worker died (%d lately), again in %.0f s. %s", self._deaths, pause, last
            )
            self._set(self._died())
            await asyncio.sleep(pause)
            self._set(EngineStatus(EngineState.STARTING, model=self._status.model))

    def _died(self) -> EngineStatus:
        """Return the status until the worker is started again."""
        model = self._status.model
        if self._unready < GIVE_UP_AFTER:
            error = EngineDied("The engine's worker died.", "It is being started again.")
            return EngineStatus(EngineState.WAITING, model, error=error)
        error = EngineDied(
            f"The engine's worker died {self._unready} times in a row while it loaded the model"
            f" ({_end_of(self._code)}).",
            self._program.mend,
        )
        return EngineStatus(EngineState.FAILED, model, error=error)

    async def _live(self) -> None:
        """Start a worker, load the model, and pass its events on until it ends."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            self._program.module,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=1 << 20,
            env={"GOMP_SPINCOUNT": SPIN_COUNT, **os.environ},
        )
        self._process = process
        drain = asyncio.create_task(self._drain(process), name="engine stderr")
        try:
            if self._load is not None:
                self._send(self._load)
            await self._receive(process)
            await process.wait()
        finally:
            self._process = None
            if self._status.state is not EngineState.FAILED:
                # From here on a request waits for the next worker.
                self._set(EngineStatus(EngineState.WAITING, model=self._status.model))
            if process.returncode is None:
                # SIGKILL, not SIGTERM: a decode under way would delay the latter, and there is
                # nothing to save.
                with contextlib.suppress(ProcessLookupError):
                    process.send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))
                await process.wait()
            self._code = process.returncode or 0
            drain.cancel()
            await asyncio.gather(drain, return_exceptions=True)

    async def _receive(self, process: asyncio.subprocess.Process) -> None:
        stream = process.stdout
        if stream is None:
            raise EngineError("The engine's worker has no standard output.")
        header = frames.HEADER
        while True:
            try:
                (length,) = header.unpack(await stream.readexactly(header.size))
                if length > frames.MAX_FRAME:
                    log.error("engine worker restarted: a frame of %d bytes", length)
                    return
                body = await stream.readexactly(length)
                self._dispatch(frames.decode_event(body))
            except asyncio.IncompleteReadError:
                return
            except msgspec.DecodeError:
                log.exception("engine worker restarted: its output is out of step")
                return
            if self._status.state is EngineState.FAILED:
                return

    async def _drain(self, process: asyncio.subprocess.Process) -> None:
        stream = process.stderr
        while stream is not None and (line := await stream.readline()):
            text = line.decode("utf-8", "replace").rstrip()
            self._stderr.append(text)
            log.debug("worker: %s", text)

    def _dispatch(self, event: frames.Event) -> None:
        self._heard = time.monotonic()
        match event:
            case frames.Started():
                self._set(replace(self._status, state=EngineState.LOADING, started=event))
            case frames.ModelLoading():
                self._set(replace(self._status, state=EngineState.LOADING, progress=event.progress))
            case ModelLoaded():
                log.info(
                    "model ready: %s, %d MiB, loaded in %.0f ms, %.0f prompt tokens/s",
                    event.name,
                    event.bytes >> 20,
                    event.load_ms,
                    event.prefill_rate,
                )
                self._unready = 0
                self._set(replace(self._status, state=EngineState.READY, progress=None, info=event))
            case frames.LoadFailed():
                failed = ModelLoadFailed(event.message, event.hint)
                self._set(EngineStatus(EngineState.FAILED, self._status.model, error=failed))
            case Done():
                # Also of a job without a listener: that is when it was cut short.
                if (kind := self._kinds.pop(event.id, None)) is not None:
                    done = TokenTotals(
                        event.evaluated_tokens, event.reused_tokens, event.generated_tokens
                    )
                    self.spent[kind].add(done)
                self._deliver(event.id, event)
            case Reading() | Prefilled() | Tokens() | Scored():
                self._deliver(event.id, event)
            case frames.Tokenized() | frames.StateTokens():
                self._deliver(event.id, event)
            case frames.JobFailed():
                self._kinds.pop(event.id, None)
                error = getattr(errors, event.kind, EngineError)
                self._deliver(event.id, error(event.message, event.hint))

    def _deliver(self, id: int, event: frames.Event | NearfieldError) -> None:
        job = self._jobs.get(id)
        if job is not None:
            job.events.put_nowait(event)

    def _end_jobs(self) -> None:
        self._kinds.clear()
        for job in self._jobs.values():
            job.events.put_nowait(
                EngineDied("The engine's worker died while it was answering.", "Ask again.")
            )

    def _set(self, status: EngineStatus) -> None:
        self._status = status
        self._changed.set()
        self._changed.clear()
        if self._on_status is not None:
            self._on_status(status)


def _end_of(code: int) -> str:
    """Return in words how a process ended."""
    try:
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    except ValueError:
        return f"signal {-code}"
