"""The part of an editor that shows suggestions, as the person's session drives it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from screen import Screen


@dataclass(frozen=True, slots=True)
class Edit:
    """A replacement of `removed` characters at `offset` by `added`."""

    offset: int
    removed: int
    added: str


@dataclass(slots=True)
class Spent:
    """The cost of a session: tokens, the engine's seconds, all processor seconds (None where the
    clock is simulated), milliseconds until the server had handled a key, and why nothing came.
    `answers` are the traces of requests that were answered."""

    evaluated: int = 0
    generated: int = 0
    engine_s: float = 0.0
    cpu_s: float | None = None
    keys_ms: list[float] = field(default_factory=list[float])
    reasons: dict[str, int] = field(default_factory=dict[str, int])
    answers: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])


class Completer(Protocol):
    """Offsets are in characters. Everything but `start` and `close` returns at once."""

    async def start(self, screen: Screen) -> None:
        """Be ready."""
        ...

    async def open(self, name: str, text: str) -> None:
        """Open the only file."""
        ...

    def moved(self, text: str, cursor: int, edit: Edit | None) -> None:
        """The text is `text` and the cursor at `cursor`; `edit` has led there, None for a jump."""
        ...

    def accepted(self) -> None:
        """The person has taken what is shown, or a part of it; the edit follows."""
        ...

    def spent(self) -> Spent:
        """Return the cost since `open`."""
        ...

    async def close(self) -> None:
        """End."""
        ...


class Nobody:
    """An editor without suggestions."""

    async def start(self, screen: Screen) -> None:
        """See `Completer`."""

    async def open(self, name: str, text: str) -> None:
        """See `Completer`."""

    def moved(self, text: str, cursor: int, edit: Edit | None) -> None:
        """See `Completer`."""

    def accepted(self) -> None:
        """See `Completer`."""

    def spent(self) -> Spent:
        """See `Completer`."""
        return Spent()

    async def close(self) -> None:
        """See `Completer`."""
