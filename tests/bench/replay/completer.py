"""What a session is played to, and the account of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from sessions import Kind

GIVE_UP_SECONDS = 20.0
"""Nobody looks longer for a suggestion."""


@dataclass(slots=True)
class Cost:
    """One request to the model. `idle`: nobody waited for it."""

    kind: Kind
    evaluated: int
    reused: int
    generated: int
    idle: bool = False


@dataclass(slots=True)
class Looked:
    """One place where the person waited for a suggestion: how long it took (ms), what came."""

    kind: Kind
    ms: float
    shown: str
    wanted: str = ""


class Completer(Protocol):
    """A completer in an editor. Offsets are in characters."""

    name: str
    costs: list[Cost]

    def start(self) -> None:
        """Start, also again, and be ready."""
        ...

    def open(self, name: str, text: str) -> None:
        """Go to a file."""
        ...

    def edit(self, kind: Kind, text: str, offset: int, removed: int, added: str) -> None:
        """The file's text is `text` now. Ask for a suggestion behind what was added."""
        ...

    def look(self, kind: Kind, text: str, offset: int) -> Looked:
        """Wait for the suggestion at `offset`; ask, if nobody has."""
        ...

    def close(self) -> None:
        """End."""
        ...
