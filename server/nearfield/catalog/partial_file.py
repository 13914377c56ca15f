"""A download in progress: received bytes are kept, whatever interrupts it.

`FILE.part` holds the received bytes. `FILE.part.json` identifies the file that they begin: its
SHA-256, or git's blob hash where no SHA-256 is published, and its size. Every source delivers that
same file, so one source can continue where another stopped. The last step is a rename: the model's
own name never shows a partial file.
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
from typing import BinaryIO

import msgspec

from nearfield.catalog.disk import BLOCK_BYTES, CachedFile, VerifiedFile
from nearfield.errors import DownloadFailed, HashMismatch, NoSpace
from nearfield.files.private import write_atomically

# Left free on the disk besides what the download itself takes.
RESERVE_BYTES = 64 << 20
SPACE_HINT = (
    "Free some space, or set NEARFIELD_CACHE_DIR to a folder on another disk; "
    "what has arrived is kept."
)


@dataclass(frozen=True, slots=True)
class PullStep:
    """The state of a pull. `phase` is "waiting" (for another process), "checking" (what is here
    already), "fetching", or "done"; `done` and `total` are bytes of the model's file."""

    phase: str
    source: str = ""
    done: int = 0
    total: int = 0


Progress = Callable[[PullStep], None]
FreeBytes = Callable[[Path], int]


class Expected(msgspec.Struct, frozen=True, omit_defaults=True):
    """The file that is being fetched: its SHA-256 and its size in bytes. `blob` is git's hash of a
    file whose SHA-256 is unknown."""

    sha256: str
    bytes: int
    blob: str = ""


class ContentHash:
    """Hashes bytes as they are `read` and compares them with what is expected."""

    def __init__(self, expected: Expected) -> None:
        self._expected = expected
        self._sha256 = hashlib.sha256()
        # The hub publishes git's blob hash of small files: a SHA-1 of the size and the content.
        start = b"blob %d\0" % expected.bytes
        self._blob = None if expected.sha256 else hashlib.sha1(start, usedforsecurity=False)

    @classmethod
    def of(cls, path: Path, expected: Expected) -> ContentHash:
        """Hash a whole file. Raises `OSError`."""
        content = cls(expected)
        with path.open("rb") as stream:
            while block := stream.read(BLOCK_BYTES):
                content.read(block)
        return content

    def read(self, data: bytes) -> None:
        """Add the next bytes."""
        self._sha256.update(data)
        if self._blob is not None:
            self._blob.update(data)

    @property
    def sha256(self) -> str:
        """The SHA-256 of everything that was read."""
        return self._sha256.hexdigest()

    @property
    def mismatch(self) -> str:
        """A description of what is wrong with the content, "" when it is what was expected."""
        if self._blob is None:
            kind, found, right = "the SHA-256", self.sha256, self._expected.sha256
        else:
            kind, found, right = "git's name", self._blob.hexdigest(), self._expected.blob
        return "" if found == right else f"{kind} {found}, not {right}"


class Journal(msgspec.Struct, kw_only=True):
    """The content of `FILE.part.json`. `ends` are the sizes of `FILE.part` after each finished
    wheel; `etag` identifies the server's answer that the bytes came from."""

    expected: Expected
    etag: str = ""
    ends: list[int] = msgspec.field(default_factory=list[int])


def free_bytes(folder: Path) -> int:
    """Return the free space of the disk that will hold `folder`, which need not exist yet."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


class PartialFile:
    """The growing file. Use it as a context manager; leaving keeps what has arrived."""

    def __init__(
        self,
        target: CachedFile,
        expected: Expected,
        source: str,
        progress: Progress,
        free: FreeBytes,
    ) -> None:
        self._target = target
        self._progress = progress
        self._free = free
        self._source = source
        self._stream: BinaryIO | None = None
        self._content = ContentHash(expected)
        self._reported = 0
        self.expected = expected
        self.journal = Journal(expected=expected)
        self.position = 0
        self.resumed = False

    def __enter__(self) -> PartialFile:
        with self._disk_errors():
            self._target.folder.mkdir(parents=True, exist_ok=True)
            self._stream = self._target.part.open("ab+")
        return self

    def __exit__(self, *_: object) -> None:
        if self._stream is not None:
            # Unflushed bytes that no longer fit are lost; the next start continues before them.
            with self._disk_errors():
                self._stream.close()
                if self.position == 0:
                    self._target.part.unlink(missing_ok=True)
                    self._target.journal.unlink(missing_ok=True)

    def resume(self, *, at_wheel: bool = False) -> None:
        """Keep and hash the bytes of an earlier run that belong to this file; with `at_wheel` only
        whole wheels."""
        try:
            found = msgspec.json.decode(self._target.journal.read_bytes(), type=Journal)
        except (OSError, msgspec.DecodeError):
            found = None
        if found is None or found.expected != self.expected:
            self.restart()
            return
        stream = self._open()
        stream.seek(0, os.SEEK_END)
        size = min(stream.tell(), self.expected.bytes)
        ends = [end for end in found.ends if end <= size]
        keep = (ends[-1] if ends else 0) if at_wheel else size
        self.journal = Journal(expected=self.expected, etag=found.etag, ends=ends)
        with self._disk_errors():
            stream.truncate(keep)
        stream.seek(0)
        self._content = ContentHash(self.expected)
        self.position = 0
        while block := stream.read(min(BLOCK_BYTES, keep - self.position)):
            self._content.read(block)
            self.position += len(block)
            step = PullStep("checking", self._source, self.position, self.expected.bytes)
            self._progress(step)
        self.resumed = keep > 0

    def restart(self) -> None:
        """Forget everything and begin at the first byte."""
        with self._disk_errors():
            self._open().truncate(0)
        self._content = ContentHash(self.expected)
        self.position = 0
        self._reported = 0
        self.resumed = False
        self.journal = Journal(expected=self.expected)
        self.save()

    def save(self) -> None:
        """Write the journal, after the bytes that it describes."""
        with self._disk_errors():
            self._flush()
            write_atomically(self._target.journal, msgspec.json.encode(self.journal))

    def require_space(self, extra: int = 0) -> None:
        """Raise `NoSpace` unless the rest of the file and `extra` bytes more fit on the disk."""
        wanted = self.expected.bytes - self.position + extra + RESERVE_BYTES
        free = self._free(self._target.folder)
        if free < wanted:
            raise NoSpace(
                f"The disk of {self._target.folder} has {megabytes(free)} free, and "
                f"{megabytes(wanted)} are needed.",
                SPACE_HINT,
            )

    def write(self, data: bytes) -> None:
        """Append. Raises `HashMismatch` when more bytes come than the file has, and `NoSpace`."""
        if self.position + len(data) > self.expected.bytes:
            raise HashMismatch(f"{self._source} sends more than the file's size.")
        with self._disk_errors():
            self._open().write(data)
        self._content.read(data)
        self.position += len(data)
        self.report()

    def report(self, ahead: int = 0) -> None:
        """Report progress; `ahead` bytes have arrived but are not in the file yet."""
        total = self.expected.bytes
        # `ahead` is an estimate; the figure shown must not fall when the truth is less.
        self._reported = max(self._reported, min(self.position + ahead, total))
        self._progress(PullStep("fetching", self._source, self._reported, total))

    def finish(self, commit: str = "") -> Path:
        """Verify the content and give the file its name; returns its path.

        Raises `DownloadFailed` when bytes are missing, and `HashMismatch`, with the bytes deleted,
        when they are the wrong ones."""
        if self.position < self.expected.bytes:
            raise DownloadFailed(
                f"{self._source} sent {self.position} of {self.expected.bytes} bytes.",
                "Run it again: it goes on where it stopped.",
            )
        content, target = self._content, self._target
        if wrong := content.mismatch:
            self.restart()
            raise HashMismatch(f"What {self._source} sent has {wrong}; it was deleted.")
        with self._disk_errors():
            self._flush()
            self._open().close()
            target.part.replace(target.file)
            target.remember(
                VerifiedFile.of(target.file, content.sha256, source=self._source, commit=commit)
            )
            target.journal.unlink(missing_ok=True)
        return target.file

    def _open(self) -> BinaryIO:
        if self._stream is None:
            raise RuntimeError("a PartialFile is used inside `with`")
        return self._stream

    def _flush(self) -> None:
        stream = self._open()
        stream.flush()
        os.fsync(stream.fileno())

    @contextmanager
    def _disk_errors(self) -> Generator[None]:
        """Turn the disk's errors into ours."""
        try:
            yield
        except OSError as error:
            raise disk_error(error, self._target.folder) from error


def disk_error(error: OSError, folder: Path) -> NoSpace | DownloadFailed:
    """Return what an error of the disk under `folder` means to the user."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return NoSpace(f"The disk of {folder} is full.", SPACE_HINT)
    return DownloadFailed(
        f"{folder} cannot be written ({error.strerror or error}).",
        "Make it writable, or set NEARFIELD_CACHE_DIR to a folder that is.",
    )


def megabytes(count: int) -> str:
    """Format a size in bytes as decimal megabytes or gigabytes."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
