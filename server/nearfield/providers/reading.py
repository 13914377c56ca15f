"""The bytes of a server's answer, bounded: one that never ends must not fill the memory."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import httpx

MAX_WHOLE_BYTES = 16 << 20
"""Bytes of an answer that is read as a whole, such as a list of models."""
MAX_STREAM_BYTES = 64 << 20
"""Bytes of a streamed answer. A token takes some 500 with its log-probability, so 100,000 tokens
are less."""
_ENCODINGS = ("", "identity", "gzip", "deflate")
"""Ways to compress an answer that make it at most a thousand times smaller. We ask for none, as
compressors hold back the first tokens; two at once, or newer ones, can make gigabytes of nothing.
"""


class UnreadableAnswer(ValueError):
    """An answer is too long, or is compressed in a way that is not read. It says what it is."""


async def chunks(response: httpx.Response, most: int | None) -> AsyncGenerator[bytes]:
    """Yield the body as it comes, `most` bytes of it; None is for one that is not kept. Raises
    `UnreadableAnswer` and `httpx.TransportError`."""
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if encoding not in _ENCODINGS:
        raise UnreadableAnswer("a compression that was not asked for")
    total = 0
    # httpx calls it an iterator; it is a generator, and must be closed.
    async with aclosing(response.aiter_bytes()) as pieces:  # pyright: ignore[reportArgumentType]
        try:
            async for piece in pieces:
                total += len(piece)
                if most is not None and total > most:
                    raise UnreadableAnswer(f"more than {most >> 20} MB")
                yield piece
        except httpx.DecodingError:
            raise UnreadableAnswer("a compression that is broken") from None


async def whole(response: httpx.Response) -> bytes:
    """Return the body, of `MAX_WHOLE_BYTES` at most. Raises as `chunks`."""
    async with aclosing(chunks(response, MAX_WHOLE_BYTES)) as pieces:
        return b"".join([piece async for piece in pieces])
