"""How a session begins and how it ends, whatever ends it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable

import psutil
import pytest
from tests.e2e.prepared import STARTED, forked
from tests.e2e.process import script
from tests.e2e.wiring import StartWire, Wire

from nearfield.lsp import frames

END_SECONDS = 60.0
"""The promise is one second; a machine that runs all the tests may not have one to give. What the
model does here would take ten minutes."""


def close_input(w: Wire) -> None:
    w.close()


def say_exit(w: Wire) -> None:
    w.notify("exit")


def shut_down_and_exit(w: Wire) -> None:
    w.ask("shutdown")
    w.notify("exit")


def terminate(w: Wire) -> None:
    w.process.send_signal(signal.SIGTERM)


@pytest.mark.parametrize(
    ("end", "code"),
    [(close_input, 1), (say_exit, 1), (shut_down_and_exit, 0), (terminate, 1)],
)
@pytest.mark.parametrize("busy", [False, True])
def test_the_process_ends_whatever_the_model_does(
    wire: StartWire, end: Callable[[Wire], None], code: int, busy: bool
) -> None:
    w = wire("--stdio", program=STARTED)
    w.initialize(script([{"match": "", "text": "x", "delay_ms": 600_000}]))
    uri = w.open("def add(a, b):\n    ")
    w.ask("nearfield/status")
    if busy:
        w.request_ghost(uri, 1, 4)
        w.ask("nearfield/status")
    children = psutil.Process(w.process.pid).children(recursive=True)
    end(w)
    assert w.ended_within(END_SECONDS)
    assert w.process.returncode == code
    _, alive = psutil.wait_procs(children, timeout=END_SECONDS)
    assert alive == []


def test_the_process_ends_with_unread_answers(
    environ: dict[str, str],
) -> None:
    with subprocess.Popen(
        [*STARTED, "serve"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environ,
    ) as process:
        assert process.stdin
        request = {"jsonrpc": "2.0", "method": "initialize", "params": {"capabilities": {}}}
        process.stdin.write(frames.encode({"id": 1, **request}))
        # Far more answers than a pipe holds.
        unknown = {"jsonrpc": "2.0", "method": "nearfield/unknown"}
        for number in range(2, 5000):
            process.stdin.write(frames.encode({"id": number, **unknown}))
        process.stdin.flush()
        time.sleep(1.0)
        process.stdin.close()
        process.wait(END_SECONDS)


def test_what_was_taken_is_recorded_though_the_machine_stalls_at_the_end(
    wire: StartWire, environ: dict[str, str]
) -> None:
    w = wire("--stdio", program=STARTED)
    w.initialize()
    (item,) = w.ghost(w.open("def add(a, b):\n    "), 1, 4)
    command = {name: item["command"][name] for name in ("command", "arguments")}
    w.ask("workspace/executeCommand", command)
    w.notify("exit")
    w.process.send_signal(signal.SIGSTOP)
    time.sleep(1.5)  # longer than the process may take to end
    w.process.send_signal(signal.SIGCONT)
    assert w.ended_within(END_SECONDS)
    stats = subprocess.run(forked("stats", "--json"), env=environ, capture_output=True, check=True)
    assert json.loads(stats.stdout)["completions"]["accepted"] == 1


def test_the_process_ends_with_the_clients_process(wire: StartWire) -> None:
    """The input stays open: only `processId` tells."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as parent:
        w = wire("--stdio", program=STARTED)
        w.initialize(processId=parent.pid)
        w.ask("nearfield/status")
        parent.kill()
        parent.wait()
        assert w.ended_within(END_SECONDS)
    assert w.process.returncode == 1


def test_a_client_that_cannot_be_seen_is_served(wire: StartWire) -> None:
    """In a container, the editor's number of its process means nothing."""
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    w = wire("--stdio", program=STARTED)
    w.initialize(processId=gone.pid)
    uri = w.open("def add(a, b):\n    ")
    assert w.ghost(uri, 1, 4)


def test_nothing_but_the_protocol_reaches_standard_output(
    wire: StartWire, environ: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A library that prints, or a child that writes to descriptor 1, ends up in the log."""
    folder = tmp_path_factory.mktemp("noisy")
    (folder / "sitecustomize.py").write_text(
        "import os, sys, threading, time\n"
        "def noise():\n"
        "    while 'nearfield.features.service' not in sys.modules:\n"
        "        time.sleep(0.01)\n"
        "    print('printed by a library')\n"
        "    os.system('echo echoed by a child')\n"
        "threading.Thread(target=noise, daemon=True).start()\n"
    )
    environ["PYTHONPATH"] = str(folder)
    w = wire("--stdio", program=STARTED)
    w.initialize()
    uri = w.open("def add(a, b):\n    ")
    end = time.monotonic() + END_SECONDS
    while "echoed by a child" not in w.log() and time.monotonic() < end:
        time.sleep(0.05)
    assert w.ghost(uri, 1, 4)
    assert not any("garbage" in message for message in w.received)
    w.ask("shutdown")
    w.notify("exit")
    assert w.ended_within(END_SECONDS)
    assert "printed by a library" in w.log()


def test_initialize_is_answered_before_anything_heavy_is_loaded(wire: StartWire) -> None:
    """The engine and the grammars are not even imported by then. (How long it takes is measured by
    the benches: a limit in ms would fail on a busy machine.)"""
    code = (
        "import sys\n"
        "from nearfield.lsp import server\n"
        "server.build()\n"
        "heavy = {'llama_cpp', 'tree_sitter', 'httpx', 'numpy', 'huggingface_hub', 'psutil',"
        " 'nearfield.features.service', 'rich'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_tcp_serves_one_client_on_loopback_that_shows_the_token(
    wire: StartWire, environ: dict[str, str]
) -> None:
    environ["NEARFIELD_HTTP_TOKEN"] = "a-token-of-this-test"
    w = wire("--tcp", "127.0.0.1:0", program=STARTED)
    end = time.monotonic() + END_SECONDS
    while "waiting for a client" not in w.log() and time.monotonic() < end:
        time.sleep(0.02)
    port = int(w.log().rsplit(":", 1)[1])
    with socket.create_connection(("127.0.0.1", port)) as page:
        page.sendall(b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}")
        assert page.recv(1000) == b""
    with socket.create_connection(("127.0.0.1", port)) as client:
        request = {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        options = {"token": "a-token-of-this-test"}
        params = {"capabilities": {}, "initializationOptions": options}
        client.sendall(frames.encode({**request, "params": params}))
        answer = next(frames.messages(client.recv))
        assert isinstance(answer, dict) and answer["result"]["serverInfo"]["name"] == "nearfield"
    assert w.ended_within(END_SECONDS)
    assert w.process.returncode == 1
    assert "a-token" not in w.log()


def test_tcp_refuses_addresses_that_others_can_reach(wire: StartWire) -> None:
    w = wire("--tcp", "0.0.0.0:0", program=STARTED)
    assert w.ended_within(END_SECONDS)
    assert w.process.returncode == 2


def test_the_own_process_is_not_taken_for_a_dead_parent(wire: StartWire) -> None:
    w = wire("--stdio", program=STARTED)
    w.initialize(processId=os.getpid())
    w.ask("nearfield/status")
    assert not w.ended_within(0.6)
