"""Runner of the HTTP frontend until the process is told to end.

uvicorn speaks HTTP: it is small, long in use, and on top of h11, which parses strictly.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import ssl
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import uvicorn
from msgspec import structs

from nearfield.config.load import load
from nearfield.config.schema import Config
from nearfield.errors import ConfigError
from nearfield.features.running.listener import ServerListener
from nearfield.features.service import Service
from nearfield.features.team.settings import TeamSettings, TeamTls
from nearfield.features.token import Token, token
from nearfield.http.access import OneUser
from nearfield.http.app import App, PathHandler
from nearfield.http.connection import HttpConnection
from nearfield.http.paths import model_paths
from nearfield.http.team import TeamAccess
from nearfield.network.hosts import LOOPBACK
from nearfield.tasks import run_task, stop_task
from nearfield.terminal import say

log = logging.getLogger(__name__)

GRACE_SECONDS = 3
"""For answers that are under way when the process is told to end."""

RENEW_SECONDS = 60.0
"""Interval at which a certificate's files are looked at."""

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


def run_team(host: str, port: int, settings: TeamSettings, *, ollama: bool = False) -> int:
    """Serve the people of a team until a signal; answers the process's exit code. Raises
    `ConfigError` when the address or the certificate cannot be used, and for an address that others
    reach without TLS."""
    server, tls = settings.server, settings.tls
    if host not in LOOPBACK and not (tls.certificate or server.behind_proxy):
        raise ConfigError(
            f"Tokens and code would cross the network readable on {host}.",
            "Name a certificate and key under [tls], or set behind_proxy where a proxy ends TLS.",
        )
    context = _tls(tls) if tls.certificate else None
    with listening(host, port) as (socket_, plain):
        address = plain.replace("http:", "https:", 1) if context is not None else plain
        asyncio.run(_serve_team(socket_, address, settings, context, ollama=ollama))
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


async def serve(
    found: socket.socket,
    app: App,
    tls: ssl.SSLContext | None = None,
    *,
    grace_seconds: int = GRACE_SECONDS,
    connection: type[HttpConnection] = HttpConnection,
) -> None:
    """Serve `app` until a signal; then answers under way have `grace_seconds`."""
    # A request's text is never logged, and uvicorn would write an error's own words.
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
    config = uvicorn.Config(
        app,
        loop="asyncio",
        http=connection,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=grace_seconds,
    )
    config.load()
    config.ssl = tls
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
    access = OneUser(shown)
    handlers = model_paths(service, access, folder, ollama=ollama)
    try:
        # Once the address is said, commands such as `nearfield models load` find it.
        await listener.begin("http", "", lambda: [folder] if folder else [], address)
        _announce(address, shown, ollama=ollama)
        await service.start()
        if also is not None:
            also.begin()
        await serve(found, App({**handlers, **(also.paths() if also else {})}, access))
    finally:
        if also is not None:
            await also.aclose()
        await listener.aclose()
        await service.aclose()


async def _serve_team(
    found: socket.socket,
    address: str,
    settings: TeamSettings,
    tls: ssl.SSLContext | None,
    *,
    ollama: bool,
) -> None:
    loaded = load(None)
    for problem in loaded.problems:
        _say(str(problem))
    server = settings.server
    for name in sorted({*server.own_servers} - {*loaded.config.providers}):
        _say(f"own_servers names {name!r}, and there is no such provider")
    service = Service(_of_a_team(loaded.config), has_one_user=False, own_servers=server.own_servers)
    listener, access = ServerListener(service), TeamAccess(settings)
    handlers = model_paths(service, access, ollama=ollama, is_open=False) | access.paths()
    connection = type("TeamConnection", (HttpConnection,), {"most": server.connections})
    renewing = run_task(_renew(tls, settings.tls), "renew the certificate") if tls else None
    try:
        await access.begin()
        await listener.begin("http", "", list, address)
        _say(f"listening on {address}/v1 for a team (model: nearfield)")
        _say("tokens are made by `nearfield team add NAME --role ROLE`")
        await service.start()
        app = App(handlers, access)
        await serve(found, app, tls, grace_seconds=server.drain_seconds, connection=connection)
    finally:
        if renewing is not None:
            await stop_task(renewing)
        await access.aclose()
        await listener.aclose()
        await service.aclose()


def _of_a_team(config: Config) -> Config:
    """Return the settings with which nothing that a person has typed is kept on the disk."""
    completion = structs.replace(config.completion, record=False)
    cache = structs.replace(config.cache, enabled=False)
    engine = structs.replace(config.engine, keep_prompts_mb=0)
    return structs.replace(config, completion=completion, cache=cache, engine=engine)


def _tls(files: TeamTls) -> ssl.SSLContext:
    """Return the context of a certificate. Raises `ConfigError`."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(files.certificate, files.key)
    except (OSError, ssl.SSLError) as error:
        why = error.reason if isinstance(error, ssl.SSLError) else error.strerror
        raise ConfigError(
            f"The certificate {files.certificate} and its key cannot be used: {why}."
        ) from error
    return context


async def _renew(context: ssl.SSLContext, files: TeamTls) -> None:
    """Load the certificate again once its file has changed; new connections then get it."""
    known = _changed_at(files)
    while True:
        await asyncio.sleep(RENEW_SECONDS)
        now = _changed_at(files)
        if now != known:
            try:
                context.load_cert_chain(files.certificate, files.key)
                known = now
            except (OSError, ssl.SSLError) as error:
                log.warning("the new certificate cannot be used: %s", type(error).__name__)


def _changed_at(files: TeamTls) -> list[float]:
    return [
        path.stat().st_mtime if path.exists() else 0.0
        for path in (Path(files.certificate), Path(files.key))
    ]


def _announce(address: str, shown: Token, *, ollama: bool) -> None:
    _say(f"listening on {address}/v1 (model: nearfield)")
    if ollama:
        _say(f"Ollama's paths are at {address} for every program of this machine")
    if shown.fresh:
        _say(f"the token, shown this once: {shown.value}")
    _say(f"the token is in {shown.where}")


def _say(text: str) -> None:
    say(f"nearfield: {text}")
