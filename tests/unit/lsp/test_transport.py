"""The process around a session: what ends it, also when something hangs."""

from __future__ import annotations

import asyncio
import io
import os
import subprocess
import sys
import threading
from typing import Any

import pytest

from nearfield.lsp import frames, parent, transport

STUCK = """
import time
from nearfield.lsp import server

made = server.build()

def stuck(_):
    time.sleep(600)

async def never():
    await __import__("asyncio").sleep(600)

{how}
server.run_stdio(made)
"""


@pytest.mark.parametrize(
    "how",
    [
        'made.feature("test/stuck")(stuck)',
        "class Slow:\n    def __del__(self):\n        time.sleep(600)\nkept = Slow()",
        "made.session.close = never",
        "import threading; threading.Thread(target=time.sleep, args=(600,)).start()",
    ],
    ids=["the event loop", "the interpreter's end", "closing", "a thread"],
)
@pytest.mark.parametrize("by_exit", [True, False])
def test_the_process_ends_although_its_cleanup_hangs(how: str, by_exit: bool) -> None:
    code = STUCK.replace("{how}", how)
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=0,
    ) as process:
        assert process.stdin and process.stdout
        hello = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"capabilities": {}}}
        process.stdin.write(frames.encode(hello))
        next(frames.messages(process.stdout.read))
        process.stdin.write(frames.encode({"jsonrpc": "2.0", "method": "test/stuck"}))
        if by_exit:
            process.stdin.write(frames.encode({"jsonrpc": "2.0", "method": "exit"}))
        else:
            process.stdin.close()
        # What hangs does so for ten minutes: a process that ends before has not waited for it.
        assert process.wait(60) == 1


@pytest.mark.parametrize("polled", [True, False])
async def test_a_process_is_watched(monkeypatch: pytest.MonkeyPatch, polled: bool) -> None:
    if polled and hasattr(os, "pidfd_open"):

        def refused(_pid: int) -> int:
            raise PermissionError

        monkeypatch.setattr(os, "pidfd_open", refused)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        gone = asyncio.Event()
        watching = asyncio.create_task(parent.watch(process.pid, gone.set))
        await asyncio.sleep(2 * parent.POLL_SECONDS)
        assert not gone.is_set()
        process.kill()
        # Not waited for: a zombie has ended as well.
        await asyncio.wait_for(gone.wait(), 10)
        await watching


class Unread(io.RawIOBase):
    """A pipe to a client that reads when it is told to."""

    def __init__(self) -> None:
        self.reads = threading.Event()
        self.begun = threading.Event()
        self.written = bytearray()

    def write(self, data: Any, /) -> int:
        self.begun.set()
        self.reads.wait(60)
        self.written += data
        return len(data)


def test_a_replacing_notification_does_not_pile_up() -> None:
    stream = Unread()
    outbox = transport.Outbox(stream, lambda: None)
    outbox.write(b"first ")
    assert stream.begun.wait(60)
    for number in range(1000):
        outbox.write(b"state%d " % number, "state")
        outbox.write(b"text%d " % number, "text")
    outbox.write(b"last")
    stream.reads.set()
    outbox.finish(60)
    assert bytes(stream.written) == b"first state999 text999 last"


def test_a_client_that_reads_nothing_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    stream, given_up = Unread(), threading.Event()
    outbox = transport.Outbox(stream, given_up.set)
    piece = bytes(transport.MAX_UNREAD_BYTES // 8)
    for _ in range(8):
        outbox.write(piece)
        assert not given_up.is_set()
        assert stream.begun.wait(60)
    outbox.write(piece)
    outbox.write(b"more")
    assert given_up.is_set()
    assert "does not read" in caplog.text
    stream.reads.set()
    outbox.finish(60)
    assert len(stream.written) == len(piece)


def test_importing_the_streams_imports_no_library_of_lsp() -> None:
    """`nearfield mcp` has them too, and does not pay for what only an editor's session needs."""
    code = "import sys, nearfield.lsp.transport; print({'lsprotocol', 'pygls'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "set()"
