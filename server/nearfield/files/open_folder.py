"""An open folder, in which files are made, replaced and deleted by their names.

Where a system can, all operations use the folder's handle, so that a later change of its path does
not matter. Methods raise `OSError`.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path

_MAY_WRITE = 0o222
BY_HANDLE = os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW")


@dataclass(frozen=True, slots=True)
class OpenFolder:
    """The folder at `base`; `handle` is None where a system knows folders by their paths alone."""

    base: Path
    handle: int | None = None

    def entries(self) -> AbstractContextManager[Iterator[os.DirEntry[str]]]:
        """Return the folder's entries, as `os.scandir` does."""
        by_handle = self.handle is not None and os.scandir in os.supports_fd
        return os.scandir(self.handle) if by_handle else os.scandir(self.base)

    def make_folder(self, name: str) -> None:
        """Make a folder."""
        os.mkdir(self._at(name), dir_fd=self.handle)

    def delete(self, name: str) -> None:
        """Delete a file or a link, or a folder with all that is in it."""
        at = self._at(name)
        status = os.stat(at, dir_fd=self.handle, follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            shutil.rmtree(at, dir_fd=self.handle)
        else:
            os.unlink(at, dir_fd=self.handle)

    def stage(self, name: str, content: bytes) -> str:
        """Write `content` to a file beside `name`, safely on disk; return that file's name.

        It has the permissions and the owner of the file that it will replace, or a new file's. A
        file that not even its owner may write is not replaced, which a system would allow.
        """
        staged = f".nearfield-{secrets.token_hex(8)}"
        try:
            old = os.stat(self._at(name), dir_fd=self.handle)
        except FileNotFoundError:
            old = None
        if old is not None and not old.st_mode & _MAY_WRITE:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), name)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        mode = 0o666 if old is None else 0o600
        handle = os.open(self._at(staged), flags, mode, dir_fd=self.handle)
        try:
            with os.fdopen(handle, "wb") as stream:
                if old is not None and hasattr(os, "fchmod"):
                    with suppress(PermissionError):  # another user's file in our folder
                        os.fchown(handle, old.st_uid, old.st_gid)
                    os.fchmod(handle, stat.S_IMODE(old.st_mode))
                stream.write(content)
                stream.flush()
                os.fsync(handle)
        except OSError:
            self.discard(staged)
            raise
        return staged

    def put(self, staged: str, name: str) -> None:
        """Let a staged file take the place of `name`, at once."""
        os.replace(self._at(staged), self._at(name), src_dir_fd=self.handle, dst_dir_fd=self.handle)

    def discard(self, staged: str) -> None:
        """Remove a staged file that is not wanted any more."""
        with suppress(FileNotFoundError):
            os.unlink(self._at(staged), dir_fd=self.handle)

    def replace(self, name: str, content: bytes) -> None:
        """Write a file at once."""
        staged = self.stage(name, content)
        try:
            self.put(staged, name)
        finally:
            self.discard(staged)

    def _at(self, name: str) -> str:
        return name if self.handle is not None else str(self.base / name)
