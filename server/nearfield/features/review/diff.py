"""What git says was changed in a working tree. How git is run so that a repository starts nothing
is in `files.git`. Paths that lead out of the tree, by a link, are refused.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from nearfield.errors import NearfieldError
from nearfield.files import git

__all__ = ["ChangedFile", "changed_files", "file_diffs"]

GIT_SECONDS = 20.0
MOST_BYTES = 20_000_000
"""Of a diff; a larger one is no change that somebody reviews."""
MOST_FILES = 200

_HUNK = re.compile(r"@@ -\d+(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")


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
    commit = await _commit(folder, ref)
    diff = await _git(
        folder,
        *("diff", "--no-color", f"--unified={context}", "--no-renames", "--no-relative"),
        *("--no-prefix", "--diff-filter=AMT", commit, "--", "."),
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


async def _line(folder: Path, *arguments: str) -> str:
    return (await _git(folder, *arguments)).decode("utf-8", "replace").rstrip("\r\n")


async def _git(folder: Path, *words: str) -> bytes:
    """What git prints. Raises `NearfieldError`; cancelling ends git."""
    try:
        return await git.asked(folder, *words, seconds=GIT_SECONDS, most=MOST_BYTES)
    except git.GitFailed as error:
        raise NearfieldError(error.message, error.hint or "Review a file instead.") from error


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
