"""Tell addresses of this machine from others.

What is sent to a loopback address stays here; everything else leaves the machine, also an address
of a container or of a private network. The rule is literal and asks no name
server, because a name may mean another host tomorrow:

* `127.0.0.0/8` and `::1`, written as addresses;
* the name `localhost`, which we then resolve ourselves, to 127.0.0.1 and failing that to ::1.

Other spellings that a system's resolver would accept ("127.1", "0x7f.1", "foo.localhost",
"0.0.0.0") count as leaving. A server on loopback may itself pass on what it gets (a proxy, a
tunnel): the provider's option `leaves_machine` says so, and those that we know say it themselves.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from nearfield.errors import ConfigError
from nearfield.network.hosts import is_loopback_host

LOCALHOST_ADDRESSES = ("127.0.0.1", "::1")


def is_loopback(url: str) -> bool:
    """Return whether a request to `url` stays on this machine; see the module's docstring."""
    try:
        return is_loopback_host(urlsplit(url).hostname or "")
    except ValueError:
        return False


def is_passed_on(model: str) -> bool:
    """Return whether a server of Ollama passes what it gets for `model` on to its maker's cloud, by
    the model's name, which it reads without regard to case and blanks."""
    return re.search(r"[-:]\s*cloud\s*$", model, re.IGNORECASE) is not None


def host_of(url: str) -> str:
    """Return host and port, for messages; no other part of the address, which could hold a
    secret."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return f"{host}:{parts.port}" if parts.port else host


def checked(name: str, url: str) -> str:
    """`url` as the base of requests, without a trailing slash. Raises `ConfigError` when it is no
    HTTP address, or holds a user, a password, a query or a fragment."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(
            f"The base_url of the provider {name} is not an HTTP address.",
            'Write it like "http://127.0.0.1:8080".',
        )
    if parts.username or parts.password:
        raise ConfigError(
            f"The base_url of the provider {name} holds a user or a password.",
            "Set the option user to the name, and give the password as the key: in a variable that"
            f" api_key_env names, or by `nearfield keys set {name}`.",
        )
    if parts.query or parts.fragment:
        raise ConfigError(
            f"The base_url of the provider {name} holds more than an address.",
            "Keys are taken from the environment or the system keyring, never from settings.",
        )
    return url.rstrip("/")
