"""A service for one command, closed whatever happens; and how long a command waits for a model."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from nearfield.features import status as service_status
from nearfield.listeners import until
from nearfield.terminal import notes_on_terminal, say, status

if TYPE_CHECKING:
    from nearfield.config.load import Loaded
    from nearfield.features.service import Service
    from nearfield.features.workspace_context.knowledge import Knowledge
    from nearfield.providers.base import Provider

INDEX_SECONDS = 120.0
"""The longest that a question waits for the index of its workspace."""

LOOK_SECONDS = 0.1
"""Interval at which a loading provider is checked."""


@asynccontextmanager
async def serving(loaded: Loaded) -> AsyncGenerator[Service]:
    """Yield a service whose providers are built and whose completion model is loaded, or cannot be.
    Other models may still be loading; their callers wait for them. Raises `NotReady` while the user
    has paused.
    """
    from nearfield.features.service import Service
    from nearfield.routing.pause import UserPause

    UserPause().check()
    service = Service(loaded.config)
    # A command has no first suggestion that needs the processor more.
    service.knowledge.wait_seconds = 0.0
    try:
        await service.start()
        await until_loaded(service)
        with work_shown():
            yield service
    finally:
        await service.aclose()


@contextmanager
def work_shown() -> Generator[None]:
    """Show on a terminal what the models do that are asked in the body."""
    from nearfield.routing.activity import Work, reported_to

    last = 0.0

    def show(work: Work) -> None:
        nonlocal last
        if time.monotonic() - last >= LOOK_SECONDS:
            last = time.monotonic()
            status(work.words())

    with reported_to(show if notes_on_terminal() else None):
        try:
            yield
        finally:
            status("")


async def until_loaded(service: Service, seconds: float = service_status.LOAD_SECONDS) -> None:
    """Wait while the completing model is being loaded, at most `seconds`, with a spinner on a
    terminal. Raises `NotReady`."""
    from nearfield.cli.console import spinner

    with spinner("Starting") as show:
        await service_status.until_loaded(
            service, seconds, lambda now: show(_progress(now.detail or "Starting", now.progress))
        )


async def until_indexed(knowledge: Knowledge, seconds: float = INDEX_SECONDS) -> None:
    """Wait for the names and the text of the workspace, at most `seconds`."""

    def is_over() -> bool:
        index = knowledge.state
        of = f" {index.done} of {index.total} files" if index.total else ""
        status(f"Indexing the workspace{of}" if index.is_coming else "")
        return not index.is_coming

    try:
        await until(knowledge.subscribe, is_over, seconds)
    except TimeoutError:
        say(f"note: the workspace is not indexed after {seconds:.0f} s, so less of it is known.")
    finally:
        status("")


async def load_model(provider: Provider, seconds: float = service_status.LOAD_SECONDS) -> None:
    """Let `provider` load its model and wait for it, at most `seconds`, with a spinner on a
    terminal. One that cannot load reports it when it is asked. Raises `NotReady`.
    """
    from nearfield.cli.console import spinner
    from nearfield.features.assemble import Loading
    from nearfield.types import HealthState

    health = await provider.health()
    if health.state is HealthState.IDLE and isinstance(provider, Loading):
        provider.start()
        health = await provider.health()
    if health.state is not HealthState.STARTING:
        return
    end = time.monotonic() + seconds
    with spinner("Starting") as show:
        # Providers have no event for it: most of them are servers that can only be asked again.
        while health.state is HealthState.STARTING:
            if time.monotonic() >= end:
                raise service_status.still_loading(health.detail, seconds)
            show(_progress(health.detail, health.progress))
            await asyncio.sleep(LOOK_SECONDS)
            health = await provider.health()


def _progress(detail: str, progress: float | None) -> str:
    return detail if progress is None else f"{detail} {progress:.0%}"
