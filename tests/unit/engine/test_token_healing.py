"""Which tokens may come while bytes are owed, against the definition."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nearfield.engine.token_healing import ByteIndex

BYTES = st.binary(max_size=4).map(lambda b: bytes(97 + x % 3 for x in b))


@given(st.lists(BYTES, max_size=60), BYTES.filter(bool))
def test_allowed_is_exactly_the_definition(pieces: list[bytes], owed: bytes) -> None:
    expected = [
        t
        for t, piece in enumerate(pieces)
        if piece and (piece.startswith(owed) or owed.startswith(piece))
    ]
    assert sorted(ByteIndex(pieces).allowed(owed).tolist()) == expected


def test_bytes_beyond_ascii() -> None:
    pieces = [b"\xff\xff", b"\xff", b"\xfe", b""]
    assert sorted(ByteIndex(pieces).allowed(b"\xff").tolist()) == [0, 1]
