"""A file on its way: what has arrived is kept, whatever interrupts us.

The bytes so far are in `FILE.part`, and `FILE.part.json` says which file they are the beginning of
(its SHA-256, or git's name for it where no SHA-256 is published, and its size). As that is the same
file whichever source it comes from, one source can go on where another stopped. The last step is a
rename, so the model's own name never shows a partial file.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import msgspec

from nearfield.catalog.disk import BLOCK_BYTES, Shelf, Verified, write_atomically
from nearfield.errors import DownloadFailed, HashMismatch, NoSpace

# Left free on the disk besides what the download itself takes.
RESERVE_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Step:
    """How far a pull is. `phase` is "waiting" (for another process), "checking" (what is here
    already), "fetching", or "done"; `done` and `total` are bytes of the model's file."""

    phase: str
    source: str = ""
    done: int = 0
    total: int = 0


Progress = Callable[[Step], None]
FreeBytes = Callable[[Path], int]


class Expected(msgspec.Struct, frozen=True, omit_defaults=True):
    """The file that is being fetched: its SHA-256 and its size in bytes. `blob` is git's name for
    its content, for a file of which no SHA-256 is known."""

    sha256: str
    bytes: int
    blob: str = ""


class Content:
    """What a file is found to hold, as its bytes are `read`, against what is expected."""

    def __init__(self, expected: Expected) -> None:
        self._expected = expected
        self._sha256 = hashlib.sha256()
        # What the hub publishes of small files: git's name, a SHA-1 of the size and the content.
        start = b"blob %d\0" % expected.bytes
        self._blob = None if expected.sha256 else hashlib.sha1(start, usedforsecurity=False)

    def read(self, data: bytes) -> None:
        """The next bytes."""
        self._sha256.update(data)
        if self._blob is not None:
            self._blob.update(data)

    @property
    def sha256(self) -> str:
        """Of all that was read."""
        return self._sha256.hexdigest()

    @property
    def wrong(self) -> str:
        """What is wrong with it, "" when it is what was expected."""
        if self._blob is None:
            kind, found, right = "the SHA-256", self.sha256, self._expected.sha256
        else:
            kind, found, right = "git's name", self._blob.hexdigest(), self._expected.blob
        return "" if found == right else f"{kind} {found}, not {right}"


def content_of(path: Path, expected: Expected) -> Content:
    """The content of a file. Raises `OSError`."""
    content = Content(expected)
    with path.open("rb") as stream:
        while block := stream.read(BLOCK_BYTES):
            content.read(block)
    return content


class Journal(msgspec.Struct, kw_only=True):
    """What `FILE.part` is. `ends` are the sizes it had after each finished wheel; `etag` names the
    answer of the server that the bytes came from."""

    expected: Expected
    etag: str = ""
    ends: list[int] = msgspec.field(default_factory=list[int])


def free_bytes(folder: Path) -> int:
    """Free space on the disk that will hold `folder`, which need not exist yet."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


class Part:
    """The growing file. Use it as a context manager; leaving keeps what has arrived."""

    def __init__(
        self, shelf: Shelf, expected: Expected, source: str, progress: Progress, free: FreeBytes
    ) -> None:
        self._shelf = shelf
        self._progress = progress
        self._free = free
        self._source = source
        self._stream: BinaryIO | None = None
        self._content = Content(expected)
        self._told = 0
        self.expected = expected
        self.journal = Journal(expected=expected)
        self.position = 0
        self.resumed = False

    def __enter__(self) -> Self:
        with self._disk():
            self._shelf.folder.mkdir(parents=True, exist_ok=True)
            self._stream = self._shelf.part.open("ab+")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._stream is not None:
            # Unflushed bytes that no longer fit are lost; the next start goes on before them.
            with self._disk():
                self._stream.close()
                if self.position == 0:
                    self._shelf.part.unlink(missing_ok=True)
                    self._shelf.journal.unlink(missing_ok=True)

    def resume(self, *, at_wheel: bool = False) -> None:
        """Keep what an earlier run left, as far as it is this file's; `at_wheel` keeps only whole
        wheels. Hashes what is kept."""
        found = self._read_journal()
        if found is None or found.expected != self.expected:
            self.restart()
            return
        size = min(self._size(), self.expected.bytes)
        ends = [end for end in found.ends if end <= size]
        keep = (ends[-1] if ends else 0) if at_wheel else size
        self._cut(keep)
        self.journal = Journal(expected=self.expected, etag=found.etag, ends=ends)
        self._hash_kept(keep)
        self.resumed = keep > 0

    def restart(self) -> None:
        """Forget everything and begin at the first byte."""
        self._cut(0)
        self._content = Content(self.expected)
        self.position = 0
        self._told = 0
        self.resumed = False
        self.journal = Journal(expected=self.expected)
        self.save()

    def save(self) -> None:
        """Write the journal, after the bytes that it speaks of."""
        with self._disk():
            self._flush()
            write_atomically(self._shelf.journal, msgspec.json.encode(self.journal))

    def need(self, extra: int = 0) -> None:
        """Raise `NoSpace` unless the rest of the file, and `extra` bytes beside it, fit."""
        wanted = self.expected.bytes - self.position + extra + RESERVE_BYTES
        free = self._free(self._shelf.folder)
        if free < wanted:
            raise NoSpace(
                f"The disk of {self._shelf.folder} has {megabytes(free)} free, and "
                f"{megabytes(wanted)} are needed.",
                _SPACE_HINT,
            )

    def write(self, data: bytes) -> None:
        """Append. Raises `HashMismatch` when more comes than the file is long, and `NoSpace`."""
        if self.position + len(data) > self.expected.bytes:
            raise HashMismatch(f"{self._source} sends more than the file's size.")
        with self._disk():
            self._open().write(data)
        self._content.read(data)
        self.position += len(data)
        self.tell()

    def tell(self, ahead: int = 0) -> None:
        """Report progress; `ahead` bytes have arrived but are not in the file yet."""
        total = self.expected.bytes
        # What is ahead is an estimate; the figure shown must not go back when the truth is less.
        self._told = max(self._told, min(self.position + ahead, total))
        self._progress(Step("fetching", self._source, self._told, total))

    def finish(self, commit: str = "") -> Path:
        """Check the hash and give the file its name. Raises `DownloadFailed` when bytes are missing
        and `HashMismatch`, the bad bytes deleted, when they are the wrong ones."""
        if self.position < self.expected.bytes:
            raise DownloadFailed(
                f"{self._source} sent {self.position} of {self.expected.bytes} bytes.",
                "Run it again: it goes on where it stopped.",
            )
        content = self._content
        if wrong := content.wrong:
            self.restart()
            raise HashMismatch(f"What {self._source} sent has {wrong}; it was deleted.")
        with self._disk():
            self._flush()
            self._open().close()
            self._shelf.part.replace(self._shelf.file)
            self._shelf.remember(
                Verified.of(self._shelf.file, content.sha256, source=self._source, commit=commit)
            )
            self._shelf.journal.unlink(missing_ok=True)
        return self._shelf.file

    def _open(self) -> BinaryIO:
        if self._stream is None:
            raise RuntimeError("a Part is used inside `with`")
        return self._stream

    def _size(self) -> int:
        return self._open().seek(0, os.SEEK_END)

    def _flush(self) -> None:
        stream = self._open()
        stream.flush()
        os.fsync(stream.fileno())

    def _cut(self, size: int) -> None:
        with self._disk():
            self._open().truncate(size)

    def _hash_kept(self, size: int) -> None:
        stream = self._open()
        stream.seek(0)
        self._content = Content(self.expected)
        self.position = 0
        while block := stream.read(min(BLOCK_BYTES, size - self.position)):
            self._content.read(block)
            self.position += len(block)
            self._progress(Step("checking", self._source, self.position, self.expected.bytes))

    def _read_journal(self) -> Journal | None:
        try:
            return msgspec.json.decode(self._shelf.journal.read_bytes(), type=Journal)
        except (OSError, msgspec.DecodeError):
            return None

    @contextmanager
    def _disk(self) -> Generator[None]:
        """Turn the disk's errors into ours."""
        try:
            yield
        except OSError as error:
            raise disk_error(error, self._shelf.folder) from error


_SPACE_HINT = (
    "Free some space, or set NEARFIELD_CACHE_DIR to a folder on another disk; "
    "what has arrived is kept."
)


def disk_error(error: OSError, folder: Path) -> NoSpace | DownloadFailed:
    """What an error of the disk under `folder` means to the user."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return NoSpace(f"The disk of {folder} is full.", _SPACE_HINT)
    return DownloadFailed(
        f"{folder} cannot be written ({error.strerror or error}).",
        "Make it writable, or set NEARFIELD_CACHE_DIR to a folder that is.",
    )


def megabytes(count: int) -> str:
    """A size as people read it: decimal megabytes or gigabytes."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
