"""Files that only their owner may read: whatever holds code, words of code, paths or keys.

Folders get mode 0700 and files 0600, whatever the umask says; files and folders of an earlier
version are narrowed when they are opened. All of Nearfield's own files are made here. On Windows
the user's profile is closed to others already, so modes are left alone.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from nearfield.files.links import resolved
from nearfield.files.read import UnreadableFile, read_open, reason

FOLDER_MODE = 0o700
FILE_MODE = 0o600
_OTHERS_WRITE = 0o022
_POSIX = os.name != "nt"
DRAFT_SECONDS = 3_600.0
"""Age of a draft whose process has ended."""
_DRAFT = re.compile(r"tmp\w{8}\.")
_DATABASE_PARTS = ("", "-wal", "-shm", "-journal")


def private_folder(path: Path, *, sweep: bool = False) -> Path:
    """Make `path` a folder that its owner alone may enter.

    Missing folders above are made likewise. A folder that other users work in, such as `/tmp`,
    keeps its mode. `sweep` narrows the files in it too: for a folder that holds nothing but what
    Nearfield made. Raises `OSError`.
    """
    for missing in reversed([one for one in (path, *path.parents) if not one.exists()]):
        with suppress(FileExistsError):  # another process was quicker
            missing.mkdir(FOLDER_MODE)
            _narrow(missing, FOLDER_MODE)
    if not path.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
    # The folder may be a link of the user's.
    _narrow(resolved(path), FOLDER_MODE)
    if sweep and _POSIX:
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.is_file(follow_symlinks=False):
                    _narrow(Path(entry.path), FILE_MODE)
    return path


def private_file(path: Path) -> Path:
    """Make sure that there is a file at `path`, empty if new, that its owner alone may read.

    The folder is left as it is: a user may have chosen it. Raises `OSError`.
    """
    flags = os.O_CREAT | os.O_WRONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
    os.close(os.open(path, flags, FILE_MODE))
    _narrow(path, FILE_MODE)
    return path


def open_private(path: Path) -> int:
    """Open a file that only the user can have made, empty if new, to be locked; return its handle.

    The folder exists. Raises `OSError`, also for a link and for what is no regular file.
    """
    flags = os.O_CREAT | os.O_RDWR
    for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_NOCTTY", "O_BINARY"):
        flags |= getattr(os, name, 0)
    handle = os.open(path, flags, FILE_MODE)
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode) or not _is_trusted(status):
        os.close(handle)
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), str(path))
    return handle


def private_database(path: Path) -> Path:
    """Make sure that there is a private file for SQLite to open, in a private folder.

    SQLite gives the files that it makes beside it the same mode. Raises `OSError`.
    """
    private_folder(path.parent)
    private_file(path)
    for part in _DATABASE_PARTS:
        _narrow(path.with_name(path.name + part), FILE_MODE)
    return path


def private_draft(folder: Path, suffix: str = ".draft") -> Path:
    """Make an empty private file of a new name in `folder`, which exists. Raises `OSError`."""
    handle, name = tempfile.mkstemp(suffix, dir=folder)
    os.close(handle)
    _narrow(Path(name), FILE_MODE)
    return Path(name)


def write_private(path: Path, content: bytes) -> None:
    """Replace `path` by `content` at once. The folder exists. Raises `OSError`."""
    draft = private_draft(path.parent, f".{path.name}")
    try:
        draft.write_bytes(content)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def drafts(folder: Path, of: str = "") -> list[Path]:
    """Return what killed processes have left half written in `folder`, and what others are writing
    there just now: of the file `of`, or of all. Raises `OSError`."""
    if not folder.is_dir():
        return []
    return [one for one in folder.iterdir() if _DRAFT.match(one.name) and one.name.endswith(of)]


def forget_drafts(folder: Path) -> None:
    """Delete what killed processes have left half written in `folder`. Raises `OSError`."""
    for draft in drafts(folder):
        with suppress(FileNotFoundError):
            if time.time() - draft.lstat().st_mtime > DRAFT_SECONDS:
                draft.unlink()


def append_private(path: Path, content: bytes, after: int | None = None) -> None:
    """Append `content` to a private file, on the disk when this returns; with `after` the file is
    cut to that length in bytes before. Raises `OSError`, and then a file that was cut has no part
    of `content`."""
    flags = os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    # Several processes may append to a file that is not cut.
    handle = os.open(private_file(path), flags | (os.O_APPEND if after is None else 0))
    try:
        if after is not None:
            os.ftruncate(handle, after)
            os.lseek(handle, after, os.SEEK_SET)
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(handle, rest) :]
        os.fsync(handle)
    except OSError:
        with suppress(OSError):
            if after is not None:
                os.ftruncate(handle, after)
        raise
    finally:
        os.close(handle)


def write_atomically(path: Path, content: bytes) -> None:
    """Replace `path` by `content` so that a reader sees the old or the new, never a part. Follows
    a symbolic link, as people keep settings in a repository. Raises `OSError`."""
    target = resolved(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    written = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        if target.exists():
            written.chmod(target.stat().st_mode)
        written.replace(target)
    finally:
        written.unlink(missing_ok=True)


def read_private(path: Path, max_bytes: int) -> bytes:
    """Return the content of a file that only the user can have written.

    Raises `FileNotFoundError` if there is none. Raises `UnreadableFile` for a link, a file of
    another user, one that others may write, and what `read_regular` refuses.
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        handle = os.open(path, flags | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UnreadableFile(f"{path.name} cannot be read: {reason(error)}.") from error
    try:
        if not _is_trusted(os.fstat(handle)):
            raise UnreadableFile(f"{path.name} can be written by others.")
        return read_open(handle, path.name or str(path), max_bytes)
    finally:
        os.close(handle)


def is_private(folder: Path) -> bool:
    """Return whether only the user can have put files into `folder`."""
    try:
        status = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and _is_trusted(status)


def _is_trusted(status: os.stat_result) -> bool:
    if not _POSIX:
        return True
    return status.st_uid == os.geteuid() and not status.st_mode & _OTHERS_WRITE


def _narrow(path: Path, mode: int) -> None:
    """Take the rights of others away, and give the owner theirs, if the path is the user's own."""
    if not _POSIX:
        return
    try:
        status = path.lstat()
    except FileNotFoundError:
        return
    folder = stat.S_ISDIR(status.st_mode) and not status.st_mode & stat.S_ISVTX
    ours = status.st_uid == os.geteuid() and (folder or stat.S_ISREG(status.st_mode))
    if ours and stat.S_IMODE(status.st_mode) != mode:
        with suppress(PermissionError):  # a file system without modes
            path.chmod(mode)
