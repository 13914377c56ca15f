"""The way to another machine, with real proxies and certificates."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

import nearfield
from nearfield.catalog.hub import Hub
from nearfield.config import schema
from nearfield.config.schema import Config, ProviderSettings
from nearfield.errors import ConfigError, DownloadFailed, ProviderError
from nearfield.network import certificates
from nearfield.network.clients import ClientFactory
from nearfield.network.setting import CA_FILE, environ_of
from nearfield.providers import registry

from .conftest import Relay

TIMEOUT = httpx.Timeout(10)


def got(environ: dict[str, str], url: str) -> str:
    """What is at `url`, asked by both kinds of client."""

    async def asked() -> str:
        async with ClientFactory(environ).async_client(TIMEOUT) as one:
            return (await one.get(url)).text

    with ClientFactory(environ).client(TIMEOUT) as one:
        said = one.get(url).text
    assert asyncio.run(asked()) == said
    return said


@pytest.mark.parametrize("variable", ["ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy"])
@pytest.mark.parametrize("scheme", ["http://", "", "socks5://", "socks5h://", "socks://"])
def test_clients_use_the_environments_proxies(
    plain: int, relay_to: Callable[[int], Relay], variable: str, scheme: str
) -> None:
    relay = relay_to(plain)
    environ = {variable: f"{scheme}127.0.0.1:{relay.port}/"}
    assert got(environ, "http://hub.example/x") == "hello"
    wanted = "socks hub.example" if "socks" in scheme else "GET http://hub.example/x HTTP/1.1"
    assert relay.asked == [wanted] * 2


@pytest.mark.parametrize("scheme", ["http", "socks5"])
def test_a_certificate_behind_a_proxy(
    secure: Callable[..., int], relay_to: Callable[[int], Relay], ca_file: str, scheme: str
) -> None:
    relay = relay_to(secure("hub.example"))
    environ = {"https_proxy": f"{scheme}://127.0.0.1:{relay.port}", CA_FILE: ca_file}
    assert got(environ, "https://hub.example/x") == "hello"


@pytest.mark.parametrize(
    "variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", CA_FILE]
)
def test_a_users_own_certificate_authority_is_trusted(
    secure: Callable[..., int], ca_file: str, variable: str
) -> None:
    url = f"https://localhost:{secure('localhost')}/"
    assert got({variable: ca_file}, url) == "hello"


def test_the_setting_wins_over_its_variable(ca_file: str) -> None:
    environ = environ_of(
        Config(network=schema.Network(ca_file=ca_file)), {CA_FILE: "/nowhere", "A": "b"}
    )
    assert environ == {CA_FILE: ca_file, "A": "b"}
    assert environ_of(Config(), {CA_FILE: "/nowhere", "A": "b"}) == {"A": "b"}


@pytest.mark.parametrize(
    ("variable", "shown"),
    [("SSL_CERT_FILE",) * 2, ("SSL_CERT_DIR",) * 2, ("REQUESTS_CA_BUNDLE",) * 2, (CA_FILE, "network.ca_file")],
)  # fmt: skip
def test_an_unusable_certificate_file_is_named(variable: str, shown: str, tmp_path: Path) -> None:
    (tmp_path / "no.pem").write_text("nothing")
    for path in (tmp_path / "missing.pem", tmp_path / "no.pem"):
        with pytest.raises(ConfigError, match=shown):
            certificates.context({variable: str(path)})
        assert shown in certificates.trusted({variable: str(path)})


async def refusal(environ: dict[str, str], url: str, **options: Any) -> ProviderError:
    settings = ProviderSettings(
        kind="openai_compatible", model="m", base_url=url, options={"chat": True, **options}
    )
    provider = registry.build("far", settings, environ=environ)
    try:
        with pytest.raises(ProviderError) as raised:
            await provider.models()
    finally:
        await provider.aclose()
    return raised.value


def hub_refusal(environ: dict[str, str], url: str) -> DownloadFailed:
    with Hub({**environ, "HF_ENDPOINT": url}) as hub, pytest.raises(DownloadFailed) as raised:
        hub.reach()
    return raised.value


async def test_connection_errors_are_explained(
    plain: int, secure: Callable[..., int], relay_to: Callable[[int], Relay], ca_file: str
) -> None:
    port, other = secure("localhost"), secure("other.example")
    relay = relay_to(plain)
    relay.want("me:secret")
    asked = f"http://me:wrong@127.0.0.1:{relay.port}"
    table = (
        ({}, f"https://localhost:{port}", "certificate is not trusted", "network.ca_file"),
        ({CA_FILE: ca_file}, f"https://localhost:{other}", "not trusted", "another name"),
        ({}, f"https://localhost:{plain}", "does not speak TLS", "http://"),
        ({"ALL_PROXY": asked}, "https://hub.example", "ALL_PROXY) refused it: 407", "password"),
        ({"ALL_PROXY": "http://127.0.0.1:9"}, "http://hub.example", "does not answer", "ALL_PROXY"),
        ({"https_proxy": "http://p:port"}, "https://hub.example", "https_proxy names", "unset"),
        ({"SSL_CERT_FILE": "/no"}, f"https://localhost:{port}", "SSL_CERT_FILE names no file", "PEM"),
    )  # fmt: skip
    for environ, url, what, hint in table:
        for error in (await refusal(environ, url), hub_refusal(environ, url)):
            assert what in error.message, url
            assert hint in error.hint
            assert "wrong" not in str(error)


def test_clients_are_made_in_one_place() -> None:
    """Whoever makes one by hand forgets the proxy or the certificates of somebody."""
    package = Path(nearfield.__file__).parent
    made = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if re.search(r"httpx2?\.(Async)?Client\(", path.read_text("utf-8"))
    }
    # That for this machine alone, that of the SDK, and that of the tool servers' library; the last
    # two get their proxy and certificates.
    assert made == {"network/clients.py", "network/http2_clients.py", "providers/http.py"}
