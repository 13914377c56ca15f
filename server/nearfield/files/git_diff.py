"""Changes of a working tree, as git reports them.

`files.git` runs git so that a repository starts no program of its own; a path that leads out of the
tree by a link is refused.

The parser is our own: `unidiff` keeps quoted paths as git writes them and holds every line of a
diff as an object, so it would replace no more than the loop over the hunks.
"""

from __future__ import annotations

import asyncio
import os
import re
from dataclasses import dataclass
from pathlib import Path

from nearfield.errors import NearfieldError
from nearfield.files import git
from nearfield.files.links import resolved

__all__ = [
    "ChangedFile", "StagedFile", "changed_files", "file_diffs", "last_subjects", "staged_files",
]  # fmt: skip

GIT_SECONDS = 20.0
MAX_DIFF_BYTES = 20_000_000
"""A larger diff is no change that a person reviews."""
MAX_FILES = 200

_HUNK = re.compile(r"@@ -\d+(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")


@dataclass(frozen=True, slots=True)
class ChangedFile:
    """`path` is absolute and inside the tree; `rows` are the changed and added rows of the file as
    it is on disk, counted from 0; None for all of a file that git does not track."""

    path: Path
    rows: frozenset[int] | None


@dataclass(frozen=True, slots=True)
class StagedFile:
    """`path` is relative to the folder, with '/', "" for a file outside it; `diff` is "" where it
    is not known."""

    path: str
    diff: str


async def changed_files(folder: Path, ref: str = "HEAD") -> list[ChangedFile]:
    """Return the files under `folder` that have changed since `ref`, ordered by path, then those
    that git neither tracks nor ignores. Raises `NearfieldError` if git cannot tell."""
    top, diff = await _diff(folder, ref, context=0)
    found: dict[Path, set[int]] = {}
    rows: set[int] | None = None
    content = 0  # lines of the hunk that are still to come, whatever they look like
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
    new = [ChangedFile(path, None) for path in await _untracked(folder, top)]
    return [*changed, *new][:MAX_FILES]


async def _untracked(folder: Path, top: Path) -> list[Path]:
    listed = await _git(
        folder, "ls-files", "--others", "--exclude-standard", "--full-name", "-z", "--", "."
    )
    names = sorted(os.fsdecode(name) for name in listed.split(b"\0") if name)
    paths = (_inside(top / name, top) for name in names)
    return [path for path in paths if path is not None]


async def file_diffs(folder: Path, ref: str = "HEAD") -> list[tuple[Path, str]]:
    """Return the absolute path and the unified diff of each tracked file of `changed_files`."""
    top, diff = await _diff(folder, ref, context=3)
    found: list[tuple[Path, str]] = []
    for piece in re.split(r"^(?=diff --git )", diff, flags=re.MULTILINE):
        named = re.search(r"^\+\+\+ (.*?)[\t\r]*$", piece, re.MULTILINE)
        path = _path(named[1], top) if named else None
        if path is not None:
            found.append((path, piece))
    return found[:MAX_FILES]


async def staged_files(folder: Path) -> list[StagedFile]:
    """Return the files that are staged in the repository of `folder`, as git orders them. Raises
    `NearfieldError` if git cannot tell."""
    top = Path(await _line(folder, "rev-parse", "--show-toplevel"))
    flags = ("--cached", "--no-color", "--no-renames", "--no-relative")
    listed = await _git(folder, "diff", *flags, "--name-only", "-z")
    names = [os.fsdecode(name) for name in listed.split(b"\0") if name]
    text = (await _git(folder, "diff", *flags, "--no-prefix", "--unified=3")).decode(
        "utf-8", "replace"
    )
    # Lines of a file begin with a blank or a sign, so this is the beginning of the next one.
    pieces = re.split(r"^(?=diff --git )", text, flags=re.MULTILINE)[1:]
    if len(pieces) != len(names):
        pieces = [""] * len(names)
    here = await asyncio.to_thread(resolved, folder)
    staged: list[StagedFile] = []
    for name, piece in zip(names, pieces, strict=True):
        whole = top / name
        inside = whole.relative_to(here).as_posix() if whole.is_relative_to(here) else ""
        staged.append(StagedFile(inside, piece if inside else ""))
    return staged


async def last_subjects(folder: Path, count: int) -> list[str]:
    """Return the first lines of the last `count` commits, none where there are no commits."""
    try:
        said = await _git(folder, "log", f"--max-count={count}", "--no-merges", "--format=%s")
    except NearfieldError:
        return []
    lines = said.decode("utf-8", "replace").split("\n")
    return [line[:100] for line in lines if line.strip()]


async def _diff(folder: Path, ref: str, context: int) -> tuple[Path, str]:
    """Return the top of the working tree, and the diff with `context` lines around each change."""
    top = Path(await _line(folder, "rev-parse", "--show-toplevel"))
    try:
        commit = await _line(
            folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}"
        )
    except NearfieldError as error:
        if ref != "HEAD":
            raise NearfieldError(
                "Git knows no such commit.", "Name a branch, a tag or a hash that it has."
            ) from error
        # A repository without commits is compared with the empty tree.
        commit = (await _line(folder, "hash-object", "-t", "tree", os.devnull)).strip()
    diff = await _git(
        folder,
        *("diff", "--no-color", f"--unified={context}", "--no-renames", "--no-relative"),
        *("--no-prefix", "--diff-filter=AMT", commit, "--", "."),
    )
    return top, diff.decode("utf-8", "replace")


async def _line(folder: Path, *arguments: str) -> str:
    return (await _git(folder, *arguments)).decode("utf-8", "replace").rstrip("\r\n")


async def _git(folder: Path, *words: str) -> bytes:
    """Return what git prints. Raises `NearfieldError`; cancelling ends git."""
    try:
        return await git.asked(folder, *words, seconds=GIT_SECONDS, most=MAX_DIFF_BYTES)
    except git.GitFailed as error:
        raise NearfieldError(error.message, error.hint or "Review a file instead.") from error


def _path(shown: str, top: Path) -> Path | None:
    """Return the file of a `+++` line; None for no file, and for one outside the tree."""
    if shown in (os.devnull, "/dev/null"):
        return None
    if shown.startswith('"'):
        raw = shown[1:-1].encode("latin-1", "replace").decode("unicode_escape")
        shown = os.fsdecode(raw.encode("latin-1", "replace"))
    return _inside(top / shown, top)


def _inside(path: Path, top: Path) -> Path | None:
    """Return a file of the tree; None for anything else."""
    try:
        if path.is_symlink() or not path.is_file():
            return None
        return path if resolved(path).is_relative_to(resolved(top)) else None
    except OSError:
        return None
