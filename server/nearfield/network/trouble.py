"""Explain a failed connection from an HTTP client's error.

Reads the errors of httpx and their causes.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import dataclass

from nearfield.network.proxies import Proxy

"""OpenSSL's codes: for another name, and not yet or no longer valid."""
_OTHER_NAME = frozenset({62, 63, 64})
_TIME = frozenset({9, 10})


@dataclass(frozen=True, slots=True)
class Trouble:
    """`what` ends a sentence that begins with the host that cannot be reached; `hint` says what to
    do.
    """

    what: str
    hint: str


def trouble(error: BaseException, proxy: Proxy | None) -> Trouble | None:
    """Return what `error` says of certificates or of the `proxy` on the way; None where neither is
    the cause."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _of_certificate(cause)
        if isinstance(cause, ssl.SSLError):
            return Trouble("it does not speak TLS there", "Is it http:// instead of https://?")
    if proxy is None:
        return None
    names = {kind.__name__ for cause in causes for kind in type(cause).__mro__}
    if "ProxyError" in names:
        said = str(error)[:100]
        what = f"the proxy {proxy} ({proxy.source}) refused it" + (f": {said}" if said else "")
        return Trouble(
            what, f"Is {proxy.source} right, with user and password where it wants them?"
        )
    if names & {"ConnectError", "ConnectTimeout"}:
        what = f"the proxy {proxy} ({proxy.source}) does not answer"
        return Trouble(what, f"Correct or unset {proxy.source}; NO_PROXY names hosts without one.")
    return None


def _of_certificate(error: ssl.SSLCertVerificationError) -> Trouble:
    what = f"its certificate is not trusted ({error.verify_message})"
    if error.verify_code in _OTHER_NAME:
        hint = "The certificate is for another name: is the address right?"
    elif error.verify_code in _TIME:
        hint = "Is this machine's clock right? Else the certificate has to be renewed."
    else:
        hint = (
            "If its authority is your own, name that authority's certificate (a PEM file) in the"
            " setting network.ca_file, or in SSL_CERT_FILE."
        )
    return Trouble(what, hint)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """`error` and what it came from."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
