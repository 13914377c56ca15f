"""Commands as processes of their own, without what a start costs.

Most of a short command's time is spent on imports. A prepared process has done them: it forks for
each command, which then has its own memory, folder, environment, umask and streams, and ends by
itself as one that was started does. Nothing but imports is shared: the program begins in the fork.

Tests of what a process does start it so. Those of how it starts, of its interpreter's settings, of
its memory or of the process itself begin with `STARTED` instead.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import pkgutil
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import NoReturn

CLIENT = Path(__file__).with_name("prepared_start.py")
STREAMS = 3
STARTED = [sys.executable, "-m", "nearfield"]
"""Begins the command line of a process that starts as a user's does."""

_open = ExitStack()


def forked(*arguments: str) -> list[str]:
    """Return the command line of a process that is forked from one which has imported all."""
    return [*_program(), *arguments]


@cache
def _program() -> list[str]:
    return _open.enter_context(prepared())


def end_prepared() -> None:
    """End the process that `forked` uses, once no test is left."""
    _open.close()


@contextmanager
def prepared() -> Generator[list[str]]:
    """Yield what stands for `python -m nearfield`; the rest of a command line follows it."""
    folder = Path(tempfile.mkdtemp(prefix="nearfield-"))  # an address has 100 characters
    address = folder / "commands"
    environ = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(address))
        listening.listen(64)
        process = subprocess.Popen(
            [sys.executable, __file__, str(listening.fileno())], pass_fds=[listening.fileno()],
            env={**environ, "HOME": str(folder)}, cwd=folder,
            # Pipes, because Python remembers of its streams whether they have a position.
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    try:
        yield [sys.executable, "-I", "-S", str(CLIENT), str(address)]
    finally:
        process.terminate()
        sys.stderr.write(process.communicate()[1])
        shutil.rmtree(folder)


def _import_all() -> None:
    """Import every module of Nearfield but those whose packages are not installed."""
    import nearfield

    for module in pkgutil.walk_packages(nearfield.__path__, "nearfield."):
        with suppress(ImportError):
            importlib.import_module(module.name)


def _serve(listening: socket.socket) -> None:
    """Fork for each client. Return in the process of each command. End with the tests, which hold
    the other end of the input."""
    while True:
        if sys.stdin in select.select([listening, sys.stdin], [], [])[0]:
            os._exit(0)
        client, _ = listening.accept()
        if not os.fork():
            break
        client.close()
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass
    listening.close()
    header, files, _, _ = socket.recv_fds(client, 8, STREAMS)
    with client.makefile("rb") as told:
        arguments, folder, umask, environ = json.loads(told.read(int(header, 16)))
    if command := os.fork():
        _watch(command, client, files)
    client.close()
    os.umask(umask)
    _become(arguments, folder, environ, files)


def _watch(command: int, client: socket.socket, files: Sequence[int]) -> None:
    """Pass on signals until the command has ended, send its exit code, and end. A client that is
    killed has the command killed."""
    for file in files:
        os.close(file)

    def pass_on() -> None:
        with suppress(OSError):  # the command or its client has ended
            while sent := client.recv(1):
                os.kill(command, sent[0])
            os.kill(command, signal.SIGKILL)

    threading.Thread(target=pass_on, daemon=True).start()
    _, status = os.waitpid(command, 0)
    with suppress(OSError):
        client.sendall(str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def _become(
    arguments: Sequence[str], folder: str, environ: dict[str, str], files: Sequence[int]
) -> None:
    """Make this process what it would be had the command been started."""
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(environ)
    os.chdir(folder)
    places = environ.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:0] = [place for place in places if place and place not in sys.path]
    sys.argv = ["nearfield", *arguments]


def _run() -> int:
    """Run the command; return its exit code. The interpreter shows whatever else it raises."""
    from nearfield.cli import main

    try:
        main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else end.code is not None
    return 0


def _end(code: int) -> NoReturn:
    """End as the interpreter does, but for freeing its memory: that would copy all of it."""
    threading._shutdown()  # pyright: ignore
    atexit._run_exitfuncs()  # pyright: ignore
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


if __name__ == "__main__":
    _import_all()
    gc.collect()
    gc.freeze()
    _serve(socket.socket(fileno=int(sys.argv[1])))
    _end(_run())
