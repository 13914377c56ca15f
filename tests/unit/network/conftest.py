"""A proxy, a server behind TLS, and an authority that nobody knows."""

from __future__ import annotations

import base64
import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trustme


class Served(socketserver.BaseRequestHandler):
    """Says "hello" to any request."""

    def handle(self) -> None:
        with suppress(OSError):
            self.request.recv(65536)
            self.request.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
            )


class Relaying(socketserver.BaseRequestHandler):
    """SOCKS 5 (RFC 1928) and HTTP's CONNECT and absolute addresses, for whichever host is named."""

    def handle(self) -> None:
        with suppress(OSError):
            relay: Relay = self.server.relay  # type: ignore[attr-defined]
            first = self.request.recv(65536)
            upstream = socket.create_connection(relay.target)
            with upstream:
                if first[:1] == b"\x05":
                    self._socks(relay)
                else:
                    head = first.split(b"\r\n\r\n")[0].decode()
                    relay.asked.append(head.split("\r\n")[0])
                    if relay.password and relay.password not in head:
                        self.request.sendall(
                            b"HTTP/1.1 407 Proxy Authentication Required\r\n"
                            b"Content-Length: 0\r\nConnection: close\r\n\r\n"
                        )
                        return
                    if first.startswith(b"CONNECT"):
                        self.request.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
                    else:
                        upstream.sendall(first)
                back = threading.Thread(target=_copy, args=(upstream, self.request), daemon=True)
                back.start()
                _copy(self.request, upstream)
                back.join(5)

    def _socks(self, relay: Relay) -> None:
        self.request.sendall(b"\x05\x00")
        asked = self.request.recv(65536)
        name = asked[5 : 5 + asked[4]].decode() if asked[3] == 3 else socket.inet_ntoa(asked[4:8])
        relay.asked.append(f"socks {name}")
        self.request.sendall(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


@dataclass
class Relay:
    """A running proxy: what it was `asked`, and the password that it wants."""

    target: tuple[str, int]
    asked: list[str] = field(default_factory=list[str])
    password: str = ""
    port: int = 0

    def want(self, pair: str) -> None:
        """Refuse who does not show this user and password."""
        self.password = base64.b64encode(pair.encode()).decode()


@contextmanager
def running(handler: type[socketserver.BaseRequestHandler], **attributes: Any) -> Generator[int]:
    socketserver.ThreadingTCPServer.allow_reuse_address = True
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        for name, value in attributes.items():
            setattr(server, name, value)
        if context := attributes.get("tls"):
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


@pytest.fixture
def plain() -> Iterator[int]:
    """The port of a server without TLS."""
    with running(Served) as port:
        yield port


@pytest.fixture
def secure(authority: trustme.CA) -> Iterator[Callable[..., int]]:
    """Starts a server with a certificate for `names`; its port."""
    with ExitStack() as stack:

        def start(*names: str) -> int:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            authority.issue_cert(*names).configure_cert(context)
            return stack.enter_context(running(Served, tls=context))

        yield start


@pytest.fixture
def relay_to() -> Iterator[Callable[[int], Relay]]:
    """Starts a proxy whose every connection ends at a port of this machine."""
    with ExitStack() as stack:

        def start(port: int) -> Relay:
            relay = Relay(("127.0.0.1", port))
            relay.port = stack.enter_context(running(Relaying, relay=relay))
            return relay

        yield start
