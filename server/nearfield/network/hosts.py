"""Names and addresses of hosts: which are this machine, and which a list of exceptions names."""

from __future__ import annotations

import ipaddress
import re

LOCALHOST = "localhost"
LOOPBACK = ("127.0.0.1", LOCALHOST, "::1")
"""Hosts that our servers may listen on."""


def is_loopback_host(host: str) -> bool:
    """Return whether `host` (a name or an address, IPv6 with or without brackets) is this machine:
    a literal rule that asks no name server."""
    plain = host.removeprefix("[").removesuffix("]").lower()
    if plain == LOCALHOST:
        return True
    try:
        address = ipaddress.ip_address(plain)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return address in ipaddress.IPv4Network("127.0.0.0/8")
    return address == ipaddress.IPv6Address("::1") and "%" not in plain


def is_excepted(host: str, port: int | None, exceptions: str) -> bool:
    """Return whether a `NO_PROXY` list names the host.

    Entries are separated by commas or blanks: `*` is every host; `example.com`, `.example.com` and
    `*.example.com` are a domain and what is below it; an address may be written in brackets, and a
    network as `10.0.0.0/8`; `<local>` is every name without a dot; a port may follow.
    """
    plain = host.removeprefix("[").removesuffix("]").rstrip(".").lower()
    return any(_names(entry, plain, port) for entry in re.split(r"[,;\s]+", exceptions) if entry)


def _names(entry: str, host: str, port: int | None) -> bool:
    name, wanted = _apart(entry.lower())
    if wanted is not None and wanted != port:
        return False
    if name == "*":
        return True
    if name == "<local>":
        return "." not in host and ":" not in host
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        domain = name.removeprefix("*").strip(".")
        return bool(domain) and (host == domain or host.endswith("." + domain))
    try:
        network = ipaddress.ip_network(name, strict=False)
    except ValueError:
        return False
    return address.version == network.version and address in network


def _apart(entry: str) -> tuple[str, int | None]:
    """Return the name, address or network of an entry, and its port."""
    if bracketed := re.fullmatch(r"\[([^\]]*)\](/\d+)?(?::(\d+))?", entry):
        name, length, port = bracketed.groups()
        return name + (length or ""), int(port) if port else None
    name, colon, port = entry.rpartition(":")
    if colon and ":" not in name and port.isdecimal():
        return name, int(port)
    return entry, None
