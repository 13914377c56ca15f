"""Frames: whatever arrives, every good message is found."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearfield.lsp import frames
from nearfield.lsp.frames import Garbage


def reader(data: bytes, chunk: int = 1 << 20) -> Callable[[int], bytes]:
    """Reads `data` in pieces of `chunk` bytes."""
    rest = bytearray(data)

    def read(n: int) -> bytes:
        piece = bytes(rest[: min(n, chunk)])
        del rest[: len(piece)]
        return piece

    return read


def received(data: bytes, chunk: int = 1 << 20) -> list[Any]:
    """What arrives; garbage as "!"."""
    return ["!" if isinstance(m, Garbage) else m for m in frames.messages(reader(data, chunk))]


def frame(value: Any, length: int | None = None, extra: bytes = b"") -> bytes:
    body = json.dumps(value).encode()
    return b"Content-Length: %d\r\n%b\r\n%b" % (
        len(body) if length is None else length,
        extra,
        body,
    )


ONE = frame({"n": 1})
TWO = frame({"n": 2})


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (ONE + TWO, [{"n": 1}, {"n": 2}]),
        (frame("é", extra=b"Content-Type: application/vscode-jsonrpc; charset=utf-8\r\n"), ["é"]),
        (b"Content-Type: x; charset=utf-8\r\n" + ONE, [{"n": 1}]),
        (b"content-length: 2\r\n\r\n{}", [{}]),
        (b"Content-Length: 2\n\n{}" + ONE, [{}, {"n": 1}]),
        # Something that is no header at all, before, between and after.
        (b"hello\r\n\r\n" + ONE, ["!", {"n": 1}]),
        (b"hello\r\n" + ONE, ["!", {"n": 1}]),
        (ONE + b"\x00\xff\xfe\r\n\r\n" + TWO, [{"n": 1}, "!", {"n": 2}]),
        (ONE + b"\r\n\r\n" + TWO, [{"n": 1}, {"n": 2}]),
        (b'{"n": 0}\n' + ONE, ["!", {"n": 1}]),
        # Lengths that are wrong.
        (b"Content-Length: many\r\n\r\n" + ONE, ["!", {"n": 1}]),
        (b"Content-Length: -5\r\n\r\n" + ONE, ["!", {"n": 1}]),
        (b"Content-Length: 99999999999\r\n\r\n" + ONE, ["!", {"n": 1}]),
        (b"Content-Length: 0\r\n\r\n" + ONE, ["!", {"n": 1}]),
        (frame({"n": 0}, length=3) + ONE, ["!", {"n": 1}]),
        (frame({"n": 0}, length=20) + ONE, ["!", {"n": 1}]),
        (frame({"n": 0}, length=30) + ONE + TWO, ["!", {"n": 1}, {"n": 2}]),
        # Bodies that are no JSON.
        (b"Content-Length: 3\r\n\r\n{x}" + ONE, ["!", {"n": 1}]),
        (b"Content-Length: 2\r\n\r\n\xff\xfe" + ONE, ["!", {"n": 1}]),
        (b"Content-Length: 100000\r\n\r\n" + b"[" * 100_000 + ONE, ["!", {"n": 1}]),
        # What strict parsers refuse and clients send.
        (b'Content-Length: 8\r\n\r\n"\\ud800"' + ONE, ["\ufffd", {"n": 1}]),
        # The end in the middle of something.
        (ONE + b"Content-Len", [{"n": 1}]),
        (ONE + TWO[:-1], [{"n": 1}]),
        (b"x" * 3 * frames.MAX_HEADER, ["!"]),
        (b"x" * 3 * frames.MAX_HEADER + b"\r\n" + ONE, ["!", {"n": 1}]),
    ],
)
@pytest.mark.parametrize("chunk", [1 << 20, 1000, 7])
def test_messages_are_cut_from_the_stream(data: bytes, expected: list[Any], chunk: int) -> None:
    if chunk == 7 and len(data) > 10_000:
        chunk = 997
    assert received(data, chunk) == expected


def test_a_header_in_a_text_is_only_text() -> None:
    value = {"text": "Content-Length: 5\r\n\r\nhello"}
    assert received(frame(value) + ONE) == [value, {"n": 1}]


values = st.recursive(
    st.none() | st.integers() | st.text(), lambda inner: st.dictionaries(st.text(), inner)
)


@settings(max_examples=100, deadline=None)
@given(st.lists(values, max_size=5), st.integers(1, 40))
def test_an_encoded_message_is_received(sent: list[Any], chunk: int) -> None:
    assert received(b"".join(map(frames.encode, sent)), chunk) == sent


def test_garbage_is_described_without_its_text() -> None:
    found = list(frames.messages(reader(b"secret\r\n\r\nContent-Length: 6\r\n\r\nsecret")))
    assert all(isinstance(m, Garbage) and "secret" not in m.what for m in found)
    assert len(found) == 2
