"""Find the proxy for an address, by the variables that shells and desktops set.

`HTTPS_PROXY` and `HTTP_PROXY` are for addresses of that scheme, `ALL_PROXY` for both, and
`NO_PROXY` names hosts that need none. A name in lower case precedes the same in upper case, and an
empty one turns it off. On macOS and Windows the system's settings count where no variable is set.
Requests to this machine never have a proxy.
"""

from __future__ import annotations

import sys
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from nearfield.errors import ConfigError
from nearfield.network.hosts import is_excepted, is_loopback_host

SCHEMES = {
    "http": "http",
    "https": "https",
    "socks5": "socks5",
    "socks5h": "socks5h",
    # GNOME writes this for any version; all servers in use speak version 5.
    "socks": "socks5h",
}
HINT = "Write it like http://proxy.example:3128 or socks5://127.0.0.1:1080, or unset it."


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy and where it is from. `url` may hold a password; `str` does not."""

    url: str
    source: str

    def __str__(self) -> str:
        parts = urlsplit(self.url)
        host = parts.hostname or ""
        host = f"[{host}]" if ":" in host else host
        return f"{host}:{parts.port}" if parts.port else host


class Proxies:
    """The proxies of an environment."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def on_way_to(self, url: str) -> Proxy | None:
        """Return the proxy for `url`, None for none. Raises `ConfigError` that names the variable
        when what it holds is no proxy."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        if is_loopback_host(host):
            return None
        exceptions = self._value("no_proxy")[1]
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
        if is_excepted(host, port, exceptions):
            return None
        for name in (f"{parts.scheme}_proxy", "all_proxy"):
            source, value = self._value(name)
            if value:
                return Proxy(_checked(source, value), source)
        return self._of_system(parts.scheme, host)

    def _value(self, name: str) -> tuple[str, str]:
        """Return the variable that is in force under a name, and what it holds."""
        for spelt in (name, name.upper()):
            if spelt in self._environ:
                return spelt, self._environ[spelt].strip()
        return name.upper(), ""

    def _of_system(self, scheme: str, host: str) -> Proxy | None:
        if sys.platform not in ("darwin", "win32") or any(
            name.lower().endswith("_proxy") and value for name, value in self._environ.items()
        ):
            return None
        value = urllib.request.getproxies().get(scheme, "")
        if not value or urllib.request.proxy_bypass(host):
            return None
        return Proxy(_checked("the system's settings", value), "the system's settings")


def normalised(environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` for a program that understands only usual proxies: in the same variables, with what
    we understand written as everybody does."""
    clean = dict(environ)
    for name, value in environ.items():
        if name.lower() in ("http_proxy", "https_proxy", "all_proxy") and value.strip():
            clean[name] = _checked(name, value.strip())
    return clean


def _checked(source: str, value: str) -> str:
    """Return a proxy's address with its scheme. Raises `ConfigError`, whose message never repeats
    the value: it may hold a password."""
    url = value if "://" in value else f"http://{value}"
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ConfigError(f"{source} names a proxy with a bad port or address.", HINT) from None
    scheme = SCHEMES.get(parts.scheme.lower())
    if scheme is None:
        said = f"{source} names a proxy of the kind {parts.scheme[:20]}://, which is not supported."
        raise ConfigError(said, HINT)
    if not parts.hostname or any(c.isspace() for c in parts.netloc):
        raise ConfigError(f"{source} names a proxy without a host.", HINT)
    return f"{scheme}://{parts.netloc}"
