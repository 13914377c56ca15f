"""Read what git's configuration says about ignore rules, without running git.

Git would have to be started for every repository on the way to a file, and a configuration that is
a FIFO would hold it. Read are the system's, the user's and the repository's files, with what they
include. Every file is read with a limit; one that is there and cannot be read is a problem, since
the rules that it may name are not known then.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from nearfield.files.patterns import Patterns, as_bytes
from nearfield.files.read import UnreadableFile, read_regular
from nearfield.files.stamped import Stamped

MAX_CONFIG_BYTES = 256_000
MAX_POINTER_BYTES = 8_192
"""Bytes of a `.git` file or a `commondir`, which hold one path."""
MAX_INCLUDES = 10
"""Git's own limit of how deep files may include each other."""

_SECTION = re.compile(r'\s*\[\s*([-.\w]+)\s*(?:"((?:[^"\\]|\\.)*)"\s*)?\]')
_KEY = re.compile(r"\s*([A-Za-z][-A-Za-z0-9]*)\s*(=?)")

ConfigEntry = tuple[str, str]
"""A key in lower case except for its quoted part, such as "includeif.gitdir:~/Work/.path"."""


@dataclass(frozen=True, slots=True)
class GitSettings:
    """`excludes` is the file of the user's own rules; `fold` whether letter case is ignored."""

    excludes: Path
    fold: bool = False


@dataclass(frozen=True, slots=True)
class Repository:
    """A working tree's folder, and where git keeps what belongs to it. `common` is the main
    repository's folder for a worktree, else the same as `git`."""

    top: Path
    git: Path
    common: Path


class UnreadableConfig(UnreadableFile):
    """A file of git's configuration is there and cannot be read."""

    def __init__(self, message: str, file: Path) -> None:
        super().__init__(message)
        self.file = file


_configs: Stamped[tuple[ConfigEntry, ...]] = Stamped(most=64)


def repository_at(folder: Path) -> Repository | None:
    """Return the repository whose working tree begins at `folder`, None where none does.

    A `.git` that is neither a folder nor a file which names one makes no repository, as for git:
    the rules of the folders above go on then.
    """
    git = folder / ".git"
    # Unlike Path's, this one does not raise where nothing may be seen.
    if not os.path.isdir(git):  # noqa: PTH112
        named = _pointer(git)
        if not named.startswith("gitdir:"):
            return None
        git = folder / named.removeprefix("gitdir:").strip()
        if not os.path.isdir(git):  # noqa: PTH112
            return None
    common = _pointer(git / "commondir")
    return Repository(folder, git, git / common if common else git)


def _pointer(file: Path) -> str:
    try:
        return os.fsdecode(read_regular(file, MAX_POINTER_BYTES)).strip().replace("\0", "")
    except (FileNotFoundError, UnreadableFile):
        return ""


def settings_of(repository: Repository | None, environ: Mapping[str, str]) -> GitSettings:
    """Return what is in force in `repository`. Raises `UnreadableConfig`."""
    home = Path(environ.get("HOME") or environ.get("USERPROFILE") or "~").expanduser()
    user = Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "git"
    files = [Path(environ.get("GIT_CONFIG_SYSTEM") or "/etc/gitconfig")]
    own = environ.get("GIT_CONFIG_GLOBAL")
    files += [Path(own)] if own else [user / "config", home / ".gitconfig"]
    if repository is not None:
        files.append(repository.common / "config")
    found: dict[str, str] = {}
    for file in files:
        found.update(_entries(file, home, repository, 0))
    excludes = user / "ignore"
    if "core.excludesfile" in found:
        named = found["core.excludesfile"].removeprefix(":(optional)")
        folder = repository.top if repository is not None else home
        excludes = _expanded(named, home, folder) if named else Path(os.devnull)
    return GitSettings(excludes, found.get("core.ignorecase", "").lower() in _TRUE)


_TRUE = frozenset({"true", "yes", "on", "1"})


def _entries(
    file: Path, home: Path, repository: Repository | None, depth: int
) -> Iterator[tuple[str, str]]:
    """Yield the entries of a file, with an included file's entries in its place."""
    if os.path.realpath(file) == os.devnull:
        return
    try:
        entries = _configs.get(file, partial(_read_config, file)) or ()
    except UnreadableFile as error:
        raise UnreadableConfig(error.message, file) from error
    for key, value in entries:
        yield key, value
        section, _, name = key.rpartition(".")
        if name != "path" or depth == MAX_INCLUDES:
            continue
        condition = section.removeprefix("includeif.")
        if section == "include" or (
            condition != section and _holds(condition, file.parent, home, repository)
        ):
            yield from _entries(_expanded(value, home, file.parent), home, repository, depth + 1)


def _holds(condition: str, folder: Path, home: Path, repository: Repository | None) -> bool:
    """Tell whether an `includeIf` counts; only those about the repository's folder can."""
    kind, _, pattern = condition.partition(":")
    if repository is None or kind not in ("gitdir", "gitdir/i"):
        return False
    if pattern.startswith("./"):
        pattern = f"{folder.as_posix()}/{pattern[2:]}"
    elif pattern.startswith("~/"):
        pattern = f"{home.as_posix()}/{pattern[2:]}"
    elif not pattern.startswith("/"):
        pattern = f"**/{pattern}"
    pattern += "**" if pattern.endswith("/") else ""
    match = Patterns([as_bytes(pattern)], fold=kind == "gitdir/i").match
    # As it is named and where links lead, as git does.
    spellings = (str(repository.git.absolute()), os.path.realpath(repository.git))
    return any(match(as_bytes(spelling.lstrip("/")), folder=False) for spelling in spellings)


def _expanded(named: str, home: Path, folder: Path) -> Path:
    if named.startswith("~/"):
        return home / named[2:]
    if named.startswith("~"):
        return Path(os.path.expanduser(named))  # noqa: PTH111 - Path's raises for unknown users
    return folder / named


def _read_config(file: Path) -> tuple[ConfigEntry, ...]:
    content = read_regular(file, MAX_CONFIG_BYTES).removeprefix(b"\xef\xbb\xbf")
    return tuple(parsed(os.fsdecode(content)))


def parsed(text: str) -> Iterator[ConfigEntry]:
    """Yield the entries of a configuration's text; what is no entry is passed over."""
    section = ""
    lines = iter(text.split("\n"))
    for line in lines:
        rest = line
        if head := _SECTION.match(line):
            section = head[1].lower()
            if head[2] is not None:
                section += "." + re.sub(r"\\(.)", r"\1", head[2])
            rest = line[head.end() :]
        if key := _KEY.match(rest):
            value = _value(rest[key.end() :], lines) if key[2] else "true"
            yield f"{section}.{key[1].lower()}", value


def _value(rest: str, lines: Iterator[str]) -> str:
    r"""Return a value without quotes and comments; a `\` at the end of a line continues it."""
    out: list[str] = []
    quoted = False
    solid = 0  # how much of `out` ends in something else than a trailing space
    at = 0
    rest = rest.lstrip().rstrip("\r")
    while at < len(rest):
        sign = rest[at]
        at += 1
        if sign == "\\":
            if at == len(rest):
                rest, at = next(lines, "").rstrip("\r"), 0
                continue
            sign = {"n": "\n", "t": "\t", "b": "\b"}.get(rest[at], rest[at])
            at += 1
        elif sign == '"':
            quoted = not quoted
            solid = len(out)
            continue
        elif not quoted and sign in "#;":
            break
        elif not quoted and sign.isspace():
            out.append(sign)
            continue
        out.append(sign)
        solid = len(out)
    return "".join(out[:solid])
