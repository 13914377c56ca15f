"""The base protocol: `Content-Length` frames on a byte stream, and how to find back into it.

A client that sends garbage must not cost the session. The reader reports what it could not read and
then looks for the next header, also inside of what it took for a body: a length that was too long
has swallowed the beginning of the next frame, one that was too short leaves a rest in front of it.
JSON cannot contain a raw line break within a string, so a header found in a body is never text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any

from nearfield.coerce import NotJson, loads

MAX_BODY = 512 * 1024 * 1024
"""A longer body is taken for a wrong length: ten times what an editor would open."""
MAX_HEADER = 64 * 1024
"""Bytes without the end of a header after which the input counts as garbage."""
CHUNK = 1024 * 1024

# Names of header fields are case-insensitive; editors send "Content-Length".
_LENGTH = re.compile(rb"content-length:[ \t]*(\d{1,12})[ \t]*\r?\n", re.IGNORECASE)
_FIELD = re.compile(rb"[A-Za-z][A-Za-z-]*:")
_BLANK = re.compile(rb"\r?\n\r?\n")


@dataclass(frozen=True, slots=True)
class Garbage:
    """Something that is no message; `what` is one sentence without any of its text."""

    what: str


def encode(message: Any, default: Callable[[Any], Any] | None = None) -> bytes:
    """A frame around `message`; `default` makes plain data of what JSON does not know."""
    # ASCII only, so a client that counts characters instead of bytes is not hurt either.
    body = json.dumps(message, default=default, separators=(",", ":")).encode("ascii")
    return b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


def messages(read: Callable[[int], bytes | None]) -> Iterator[Any | Garbage]:
    """Every JSON value that arrives, until `read` answers nothing (the end of the stream).

    `read(n)` waits for at least one byte and answers at most `n`.
    """
    buffer = bytearray()
    lost = False
    while True:
        length = yield from _header(read, buffer, lost)
        if length is None:
            return
        while len(buffer) < length:
            if not _fill(read, buffer):
                return
        try:
            message = loads(bytes(memoryview(buffer)[:length]), constants=True)
        except NotJson:
            yield Garbage("The body of a message is not JSON, or its Content-Length is wrong.")
            # The next header may be in what looked like the body, or begin there.
            lost = True
            continue
        del buffer[:length]
        lost = False
        yield message


def _header(
    read: Callable[[int], bytes | None], buffer: bytearray, lost: bool
) -> Generator[Garbage, None, int | None]:
    """Take one header off the buffer; returns the body's length, None at the end of the stream.

    `lost`: there is garbage in front of it, which has been reported.
    """
    complained = lost
    while True:
        found = _LENGTH.search(buffer)
        # Read now: a match looks into the buffer, which changes below.
        length = int(found[1]) if found else 0
        end = _BLANK.search(buffer, max(0, found.end() - 2) if found else 0)
        wrong = ""
        used = 0
        if found and length > MAX_BODY:
            wrong, used = "The Content-Length of a message is too large.", found.end()
        elif found and end:
            if not complained and _is_foreign(buffer, found):
                yield Garbage("There was something between two messages.")
            del buffer[: end.end()]
            return length
        elif end or len(buffer) > MAX_HEADER:
            # Without a blank line, the last bytes may be the beginning of a good header.
            wrong = "A message came without a usable Content-Length."
            used = end.end() if end else len(buffer) - MAX_HEADER // 2
        if used:
            if buffer[:used].strip() and not complained:
                yield Garbage(wrong)
                complained = True
            del buffer[:used]
        elif not _fill(read, buffer):
            return None


def _is_foreign(buffer: bytearray, found: re.Match[bytes]) -> bool:
    """Return whether what precedes the length is anything but other fields of the same header."""
    before = bytes(buffer[: found.start()])
    if before.strip() and _BLANK.search(before):
        return True
    return any(line.strip() and not _FIELD.match(line) for line in before.splitlines())


def _fill(read: Callable[[int], bytes | None], buffer: bytearray) -> bool:
    data = read(CHUNK)
    if not data:
        return False
    buffer += data
    return True
