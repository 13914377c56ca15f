"""Connections that keep a place and ask for nothing."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn

from nearfield.http import connection
from nearfield.http.exchange import Event, HttpExchange, Receive, Send

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\n"


no_delay: list[int] = []
"""Of each connection of the server, whether its packets are sent at once."""


class Watched(connection.HttpConnection):
    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        held = transport.get_extra_info("socket")
        no_delay.append(held.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))


async def app(scope: Event, receive: Receive, send: Send) -> None:
    exchange = HttpExchange(scope, receive, send)
    if exchange.path == "/refused":
        await exchange.json({}, 401)
        return
    if exchange.path == "/slow":
        await asyncio.sleep(1)
    await exchange.json({"read": len(await exchange.body())})


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    monkeypatch.setattr(connection, "HEADER_SECONDS", 0.2)
    monkeypatch.setattr(connection, "MAX_CONNECTIONS", 3)
    config = uvicorn.Config(
        app, http=Watched, lifespan="off", log_config=None, timeout_keep_alive=60
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = asyncio.create_task(server.serve([listening]))
        yield listening.getsockname()[1]
        server.should_exit = True
        await serving


@pytest.mark.parametrize(
    ("sent", "then"),
    [
        (b"", b""),
        (b"P", b""),
        (HEAD, b""),
        (HEAD, b"X: y\r\n"),
        # Between two requests, and with a body that nobody waits for.
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"G"),
        (b"POST /refused HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n", b"x"),
    ],
)
async def test_a_slow_connection_is_closed(port: int, sent: bytes, then: bytes) -> None:
    read, write = await asyncio.open_connection("127.0.0.1", port)
    write.write(sent)

    async def trickle() -> None:
        while then:
            await asyncio.sleep(0.05)
            write.write(then)

    trickling = asyncio.create_task(trickle())
    try:
        async with asyncio.timeout(60):
            while True:
                if not await read.read(1000):
                    break
    except ConnectionResetError:
        pass
    finally:
        trickling.cancel()
        write.close()


async def test_an_answers_body_does_not_wait_for_an_acknowledgement(port: int) -> None:
    no_delay.clear()
    read, write = await asyncio.open_connection("127.0.0.1", port)
    write.write(HEAD + b"Content-Length: 3\r\n\r\nabc")
    assert b"200" in await read.readline()
    write.close()
    assert no_delay == [1]


async def test_an_idle_connection_between_requests_is_kept(port: int) -> None:
    read, write = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(2):
        write.write(HEAD + b"Content-Length: 3\r\n\r\nabc")
        await read.readuntil(b'{"read":3}')
        await asyncio.sleep(3 * connection.HEADER_SECONDS)
    write.close()


async def test_the_longest_idle_connection_is_closed_and_no_running_request(port: int) -> None:
    busy = await asyncio.open_connection("127.0.0.1", port)
    busy[1].write(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
    silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(10)]
    read, write = await asyncio.open_connection("127.0.0.1", port)
    write.write(HEAD + b"Content-Length: 3\r\n\r\nabc")
    await read.readuntil(b'{"read":3}')
    await busy[0].readuntil(b'{"read":0}')
    for _, other in (*silent, busy, (read, write)):
        other.close()


async def test_each_read_is_small(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A chunk may be of one byte, and whatever is read at once is parsed at once."""
    sizes: list[int] = []
    receive = connection.HttpConnection.data_received

    def data_received(self: connection.HttpConnection, data: bytes) -> None:
        sizes.append(len(data))
        receive(self, data)

    monkeypatch.setattr(connection.HttpConnection, "data_received", data_received)
    read, write = await asyncio.open_connection("127.0.0.1", port)
    chunks = b"1\r\n \r\n" * 20_000
    write.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n")
    async with asyncio.timeout(60):
        assert (await read.readline()).split()[1] == b"200"
    write.close()
    assert sum(sizes) > len(chunks)
    assert max(sizes) <= connection.MAX_READ_BYTES
