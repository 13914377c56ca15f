"""The files of the provenance, in a private folder of the user's data.

`records.jsonl` is the chain, `head.json` its end, `secret` the key of the hashes of lines. Every
access is under a lock that processes share. All calls block. Every failure is raised as
`ProvenanceUnusable`, and the chain is then as it was.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from nearfield.config.paths import data_dir
from nearfield.errors import NearfieldError
from nearfield.features.provenance import chain
from nearfield.features.provenance.chain import ChainHead, Checking, Fields, Signing, Verdict
from nearfield.features.provenance.signing import KeyPair
from nearfield.files.locks import LockHeld, locked
from nearfield.files.private import (
    append_private,
    forget_drafts,
    private_file,
    private_folder,
    read_private,
    write_private,
)
from nearfield.files.read import UnreadableFile

FOLDER = "provenance"
MAX_BYTES = 8_000_000
"""Size of the chain; a record has about 700 bytes, so these are some ten thousand."""
KEPT_DAYS = 400
"""Age at which records are deleted."""
KEPT_SHARE = 0.7
"""Share of `MAX_BYTES` that stays when the chain has become too long, so that it is rewritten
rarely."""
DAY = 86_400.0

MakeFields = Callable[[bytes], Sequence[Fields]]
"""Returns the fields of new records, whose lines are hashed with the secret."""


class ProvenanceUnusable(NearfieldError):
    """The files cannot be read or written."""


@dataclass(frozen=True, slots=True)
class _Tail:
    """The end of the chain's file: its size in bytes without an incomplete line, and its last
    line, b"" for none."""

    size: int
    last: bytes


class ProvenanceStore:
    """Reads and writes the chain; for any number of processes."""

    def __init__(self, folder: Path | None = None, max_bytes: int = MAX_BYTES) -> None:
        self.folder = folder or data_dir() / FOLDER
        self._max_bytes = max_bytes
        self._pruned = 0.0
        self._records = self.folder / "records.jsonl"
        self._head = self.folder / "head.json"
        self._secret = self.folder / "secret"

    def append(self, make: MakeFields, key: KeyPair, now: float | None = None) -> int:
        """Append records; return how many. Nothing is written if there are none."""
        now = time.time() if now is None else now
        with self._locked():
            bodies = make(self._made_secret())
            if not bodies:
                return 0
            head, content = self._read_head(), self._read_records()
            tail = _tail(content)
            if content == b"" and head is None:
                # First, so that records without a head are always a fault.
                head = ChainHead()
                write_private(self._head, head.line(key.signing))
            end = _end(tail, head, _base(content, head))
            flags = _flags(tail, head, end, key.checking)
            lines, new_head = chain.extended(bodies, end, key.signing, flags)
            added = b"".join(line + b"\n" for line in lines)
            append_private(self._records, added, tail.size)
            write_private(self._head, new_head.line(key.signing))
            is_long = tail.size + len(added) > self._max_bytes
            if is_long or now - self._pruned > DAY:
                self._pruned = now
                self._prune(content[: tail.size] + added, new_head, key.signing, now)
            return len(lines)

    def verdict(self, checking: Checking | None = None) -> Verdict:
        """Check the whole chain; an empty one if there is none."""
        if not os.path.lexists(self.folder):
            return Verdict()
        with self._locked():
            content, head = self._read_records(), self._read_head()
        return chain.check(content, head, checking)

    def secret(self) -> bytes:
        """Return the key of the hashes of lines, b"" if there is none."""
        try:
            return read_private(self._secret, 1_000)
        except FileNotFoundError:
            return b""
        except (OSError, UnreadableFile) as error:
            raise self._unusable(error) from error

    def _made_secret(self) -> bytes:
        if not (held := self.secret()):
            held = secrets.token_hex(32).encode()
            write_private(self._secret, held)
        return held

    def _prune(self, content: bytes, head: ChainHead, signing: Signing | None, now: float) -> None:
        """Delete the oldest records from the chain's file, whose whole `content` is given."""
        lines = content.split(b"\n")[:-1]
        has_checkpoint = "checkpoint" in _loaded(lines[0])
        records = lines[1:] if has_checkpoint else lines
        kept_bytes, excess = 0, 0
        most = self._max_bytes if len(content) <= self._max_bytes else KEPT_SHARE * self._max_bytes
        for back, line in enumerate(reversed(records)):
            kept_bytes += len(line) + 1
            if back and (kept_bytes > most or _is_older(line, now - KEPT_DAYS * DAY)):
                excess = len(records) - back
                break
        if not excess:
            return
        number = head.number - len(records) + excess
        first = chain.checkpoint(number, chain.hash_of(records[excess - 1]), signing)
        coming = replace(head, coming=chain.hash_of(first))
        write_private(self._head, coming.line(signing))
        write_private(self._records, b"".join(one + b"\n" for one in (first, *records[excess:])))
        new = replace(head, base=chain.hash_of(first))
        write_private(self._head, new.line(signing))

    def _read_records(self) -> bytes:
        try:
            return read_private(self._records, 10 * self._max_bytes)
        except FileNotFoundError:
            return b""

    def _read_head(self) -> ChainHead | None:
        try:
            return ChainHead.read(read_private(self._head, 10_000))
        except FileNotFoundError:
            return None

    @contextmanager
    def _locked(self) -> Generator[None]:
        try:
            private_folder(self.folder, sweep=True)
            lock = private_file(self.folder / "lock")
            with locked(lock):
                forget_drafts(self.folder)
                yield
        except LockHeld as error:
            raise ProvenanceUnusable(error.message, error.hint) from error
        except (OSError, UnreadableFile) as error:
            raise self._unusable(error) from error

    def _unusable(self, error: Exception) -> ProvenanceUnusable:
        return ProvenanceUnusable(
            f"The record of accepted code in {self.folder} cannot be used"
            f" ({type(error).__name__}).",
            "Free some disk space, or move the folder away to begin a new one.",
        )


def _tail(content: bytes) -> _Tail:
    size = content.rfind(b"\n") + 1
    return _Tail(size, content[:size].rstrip(b"\n").rpartition(b"\n")[2])


def _base(content: bytes, head: ChainHead | None) -> str:
    """Return the hash of the checkpoint that the chain begins with, as far as the head knows it."""
    first = content.partition(b"\n")[0]
    found = chain.hash_of(first) if "checkpoint" in _loaded(first) else chain.GENESIS
    return found if head is None or found in (head.base, head.coming) else head.base


def _end(tail: _Tail, head: ChainHead | None, base: str) -> ChainHead:
    """Return the end of the chain as the file has it, which may be another one than the head's."""
    known = head or ChainHead()
    fields = _loaded(tail.last)
    number = fields.get("n", fields.get("checkpoint", known.number))
    number = number if isinstance(number, int) else known.number
    is_checkpoint = "checkpoint" in fields
    last = str(fields["hash"]) if is_checkpoint and "hash" in fields else chain.hash_of(tail.last)
    return ChainHead(number, last if tail.last else chain.GENESIS, base)


def _flags(
    tail: _Tail, head: ChainHead | None, end: ChainHead, checking: Checking | None
) -> list[str]:
    """Return what a new record has to say of those before it."""
    flags: list[str] = []
    if head is None or end.number < head.number or (
        end.number == head.number and end.hash != head.hash
    ):  # fmt: skip
        flags.append(chain.BROKEN)
    if checking is not None and end.number:
        is_covered = head is not None and head.is_signed(checking) and head.hash == end.hash
        if not is_covered and not chain.is_signed(_loaded(tail.last), checking):
            flags.append(chain.UNSIGNED)
    return flags


def _is_older(line: bytes, than: float) -> bool:
    at = _loaded(line).get("at")
    return isinstance(at, int | float) and at < than


def _loaded(line: bytes) -> Fields:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}
