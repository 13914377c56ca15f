"""Runner of the HTTP frontend until the process is told to end.

uvicorn speaks HTTP: it is small, long in use, and on top of h11, which parses strictly.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import uvicorn
from msgspec import structs

from nearfield.config.load import load
from nearfield.errors import ConfigError
from nearfield.features.running.listener import ServerListener
from nearfield.features.service import Service
from nearfield.features.token import Token, token
from nearfield.http.app import App, PathHandler
from nearfield.http.connection import HttpConnection
from nearfield.http.paths import model_paths
from nearfield.terminal import say

GRACE_SECONDS = 3
"""For answers that are under way when the process is told to end."""

KEEP_ALIVE_SECONDS = 30
"""Editors ask every few seconds; a new connection for each would cost more than an idle one."""


class _Server(uvicorn.Server):
    """uvicorn kills the process with the signal once it has ended; we have more to end."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Take the signals and keep them."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self.handle_exit)
        yield


class MorePaths(Protocol):
    """Paths that are served beside those of the models, such as the control panel's."""

    def begin(self) -> None:
        """Begin with what takes a while; on the event loop."""
        ...

    def paths(self) -> Mapping[str, PathHandler]:
        """Return the handlers by path."""
        ...

    async def aclose(self) -> None:
        """End what they have begun."""
        ...


def run(
    host: str,
    port: int,
    workspace: Path | None = None,
    *,
    ollama: bool = False,
    more: Callable[[Service, Token], MorePaths] | None = None,
) -> int:
    """Serve on a loopback address (port 0 picks one and says which) until a signal; answers the
    process's exit code. Raises `ConfigError` when the address or the token cannot be used."""
    shown = token()
    with listening(host, port) as (socket_, address):
        asyncio.run(_serve(socket_, address, shown, workspace, ollama=ollama, more=more))
    return 0


@contextmanager
def listening(host: str, port: int) -> Generator[tuple[socket.socket, str]]:
    """Yield a socket that listens, and its address. Raises `ConfigError`."""
    try:
        found = socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET
        )
    except OSError as error:
        raise ConfigError(
            f"Nearfield cannot listen on {host}:{port}: {error.strerror}.", "Take another port."
        ) from error
    with found:
        name = f"[{host}]" if ":" in host else host
        yield found, f"http://{name}:{found.getsockname()[1]}"


async def serve(found: socket.socket, app: App) -> None:
    """Serve `app` until a signal."""
    # A request's text is never logged, and uvicorn would write an error's own words.
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
    config = uvicorn.Config(
        app,
        loop="asyncio",
        http=HttpConnection,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    await _Server(config).serve([found])


async def _serve(
    found: socket.socket,
    address: str,
    shown: Token,
    workspace: Path | None,
    *,
    ollama: bool,
    more: Callable[[Service, Token], MorePaths] | None,
) -> None:
    loaded = load(workspace)
    for problem in loaded.problems:
        _say(str(problem))
    # The record is of what an editor showed; here no client says what was accepted.
    unrecorded = structs.replace(loaded.config.completion, record=False)
    service = Service(structs.replace(loaded.config, completion=unrecorded))
    listener = ServerListener(service)
    folder = str(workspace or "")
    also = more(service, shown) if more is not None else None
    handlers = model_paths(service, folder, ollama=ollama)
    try:
        # Once the address is said, commands such as `nearfield models load` find it.
        await listener.begin("http", "", lambda: [folder] if folder else [], address)
        _announce(address, shown, ollama=ollama)
        await service.start()
        if also is not None:
            also.begin()
        await serve(found, App({**handlers, **(also.paths() if also else {})}, shown))
    finally:
        if also is not None:
            await also.aclose()
        await listener.aclose()
        await service.aclose()


def _announce(address: str, shown: Token, *, ollama: bool) -> None:
    _say(f"listening on {address}/v1 (model: nearfield)")
    if ollama:
        _say(f"Ollama's paths are at {address} for every program of this machine")
    if shown.fresh:
        _say(f"the token, shown this once: {shown.value}")
    _say(f"the token is in {shown.where}")


def _say(text: str) -> None:
    say(f"nearfield: {text}")
