"""Paths of models on disk, and the record that a file was verified.

One folder a model in the cache: `models/NAME/FILE`, beside it `FILE.part` and `FILE.part.json`
while a download runs, and `verified.json` once the SHA-256 was checked. The record is
valid for one size and modification time: a file of half a gigabyte is hashed once instead of at
every start, and again as soon as either changes. A model of several files has one record for each:
`FILE.verified.json` for those beside the first.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import msgspec
import platformdirs

from nearfield.files.private import write_atomically

CACHE_DIR_VARIABLE = "NEARFIELD_CACHE_DIR"
MODELS_DIR_VARIABLE = "MODEL_CACHE_DIR"
RECORD = "verified.json"
GGUF_MAGIC = b"GGUF"
BLOCK_BYTES = 1 << 20


def is_file(wish: str) -> bool:
    """Return whether what a user has written is the path of a file."""
    try:
        return Path(wish).expanduser().is_file()
    except (OSError, RuntimeError):  # a name too long for a file, or a user that there is not
        return False


def cache_dir(environ: Mapping[str, str] | None = None) -> Path:
    """Return the user's cache folder for Nearfield, which need not exist yet."""
    environ = os.environ if environ is None else environ
    moved = environ.get(CACHE_DIR_VARIABLE, "")
    return Path(moved) if moved else platformdirs.user_cache_path("nearfield", appauthor=False)


def models_dir(environ: Mapping[str, str] | None = None) -> Path:
    """Return the folder of the fetched models, which need not exist yet."""
    environ = os.environ if environ is None else environ
    moved = "" if environ.get(CACHE_DIR_VARIABLE) else environ.get(MODELS_DIR_VARIABLE, "")
    return Path(moved).expanduser() if moved else cache_dir(environ) / "models"


class VerifiedFile(msgspec.Struct, frozen=True, kw_only=True):
    """The SHA-256 that `path` had at this size (bytes) and modification time (ns), with the
    `source` that it came from and the `commit` of the hub's repository."""

    path: str
    bytes: int
    mtime_ns: int
    sha256: str
    source: str = ""
    commit: str = ""

    @classmethod
    def of(cls, path: Path, sha256: str, *, source: str = "", commit: str = "") -> VerifiedFile:
        """Record `path` as it is now. Raises `OSError` when it is not there."""
        stat = path.stat()
        return cls(
            path=str(path),
            bytes=stat.st_size,
            mtime_ns=stat.st_mtime_ns,
            sha256=sha256,
            source=source,
            commit=commit,
        )

    def holds(self, path: Path) -> bool:
        """Return whether `path` is still the file that was hashed. Raises `OSError` when it does
        not exist.
        """
        stat = path.stat()
        return (str(path), stat.st_size, stat.st_mtime_ns) == (
            self.path,
            self.bytes,
            self.mtime_ns,
        )


class CachedFile:
    """The paths of one file of a model in the cache. Nothing is created until something is
    written."""

    def __init__(self, models: Path, name: str, file: str, *, beside: bool = False) -> None:
        """`models` is the folder of all models; `beside` says that it is not this one's first
        file."""
        self.folder = models / name
        self.file = self.folder / Path(file).name
        self.part = self.file.with_name(self.file.name + ".part")
        self.journal = self.file.with_name(self.file.name + ".part.json")
        self.record = self.folder / (f"{self.file.name}.{RECORD}" if beside else RECORD)
        self.staging = self.folder / "staging"
        # Outside the folder, so that removing a model cannot pull a lock from under a download.
        self.lock = models / ".locks" / f"{name}.lock"

    def verified(self) -> VerifiedFile | None:
        """Return the record; None where there is none or it cannot be read."""
        try:
            return msgspec.json.decode(self.record.read_bytes(), type=VerifiedFile)
        except (OSError, msgspec.DecodeError):
            return None

    def remember(self, record: VerifiedFile) -> None:
        """Write the record. Raises `OSError`."""
        write_atomically(self.record, msgspec.json.encode(record))


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal. Raises `OSError`."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def is_gguf(path: Path) -> bool:
    """Return whether a file begins as a GGUF file does; False when it cannot be read."""
    try:
        with path.open("rb") as stream:
            return stream.read(len(GGUF_MAGIC)) == GGUF_MAGIC
    except OSError:
        return False
