"""Clients of the package httpx2, which the library of the Model Context Protocol uses; see
`clients` for what they take from the environment."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from nearfield.network.clients import ClientFactory

if TYPE_CHECKING:
    import httpx2


async def client_for(
    url: str, environ: Mapping[str, str], headers: Mapping[str, str], seconds: float
) -> httpx2.AsyncClient:
    """Return a client for requests to `url` alone, each at most `seconds`. Raises `ConfigError`
    when the proxy or the certificates cannot be used."""
    import httpx2

    factory = ClientFactory(environ)
    proxy = factory.proxy(url)
    return httpx2.AsyncClient(
        proxy=proxy.url if proxy is not None else None,
        verify=await asyncio.to_thread(factory.context, url, proxy),
        headers=dict(headers),
        timeout=seconds,
        trust_env=False,
    )
