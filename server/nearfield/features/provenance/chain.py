"""The chain of records: one a line, each with the SHA-256 of the line before.

A line is canonical JSON, so that every other way to write the same record is an alteration. The
head beside the chain names the last line, so a shortened chain is noticed. Where there is a key,
the last line of each batch and the head are signed; a signature covers the lines before its own,
back to one that says that those before it were not signed when it was written.

Pruned lines leave a checkpoint in the first line: the number and the hash of the last one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

GENESIS = "0" * 64
"""The hash before the first line."""

UNSIGNED = "unsigned_before"
"""Set in a record if those before it were not under a signature of its key when it was written."""
BROKEN = "broken_before"
"""Set in a record if the chain before it did not end as its head said when it was written."""

Sign = Callable[[bytes], str]
"""Returns the signature of a text in hexadecimal."""
CheckSignature = Callable[[bytes, str], bool]

Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Signing:
    """A key's short name, and how it signs."""

    key: str
    sign: Sign


@dataclass(frozen=True, slots=True)
class Checking:
    """A public key, its short name, and how a signature by it is checked."""

    key: str
    is_signed: CheckSignature


def canonical(fields: Mapping[str, Any]) -> bytes:
    """Return the one way in which `fields` are written."""
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def hash_of(line: bytes) -> str:
    """Return the SHA-256 of a line without its end, in hexadecimal."""
    return hashlib.sha256(line).hexdigest()


def signed(fields: Fields, signing: Signing | None) -> bytes:
    """Return the line of `fields`, signed if there is a key."""
    if signing is None:
        return canonical(fields)
    named = {**fields, "key": signing.key}
    return canonical({**named, "sig": signing.sign(canonical(named))})


@dataclass(frozen=True, slots=True)
class ChainHead:
    """The end of a chain: the number and the hash of its last line, and the hash of its checkpoint
    (`GENESIS` for none). `coming` is that of the checkpoint that is being written, if one is.
    `fields` are those that were read."""

    number: int = 0
    hash: str = GENESIS
    base: str = GENESIS
    coming: str = ""
    fields: Fields = field(default_factory=dict[str, Any])

    def line(self, signing: Signing | None) -> bytes:
        """Return what is written to the file of the head."""
        fields: Fields = {"n": self.number, "hash": self.hash, "base": self.base}
        return signed({**fields, "coming": self.coming} if self.coming else fields, signing)

    @classmethod
    def read(cls, line: bytes) -> ChainHead | None:
        """Return the head that a file holds; None for anything else."""
        fields = _fields(line)
        number, last, base = (fields.get(name) for name in ("n", "hash", "base"))
        if not (isinstance(number, int) and isinstance(last, str) and isinstance(base, str)):
            return None
        return cls(number, last, base, str(fields.get("coming", "")), fields)

    def is_signed(self, checking: Checking | None) -> bool:
        """Return whether this key has signed it."""
        return checking is not None and is_signed(self.fields, checking)


def extended(
    bodies: Sequence[Fields], head: ChainHead, signing: Signing | None, flags: Sequence[str] = ()
) -> tuple[list[bytes], ChainHead]:
    """Return the lines that add `bodies` after `head`, and the new head. `flags` are set in the
    first one: `UNSIGNED`, `BROKEN`."""
    lines: list[bytes] = []
    number, last = head.number, head.hash
    for at, body in enumerate(bodies):
        number += 1
        fields = {**body, "n": number, "prev": last}
        if not at:
            fields |= dict.fromkeys(flags, True)
        lines.append(signed(fields, signing if at == len(bodies) - 1 else None))
        last = hash_of(lines[-1])
    return lines, ChainHead(number, last, head.base)


def checkpoint(number: int, last: str, signing: Signing | None) -> bytes:
    """Return the first line of a chain whose lines up to `number` were deleted."""
    return signed({"checkpoint": number, "hash": last}, signing)


@dataclass(slots=True)
class Verdict:
    """The result of a check: every problem in words, and the records that could be read.

    `unsigned` are the numbers of records that no signature by the known key covers, `others` names
    further keys that have signed. `is_torn` says that the last line is incomplete; `pruned` is the
    number of the last record that was deleted by age or size.
    """

    records: list[Fields] = field(default_factory=list[Fields])
    problems: list[str] = field(default_factory=list[str])
    unsigned: list[int] = field(default_factory=list[int])
    others: list[str] = field(default_factory=list[str])
    is_torn: bool = False
    pruned: int = 0


def check(content: bytes, head: ChainHead | None, checking: Checking | None = None) -> Verdict:
    """Check a whole chain against its head, by the public key if one is known."""
    found = Verdict()
    *lines, rest = content.split(b"\n")
    found.is_torn = bool(rest)
    number, last, base = 0, GENESIS, GENESIS
    first = _fields(lines[0]) if lines else {}
    if isinstance(pruned := first.get("checkpoint"), int):
        base, last = hash_of(lines[0]), str(first.get("hash"))
        number = found.pruned = pruned
        _check_signature("The checkpoint", first, checking, found)
        lines = lines[1:]
    for line in lines:
        number += 1
        fields = _fields(line)
        if not fields:
            found.problems.append(f"Record {number} cannot be read: it was altered.")
        elif fields.get("n") != number or fields.get("prev") != last:
            found.problems.append(
                f"Record {number} does not follow from the one before: one of the two was altered,"
                " removed or moved."
            )
        elif fields.get(BROKEN):
            found.problems.append(
                f"Before record {number} was written, the end of the chain had been altered or"
                " removed."
            )
        if fields:
            _check_signature(f"Record {number}", fields, checking, found)
        if isinstance(named := fields.get("n"), int):
            number = named  # so that one gap is one problem
        found.records.append(fields)
        last = hash_of(line)
    _check_end(found, ChainHead(number, last, base), head, checking)
    if head is not None and checking is not None:
        named = first if head.number == found.pruned else _numbered(found.records, head.number)
        if named and _signer(named) != _signer(head.fields):
            found.problems.append("The head is not signed as its record is: it was altered.")
    found.unsigned = _uncovered(found.records, checking)
    return found


def _check_end(
    found: Verdict, end: ChainHead, head: ChainHead | None, checking: Checking | None
) -> None:
    if head is None:
        if found.records or found.pruned:
            found.problems.append(
                "The head of the chain is missing or was altered: records may be missing at the"
                " end."
            )
        return
    if "sig" in head.fields:
        _check_signature("The head", head.fields, checking, found)
    if end.base not in (head.base, head.coming):
        found.problems.append("The beginning of the chain was altered or removed.")
    if end.number < head.number:
        first = end.number + 1
        lost = (
            f"Records {first} to {head.number} are" if first < head.number else f"Record {first} is"
        )
        found.problems.append(f"{lost} missing at the end.")
        return
    # A process that was killed between two writes leaves records after the head.
    after = [one for one in found.records if one.get("n") == head.number + 1]
    at_head = str(after[0].get("prev")) if end.number > head.number and after else end.hash
    if at_head != head.hash:
        found.problems.append(f"Record {head.number} is not the one that the head names.")


def _numbered(records: Sequence[Fields], number: int) -> Fields:
    """Return the record of that number, no fields if there is none."""
    return next((one for one in records if one.get("n") == number), {})


def _signer(fields: Fields) -> str:
    """Return the name of the key that a line says has signed it, "" for none."""
    return str(fields.get("key")) if "sig" in fields else ""


def _check_signature(what: str, fields: Fields, checking: Checking | None, found: Verdict) -> None:
    if checking is None or "sig" not in fields:
        return
    if fields.get("key") != checking.key:
        if (other := str(fields.get("key"))) not in found.others:
            found.others.append(other)
    elif not is_signed(fields, checking):
        found.problems.append(f"{what} has a signature that does not fit: it was altered.")


def _uncovered(records: Sequence[Fields], checking: Checking | None) -> list[int]:
    """Return the numbers of the records that no signature covers, in order."""
    uncovered: list[int] = []
    is_covered = False
    for fields in reversed(records):
        is_covered = is_covered or (checking is not None and is_signed(fields, checking))
        if not is_covered:
            uncovered.append(fields.get("n", 0))
        if fields.get(UNSIGNED):
            is_covered = False
    return uncovered[::-1]


def is_signed(fields: Fields, checking: Checking) -> bool:
    """Return whether the key has signed a line with these fields."""
    if fields.get("key") != checking.key or not isinstance(sig := fields.get("sig"), str):
        return False
    rest = {name: value for name, value in fields.items() if name != "sig"}
    return checking.is_signed(canonical(rest), sig)


def _fields(line: bytes) -> Fields:
    """Return the fields of a line, none where it is not written as we do."""
    try:
        fields = json.loads(line)
        if isinstance(fields, dict) and canonical(fields) == line:
            return fields
    except (ValueError, RecursionError):
        pass
    return {}
