"""No alteration of the chain is missed, with a key and without one."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearfield.features.provenance import chain
from nearfield.features.provenance.chain import ChainHead, Checking, Signing, Verdict

SECRET = b"a test's key"


def mac(text: bytes) -> str:
    return hmac.new(SECRET, text, "sha512").hexdigest()


SIGNING = Signing("key-1", mac)
CHECKING = Checking("key-1", lambda text, sig: mac(text) == sig)
KEYS = [(None, None), (SIGNING, CHECKING)]


def made(
    batches: list[int], signing: Signing | None, head: ChainHead | None = None
) -> tuple[list[bytes], ChainHead]:
    """A chain of batches of that many records."""
    head, lines = head or ChainHead(), list[bytes]()
    for count in batches:
        bodies: list[dict[str, Any]] = [{"at": 1.5, "file": "/a/é.py"} for _ in range(count)]
        more, head = chain.extended(bodies, head, signing)
        lines += more
    return lines, head


def checked(
    lines: list[bytes], head: ChainHead, signing: Signing | None, checking: Checking | None
) -> Verdict:
    return chain.check(joined(lines), ChainHead.read(head.line(signing)), checking)


def joined(lines: list[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in lines)


@pytest.mark.parametrize(("signing", "checking"), KEYS)
def test_a_whole_chain_has_no_problem(signing: Signing | None, checking: Checking | None) -> None:
    lines, head = made([1, 3, 2], signing)
    found = checked(lines, head, signing, checking)
    assert (found.problems, len(found.records), found.is_torn) == ([], 6, False)
    assert found.unsigned == ([] if checking else [1, 2, 3, 4, 5, 6])


def altered(content: bytes, at: int, how: str, byte: int) -> bytes:
    at %= len(content)
    if how == "flip":
        return content[:at] + bytes([content[at] ^ (byte or 1)]) + content[at + 1 :]
    if how == "insert":
        return content[:at] + bytes([byte]) + content[at:]
    if how == "delete":
        return content[:at] + content[at + 1 :]
    return content[:at]  # cut off


@given(
    batches=st.lists(st.integers(1, 4), min_size=1, max_size=4),
    at=st.integers(0, 1_000_000),
    how=st.sampled_from(["flip", "insert", "delete", "cut"]),
    byte=st.integers(0, 255),
    is_head=st.booleans(),
    keys=st.sampled_from(KEYS),
    is_pruned=st.booleans(),
)
def test_every_single_alteration_is_found(
    batches: list[int],
    at: int,
    how: str,
    byte: int,
    is_head: bool,
    keys: tuple[Signing | None, Checking | None],
    is_pruned: bool,
) -> None:
    signing, checking = keys
    lines, head = made(batches, signing)
    if is_pruned:
        lines[0] = chain.checkpoint(1, chain.hash_of(lines[0]), signing)
        head = ChainHead(head.number, head.hash, chain.hash_of(lines[0]))
    content, named = joined(lines), head.line(signing)
    assert chain.check(content, ChainHead.read(named), checking).problems == []
    before = named if is_head else content
    after = altered(before, at, how, byte)
    if after == before:
        return
    if is_head:
        named = after
    else:
        content = after
    found = chain.check(content, ChainHead.read(named), checking)
    # A line that was begun after the last one may be another process's, stopped while it wrote.
    is_begun = found.is_torn and content.startswith(joined(lines))
    assert found.problems or is_begun


def test_a_head_without_its_signature_hides_no_cut_end() -> None:
    signing, checking = KEYS[-1] if KEYS[-1][0] is not None else KEYS[0]
    lines, _ = made([2, 1, 1], signing)
    forged = ChainHead(3, chain.hash_of(lines[2]))
    found = chain.check(joined(lines[:3]), ChainHead.read(forged.line(None)), checking)
    assert found.problems == ["The head is not signed as its record is: it was altered."]


@given(
    count=st.integers(3, 8),
    first=st.integers(0, 7),
    second=st.integers(0, 7),
    keys=st.sampled_from(KEYS),
)
def test_removed_and_moved_records_are_found(
    count: int, first: int, second: int, keys: tuple[Signing | None, Checking | None]
) -> None:
    signing, checking = keys
    lines, head = made([1] * count, signing)
    first, second = first % count, second % count
    removed = lines[:first] + lines[first + 1 :]
    assert checked(removed, head, signing, checking).problems
    if first != second:
        lines[first], lines[second] = lines[second], lines[first]
        assert checked(lines, head, signing, checking).problems


def test_a_shortened_end_is_named() -> None:
    lines, head = made([5], SIGNING)
    assert checked(lines[:3], head, SIGNING, CHECKING).problems == [
        "Records 4 to 5 are missing at the end."
    ]
    found = chain.check(joined(lines), None, CHECKING)
    assert found.problems == [
        "The head of the chain is missing or was altered: records may be missing at the end."
    ]


def test_a_line_that_was_not_finished_is_told_and_no_problem() -> None:
    lines, head = made([2], SIGNING)
    content = joined(lines) + lines[0][:20]
    found = chain.check(content, ChainHead.read(head.line(SIGNING)), CHECKING)
    assert (found.problems, found.is_torn, len(found.records)) == ([], True, 2)


def test_a_chain_that_was_written_again_without_the_key_is_not_signed() -> None:
    lines, head = made([2, 2], SIGNING)
    forged, end = made([3], None, ChainHead(1, chain.hash_of(lines[0])))
    found = checked([lines[0], *forged], end, None, CHECKING)
    assert (found.problems, found.unsigned) == ([], [1, 2, 3, 4])
    # And a later signature does not cover what was not signed before it.
    more, end = chain.extended([{}], end, SIGNING, [chain.UNSIGNED])
    found = checked([lines[0], *forged, *more], end, SIGNING, CHECKING)
    assert (found.problems, found.unsigned) == ([], [1, 2, 3, 4])
    assert head.number == 4


def test_a_signature_by_another_key_counts_for_nothing() -> None:
    other = Signing("key-2", lambda text: hashlib.sha256(text).hexdigest())
    lines, head = made([2], other)
    found = checked(lines, head, other, CHECKING)
    assert (found.problems, found.unsigned, found.others) == ([], [1, 2], ["key-2"])


def test_what_is_no_chain_is_a_problem_and_no_error() -> None:
    odd = b'{"checkpoint":"x","hash":1}\n'
    for content in (b"\n", b"null\n", b"[]\n", odd, b"\xff\n", b"[" * 9999):
        found = chain.check(content, ChainHead(), CHECKING)
        assert found.problems or found.is_torn, content
