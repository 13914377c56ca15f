"""A router alone, for one question: nothing is loaded, and all is closed whatever happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nearfield.config.schema import Config
    from nearfield.providers.base import Provider
    from nearfield.routing.router import Router


@asynccontextmanager
async def routed(
    config: Config, note: Callable[[str], None] | None = None
) -> AsyncGenerator[tuple[Router, dict[str, Provider]]]:
    """Yield a router over the providers of `config`, and the providers themselves, of which none
    has begun to load. `note` gets sentences about settings that could not be followed, None logs
    them."""
    from nearfield.features import assemble
    from nearfield.routing.router import Router

    built = await asyncio.to_thread(assemble.providers, config, None, note or assemble.log.warning)
    router = Router(config, built)
    try:
        yield router, built
    finally:
        await router.aclose()
        for provider in built.values():
            await provider.aclose()
