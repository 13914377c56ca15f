"""Which addresses count as this machine: the promise that nothing leaves rests on it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from nearfield.config.schema import ProviderSettings
from nearfield.errors import ConfigError
from nearfield.providers import address, registry

from .conftest import Server, question

ADDRESSES = {
    "http://127.0.0.1:8080": True,
    "http://127.255.255.254": True,
    "http://localhost:8080": True,
    "http://LOCALHOST": True,
    "http://[::1]:8080": True,
    "https://127.0.0.1": True,
    "http://0.0.0.0:8080": False,
    "http://127.1": False,
    "http://2130706433": False,
    "http://0x7f.0.0.1": False,
    "http://0177.0.0.1": False,
    "http://127.0.0.1.example.com": False,
    "http://localhost.example.com": False,
    "http://foo.localhost": False,
    "http://localhost.": False,
    "http://[::ffff:127.0.0.1]": False,
    "http://[::]": False,
    "http://[::1%25eth0]": False,
    "http://192.168.1.5": False,
    "http://10.0.0.1": False,
    "http://128.0.0.1": False,
    "http://host.docker.internal": False,
    "http://127.0.0.1@example.com": False,
    "http://example.com#@127.0.0.1": False,
    "http://example.com?127.0.0.1": False,
    "http://\u2460\u2461\u2466.0.0.1": False,
    "": False,
    "http://": False,
    "http://[::1": False,
}


@pytest.mark.parametrize("url", ADDRESSES)
def test_is_loopback(url: str) -> None:
    assert address.is_loopback(url) is ADDRESSES[url]


@pytest.mark.parametrize("url", [u for u, local in ADDRESSES.items() if not local])
@pytest.mark.parametrize("kind", ["llama_server", "ollama", "openai_compatible", "anthropic"])
def test_no_provider_calls_it_local(kind: str, url: str) -> None:
    settings = ProviderSettings(kind=kind, model="m", base_url=url or "http://example.com")
    try:
        provider = registry.build("mine", settings, environ={})
    except ConfigError:
        return
    assert not provider.capabilities.local


LEAVING = {
    "ollama's cloud": ("ollama", "gpt-oss:120b-cloud", {}),
    "ollama's cloud tag": ("ollama", "qwen3-coder:cloud", {}),
    "ollama's cloud in capitals": ("ollama", "gpt-oss:120b-Cloud", {}),
    "ollama's cloud among blanks": ("ollama", "qwen3-coder: cloud ", {}),
    "litellm": ("openai_compatible", "m", {"preset": "litellm"}),
    "a tunnel": ("llama_server", "m", {"leaves_machine": True}),
    "a tunnel to Claude": ("anthropic", "m", {"leaves_machine": True}),
}


@pytest.mark.parametrize("case", LEAVING)
def test_a_loopback_address_that_passes_on(case: str) -> None:
    kind, model, options = LEAVING[case]
    settings = ProviderSettings(
        kind=kind, model=model, base_url="http://127.0.0.1:4000", options=options
    )
    assert not registry.build("mine", settings, environ={}).capabilities.local


def test_a_setting_cannot_make_an_address_local() -> None:
    options = {"leaves_machine": False, "preset": "litellm"}
    kind = "openai_compatible"
    there = ProviderSettings(kind=kind, model="m", base_url="http://example.com", options=options)
    here = ProviderSettings(kind=kind, model="m", base_url="http://127.0.0.1", options=options)
    assert not registry.build("mine", there, environ={}).capabilities.local
    assert registry.build("mine", here, environ={}).capabilities.local


REFUSED = [
    "ftp://127.0.0.1",
    "127.0.0.1:8080",
    "http://",
    "http://user:hunter2@127.0.0.1",
    "http://127.0.0.1?key=hunter2",
    "http://127.0.0.1#hunter2",
    "http://127.0.0.1:port",
    "http://[::1",
]


@pytest.mark.parametrize("url", REFUSED)
def test_no_base_url(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        address.checked("mine", url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("kind", ["openai_compatible", "anthropic"])
async def test_loopback_uses_no_proxy_and_no_resolver(
    kind: str, server: Server, made: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`localhost` is reached although the environment names a proxy and no name resolves."""

    async def resolve(*args: Any, **more: Any) -> Any:
        assert args[1] in ("127.0.0.1", b"127.0.0.1"), "a name was looked up"
        return await real(*args, **more)

    loop = type(asyncio.get_running_loop())
    real = loop.getaddrinfo
    monkeypatch.setattr(loop, "getaddrinfo", resolve)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://192.0.2.1:3128")
    server.answer("/v1/models", {"data": [], "has_more": False})
    port = server.http.port
    base = f"http://localhost:{port}" + ("/v1" if kind == "openai_compatible" else "")
    provider = made(kind, base)
    assert await provider.models() == []
    assert server.requests[-1].headers["host"] in (f"localhost:{port}", f"127.0.0.1:{port}")


async def test_a_redirect_is_not_followed(server: Server, made: Any) -> None:
    elsewhere = {"location": server.url + "/elsewhere"}
    server.answer("/v1/chat/completions", b"", 307, headers=elsewhere)
    provider = made("llama_server", server.url)
    with pytest.raises(Exception, match="status 307"):
        [delta async for delta in provider.chat(question())]
    assert [request.path for request in server.requests] == ["/v1/chat/completions"]
