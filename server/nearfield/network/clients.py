"""HTTP clients for requests to other machines.

A client sends each request by the proxy of its host, trusts what `certificates` says, and takes
nothing else from the environment. Nothing is read before the first request.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping

import httpx

from nearfield.errors import ConfigError
from nearfield.network import certificates
from nearfield.network.proxies import Proxies, Proxy


class ClientFactory:
    """The way to other machines from one environment, which its `repr` does not show."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._proxies = Proxies(environ)

    def client(
        self, timeout: httpx.Timeout, headers: Mapping[str, str] | None = None
    ) -> httpx.Client:
        """Return a client for a thread that may wait. A request raises `ConfigError` when the
        environment's proxy or certificates make it impossible."""
        routed = _Routed(self)
        return httpx.Client(transport=routed, timeout=timeout, headers=headers, trust_env=False)

    def async_client(self, timeout: httpx.Timeout) -> httpx.AsyncClient:
        """Return a client for the event loop; see `client`."""
        return httpx.AsyncClient(transport=_AsyncRouted(self), timeout=timeout, trust_env=False)

    def proxy(self, url: str) -> Proxy | None:
        """Return the proxy on the way to `url`. Raises `ConfigError`."""
        return self._proxies.on_way_to(url)

    def context(self, url: str, proxy: Proxy | None = None) -> ssl.SSLContext:
        """Return a context that checks certificates on the way to `url`; takes tens of milliseconds
        where there is TLS. Without TLS it trusts nothing. Raises `ConfigError`."""
        if url.startswith("https:") or (proxy is not None and proxy.url.startswith("https:")):
            return certificates.context(self._environ)
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    def words(self, url: str) -> str:
        """Describe the proxy and the certificates on the way to `url`."""
        try:
            proxy = self.proxy(url)
        except ConfigError:
            return "by no proxy that can be used"
        by = f"by the proxy {proxy} ({proxy.source})" if proxy else "by no proxy"
        return f"{by}, trusting {certificates.trusted(self._environ)}"


class _Routed(httpx.BaseTransport):
    """See the module's docstring."""

    def __init__(self, network: ClientFactory) -> None:
        self._network = network
        self._made: dict[tuple[Proxy | None, str], httpx.HTTPTransport] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """See httpx."""
        url = str(request.url)
        proxy = self._network.proxy(url)
        key = proxy, request.url.scheme
        if key not in self._made:
            verify = self._network.context(url, proxy)
            self._made[key] = httpx.HTTPTransport(verify=verify, proxy=proxy and proxy.url)
        return self._made[key].handle_request(request)

    def close(self) -> None:
        """See httpx."""
        for transport in self._made.values():
            transport.close()


class _AsyncRouted(httpx.AsyncBaseTransport):
    """See the module's docstring."""

    def __init__(self, network: ClientFactory) -> None:
        self._network = network
        self._made: dict[tuple[Proxy | None, str], httpx.AsyncHTTPTransport] = {}
        self._making = asyncio.Lock()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """See httpx."""
        url = str(request.url)
        proxy = self._network.proxy(url)
        key = proxy, request.url.scheme
        async with self._making:
            if key not in self._made:
                verify = await asyncio.to_thread(self._network.context, url, proxy)
                self._made[key] = httpx.AsyncHTTPTransport(verify=verify, proxy=proxy and proxy.url)
        return await self._made[key].handle_async_request(request)

    async def aclose(self) -> None:
        """See httpx."""
        for transport in self._made.values():
            await transport.aclose()
