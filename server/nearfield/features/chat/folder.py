"""The workspace folder as functions may reach it: nothing outside it, and nothing that is withheld.

A path comes from a model, which may have read it in a file that somebody else wrote. It is checked
three times: its letters (no absolute path, no `..`, nothing that another system reads in its own
way); where it leads once all symbolic links are followed, which must be inside and not withheld by
the rules of the workspace; and the opening itself, which walks down folder by folder from the root
and follows no link, so that a folder which is swapped for one in between leads nowhere.

Everything blocks. Raises `Refused`.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from nearfield.features.chat.words import Refused
from nearfield.files.encoding import text_of
from nearfield.index.files import Tree

MOST_ENTRIES = 2_000
"""A folder with more is listed up to here."""
MOST_DELETED = 200
"""A folder with more in it is not deleted by a call."""

_WALKS = os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW")
_DRIVE = re.compile(r"[A-Za-z]:")
_DEVICE = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Found:
    """What stands at a path: relative to the folder, with '/', after all links."""

    path: str
    kind: str
    bytes: int
    changed: float


class Folder:
    """One workspace folder. `exclude` are the settings' patterns of files that are never read."""

    def __init__(self, root: str, exclude: Sequence[str] = ()) -> None:
        self.root = Path(os.path.realpath(root))
        self._tree = Tree(self.root, exclude)

    # --- what a path means ---

    def inside(self, name: str, *, windows: bool = os.name == "nt") -> str:
        """`name` as a path inside the folder, "" for the folder itself, with the links on its way
        followed. It need not exist."""
        path = lexical(name, windows=windows)
        try:
            real = Path(os.path.realpath(self.root / path))
        except OSError as error:
            # A link that is swapped while it is followed.
            raise Refused(f"{_shown(name)} has changed meanwhile.", "Ask again.") from error
        if not real.is_relative_to(self.root):
            raise Refused(f"{_shown(name)} leads out of the workspace by a link.")
        found = real.relative_to(self.root).as_posix()
        found = "" if found == "." else found
        for one in (path, found):
            self._check(one, name)
        return found

    def withheld(self, path: str, *, folder: bool) -> bool:
        """Whether the rules keep `path` (inside, with '/') from being looked at."""
        return bool(path and self._why(path, folder=folder))

    def _check(self, path: str, name: str) -> None:
        if path and (why := self._why(path, folder=(self.root / path).is_dir())):
            raise Refused(f"{_shown(name)} is not shown to models: {why}.")

    def _why(self, path: str, *, folder: bool) -> str:
        # A file system that takes .ENV for .env must not be talked round by it.
        for spelling in dict.fromkeys((path, path.lower())):
            why = self._tree.ruled_out(spelling, folder=folder)
            if why.startswith(("excluded", "secret", "vendored")):
                return why
        return ""

    # --- looking ---

    def look(self, name: str) -> Found:
        """What stands at `name`."""
        path = self.inside(name)
        try:
            status = os.lstat(self.root / path)
        except OSError as error:
            raise Refused(f"There is no {_shown(name)} in the workspace.") from error
        return Found(path, _kind(status.st_mode), status.st_size, status.st_mtime)

    def read(self, name: str, most: int) -> tuple[str, str]:
        """The path and the text of a file of at most `most` bytes."""
        path = self.inside(name)
        with self._opened(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0), name) as handle:
            status = os.fstat(handle)
            if stat.S_ISDIR(status.st_mode):
                raise Refused(f"{_shown(name)} is a folder.", "List it instead.")
            if not stat.S_ISREG(status.st_mode):
                raise Refused(f"{_shown(name)} is no regular file.")
            if status.st_size > most:
                raise Refused(
                    f"{_shown(name)} has {status.st_size} bytes, which is more than may be read.",
                    "Read a part of it by its lines, or search in it.",
                )
            with os.fdopen(os.dup(handle), "rb") as stream:
                text = text_of(stream.read(most))
        if text is None:
            raise Refused(f"{_shown(name)} is not text.")
        return path, text

    def entries(self, name: str) -> tuple[str, list[tuple[str, bool]]]:
        """The path of a folder and its entries as (path inside the workspace, is a folder), without
        what is withheld, in order."""
        path = self.inside(name)
        found: list[tuple[str, bool]] = []
        with self._opened(path, os.O_RDONLY, name) as handle:
            if not stat.S_ISDIR(os.fstat(handle).st_mode):
                raise Refused(f"{_shown(name)} is a file.", "Read it instead.")
            where = handle if os.scandir in os.supports_fd else self.root / path
            with os.scandir(where) as items:
                for item in items:
                    below = f"{path}/{item.name}" if path else item.name
                    is_folder = item.is_dir(follow_symlinks=False)
                    if not self.withheld(below, folder=is_folder):
                        found.append((below, is_folder))
        return path, sorted(found)[:MOST_ENTRIES]

    def files(self) -> Generator[str]:
        """Every file that may be read and is worth it, by the index's rules."""
        for entry in self._tree.walk():
            if not entry.reason:
                yield entry.path

    # --- changing ---

    def make(self, name: str) -> str:
        """Make a folder, and those above it; its path."""
        path = self.inside(name)
        above = ""
        for part in path.split("/") if path else ():
            with self._opened(above, os.O_RDONLY, name) as handle, suppress(FileExistsError):
                _place(handle, self.root / above).mkdir(part)
            above = f"{above}/{part}" if above else part
        with self._opened(path, os.O_RDONLY, name) as handle:
            if not stat.S_ISDIR(os.fstat(handle).st_mode):
                raise Refused(f"There is a file at {_shown(name)}.")
        return path

    def delete(self, name: str) -> str:
        """Delete a file, or a folder with all that is in it; its path."""
        lexically = lexical(name)
        if not lexically:
            raise Refused("The workspace folder itself is not deleted.")
        parent, _, last = lexically.rpartition("/")
        path = self.inside(parent)
        whole = f"{path}/{last}" if path else last
        # The link goes, not what it leads to.
        self._check(whole, name)
        self._check_few(whole, name)
        with self._opened(path, os.O_RDONLY, name) as handle:
            try:
                _place(handle, self.root / path).delete(last)
            except OSError as error:
                raise Refused(f"{_shown(name)} cannot be deleted: {error.strerror}.") from error
        return whole

    def write(self, name: str, before: str | None, after: str) -> None:
        """Write a file as a whole, at once, if it still holds `before` (None: is not there)."""
        path = self.inside(name)
        parent, _, last = path.rpartition("/")
        self.make(parent)
        now = self.read(path, 1 << 30)[1] if os.path.lexists(self.root / path) else None
        if now != before:
            raise Refused(f"{_shown(name)} has changed meanwhile.", "Ask again.")
        with self._opened(parent, os.O_RDONLY, name) as handle:
            _place(handle, self.root / parent).replace(last, after.encode())

    # --- opening ---

    @contextmanager
    def _opened(self, path: str, flags: int, name: str) -> Generator[int]:
        """A handle of `path` (inside, links followed), by a way on which there is no link."""
        handle = -1
        try:
            handle = self._walk(path, flags) if _WALKS else self._open_checked(path, flags)
            yield handle
        except OSError as error:
            raise Refused(f"{_shown(name)} cannot be opened: {error.strerror}.") from error
        finally:
            if handle >= 0:
                os.close(handle)

    def _walk(self, path: str, flags: int) -> int:
        parts = path.split("/") if path else []
        handle = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
        for number, part in enumerate(parts):
            last = number == len(parts) - 1
            step = flags if last else os.O_RDONLY | os.O_DIRECTORY
            try:
                below = os.open(part, step | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=handle)
            finally:
                os.close(handle)
            handle = below
        return handle

    def _open_checked(self, path: str, flags: int) -> int:
        """Where a system cannot walk by handles: open, and look where that has led."""
        whole = self.root / path
        handle = os.open(whole, flags | getattr(os, "O_BINARY", 0))
        real = Path(os.path.realpath(whole))
        if real != whole or not os.path.samestat(os.fstat(handle), real.stat()):
            os.close(handle)
            raise OSError(0, "it was swapped meanwhile")
        return handle

    def _check_few(self, path: str, name: str) -> None:
        count = 0
        for _, folders, files in os.walk(self.root / path):
            count += len(folders) + len(files)
            if count > MOST_DELETED:
                raise Refused(
                    f"{_shown(name)} holds more than {MOST_DELETED} things.",
                    "Delete it yourself.",
                )


@dataclass(frozen=True, slots=True)
class _Place:
    """An open folder, in which things are made and deleted by their names. Where a system can, that
    goes by the folder's handle, so that it does not matter what its path leads to by now."""

    base: Path
    handle: int | None

    def mkdir(self, name: str) -> None:
        os.mkdir(self._at(name), dir_fd=self.handle)

    def delete(self, name: str) -> None:
        at = self._at(name)
        status = os.stat(at, dir_fd=self.handle, follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            shutil.rmtree(at, dir_fd=self.handle)
        else:
            os.unlink(at, dir_fd=self.handle)

    def replace(self, name: str, content: bytes) -> None:
        """Write a file at once, with the permissions of the one that was there."""
        at, scratch = self._at(name), self._at(f".{name}.nearfield-{os.getpid()}")
        try:
            mode = os.stat(at, dir_fd=self.handle).st_mode
        except FileNotFoundError:
            mode = 0o666 & ~_umask()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        with os.fdopen(os.open(scratch, flags, 0o600, dir_fd=self.handle), "wb") as stream:
            stream.write(content)
            stream.flush()
            if hasattr(os, "fchmod"):
                os.fchmod(stream.fileno(), stat.S_IMODE(mode))
        os.replace(scratch, at, src_dir_fd=self.handle, dst_dir_fd=self.handle)

    def _at(self, name: str) -> str:
        return name if self.handle is not None else str(self.base / name)


def _place(handle: int, base: Path) -> _Place:
    return _Place(base, handle if _WALKS else None)


def _umask() -> int:
    """What new files may not have. There is no way to read it but to set it."""
    held = os.umask(0o077)
    os.umask(held)
    return held


def lexical(name: str, *, windows: bool = os.name == "nt") -> str:
    """`name` as a relative path with '/', "" for the folder itself, by its letters alone."""
    said = _shown(name)
    if any(ord(letter) < 32 for letter in name):
        raise Refused(f"{said} holds a control character.")
    if name.startswith(("//", "\\\\")):
        raise Refused(f"{said} is a network path.", "Give a path from the workspace folder.")
    if name.startswith(("/", "\\", "~")) or _DRIVE.match(name):
        raise Refused(f"{said} is an absolute path.", "Give a path from the workspace folder.")
    if "\\" in name and not windows:
        raise Refused(f"{said} holds a backslash.", "Separate folders with '/'.")
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    if ".." in parts:
        raise Refused(f"{said} goes up by '..'.", "Give a path from the workspace folder.")
    for part in parts:
        if len(part.encode("utf-8", "surrogatepass")) > 255:
            raise Refused("A name in that path is too long.")
        if windows and (":" in part or part != part.rstrip(" .") or _DEVICE.match(part)):
            raise Refused(f"{said} has a special meaning on Windows.")
    try:
        "/".join(parts).encode()
    except UnicodeEncodeError as error:
        raise Refused("That path is no text.") from error
    return "/".join(parts)


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "folder"
    return "file" if stat.S_ISREG(mode) else "special file"


def _shown(name: str) -> str:
    """A path from a model as a message may hold it."""
    clean = "".join(c if c.isprintable() else "?" for c in name)
    return f"'{clean[:120]}'"
