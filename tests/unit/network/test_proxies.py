"""Which proxy an address has, by the variables of ordinary desktops."""

from __future__ import annotations

import pytest

from nearfield.errors import ConfigError
from nearfield.network.hosts import is_excepted
from nearfield.network.proxies import Proxies, normalised

FAR = "https://hub.example/x"
NEAR = "http://hub.example/x"


@pytest.mark.parametrize(
    ("environ", "url", "proxy", "source"),
    [
        ({}, FAR, "", ""),
        ({"HTTPS_PROXY": "http://p:3128"}, FAR, "http://p:3128", "HTTPS_PROXY"),
        ({"HTTPS_PROXY": "http://p:3128"}, NEAR, "", ""),
        ({"http_proxy": "p:3128"}, NEAR, "http://p:3128", "http_proxy"),
        ({"http_proxy": "p"}, NEAR, "http://p", "http_proxy"),
        ({"https_proxy": "me:pw@p:8080/"}, FAR, "http://me:pw@p:8080", "https_proxy"),
        ({"https_proxy": " http://[::2]:8080 "}, FAR, "http://[::2]:8080", "https_proxy"),
        ({"https_proxy": "http://a:1", "HTTPS_PROXY": "http://b:1"}, FAR, "http://a:1", "https_proxy"),
        ({"https_proxy": "", "HTTPS_PROXY": "http://b:1"}, FAR, "", ""),
        ({"HTTPS_PROXY": "", "ALL_PROXY": ""}, FAR, "", ""),
        ({"HTTPS_PROXY": " "}, FAR, "", ""),
        ({"ALL_PROXY": "socks5://p:1080"}, FAR, "socks5://p:1080", "ALL_PROXY"),
        ({"ALL_PROXY": "socks5h://p:1080"}, NEAR, "socks5h://p:1080", "ALL_PROXY"),
        ({"all_proxy": "socks://p:1080/"}, FAR, "socks5h://p:1080", "all_proxy"),
        ({"all_proxy": "SOCKS5://p:1080"}, FAR, "socks5://p:1080", "all_proxy"),
        ({"ALL_PROXY": "socks5://p:1", "HTTPS_PROXY": "http://q:2"}, FAR, "http://q:2", "HTTPS_PROXY"),
        # This machine is never asked by a proxy.
        ({"ALL_PROXY": "http://p:1"}, "http://localhost:11434", "", ""),
        ({"ALL_PROXY": "http://p:1"}, "http://127.0.0.9:1", "", ""),
        ({"ALL_PROXY": "http://p:1"}, "http://[::1]:1", "", ""),
        # A variable that is not in the way harms nobody.
        ({"ALL_PROXY": "ftp://p:1", "NO_PROXY": "*"}, FAR, "", ""),
        ({"http_proxy": "http://p:nonsense"}, FAR, "", ""),
        ({"HTTPS_PROXY": "http://p:1", "no_proxy": "hub.example"}, FAR, "", ""),
        ({"HTTPS_PROXY": "http://p:1", "no_proxy": "", "NO_PROXY": "*"}, FAR, "http://p:1", "HTTPS_PROXY"),
    ],
)  # fmt: skip
def test_the_proxy(environ: dict[str, str], url: str, proxy: str, source: str) -> None:
    found = Proxies(environ).on_way_to(url)
    assert (found.url if found else "", found.source if found else "") == (proxy, source)


@pytest.mark.parametrize(
    "value",
    ["http://p:port", "http://p:99999", "socks4://p:1", "ftp://p", "http://", "http://[::1", "a b:1"],
)  # fmt: skip
def test_an_invalid_proxy_is_named_by_its_variable(value: str) -> None:
    for name in ("ALL_PROXY", "https_proxy"):
        with pytest.raises(ConfigError, match=name) as raised:
            Proxies({name: value}).on_way_to(FAR)
        assert value not in raised.value.message
        assert raised.value.hint


def test_a_password_is_not_shown() -> None:
    found = Proxies({"ALL_PROXY": "http://me:hunter2@p:8080"}).on_way_to(FAR)
    assert str(found) == "p:8080"


def test_child_processes_get_the_proxy_variables() -> None:
    environ = {"ALL_PROXY": "socks://p:1", "http_proxy": "q:2", "HOME": "/h", "HTTPS_PROXY": ""}
    assert normalised(environ) == {
        "ALL_PROXY": "socks5h://p:1", "http_proxy": "http://q:2", "HOME": "/h", "HTTPS_PROXY": "",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("host", "port", "exceptions", "expected"),
    [
        ("a.example", 443, "a.example", True),
        ("A.Example.", 443, "a.example", True),
        ("b.a.example", 443, "a.example", True),
        ("b.a.example", 443, ".a.example", True),
        ("a.example", 443, "*.a.example", True),
        ("ba.example", 443, "a.example", False),
        ("a.example", 443, "a.example:443", True),
        ("a.example", 443, "a.example:80", False),
        ("a.example", 443, "x, a.example", True),
        ("a.example", 443, "x a.example", True),
        ("a.example", 443, "*", True),
        ("a.example", 443, "", False),
        ("a.example", 443, ",,", False),
        ("10.1.2.3", 80, "10.0.0.0/8", True),
        ("11.1.2.3", 80, "10.0.0.0/8", False),
        ("10.1.2.3", 80, "10.1.2.3:80", True),
        ("10.1.2.3", 80, "10.9.9.9/8", True),
        ("10.1.2.3", 80, "10.0.0.0/99", False),
        ("::1", 80, "[::1]", True),
        ("[::1]", 80, "::1", True),
        ("fd00::1", 80, "[fd00::1]:80", True),
        ("fd00::1", 80, "[fd00::1]:81", False),
        ("fd00::1", 80, "fd00::/8", True),
        ("fd00::1", 80, "[fd00::]/8", True),
        ("fd00::1", 80, "10.0.0.0/8", False),
        ("printer", 80, "<local>", True),
        ("a.example", 80, "<local>", False),
        ("a.example", 80, "[::1", False),
    ],
)
def test_no_proxy_lists_exceptions(host: str, port: int, exceptions: str, expected: bool) -> None:
    assert is_excepted(host, port, exceptions) is expected
