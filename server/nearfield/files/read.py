"""Read untrusted files: bounded in size, never blocking.

A repository can hold a FIFO, a link to `/dev/zero` or a file of any size under any name. Everything
that reads a file from a workspace comes through here. `read_regular` is the lowest step: it opens a
path and refuses all but a regular file of a bounded size.
"""

from __future__ import annotations

import codecs
import os
import stat
from pathlib import Path

from nearfield.errors import NearfieldError

# Without O_NONBLOCK, opening a FIFO waits for a writer.
SAFE_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOCTTY", 0)
)

_PIECE_BYTES = 1 << 20


class UnreadableFile(NearfieldError):
    """A file exists but cannot be read safely: not regular, too large, or refused by the system."""


def read_regular(path: Path, max_bytes: int) -> bytes:
    """Return the content of the regular file at `path`, links followed.

    Raises `FileNotFoundError` if there is none, and `UnreadableFile` if it is not a regular file,
    holds more than `max_bytes` bytes, or the system refuses to read it.
    """
    try:
        handle = os.open(path, SAFE_FLAGS)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise UnreadableFile(f"{path.name} cannot be read: {reason(error)}.") from error
    try:
        return read_open(handle, path.name or str(path), max_bytes)
    finally:
        os.close(handle)


def read_open(handle: int, name: str, max_bytes: int) -> bytes:
    """Return the content of an open regular file; `name` is for the message.

    Raises `UnreadableFile` as `read_regular` does.
    """
    # The size is checked on what was read: files in /proc report 0 bytes.
    content = read_beginning(handle, name, max_bytes + 1)
    if len(content) > max_bytes:
        raise UnreadableFile(f"{name} holds more than {max_bytes} bytes.")
    return content


def read_beginning(handle: int, name: str, most: int) -> bytes:
    """Return the first `most` bytes of an open regular file, or all of a shorter one.

    Raises `UnreadableFile` as `read_regular` does, but for no size.
    """
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise UnreadableFile(f"{name} is not a regular file.")
        # In pieces, because one large read reserves all of the memory first.
        content = bytearray()
        while len(content) < most:
            piece = os.read(handle, min(_PIECE_BYTES, most - len(content)))
            if not piece:
                break
            content += piece
    except OSError as error:
        raise UnreadableFile(f"{name} cannot be read: {reason(error)}.") from error
    return bytes(content)


def read_text(path: Path, max_bytes: int) -> str:
    """Return the text of a file that a person wrote, see `text_of`. Raises as `read_regular` does,
    and `UnreadableFile` for what is no text."""
    content = read_regular(path, max_bytes)
    try:
        return text_of(content)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UnreadableFile(f"{path.name} is not UTF-8 text (line {line}).") from error


def text_of(content: bytes) -> str:
    """Return what a person wrote, without a byte order mark: UTF-8, or UTF-16 with its mark, as
    PowerShell's `>` and Notepad write it. Raises `UnicodeDecodeError`."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16")
    return content.decode("utf-8-sig")


def reason(error: Exception) -> str:
    """Return the system's own words for a failed file operation."""
    return (error.strerror if isinstance(error, OSError) else "") or str(error)
