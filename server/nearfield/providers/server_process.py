"""A model server that we start, watch and end.

It starts at the first request and is ready when its `/health` says so. It is started again with a
growing pause when it dies, and ended with us: it runs below `parent_watchdog`. After `stop`, the
next request starts it again.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from nearfield.engine.client import SPIN_COUNT
from nearfield.errors import NearfieldError, NotReady, Unreachable
from nearfield.files.lines import split_lines
from nearfield.types import Health, HealthState

PAUSE_SECONDS = 0.5
MAX_PAUSE_SECONDS = 30.0
"""Between two starts; doubled each time it died again."""
STEADY_SECONDS = 30.0
"""A server that lived this long before it died starts again with the shortest pause."""
GIVE_UP_AFTER = 5
"""Deaths in a row after which it counts as unavailable; starts go on at the longest pause."""
START_TIMEOUT_SECONDS = 180.0
"""A large model on a slow disk takes minutes."""
READY_WAIT_SECONDS = START_TIMEOUT_SECONDS + 20.0
"""The longest that a request without a deadline waits for a server: one start, and the pauses
before it. What does not start in that time says why."""
POLL_SECONDS = 0.1
END_SECONDS = 6.0
TAIL_LINES = 20


@dataclass(frozen=True, slots=True)
class Listening:
    """The port of the running server, and the key that only we know."""

    port: int
    key: str


Command = Callable[[Listening], Awaitable[list[str]]]
Alive = Callable[[Listening], Awaitable[bool]]


class ServerProcess:
    """See the module's docstring.

    `command` gives the program and its arguments for an address; `alive` says whether a server
    there is ready. Both may raise from the error tree; `command`'s ends the attempts.
    """

    def __init__(self, name: str, command: Command, alive: Alive) -> None:
        self._name = name
        self._command = command
        self._alive = alive
        self._task: asyncio.Task[None] | None = None
        self._life = asyncio.Lock()
        """Held while a server runs: the next starts after the last has freed its memory."""
        self._ready = asyncio.Event()
        self._changed = asyncio.Event()
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self.listening: Listening | None = None
        self.health = Health(
            HealthState.IDLE, f"{name} is not running; the next request starts it."
        )
        self.pid: int | None = None
        self.starts = 0

    def start(self) -> None:
        """Begin in the background, unless it has begun."""
        if self._task is None or self._task.done():
            self._say(HealthState.STARTING, f"{self._name} is starting.")
            self._task = asyncio.create_task(self._watch(), name=f"server {self._name}")

    async def ready(self, deadline: float | None = None) -> Listening:
        """Return the server's address, once it listens. Raises `NotReady` at the deadline (of
        `time.monotonic()`), at the latest after `READY_WAIT_SECONDS`; `Unreachable` when it keeps
        dying, and what `command` raises."""
        self.start()
        limit = time.monotonic() + READY_WAIT_SECONDS
        limit = limit if deadline is None else min(limit, deadline)
        while not self._ready.is_set():
            if self.health.state is HealthState.UNAVAILABLE:
                raise Unreachable(self.health.detail)
            self._changed.clear()
            try:
                async with asyncio.timeout(max(0.0, limit - time.monotonic())):
                    await self._changed.wait()
            except TimeoutError:
                raise NotReady(f"{self._name} is still starting.", self.health.detail) from None
        if self.listening is None:
            raise NotReady(f"{self._name} is being started again.")
        return self.listening

    async def stop(self) -> None:
        """End the server. Idempotent, and safe while a request starts it again."""
        task, self._task = self._task, None
        if task is not None:
            self._ready.clear()  # later requests wait for the next process
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                task.result()
        if self._task is None:
            self._say(
                HealthState.IDLE, f"{self._name} was stopped; the next request starts it again."
            )

    async def _watch(self) -> None:
        deaths = 0
        while True:
            begun = time.monotonic()
            try:
                async with self._life:
                    await self._live()
            except NearfieldError as error:
                self._say(HealthState.UNAVAILABLE, str(error))
                return
            deaths = 1 if time.monotonic() - begun > STEADY_SECONDS else deaths + 1
            state = HealthState.UNAVAILABLE if deaths >= GIVE_UP_AFTER else HealthState.STARTING
            pause = min(MAX_PAUSE_SECONDS, PAUSE_SECONDS * 2 ** (deaths - 1))
            last = f" It said: {self._tail[-1][:200]}" if self._tail else ""
            self._say(state, f"{self._name} ended; it is started again.{last}")
            await asyncio.sleep(pause)

    async def _live(self) -> None:
        """Run the server once, until it ends."""
        listening = Listening(_free_port(), secrets.token_urlsafe(24))
        command = await self._command(listening)
        self.starts += 1
        self._tail.clear()
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env={
                "GOMP_SPINCOUNT": SPIN_COUNT,
                **os.environ,
                "LLAMA_API_KEY": listening.key,
            },
        )
        self.pid = process.pid
        reading = asyncio.create_task(self._read(process), name=f"log of {self._name}")
        try:
            if await self._wait_alive(process, listening):
                self.listening = listening
                self._ready.set()
                self._say(HealthState.READY, f"{self._name} runs.")
                await process.wait()
        finally:
            self._ready.clear()
            self.listening = None
            self.pid = None
            await _end(process)
            await reading

    async def _wait_alive(self, process: asyncio.subprocess.Process, listening: Listening) -> bool:
        """Return whether the server became ready; false when it ended first, or took too long."""
        limit = time.monotonic() + START_TIMEOUT_SECONDS
        while process.returncode is None and time.monotonic() < limit:
            if await self._alive(listening):
                return True
            await asyncio.sleep(POLL_SECONDS)
        return False

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        """Keep the last lines until the server is ready: they say why it did not start. What it
        logs later could hold a prompt, and is dropped."""
        log = process.stderr
        while log is not None and (chunk := await log.read(65536)):
            if not self._ready.is_set():
                lines = split_lines(chunk.decode("utf-8", "replace"))
                self._tail.extend(line.strip() for line in lines if line.strip())

    def _say(self, state: HealthState, detail: str) -> None:
        self.health = Health(state, detail)
        self._changed.set()


async def _end(process: asyncio.subprocess.Process) -> None:
    """Close the watchdog's standard input, which ends the server, and kill it if that fails."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        async with asyncio.timeout(END_SECONDS):
            await process.wait()
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _free_port() -> int:
    """Return a free port. Should another program take it first, the server ends at once and is
    started on another one; its key keeps us from talking to a stranger."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
