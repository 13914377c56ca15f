"""Certificates of trusted authorities.

`SSL_CERT_FILE` and `SSL_CERT_DIR`, or else `REQUESTS_CA_BUNDLE` or `CURL_CA_BUNDLE`, replace the
usual lists, as they do for other programs. The usual lists are the system's, where a
company's own authority is installed, and that of the certifi package. What the setting
`network.ca_file` names is trusted besides.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from pathlib import Path

import certifi

from nearfield.errors import ConfigError
from nearfield.network.setting import CA_FILE

SETTING = "network.ca_file"
HINT = "It should name a file of certificates in PEM form."


def context(environ: Mapping[str, str]) -> ssl.SSLContext:
    """Return a context that checks servers' certificates; takes tens of milliseconds. Raises
    `ConfigError` that names the variable or setting that cannot be used."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    sources = _instead(environ)
    for source, path in sources:
        _load(made, source, path)
    if not sources:
        made.load_default_certs()
        made.load_verify_locations(certifi.where())
    if own := environ.get(CA_FILE, "").strip():
        _load(made, SETTING, own)
    return made


def trusted(environ: Mapping[str, str]) -> str:
    """Describe the trusted authorities."""
    names = [f"{source} ({path})" for source, path in _instead(environ)]
    words = names or ["the system's and certifi's authorities"]
    if own := environ.get(CA_FILE, "").strip():
        words.append(f"{SETTING} ({own})")
    return " and ".join(words)


def _instead(environ: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the variables that replace the usual lists, with what they hold."""
    for names in (("SSL_CERT_FILE", "SSL_CERT_DIR"), ("REQUESTS_CA_BUNDLE",), ("CURL_CA_BUNDLE",)):
        if found := [(name, environ[name].strip()) for name in names if environ.get(name)]:
            return found
    return []


def _load(made: ssl.SSLContext, source: str, path: str) -> None:
    expanded = Path(path).expanduser()
    try:
        if source == "SSL_CERT_DIR":
            folders = path.split(os.pathsep)
            if not any(Path(folder).expanduser().is_dir() for folder in folders):
                raise ConfigError(f"{source} names no folder: {path}.", "Correct or unset it.")
            for folder in folders:
                made.load_verify_locations(capath=str(Path(folder).expanduser()))
        elif expanded.is_dir():
            made.load_verify_locations(capath=str(expanded))
        else:
            made.load_verify_locations(cafile=str(expanded))
    except FileNotFoundError:
        raise ConfigError(f"{source} names no file: {path}.", HINT) from None
    except (ssl.SSLError, OSError):
        raise ConfigError(f"{source} names a file without certificates: {path}.", HINT) from None
