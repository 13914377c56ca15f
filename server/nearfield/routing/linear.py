"""Patterns that take time linear in the text, whatever pattern and text are.

RE2 promises that, which Python's own `re` cannot, and it lets other threads run meanwhile. It knows
no lookaround and no backreferences.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib import import_module
from typing import Any, Protocol, cast


class Match(Protocol):
    """The part of a match object that is used here."""

    def span(self, group: int = 0) -> tuple[int, int]:
        """Start and end of a group, (-1, -1) for one that took no part."""
        ...


class Pattern(Protocol):
    """A compiled pattern, for text or for bytes as it was made."""

    @property
    def groups(self) -> int:
        """Return the number of groups."""
        ...

    def finditer(self, text: Any) -> Iterator[Match]:
        """Matches from left to right that do not overlap."""
        ...


def compiled(pattern: str) -> Pattern:
    """`pattern` for text. Raises `ValueError`, also for what RE2 does not know."""
    return _compiled(pattern)


def compiled_for_bytes(pattern: str) -> Pattern:
    """`pattern` for bytes, each of which is a character."""
    return _compiled(pattern.encode("ascii"))


@cache
def _compiled(pattern: str | bytes) -> Pattern:
    # Imported late: a server that sends nothing needs none of it.
    re2 = cast("Any", import_module("re2"))
    options = re2.Options()
    options.log_errors = False
    if isinstance(pattern, bytes):
        options.encoding = re2.Options.Encoding.LATIN1
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        said = error.args[0] if error.args else ""
        raise ValueError(said.decode() if isinstance(said, bytes) else str(said)) from error
