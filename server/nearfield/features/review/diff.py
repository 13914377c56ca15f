"""What git says was changed in a working tree, asked so that the repository cannot answer with a
program of its own.

A repository's configuration and attributes may name programs (filters, external diffs, text
converters, file-system monitors, hooks, a pager); every one of them is turned off on the command
line, submodules are left alone, and nothing is fetched. Paths that lead out of the tree, by a link
or by `core.worktree`, are refused.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nearfield.errors import NearfieldError

__all__ = ["ChangedFile", "changed_files", "file_diffs"]

GIT_SECONDS = 20.0
MOST_BYTES = 20_000_000
"""Of a diff; a larger one is no change that somebody reviews."""
MOST_FILES = 200

_HUNK = re.compile(r"@@ -\d+(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_SAFE = (
    "-c", "core.fsmonitor=false",
    "-c", f"core.hooksPath={os.devnull}",
    "-c", f"core.attributesFile={os.devnull}",
    "-c", "core.pager=cat",
    "-c", "core.quotePath=true",
    "-c", "diff.external=",
    "-c", "diff.ignoreSubmodules=all",
    "-c", "submodule.recurse=false",
    "-c", "protocol.allow=never",
)  # fmt: skip
_KEPT = ("PATH", "HOME", "USERPROFILE", "SYSTEMROOT", "TEMP", "TMP", "XDG_CONFIG_HOME")


@dataclass(frozen=True, slots=True)
class ChangedFile:
    """`path` is absolute and inside the tree; `rows` are the changed and added ones of the file as
    it is on disk, counted from 0."""

    path: Path
    rows: frozenset[int]


async def changed_files(folder: Path, ref: str = "HEAD") -> list[ChangedFile]:
    """What has changed under `folder` since `ref`, in the order of the paths; files that git does
    not follow are not among it. Raises `NearfieldError` where git cannot tell."""
    top, diff = await _diff(folder, ref, context=0)
    return _files(diff, top)


async def file_diffs(folder: Path, ref: str = "HEAD") -> list[tuple[Path, str]]:
    """As `changed_files`: for each file the absolute path and its unified diff as text."""
    top, diff = await _diff(folder, ref, context=3)
    found: list[tuple[Path, str]] = []
    for piece in re.split(r"^(?=diff --git )", diff, flags=re.MULTILINE):
        named = re.search(r"^\+\+\+ (.*?)[\t\r]*$", piece, re.MULTILINE)
        path = _path(named[1], top) if named else None
        if path is not None:
            found.append((path, piece))
    return found[:MOST_FILES]


async def _diff(folder: Path, ref: str, context: int) -> tuple[Path, str]:
    """The top of the working tree, and the diff with so many lines around each change."""
    top = Path(await _line(folder, "rev-parse", "--show-toplevel"))
    if not _holds(top, folder):
        raise NearfieldError(
            "The repository's working tree is elsewhere.", "Look at core.worktree in its config."
        )
    commit = await _commit(folder, ref)
    off = await _filters_off(folder)
    diff = await _git(
        folder,
        *("diff", "--no-ext-diff", "--no-textconv", "--no-color", f"--unified={context}"),
        *("--no-renames", "--no-relative"),
        *("--ignore-submodules=all", "--no-prefix", "--diff-filter=AMT", commit, "--", "."),
        configuration=off,
    )
    return top, diff.decode("utf-8", "replace")


async def _commit(folder: Path, ref: str) -> str:
    """The hash of `ref`; of a repository without commits, that of the empty tree."""
    try:
        return await _line(
            folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}"
        )
    except NearfieldError as error:
        if ref == "HEAD":
            return (await _line(folder, "hash-object", "-t", "tree", os.devnull)).strip()
        raise NearfieldError(
            "Git knows no such commit.", "Name a branch, a tag or a hash that it has."
        ) from error


async def _filters_off(folder: Path) -> list[str]:
    """The arguments that empty every filter and diff driver that the configuration has."""
    try:
        names = await _git(
            folder, "config", "--null", "--name-only", "--get-regexp", r"^(filter|diff)\..*\."
        )
    except NearfieldError:
        return []  # there are none
    off: list[str] = []
    for key in sorted(set(names.decode("utf-8", "replace").split("\0"))):
        section, _, name = key.rpartition(".")
        if name in ("clean", "smudge", "process", "command", "textconv"):
            off += ["-c", f"{section}.{name}="]
        elif name == "required":
            off += ["-c", f"{key}=false"]
    return off


async def _line(folder: Path, *arguments: str) -> str:
    return (await _git(folder, *arguments)).decode("utf-8", "replace").rstrip("\r\n")


async def _git(folder: Path, *arguments: str, configuration: Sequence[str] = ()) -> bytes:
    """What git prints. Raises `NearfieldError`; cancelling ends git."""
    try:
        process = await asyncio.create_subprocess_exec(
            *("git", "--no-pager", "--no-optional-locks", *_SAFE, *configuration, *arguments),
            cwd=folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=_environment(),
        )
    except OSError as error:
        raise NearfieldError(
            "Git could not be started.", "Install it, or review a file."
        ) from error
    try:
        async with asyncio.timeout(GIT_SECONDS):
            printed = await _bounded(process)
            code = await process.wait()
    except TimeoutError as error:
        raise NearfieldError("Git took too long.", "Review a file instead.") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if code != 0:
        raise NearfieldError(
            "Git could not tell what has changed.", "Is the folder in a repository?"
        )
    return printed


async def _bounded(process: asyncio.subprocess.Process) -> bytes:
    assert process.stdout is not None  # noqa: S101 - asked for above
    pieces: list[bytes] = []
    size = 0
    while piece := await process.stdout.read(1 << 16):
        pieces.append(piece)
        size += len(piece)
        if size > MOST_BYTES:
            raise NearfieldError("The diff is too large to review.", "Review a file instead.")
    return b"".join(pieces)


def _environment() -> dict[str, str]:
    """Nothing of the user's that starts programs; nothing is asked, and nothing is fetched."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    fixed = {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_PAGER": "cat",
        "LC_ALL": "C",
    }
    return {**kept, **fixed}


def _files(diff: str, top: Path) -> list[ChangedFile]:
    found: dict[Path, set[int]] = {}
    rows: set[int] | None = None
    content = 0  # lines of a hunk still to come; they may look like anything
    for line in diff.split("\n"):
        if content and line.startswith(("+", "-", "\\")):
            content -= not line.startswith("\\")
        elif line.startswith("+++ "):
            path = _path(line[4:].rstrip("\t\r"), top)
            rows = found.setdefault(path, set()) if path is not None else None
        elif line.startswith("diff --git "):
            rows = None
        elif hunk := _HUNK.match(line):
            gone, start, count = (int(part) if part is not None else 1 for part in hunk.groups())
            content = gone + count
            if rows is not None:
                rows.update(range(start - 1, start - 1 + count))
    changed = [ChangedFile(path, frozenset(rows)) for path, rows in sorted(found.items()) if rows]
    return changed[:MOST_FILES]


def _path(shown: str, top: Path) -> Path | None:
    """The file of a `+++` line, None for none, or for one that is not really in the tree."""
    if shown == os.devnull or shown == "/dev/null":
        return None
    if shown.startswith('"'):
        raw = shown[1:-1].encode("latin-1", "replace").decode("unicode_escape")
        shown = os.fsdecode(raw.encode("latin-1", "replace"))
    path = top / shown
    try:
        if path.is_symlink() or not path.is_file() or not _holds(top, path):
            return None
    except OSError:
        return None
    return path


def _holds(top: Path, path: Path) -> bool:
    return path.resolve().is_relative_to(top.resolve())
