"""The files of a workspace: the one way to read them.

A repository is written by others, and so are the paths that a model asks for. A file is read if it
is regular, not too large, inside the workspace once all links are followed, and not kept out by the
workspace's rules. Opening walks down folder by folder from the root and follows no link, so that a
folder which is swapped for one in between leads nowhere. Everything blocks; nothing waits.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from nearfield.files.encoding import TextFile, decode
from nearfield.files.links import real_inside
from nearfield.files.open_folder import BY_HANDLE, OpenFolder
from nearfield.files.read import SAFE_FLAGS, UnreadableFile, read_beginning, read_open, reason

Why = Callable[[str, bool], str]
"""Says why a path in the workspace (with '/'; a folder or not) is kept out, "" when it is not."""


def everything(_path: str, _is_folder: bool) -> str:
    """Keep nothing out: for files that were chosen by the rules already."""
    return ""


class WorkspaceFiles:
    """The files below `root` that `why` does not keep out. Raises `UnreadableFile`."""

    def __init__(self, root: str | Path, why: Why = everything) -> None:
        self._named = Path(root)
        self.root = Path(os.path.realpath(root))
        self._why = why

    # --- what a path means ---

    def inside(self, path: str | Path) -> str:
        """Return where `path` leads once its links are followed, "" for the root itself.

        `path` is absolute, or relative to the root with '/'. It need not exist.
        """
        given = self._relative(path)
        try:
            real = real_inside(self.root / given, self.root)
        except (OSError, ValueError) as error:
            # A link that is swapped while it is followed.
            raise UnreadableFile(f"{shown(given)} cannot be followed: {reason(error)}.") from error
        if real is None:
            raise UnreadableFile(f"{shown(given)} leads out of the workspace by a link.")
        found = real.as_posix()
        found = "" if found == "." else found
        for one in (given, found):
            self.check(one, given)
        return found

    def kept_out(self, path: str, *, folder: bool) -> str:
        """Return why the rules keep `path` (inside, with '/') out, "" when they do not."""
        return self._why(path, folder) if path else ""

    def check(self, path: str, name: str) -> None:
        """Raise `UnreadableFile` when the rules keep `path` out."""
        if why := self.kept_out(path, folder=(self.root / path).is_dir()):
            raise UnreadableFile(f"{shown(name)} is not shown to models: {why}.")

    def _relative(self, path: str | Path) -> str:
        whole = Path(path)
        if whole.is_absolute():
            roots = [one for one in (self._named, self.root) if whole.is_relative_to(one)]
            if not roots:
                raise UnreadableFile(f"{shown(whole.name)} is not in the workspace.")
            whole = whole.relative_to(roots[0])
        if ".." in whole.parts:
            raise UnreadableFile(f"{shown(str(whole))} goes up by '..'.")
        name = whole.as_posix()
        return "" if name == "." else name

    # --- reading ---

    def read(self, path: str | Path, max_bytes: int) -> bytes:
        """Return the content of a file of at most `max_bytes` bytes."""
        return self.read_plain(self.inside(path), max_bytes)

    def read_plain(self, path: str, max_bytes: int) -> bytes:
        """Read like `read`, without the rules, a path inside that passes no link."""
        with self.opened(path) as handle:
            return read_open(handle, shown(path), max_bytes)

    def beginning(self, path: str | Path, most: int) -> bytes:
        """Return the first bytes of a file of any size."""
        inside = self.inside(path)
        with self.opened(inside) as handle:
            return read_beginning(handle, shown(inside), most)

    def text(self, path: str | Path, max_bytes: int) -> TextFile:
        """Return the text of a file of at most `max_bytes` bytes."""
        found = decode(self.read(path, max_bytes))
        if found is None:
            raise UnreadableFile(f"{shown(str(path))} is not text.")
        return found

    # --- opening ---

    @contextmanager
    def opened(self, path: str, flags: int = SAFE_FLAGS) -> Generator[int]:
        """Open a path inside on whose way there is no link; yields the handle."""
        try:
            handle = self._walk(path, flags) if BY_HANDLE else self._open_checked(path, flags)
        except (OSError, ValueError) as error:
            raise UnreadableFile(f"{shown(path)} cannot be opened: {reason(error)}.") from error
        try:
            yield handle
        finally:
            os.close(handle)

    @contextmanager
    def folder(self, path: str) -> Generator[OpenFolder]:
        """Open a folder inside, to change what is in it."""
        whole = self.root / path
        if not BY_HANDLE:
            if not whole.is_dir() or Path(os.path.realpath(whole)) != whole:
                raise UnreadableFile(f"{shown(path)} is not a folder.")
            yield OpenFolder(whole)
            return
        with self.opened(path, SAFE_FLAGS) as handle:
            if not stat.S_ISDIR(os.fstat(handle).st_mode):
                raise UnreadableFile(f"{shown(path)} is not a folder.")
            yield OpenFolder(whole, handle)

    def _walk(self, path: str, flags: int) -> int:
        parts = path.split("/") if path else []
        handle = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
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
        """Open a path and check where that has led, on systems without handles of folders."""
        whole = self.root / path
        handle = os.open(whole, flags | getattr(os, "O_BINARY", 0))
        real = Path(os.path.realpath(whole))
        if real != whole or not os.path.samestat(os.fstat(handle), real.stat()):
            os.close(handle)
            raise OSError(errno.ESTALE, "it was swapped meanwhile")
        return handle


def shown(name: str) -> str:
    """Return a path that others have written as a message may hold it."""
    clean = "".join(letter if letter.isprintable() else "?" for letter in name)
    return f"'{clean[:120]}'"
