"""Every command on every hostile repository.

A new command fails `test_every_command_is_tried` until it has a row in `ARGUMENTS`.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import typer.main
from tests.e2e.prepared import forked
from tests.hostile.conftest import Repository
from tests.hostile.repositories import OUTSIDE

from nearfield.cli.main import build

PATIENCE_SECONDS = 60.0
"""A command that runs this long on a busy machine hangs."""
TARGETS = 4
"""Files tried with each command; the requests of the server are tried with all of them."""
FORBIDDEN = re.compile(
    rb"[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\xaa-\xae]|\xe2\x81[\xa6-\xa9]"
)
"""Control characters, and the marks that turn the direction of writing."""

Arguments = Callable[[str], list[str]]

ARGUMENTS: dict[str, Arguments] = {
    "serve": lambda file: ["serve"],
    "acp": lambda file: ["acp"],
    "mcp": lambda file: ["mcp"],
    "panel": lambda file: ["panel", "--no-open", "--port", f"x{file}"],
    "pause": lambda file: ["pause"],
    "resume": lambda file: ["resume"],
    "complete": lambda file: ["complete", f"{file}:1:1", "--explain"],
    "explain": lambda file: ["explain", f"{file}:1:5"],
    "review": lambda file: ["review", file],
    "review --diff": lambda file: ["review", "--diff"],
    "fix": lambda file: ["fix", f"{file}:1", "--problem", "it is wrong"],
    "refactor": lambda file: ["refactor", f"{file}:1", "use a dictionary"],
    "document": lambda file: ["document", f"{file}:1"],
    "test": lambda file: ["test", f"{file}:1"],
    "commit-message": lambda file: ["commit-message"],
    "ask": lambda file: ["ask", "what is this?", "--file", file],
    "chat": lambda file: ["chat"],
    "chat --resume": lambda file: ["chat", "--resume", file.lstrip("-") or "x"],
    "chats list": lambda file: ["chats", "list"],
    "chats export": lambda file: ["chats", "export", file.lstrip("-") or "x"],
    "chats delete": lambda file: ["chats", "delete", file.lstrip("-") or "x"],
    "doctor": lambda file: ["doctor"],
    "index": lambda file: ["index", "--no-vectors", "--explain", "."],
    "embed": lambda file: ["embed", "--", file],
    "search": lambda file: ["search", "--workspace", ".", "--", file],
    "provenance show": lambda file: ["provenance", "show", "./" + file],
    "provenance verify": lambda file: ["provenance", "verify"],
    "stats": lambda file: ["stats"],
    "trial start": lambda file: ["trial", "start", "complete", "./" + file],
    "trial status": lambda file: ["trial", "status"],
    "trial end": lambda file: ["trial", "end"],
    "team add": lambda file: ["team", "add", file.lstrip("-"), "--role", "developer"],
    "team list": lambda file: ["team", "list"],
    "team revoke": lambda file: ["team", "revoke", file.lstrip("-")],
    "team usage": lambda file: ["team", "usage"],
    "team check": lambda file: ["team", "check", "./" + file],
    "trial adopt": lambda file: ["trial", "adopt", file.lstrip("-")],
    "models list": lambda file: ["models", "list"],
    "models pull": lambda file: ["models", "pull", file.lstrip("-")],
    "models add": lambda file: ["models", "add", "mine", "./" + file],
    "models remove": lambda file: ["models", "remove", file.lstrip("-")],
    "models use": lambda file: ["models", "use", file.lstrip("-")],
    "setup": lambda file: ["setup", "--no-servers"],
    "models recommend": lambda file: ["models", "recommend"],
    "models load": lambda file: ["models", "load", "--server", "127.0.0.1:1"],
    "models unload": lambda file: ["models", "unload", "--server", file.lstrip("-")],
    "models search": lambda file: ["models", "search", "--", file],
    "models outdated": lambda file: ["models", "outdated"],
    "models bench": lambda file: ["models", "bench", "far", "./" + file, "--repository", "."],
    "models tune": lambda file: ["models", "tune", "./" + file, "--repository", "."],
    "providers list": lambda file: ["providers", "list"],
    "providers models": lambda file: ["providers", "models", "far"],
    "providers probe": lambda file: ["providers", "probe", "far"],
    "providers add": lambda file: ["providers", "add", file.lstrip("-")],
    "providers load": lambda file: ["providers", "load", "far", file.lstrip("-")],
    "providers unload": lambda file: ["providers", "unload", "far", file.lstrip("-")],
    "providers pull": lambda file: ["providers", "pull", "far", file.lstrip("-")],
    "route explain": lambda file: ["route", "explain", "what is this?", "--file", file],
    "config path": lambda file: ["config", "path"],
    "config show": lambda file: ["config", "show"],
    "config set": lambda file: ["config", "set", "files.exclude", file.lstrip("-")],
    "config unset": lambda file: ["config", "unset", file.lstrip("-")],
    "keys set": lambda file: ["keys", "set", "far"],
    "keys list": lambda file: ["keys", "list"],
    "keys remove": lambda file: ["keys", "remove", "far"],
    "consent allow": lambda file: ["consent", "allow", "far"],
    "consent deny": lambda file: ["consent", "deny", "other", "--workspace", "/none"],
    "consent revoke": lambda file: ["consent", "revoke", "other", "--workspace", "/none"],
    "consent list": lambda file: ["consent", "list"],
    "audit list": lambda file: ["audit", "list"],
    "audit show": lambda file: ["audit", "show", "1"],
    "audit export": lambda file: ["audit", "export"],
    "audit prune": lambda file: ["audit", "prune", "--days", "30"],
}
ALONE = ("pause", "resume")
"""Commands that change what the others do: tried after them, in this order."""
PER_FILE = {"complete", "explain", "review", "fix", "refactor", "document", "test", "ask",
            "provenance show"}  # fmt: skip
"""Commands that read the file they are given; the others are tried once a repository."""


def test_every_command_is_tried() -> None:
    tried = {name.partition(" -")[0] for name in ARGUMENTS}
    assert set(_commands(typer.main.get_command(build([])))) == tried


def test_no_command_is_stopped_drained_or_opened(repository: Repository) -> None:
    runs = [
        make(file)
        for name, make in ARGUMENTS.items()
        if name not in ALONE
        for file in repository.targets[: TARGETS if name in PER_FILE else 1]
    ]

    def try_one(arguments: list[str]) -> list[tuple[str, str]]:
        return _faults(repository, arguments)

    with ThreadPoolExecutor(2) as pool:
        faults = [fault for found in pool.map(try_one, runs) for fault in found]
    for name in ALONE:
        faults += try_one(ARGUMENTS[name](""))
    assert (faults, repository.faults()) == ([], [])


def _faults(repository: Repository, arguments: list[str]) -> list[tuple[str, str]]:
    """Run one command; return what is wrong with how it ended and what it printed."""
    shown = " ".join(arguments)
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            forked(*arguments), cwd=repository.root, env=repository.environ,
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return [(shown, "hangs")]
        output.seek(0)
        printed = output.read()
    faults: list[str] = []
    if process.returncode not in (0, 1, 2, 3):
        faults.append(f"ended with {process.returncode}")
    if b"Traceback" in printed:
        faults.append("printed a traceback")
    if found := FORBIDDEN.search(printed):
        faults.append(f"printed {found[0]!r}")
    if OUTSIDE.encode() in printed:
        faults.append("printed a file outside the repository")
    return [(shown, fault + ": " + printed[-300:].decode("utf-8", "replace")) for fault in faults]


def _commands(command: Any, name: str = "") -> Iterator[str]:
    """Yield the full name of each command below `command`, as it is typed."""
    children: Mapping[str, Any] | None = getattr(command, "commands", None)
    if children is None:
        yield name
        return
    for part, child in children.items():
        yield from _commands(child, f"{name} {part}".strip())
