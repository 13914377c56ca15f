"""The life of a server that we start, with a stand-in that answers `/health` at once."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import psutil
import pytest

from nearfield.errors import ConfigError, NotReady, Unreachable
from nearfield.providers import managed
from nearfield.providers import server_process as child
from nearfield.providers.server_process import Listening, ServerProcess
from nearfield.types import HealthState

LEASH = [sys.executable, "-m", "nearfield.providers.parent_watchdog", sys.executable, "-c"]
SERVE = """
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(os.environ["LLAMA_API_KEY"].encode())
    def log_message(self, *args):
        pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
DIE = "import sys; print('no such tensor', file=sys.stderr); sys.exit(3)"


async def _alive(listening: Listening) -> bool:
    """Whether the stand-in answers, with the key that it alone was given."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", listening.port)
    except OSError:
        return False
    writer.write(b"GET /health HTTP/1.0\r\n\r\n")
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer.endswith(listening.key.encode())


@pytest.fixture
async def server() -> AsyncGenerator[Callable[[str], ServerProcess]]:
    made: list[ServerProcess] = []

    def make(script: str) -> ServerProcess:
        async def command(listening: Listening) -> list[str]:
            return [*LEASH, script, str(listening.port)]

        made.append(ServerProcess("mine", command, _alive))
        return made[-1]

    yield make
    for one in made:
        await one.stop()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(child, "GIVE_UP_AFTER", 2)


async def test_concurrent_requests_start_the_server_once(
    server: Callable[[str], ServerProcess],
) -> None:
    mine = server(SERVE)
    assert mine.health.state is HealthState.IDLE
    first, *others = await asyncio.gather(*(mine.ready() for _ in range(5)))
    assert others == [first] * 4
    assert mine.starts == 1
    assert mine.health.state is HealthState.READY


async def test_the_wait_for_a_server_ends_also_without_a_deadline(
    server: Callable[[str], ServerProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "READY_WAIT_SECONDS", 0.05)
    with pytest.raises(NotReady, match="still starting"):
        await server("import time; time.sleep(60)").ready()


async def test_is_started_again_with_another_key(server: Callable[[str], ServerProcess]) -> None:
    mine = server(SERVE)
    first = await mine.ready()
    assert mine.pid is not None
    tree = [psutil.Process(mine.pid), *psutil.Process(mine.pid).children()]
    tree[-1].kill()
    while mine.starts < 2:
        await asyncio.sleep(0.01)
    second = await mine.ready()
    assert second.key != first.key
    await mine.stop()
    await mine.stop()
    assert not [process for process in tree if process.is_running()]


async def test_a_start_during_the_stop_waits_for_the_end(
    server: Callable[[str], ServerProcess],
) -> None:
    mine = server(SERVE)
    await mine.ready()
    assert mine.pid is not None
    old = psutil.Process(mine.pid)
    stopping = asyncio.create_task(mine.stop())
    await asyncio.sleep(0)
    second = await mine.ready()
    assert not old.is_running()
    await stopping
    assert mine.listening == second
    assert mine.health.state is HealthState.READY


async def test_keeps_dying(server: Callable[[str], ServerProcess]) -> None:
    mine = server(DIE)
    with pytest.raises(Unreachable, match="no such tensor"):
        await mine.ready()
    assert mine.starts >= 2
    assert mine.health.state is HealthState.UNAVAILABLE


async def test_not_ready_in_time(server: Callable[[str], ServerProcess]) -> None:
    mine = server("import time; time.sleep(60)")
    with pytest.raises(NotReady):
        await mine.ready(time.monotonic() + 0.2)
    assert mine.health.state is HealthState.STARTING


async def test_no_command_is_asked_for_again_next_time() -> None:
    """What keeps it from starting may be mended meanwhile: a model pulled, a package installed."""
    tries: list[int] = []

    async def command(listening: Listening) -> list[str]:
        tries.append(listening.port)
        if len(tries) == 1:
            raise ConfigError("There is no model.", "Pull one.")
        return [*LEASH, SERVE, str(listening.port)]

    mine = ServerProcess("mine", command, _alive)
    with pytest.raises(Unreachable, match=r"There is no model\. Pull one\."):
        await mine.ready()
    assert (await mine.ready()).port == tries[1]
    await mine.stop()


def test_leash_gives_the_programs_exit_code() -> None:
    with subprocess.Popen([*LEASH, "raise SystemExit(7)"], stdin=subprocess.PIPE) as leash:
        assert leash.wait(60) == 7


STUBBORN = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(os.getpid(), flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("how", ["released", "terminated"])
def test_leash_ends_even_a_stubborn_program(how: str) -> None:
    if how == "terminated" and os.name == "nt":
        pytest.skip("there are no signals on Windows; there it is always released")
    with subprocess.Popen(
        [*LEASH, STUBBORN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as leash:
        assert leash.stdin is not None
        assert leash.stdout is not None
        program = psutil.Process(int(leash.stdout.readline()))
        if how == "released":
            leash.stdin.close()
        else:
            leash.terminate()
        program.wait(60)
        leash.wait(60)


def test_the_best_installed_program_is_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    without = [program.name for program in managed.programs()]
    assert "llama-server" not in without
    native = tmp_path / ("llama-server.exe" if os.name == "nt" else "llama-server")
    native.write_text("#!/bin/sh\n")
    native.chmod(0o755)
    assert [program.name for program in managed.programs()] == ["llama-server", *without]
    assert managed.programs()[0].detail == str(native)
    assert managed.programs(str(native))[0].command[-1] == str(native)
