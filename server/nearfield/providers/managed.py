"""llama.cpp's server as our own child: a local engine in seconds, with no compiler.

    [providers.local]
    kind = "llama_server"
    options = { managed = true }

The program is a `llama-server` on PATH (a native build is usually the fastest), else the server
inside the xllamacpp wheel (`pip install nearfield[prebuilt]`). The model is the catalogue's best
for completing on this machine, or the catalogue name or GGUF file that `model` names. Options are
those of `ManagedOptions`. The server listens on loopback only, behind a key of its own that changes
with every start. After `engine.idle_unload_minutes` without a request it is ended, which gives its
memory back; the next request starts it again.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Annotated, Any, Literal

import msgspec
import psutil
from msgspec import Meta

from nearfield.catalog.choice import ModelChoice, choose, named
from nearfield.catalog.models import Catalog
from nearfield.config.schema import Models, ProviderSettings
from nearfield.engine.memory import expected
from nearfield.errors import CatalogError, NotReady, Unreachable
from nearfield.providers.base import Provider
from nearfield.providers.families import edit_form_of
from nearfield.providers.llama_server import LlamaServer, LlamaServerOptions
from nearfield.providers.memory import ModelMemory
from nearfield.providers.options import Key, ProviderArgs
from nearfield.providers.server_process import Listening, ServerProcess
from nearfield.types import (
    Capabilities,
    ChatRequest,
    Delta,
    EditRequest,
    Health,
    HealthState,
    InfillRequest,
    ServedModel,
)

CACHE_REUSE = 256
"""The least run of tokens that llama.cpp moves within its cache instead of evaluating it again;
the value that its own editor plugins recommend."""


BATCH_MAX = 2048
"""llama.cpp's default. `/infill` gives three quarters of the batch to the prefix and a quarter to
the suffix, and to the snippets what the context has beyond a batch: a batch as large as the context
would leave them out."""


class ManagedOptions(LlamaServerOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[providers.NAME.options]` of a llama_server that we start ourselves."""

    managed: bool = True
    """Start the server as our child; `base_url` is then not used."""
    engine: Literal["auto", "llama-server", "xllamacpp"] = "auto"
    """The program to run; "auto" takes the first that is installed."""
    program: str = ""
    """The path of a `llama-server` that is not on PATH."""
    context_size: Annotated[int, Meta(ge=512)] = 8192
    """Tokens that one lane can hold."""
    lanes: Annotated[int, Meta(ge=1, le=16)] = 2
    """Requests that are worked on at once: a completion need not wait for a chat."""
    threads: Annotated[int, Meta(ge=0)] = 0
    """CPU threads; 0 takes the physical cores."""
    gpu_layers: Annotated[int, Meta(ge=-1)] = -1
    """Layers kept on a GPU; -1 leaves it to llama.cpp."""


@dataclass(frozen=True, slots=True)
class ServerProgram:
    """A program that can serve. `command` precedes the arguments."""

    name: str
    command: tuple[str, ...]
    detail: str


def programs(given: str = "") -> list[ServerProgram]:
    """Return the programs on this machine that can serve, the one that "auto" takes first.

    `given` is the path of a llama-server. Cheap: nothing is imported or started.
    """
    found: list[ServerProgram] = []
    leash = (sys.executable, "-m", "nearfield.providers.parent_watchdog")
    if path := shutil.which(given or "llama-server"):
        found.append(ServerProgram("llama-server", (*leash, path), path))
    if find_spec("xllamacpp") is not None:
        worker = (sys.executable, "-m", "nearfield.providers.xllama_worker")
        found.append(ServerProgram("xllamacpp", worker, "the prebuilt wheel"))
    return found


class Managed:
    """See the module's docstring."""

    at_start = True

    def __init__(self, args: ProviderArgs) -> None:
        """Raises `ConfigError`. Nothing is started yet."""
        self.name = args.name
        self.model = args.settings.model
        self._args = args
        self._options = args.options(ManagedOptions)
        self._server: LlamaServer | None = None
        self._listening: Listening | None = None
        self._running = 0
        self._last_used = time.monotonic()
        self._memory: ModelMemory | None = None
        self._bytes = 0
        self.child = ServerProcess(args.name, self._command, self._is_alive)

    def start(self) -> None:
        """Begin to start the server in the background."""
        self._last_used = time.monotonic()
        self.child.start()

    def live_in(self, memory: ModelMemory) -> None:
        """See `Resident`."""
        self._memory = memory

    @property
    def in_memory(self) -> bool:
        """See `Resident`."""
        return self.child.health.state in (HealthState.STARTING, HealthState.READY)

    @property
    def memory_bytes(self) -> int:
        """See `Resident`. Unknown (0) before the model is first loaded."""
        return self._bytes

    async def rest(self, after_seconds: float) -> bool:
        """End the server when it was idle for `after_seconds`, and return whether it was ended now;
        the next request starts it again."""
        idle = time.monotonic() - self._last_used
        ready = self.child.health.state is HealthState.READY
        if self._running or not ready or idle < after_seconds:
            return False
        await self.child.stop()
        return True

    @property
    def capabilities(self) -> Capabilities:
        """See `Provider`."""
        if self._server is not None:
            return self._server.capabilities
        options = self._options
        return Capabilities(
            infill=True,
            chat=options.chat,
            edit=edit_form_of(self.name, self.model, options.edit_form),
            tools=options.chat,
            schema=options.chat,
            local=True,
            context_tokens=options.context_size,
        )

    async def health(self) -> Health:
        """See `Provider`; does not start the server."""
        if self.child.health.state is HealthState.READY and self._server is not None:
            return await self._server.health()
        health = self.child.health
        why = self._memory.why(self.name) if self._memory is not None else ""
        return replace(health, detail=f"{why}\n{health.detail}".strip()) if why else health

    def infill(self, request: InfillRequest) -> AsyncGenerator[Delta]:
        """See `Provider`; starts the server."""
        return self._streamed(lambda server: server.infill(request), request.deadline)

    def edit(self, request: EditRequest) -> AsyncGenerator[Delta]:
        """See `Provider`; starts the server."""
        return self._streamed(lambda server: server.edit(request), request.deadline)

    def chat(self, request: ChatRequest) -> AsyncGenerator[Delta]:
        """See `Provider`; starts the server."""
        return self._streamed(lambda server: server.chat(request), request.deadline)

    async def count_tokens(self, text: str) -> int:
        """See `Provider`; starts the server."""
        with self._asked():
            return await (await self._ready(None)).count_tokens(text)

    async def models(self) -> list[ServedModel]:
        """See `Provider`."""
        return [ServedModel(self.model, self._options.context_size)]

    async def aclose(self) -> None:
        """See `Provider`."""
        await self.child.stop()
        server, self._server = self._server, None
        if server is not None:
            await server.aclose()

    async def _streamed(
        self, ask: Callable[[LlamaServer], AsyncGenerator[Delta]], deadline: float | None
    ) -> AsyncGenerator[Delta]:
        with self._asked():
            server = await self._ready(deadline)
            async with aclosing(ask(server)) as stream:
                async for delta in stream:
                    yield delta

    @contextmanager
    def _asked(self) -> Generator[None]:
        """Keep the server running during a request; the idle time starts after it."""
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1
            self._last_used = time.monotonic()

    async def _ready(self, deadline: float | None) -> LlamaServer:
        listening = await self.child.ready(deadline)
        if self._server is None or listening != self._listening:
            raise NotReady(f"{self.name} is being started again.")
        return self._server

    async def _command(self, listening: Listening) -> list[str]:
        options = self._options
        program = _program(self.name, options)
        try:
            choice = await asyncio.to_thread(_choice, self._args.settings.model)
        except CatalogError as error:
            raise Unreachable(error.message, error.hint) from error
        self.model = choice.name
        self._bytes = await asyncio.to_thread(_memory_of, choice)
        if self._memory is not None:
            await self._memory.admit(self.name)
        arguments: dict[str, Any] = {
            "--model": choice.path,
            "--alias": choice.name,
            "--host": "127.0.0.1",
            "--port": listening.port,
            "--ctx-size": options.context_size * options.lanes,
            "--parallel": options.lanes,
            "--threads": options.threads or psutil.cpu_count(logical=False) or 1,
            "--cache-reuse": CACHE_REUSE,
            "--batch-size": min(BATCH_MAX, options.context_size // 2),
        }
        if options.gpu_layers >= 0:
            arguments["--n-gpu-layers"] = options.gpu_layers
        flags = ["--metrics", "--jinja"]
        given = [str(part) for pair in arguments.items() for part in pair]
        return [*program.command, *given, *flags]

    async def _is_alive(self, listening: Listening) -> bool:
        if listening != self._listening:
            await self._connect(listening)
        server = self._server
        return server is not None and (await server.health()).state is HealthState.READY

    async def _connect(self, listening: Listening) -> None:
        old, self._listening = self._server, listening
        if old is not None:
            await old.aclose()
        fields = {field.encode_name for field in msgspec.structs.fields(LlamaServerOptions)}
        options = {k: v for k, v in self._args.settings.options.items() if k in fields}
        settings = ProviderSettings(
            kind="llama_server",
            model=self.model,
            base_url=f"http://127.0.0.1:{listening.port}",
            options=options,
        )
        key = Key(self.name, self._args.environ, value=listening.key)
        self._server = LlamaServer(replace(self._args, settings=settings), key)


def _choice(model: str) -> ModelChoice:
    """Return the named model, and no other in its place. Raises `CatalogError`."""
    return named(model, Catalog.load()) if model else choose("complete", Models())


def _memory_of(choice: ModelChoice) -> int:
    """Return the bytes that a model takes: as the catalogue measured it, or by its file's size."""
    if choice.entry is not None and choice.entry.memory_mb:
        return choice.entry.memory_mb << 20
    return expected(choice.path)


def _program(name: str, options: ManagedOptions) -> ServerProgram:
    for program in programs(options.program):
        if options.engine in ("auto", program.name):
            return program
    raise Unreachable(
        f"{name} finds no llama.cpp server on this machine.",
        "Run `pip install nearfield[prebuilt]`, or put llama-server on PATH.",
    )


def build(args: ProviderArgs) -> Provider:
    """Return a `LlamaServer`, or with the option `managed` one that we start. Raises
    `ConfigError`."""
    if args.settings.options.get("managed"):
        return Managed(args)
    options = {k: v for k, v in args.settings.options.items() if k != "managed"}
    return LlamaServer(
        replace(args, settings=msgspec.structs.replace(args.settings, options=options))
    )
