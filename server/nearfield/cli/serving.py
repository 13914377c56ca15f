"""A service for one command: started, told of a document, and closed whatever happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nearfield.config.load import Loaded
    from nearfield.features.service import Service
    from nearfield.features.status import Status


@asynccontextmanager
async def serving(loaded: Loaded) -> AsyncGenerator[Service]:
    """A service whose providers are built; its models may be loading still, which those who ask
    them wait for. A spinner says so on a terminal."""
    from nearfield.cli.console import spinner
    from nearfield.features.service import Service
    from nearfield.features.status import State

    service = Service(loaded.config)
    changed = asyncio.Event()
    with spinner("Starting") as show:

        def told(status: Status) -> None:
            share = f" {status.progress:.0%}" if status.progress is not None else ""
            show(f"{status.detail or 'Starting'}{share}")
            changed.set()

        end = service.subscribe(told)
        try:
            await service.start()
            while service.status.state in (State.STARTING, State.LOADING):
                changed.clear()
                await changed.wait()
        except BaseException:
            await service.aclose()
            raise
        finally:
            end()
    try:
        yield service
    finally:
        await service.aclose()
