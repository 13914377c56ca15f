"""Run git, the only place that does, so that a repository cannot answer with a program of its own.

A repository's configuration and attributes may name programs: filters, external diffs, text
converters, file-system monitors, hooks, pagers, helpers of protocols. All of them are turned off
for every call; a first call lists those that a repository can give any name. The environment is
built from scratch, and git never asks, fetches or locks. A repository inside a tree without a
`.git` is ignored, and the program is never one that the folder itself holds. A call ends after
`seconds` and after `most` bytes.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from nearfield.errors import NearfieldError
from nearfield.files.links import real_inside

SECONDS = 5.0
"""For what git need not look at files for."""
MAX_BYTES = 20_000_000
MAX_CONFIG_BYTES = 1_000_000
MAX_GIVEN = 16_384
"""Bytes that fit into a pipe on every system, so that they are written before git is read."""

_SAFE = (
    "--no-pager",
    "--no-optional-locks",
    "-c", "core.fsmonitor=false",
    "-c", f"core.hooksPath={os.devnull}",
    "-c", f"core.attributesFile={os.devnull}",
    "-c", "core.pager=cat",
    "-c", "core.editor=false",
    "-c", "core.askPass=false",
    "-c", "core.sshCommand=false",
    "-c", "core.gitProxy=false",
    "-c", "core.alternateRefsCommand=false",
    "-c", "core.quotePath=true",
    "-c", "credential.helper=",
    "-c", "diff.external=",
    "-c", "diff.ignoreSubmodules=all",
    "-c", "log.showSignature=false",
    "-c", "maintenance.auto=false",
    "-c", "gc.auto=0",
    "-c", "protocol.allow=never",
    "-c", "safe.bareRepository=explicit",
    "-c", "submodule.recurse=false",
)  # fmt: skip
_KEPT = ("PATH", "HOME", "USERPROFILE", "SYSTEMROOT", "TEMP", "TMP", "XDG_CONFIG_HOME")
_FIXED = {
    "GIT_ALLOW_PROTOCOL": "none",  # also over a repository's own `protocol.ext.allow`
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_PAGER": "cat",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}
_PROGRAMS = {
    *("clean", "smudge", "process", "command", "textconv", "driver", "program"),
    *("uploadpack", "receivepack", "vcs"),
}
"""The last parts of keys that name a program, where a section can have any name."""
_READ_FILES = {"diff", "ls-files"}
"""Commands that look at the working tree."""


class GitFailed(NearfieldError):
    """Git cannot say."""


def said(folder: Path, *words: str, seconds: float = SECONDS) -> bytes | None:
    """Return what `git` with these `words` prints in `folder`; None when it cannot say."""
    try:
        return Git(folder, seconds=seconds).run(*words)
    except GitFailed:
        return None


async def asked(
    folder: Path, *words: str, seconds: float = SECONDS, most: int = MAX_BYTES
) -> bytes:
    """Return what `git` prints, without holding up the event loop; cancelling ends git.

    Raises `GitFailed`.
    """
    git = Git(folder, seconds=seconds, most=most)
    try:
        return await asyncio.to_thread(git.run, *words)
    finally:
        git.stop()


class Git:
    """Git in one folder. One thread calls `run`; `stop` may come from any other."""

    def __init__(self, folder: Path, *, seconds: float = SECONDS, most: int = MAX_BYTES) -> None:
        self._folder, self._seconds, self._most = folder, seconds, most
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def run(self, *words: str, given: bytes = b"") -> bytes:
        """Return what git prints; `given` is what it reads, at most `MAX_GIVEN` bytes. Raises
        `GitFailed` when it fails, takes too long, or prints too much."""
        if words[0] not in _READ_FILES:
            return self._run(words, self._most, given)
        top = os.fsdecode(self._run(("rev-parse", "--show-toplevel"), 65_536)).rstrip("\r\n")
        if real_inside(self._folder, top) is None:
            raise GitFailed(
                "The repository's working tree is elsewhere.",
                "Look at core.worktree in its config.",
            )
        keys = self._run(("config", "--list", "--null", "--name-only"), MAX_CONFIG_BYTES)
        off = list(_turned_off(os.fsdecode(keys).split("\0")))
        if words[0] == "diff":
            flags = ("--no-ext-diff", "--no-textconv", "--ignore-submodules=all")
            words = (words[0], *flags, *words[1:])
        return self._run((*off, *words), self._most)

    def stop(self) -> None:
        """End git, and let it not start again."""
        with self._lock:
            self._stopped = True
            if self._process is not None:
                _kill(self._process)

    def _run(self, words: Sequence[str], most: int, given: bytes = b"") -> bytes:
        process = self._start(words, given)
        late = threading.Timer(self._seconds, self.stop)
        late.daemon = True
        late.start()
        try:
            assert process.stdout is not None  # noqa: S101 - asked for in `_start`
            if process.stdin is not None:
                with suppress(BrokenPipeError):  # its exit code says why
                    process.stdin.write(given)
                    process.stdin.close()
            printed = process.stdout.read(most + 1)
            if len(printed) > most:
                raise GitFailed("Git says more than can be used.")
            code = process.wait()
        finally:
            late.cancel()
            with self._lock:
                _kill(process)
                self._process = None
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
        if self._stopped:
            raise GitFailed("Git took too long.")
        if code != 0:
            raise GitFailed("Git failed in this folder.", "Is it in a repository?")
        return printed

    def _start(self, words: Sequence[str], given: bytes) -> subprocess.Popen[bytes]:
        command = [_program(self._folder), *_SAFE, *words]
        with self._lock:
            if self._stopped:
                raise GitFailed("Git was stopped.")
            try:
                self._process = subprocess.Popen(
                    command,
                    cwd=self._folder,
                    env=_environment(),
                    stdin=subprocess.PIPE if given else subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
            except (OSError, ValueError) as error:
                raise GitFailed("Git could not be started.", "Install it.") from error
            return self._process


def _turned_off(keys: Sequence[str]) -> Iterator[str]:
    """Yield the arguments that empty what `keys` of a configuration name. Raises `GitFailed`."""
    for key in sorted(set(keys)):
        section, _, name = key.rpartition(".")
        kind, dot, _ = section.partition(".")
        if not dot:  # no driver's; an empty name is one too, as in `filter=`
            continue
        value = {"required": "false", "promisor": "false", "allow": "never"}.get(name)
        if name in _PROGRAMS:
            value = ""
        if value is None or (name == "allow" and kind != "protocol"):
            continue
        if "=" in key:
            # On the command line a key ends at the first `=`, so this one cannot be named.
            raise GitFailed("The repository's configuration names a program in an odd way.")
        yield from ("-c", f"{key}={value}")


def _program(folder: Path) -> str:
    """Return git's path: the first on `PATH` that does not lie in `folder`. Looked up here, since a
    system may look into the current folder first. Raises `GitFailed`."""
    name = "git.exe" if os.name == "nt" else "git"
    for place in os.environ.get("PATH", os.defpath).split(os.pathsep):
        program = os.path.join(place, name)  # noqa: PTH118 - "" is a place as well
        if not os.path.isabs(place) or real_inside(program, folder) is not None:  # noqa: PTH117
            continue
        if os.path.isfile(program) and os.access(program, os.X_OK):  # noqa: PTH113
            return program
    raise GitFailed("Git could not be started.", "Install it.")


def _environment() -> dict[str, str]:
    """Nothing of the user's that starts programs; nothing is asked, and nothing is fetched."""
    return {name: os.environ[name] for name in _KEPT if name in os.environ} | _FIXED


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a process and what it has started."""
    if process.poll() is not None:
        return
    if os.name == "nt":
        process.kill()
        return
    with suppress(ProcessLookupError):  # ended just now
        os.killpg(process.pid, signal.SIGKILL)
