"""A hole in a line of code, and what a model writes into it."""

from __future__ import annotations

import hashlib
import time
from contextlib import aclosing
from dataclasses import dataclass

from nearfield.providers.base import Provider
from nearfield.types import InfillRequest, Usage

MAX_TOKENS = 24
"""Tokens that a hole, which ends with its line, may take: about 80 characters."""
SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class CodeHole:
    """The end of a line, missing between two texts; `prefix` ends with the line's beginning."""

    path: str
    language: str
    prefix: str
    rest: str
    suffix: str

    @property
    def key(self) -> str:
        """A digest of all of it, which tells the same hole again."""
        return digest("\0".join((self.path, self.prefix, self.rest, self.suffix)))

    @property
    def typed(self) -> str:
        """The part of the line before the hole."""
        return self.prefix.rpartition("\n")[2]


@dataclass(frozen=True, slots=True)
class FilledHole:
    """The line that a model wrote, after `ms`, and what that cost."""

    text: str
    ms: float
    usage: Usage | None


async def fill_hole(provider: Provider, hole: CodeHole, max_tokens: int = MAX_TOKENS) -> FilledHole:
    """Return the first line that the model writes. Raises from the error tree."""
    begun = time.monotonic()
    request = InfillRequest(
        document=f"hole {hole.key}",
        path=hole.path,
        language=hole.language,
        prefix=hole.prefix,
        suffix=hole.suffix,
        typed=hole.typed,
        max_tokens=max_tokens,
        single_line=True,
        deadline=begun + SECONDS,
    )
    text, usage = "", None
    async with aclosing(provider.infill(request)) as stream:
        async for delta in stream:
            text += delta.text
            usage = delta.usage or usage
    is_begun = bool(hole.typed.strip())
    line = (text if is_begun else text.lstrip()).partition("\n")[0].strip()
    return FilledHole(line, (time.monotonic() - begun) * 1000, usage)


def digest(text: str) -> str:
    """Return a short digest of a text, which may hold names that are not UTF-8."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]
