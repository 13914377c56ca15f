"""Run a command that the user has allowed: an argument list, and never a shell.

Off unless "executeShell" is in `chat.functions`, only commands of `chat.shell_commands`, and the
user is asked each time. The program is found on the user's path and never in the workspace, which
others may write to. It gets no input, few of the environment's variables, a folder of the workspace
to work in, and a limit of time and of output. Its process group is killed at its end with all that
it has started.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import psutil
from msgspec import Meta

from nearfield.features.chat.file_tools import FolderPath
from nearfield.features.chat.protocol import Access, ToolRefused
from nearfield.features.chat.tool_context import ToolContext
from nearfield.features.chat.tool_schema import function

OUTPUT_BYTES = 16_000
"""Bytes kept of a command's output, from its end, which holds the errors."""
FLOOD_BYTES = 10_000_000
"""A command that writes more is ended."""
LOOK_SECONDS = 0.2
END_SECONDS = 5.0
KEPT_VARIABLES = (
    "HOME", "LANG", "LC_ALL", "TMPDIR", "TEMP", "TMP", "TZ", "USER", "LOGNAME",
    "SYSTEMROOT", "COMSPEC", "PATHEXT", "USERPROFILE", "LOCALAPPDATA", "APPDATA", "PROGRAMDATA",
)  # fmt: skip
"""Nothing that holds a key, and nothing that makes a program load something else."""
SCRIPTS = frozenset({".bat", ".cmd"})
"""Windows runs these in a shell, which parses the arguments again."""


def _title(given: Any) -> str:
    return f"run: {subprocess.list2cmdline(given.command)}"


def _refuse(context: ToolContext, given: Any) -> None:
    allowed(given.command, context.limits.shell_commands, context.folder.root)


@function(Access.DANGER, "executeShell", title=_title, refuse=_refuse)
async def execute_shell(
    context: ToolContext,
    command: Annotated[
        list[str], Meta(min_length=1, max_length=64, description='As ["git", "status"]')
    ],
    folder: FolderPath = "",
) -> str:
    """Run a program with arguments. No shell: no pipes, no variables, no wildcards."""
    where = await asyncio.to_thread(context.folder.look, folder)
    if where.kind != "folder":
        raise ToolRefused(f"{where.path} is no folder.")
    program = allowed(command, context.limits.shell_commands, context.folder.root)
    code, output = await run(
        [program, *command[1:]],
        context.folder.root / where.path,
        float(context.limits.shell_timeout_s),
        context.folder.root,
    )
    return f"exit code {code}\n{context.spend(output)}"


def allowed(
    command: Sequence[str],
    commands: Sequence[str],
    root: Path,
    environ: Mapping[str, str] | None = None,
) -> str:
    """The whole path of the program to start. Raises `ToolRefused`."""
    if any("\0" in word for word in command):
        raise ToolRefused("An argument holds a zero byte.")
    if not any(_begins(command, one.split()) for one in commands):
        listed = ", ".join(commands) or "none"
        raise ToolRefused(
            f"The user allows only these commands: {listed}.",
            "More can be named in chat.shell_commands.",
        )
    name = command[0]
    if name != Path(name).name or "/" in name or "\\" in name or ":" in name:
        raise ToolRefused("A program is given by its name, not by a path.")
    found = shutil.which(name, path=_search_path(root, os.environ if environ is None else environ))
    if found is None:
        raise ToolRefused(f"There is no program {name!r} on the path, outside the workspace.")
    if Path(os.path.realpath(found)).suffix.lower() in SCRIPTS:
        raise ToolRefused(f"{name} is a batch file, which Windows runs by a shell.")
    if Path(os.path.realpath(found)).is_relative_to(root):
        raise ToolRefused(f"{name} lies in the workspace, where others may have put it.")
    return found


async def run(
    command: Sequence[str],
    where: Path,
    timeout_s: float,
    root: Path,
    variables: Mapping[str, str] | None = None,
) -> tuple[int | None, str]:
    """Run `command` in the folder `where`, with `variables` beside the few of the environment; its
    exit code and the end of its output. When this ends, however it does, nothing of it runs on.
    Raises `ToolRefused` at the limits."""
    groups: dict[str, Any] = (
        {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}
        if sys.platform == "win32"
        else {"start_new_session": True}
    )
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=where,
            env={**clean_environment(root), **(variables or {})},
            **groups,
        )
    except OSError as error:
        raise ToolRefused(f"{command[0]} could not be started: {error.strerror}.") from error
    output = bytearray()
    try:
        async with asyncio.timeout(timeout_s):
            flooded = await _read(process, output)
            if not flooded:
                await process.wait()
    except TimeoutError:
        tail = _tail(output)
        raise ToolRefused(
            f"The command took longer than {timeout_s:g} s and was ended.\n{tail}"
        ) from None
    finally:
        await asyncio.shield(_ended(process))
    if flooded:
        raise ToolRefused(f"The command wrote more than {FLOOD_BYTES} bytes and was ended.")
    return process.returncode, _tail(output)


def clean_environment(root: Path, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables that a command gets."""
    environ = os.environ if environ is None else environ
    kept = {name: environ[name] for name in KEPT_VARIABLES if name in environ}
    # Nothing asks, pages or colours.
    quiet = {"TERM": "dumb", "PAGER": "cat", "GIT_PAGER": "cat", "GIT_TERMINAL_PROMPT": "0"}
    return {**kept, **quiet, "PATH": _search_path(root, environ)}


async def _read(process: asyncio.subprocess.Process, output: bytearray) -> bool:
    """Read until the program has ended; whether there was too much. What it has started may hold
    the pipe open for ever, so that is not waited for: it is ended with the program. asyncio says
    that a program has ended only once its pipes are closed, so that is looked at now and then."""
    if process.stdout is None:
        return False
    total = 0
    while True:
        piece = asyncio.ensure_future(process.stdout.read(65_536))
        try:
            while not piece.done():
                await asyncio.wait({piece}, timeout=LOOK_SECONDS)
                if process.returncode is not None:
                    _kill(process)
        finally:
            piece.cancel()
        data = piece.result()
        total += len(data)
        output += data
        del output[: max(0, len(output) - OUTPUT_BYTES)]
        if not data or total > FLOOD_BYTES:
            return bool(data)


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Kill the process group and wait until it has ended. Its pipe is read to the end, because
    asyncio waits for that; one that a process outside the group holds open is given up.
    """
    _kill(process)
    with suppress(TimeoutError):
        async with asyncio.timeout(END_SECONDS):
            while process.stdout is not None and await process.stdout.read(65_536):
                pass
            await process.wait()


def _kill(process: asyncio.subprocess.Process) -> None:
    """End the program and all that it has started."""
    if sys.platform != "win32":
        # Nothing of the group may be left.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        return
    with suppress(psutil.NoSuchProcess):
        parent = psutil.Process(process.pid)
        for child in [*parent.children(recursive=True), parent]:
            child.kill()


def _begins(command: Sequence[str], words: Sequence[str]) -> bool:
    return bool(words) and list(command[: len(words)]) == list(words)


def _search_path(root: Path, environ: Mapping[str, str]) -> str:
    """The user's path without relative entries and those in the workspace."""
    entries = environ.get("PATH", os.defpath).split(os.pathsep)
    kept = [
        entry
        for entry in entries
        if Path(entry).is_absolute() and not Path(os.path.realpath(entry)).is_relative_to(root)
    ]
    return os.pathsep.join(kept)


def _tail(output: bytearray) -> str:
    return output.decode("utf-8", "replace").strip() or "(no output)"
