"""Who is let in by TCP, and that nobody else keeps them out."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from nearfield.lsp import admission, frames

TOKEN = "a-token-of-this-test"
Let = tuple[socket.socket, bytes]


def hello(method: str = "initialize", **options: Any) -> dict[str, Any]:
    params = {"capabilities": {}, "initializationOptions": options}
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


def framed(message: Any, *lines: str) -> bytes:
    head, _, body = frames.encode(message).partition(b"\r\n\r\n")
    return b"\r\n".join([head, *(line.encode() for line in lines)]) + b"\r\n\r\n" + body


GOOD = framed(hello(token=TOKEN, log={"level": "info"}))


class Door:
    """A waiting server, and who it lets in."""

    def __init__(self) -> None:
        ports: queue.SimpleQueue[int] = queue.SimpleQueue()
        self.let: queue.SimpleQueue[Let] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._wait, args=(ports,), daemon=True)
        self._thread.start()
        self.port = ports.get(timeout=60)

    def _wait(self, ports: queue.SimpleQueue[int]) -> None:
        self.let.put(admission.admitted("127.0.0.1", 0, TOKEN.__eq__, ports.put))

    def call(self) -> socket.socket:
        client = socket.create_connection(("127.0.0.1", self.port))
        client.settimeout(60)
        return client

    def lets_in(self, said: bytes = GOOD) -> list[Any]:
        """A client comes that `said` so: what the server reads of it."""
        with self.call() as client:
            client.sendall(said)
            client.shutdown(socket.SHUT_WR)
            connection, begun = self.let.get(timeout=60)
            with connection:
                stream = admission.Begun(begun, connection.makefile("rb", buffering=0))
                found = list(frames.messages(stream.read))
        self._thread.join(60)
        return found


@pytest.fixture
def door() -> Door:
    return Door()


def read(client: socket.socket) -> bytes:
    with contextlib.suppress(ConnectionResetError):
        return client.makefile("rb").read()
    return b""


@pytest.mark.parametrize(
    "said",
    [
        GOOD,
        framed(hello(nearfield={"token": TOKEN}, log={"level": "info"})),
        framed(hello(log={"level": "info"}), f"Authorization: Bearer {TOKEN}"),
        framed(hello(token="no", log={"level": "info"}), f"authorization: bearer {TOKEN}"),
    ],
)
def test_a_client_with_the_token_is_admitted_and_the_token_removed(door: Door, said: bytes) -> None:
    more = {"jsonrpc": "2.0", "method": "initialized", "params": {}}
    first, second = door.lets_in(said + framed(more))
    options = first["params"]["initializationOptions"]
    assert options["log"] == {"level": "info"}
    assert TOKEN not in str(first)
    assert second == more


@pytest.mark.parametrize(
    "said",
    [
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}",
        b"GET /",
        b"\x16\x03\x01",
        b"SSH-2.0-x\r\n",
        b"X-Header: 1\r\n",
        b"Content-Length: 5\r\nHost: a\r\n\r\n",
        b"Content-Type: a" + b"a" * 10_000,
        b"Content-Length: 99999999999\r\n\r\n",
        b"Content-Length: -1\r\n\r\n",
        b"Content-Length: 3\r\n\r\n{x}",
        b"Content-Length: 2\r\n\r\n[]",
        framed(hello("shutdown", token=TOKEN)),
        framed({**hello(), "params": [TOKEN]}),
    ],
)
def test_a_connection_that_is_no_editor_is_closed_and_the_next_admitted(
    door: Door, said: bytes
) -> None:
    with door.call() as stranger:
        stranger.sendall(said)
        assert b"result" not in read(stranger)
    assert len(door.lets_in()) == 1


@pytest.mark.parametrize("token", ["", "wrong", None, 5, [TOKEN], TOKEN + "x", TOKEN.upper()])
def test_a_wrong_token_is_answered_with_an_error(door: Door, token: Any) -> None:
    with door.call() as stranger:
        stranger.sendall(framed(hello(token=token)))
        said = read(stranger)
    assert b"token is missing or wrong" in said and b'"id":1' in said
    assert TOKEN.encode() not in said
    assert len(door.lets_in()) == 1


def _silent(door: Door, count: int) -> Iterator[socket.socket]:
    for number in range(count):
        client = door.call()
        client.sendall(GOOD[: number % len(GOOD)])
        yield client


def test_silent_connections_do_not_block_others(door: Door) -> None:
    silent = list(_silent(door, 3 * admission.MAX_CALLERS))
    assert len(door.lets_in()) == 1
    for client in silent:
        client.close()


def test_a_silent_connection_is_closed(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "HELLO_SECONDS", 0.05)
    with door.call() as silent:
        silent.sendall(b"Content-Length: 10\r\n\r\n")
        assert read(silent) == b""
    monkeypatch.undo()
    assert len(door.lets_in()) == 1


def test_a_client_that_sends_single_bytes_is_admitted(door: Door) -> None:
    with door.call() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in GOOD:
            client.sendall(bytes([byte]))
        connection, begun = door.let.get(timeout=60)
        connection.close()
    assert b'"initialize"' in begun


@pytest.mark.parametrize("host", ["::", "192.168.1.2", "example.org", ""])
def test_only_loopback_is_listened_on(host: str) -> None:
    with pytest.raises(ValueError, match="loopback"):
        admission.admitted(host, 0, TOKEN.__eq__, print)
