"""Variants of installed models in other tensor types, made on this machine for its processor.

A variant lies in the model's folder in the cache: `models/NAME/optimised/`, the file and
`variant.json`, which says from which file it was made. It counts only for that file: when the
source's SHA-256 is another one, or the variant itself is not as it was written, the source is used.
Removing the model removes its variant.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import filelock
import msgspec

from nearfield.catalog.disk import Shelf, Verified, hash_file, write_atomically
from nearfield.catalog.part import disk_error
from nearfield.errors import CatalogError


class Variant(msgspec.Struct, frozen=True, kw_only=True):
    """What was made of what. `kind` is the type that the tensors were changed to; `prefill` and
    `decode` say how many times as fast it was measured to be; `lines`, `right_before` and
    `right_after` how many lines of code the two models wrote as they were."""

    source: Verified
    file: Verified
    kind: str
    prefill: float
    decode: float
    lines: int
    right_before: int
    right_after: int

    @property
    def path(self) -> Path:
        """The variant's file."""
        return Path(self.file.path)


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """That no variant of `source` was worth keeping, and why, so that `doctor` does not propose it
    again."""

    source: Verified
    reason: str


class Bench:
    """Where a model's variant is made and kept."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self.folder = shelf.folder / "optimised"
        self.file = self.folder / shelf.file.name
        self.new = self.file.with_name(self.file.name + ".new")
        self.record = self.folder / "variant.json"
        self.refusal = self.folder / "refused.json"

    def held(self) -> filelock.BaseFileLock:
        """The lock that is held while the variant is made, dropped, or the model is fetched. Raises
        `CatalogError` when another process has it."""
        lock = filelock.FileLock(self._shelf.lock)
        try:
            self._shelf.lock.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire(blocking=False)
        except filelock.Timeout as error:
            raise CatalogError(
                "Another process fetches or optimises this model.", "Wait for it, or stop it."
            ) from error
        except OSError as error:
            raise disk_error(error, self._shelf.folder) from error
        return lock

    def keep(self, describe: Callable[[Verified], Variant]) -> Variant:
        """Give the new file its name; `describe` makes its record. Raises `OSError`."""
        digest = hash_file(self.new)
        self.record.unlink(missing_ok=True)
        self.new.replace(self.file)
        variant = describe(Verified.of(self.file, digest, source="optimised"))
        write_atomically(self.record, msgspec.json.encode(variant))
        return variant

    def clear_new(self) -> None:
        """Remove what an attempt left. Raises `OSError`."""
        self.new.unlink(missing_ok=True)
        with suppress(OSError):
            self.folder.rmdir()  # Stays when a variant is in it.

    def drop(self) -> int:
        """Remove the variant; the bytes freed. Raises `OSError`."""
        freed = self.file.stat().st_size if self.file.exists() else 0
        for path in (self.record, self.file, self.refusal):
            path.unlink(missing_ok=True)
        self.clear_new()
        return freed

    def refuse(self, source: Verified, reason: str) -> None:
        """Remember why nothing is kept. Raises `OSError`."""
        write_atomically(self.refusal, msgspec.json.encode(Refusal(source=source, reason=reason)))

    def refused(self, source: Path) -> str:
        """Why no variant of this file was kept; "" when none was tried."""
        try:
            known = msgspec.json.decode(self.refusal.read_bytes(), type=Refusal)
            return known.reason if known.source.holds(source) else ""
        except (OSError, msgspec.DecodeError):
            return ""

    def recorded(self) -> Variant | None:
        """The record, whether it still holds or not; None without one that can be read."""
        try:
            return msgspec.json.decode(self.record.read_bytes(), type=Variant)
        except (OSError, msgspec.DecodeError):
            return None

    def variant(self, source: Path) -> Variant | None:
        """The variant of `source` as it is now. Hashes the source when it was touched since, so
        call it off the event loop."""
        known = self.recorded()
        try:
            if known is None or not known.file.holds(known.path) or known.path != self.file:
                return None
            if known.source.holds(source):
                return known
            if known.source.bytes != source.stat().st_size:
                return None
            digest = self.digest(source)
        except OSError:
            return None
        if digest != known.source.sha256:
            return None
        known = msgspec.structs.replace(known, source=Verified.of(source, digest))
        with suppress(OSError):  # Where the cache is read-only it is hashed each time.
            write_atomically(self.record, msgspec.json.encode(known))
        return known

    def digest(self, source: Path) -> str:
        """The SHA-256 of the source, from the model's own record where that holds. Raises
        `OSError`."""
        verified = self._shelf.verified()
        if verified is not None and verified.holds(source):
            return verified.sha256
        return hash_file(source)
