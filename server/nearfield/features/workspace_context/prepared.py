"""The snippets that the prompts of one document hold, kept as they are for as long as they serve.

Every change of them makes the model read the whole prompt anew. So what is held stays, in its
order, while the place needs nothing that is missing; what is new comes last; and what nobody needs
goes only where its room is needed.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from nearfield.features.workspace_context.snippets import ContextSnippet


@dataclass(slots=True)
class Prepared:
    """The `pieces` of one document, in the order of the prompt."""

    MOST_CHARS: ClassVar[int] = 4_000
    """So much is held; a prompt takes what its budget allows."""

    CHANGE_SECONDS: ClassVar[float] = 15.0
    """They change no more often than this, whatever is missing: reading a prompt anew is some ten
    seconds of work for a small machine."""

    pieces: tuple[ContextSnippet, ...] = ()
    changed_at: float = 0.0

    def adopt(self, found: Sequence[ContextSnippet]) -> bool:
        """`found`, the most helpful last, is what the place needs now; whether anything changed."""
        if not self.lacks(found):
            return False
        wanted = {piece.key: piece for piece in found}
        missing = _missing(found, self.pieces) if self.pieces else list(found)
        kept = [wanted.get(piece.key, piece) for piece in self.pieces]
        idle = [piece for piece in kept if piece.key not in wanted]
        room = self.MOST_CHARS - sum(len(piece.text) for piece in (*kept, *missing))
        for piece in idle:
            if room >= 0:
                break
            kept.remove(piece)
            room += len(piece.text)
        before, self.pieces = self.pieces, (*kept, *missing)
        if before == self.pieces:
            return False
        self.changed_at = time.monotonic()
        return True

    def lacks(self, found: Sequence[ContextSnippet]) -> bool:
        """Return whether what is held is not good enough where `found` is what is needed."""
        if not self.pieces:
            return bool(found)
        wanted = {piece.key: piece for piece in found}
        same = all(wanted.get(piece.key, piece).text == piece.text for piece in self.pieces)
        return not same or bool(_missing(found, self.pieces))

    @property
    def steady_seconds(self) -> float:
        """How long it shall stay as it is yet."""
        if not self.pieces:
            return 0.0
        return max(self.changed_at + self.CHANGE_SECONDS - time.monotonic(), 0.0)

    def within(self, budget: int) -> list[ContextSnippet]:
        """The pieces that fit into `budget` characters, the most helpful ones, in order."""
        chosen: list[ContextSnippet] = []
        for piece in sorted(self.pieces, key=lambda one: -one.weight):
            if len(piece.text) <= budget:
                budget -= len(piece.text)
                chosen.append(piece)
        return [piece for piece in self.pieces if piece in chosen]


def _missing(
    found: Sequence[ContextSnippet], held: Sequence[ContextSnippet]
) -> list[ContextSnippet]:
    """The firm ones of `found` that are not held."""
    keys = {piece.key for piece in held}
    return [piece for piece in found if piece.firm and piece.key not in keys]
