"""The snippets that the prompts of one document hold, kept as they are for as long as they serve.

Every change of them makes the model read the whole prompt anew. So what is held stays, in its
order, while the place needs nothing that is missing; what is new comes last; and what nobody needs
goes only where its room is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from nearfield.features.gather import Piece


@dataclass(slots=True)
class Prepared:
    """The `pieces` of one document, in the order of the prompt."""

    MOST_CHARS: ClassVar[int] = 4_000
    """So much is held; a prompt takes what its budget allows."""

    pieces: tuple[Piece, ...] = ()

    def adopt(self, found: Sequence[Piece]) -> bool:
        """`found`, the most helpful last, is what the place needs now; whether anything changed."""
        wanted = {piece.key: piece for piece in found}
        current = {piece.key: piece for piece in self.pieces}
        missing = [piece for piece in found if piece.key not in current and piece.firm]
        same = all(wanted.get(key, piece).text == piece.text for key, piece in current.items())
        if current and same and not missing:
            return False
        if not current:
            missing = list(found)
        kept = [wanted.get(piece.key, piece) for piece in self.pieces]
        idle = [piece for piece in kept if piece.key not in wanted]
        room = self.MOST_CHARS - sum(len(piece.text) for piece in (*kept, *missing))
        for piece in idle:
            if room >= 0:
                break
            kept.remove(piece)
            room += len(piece.text)
        before, self.pieces = self.pieces, (*kept, *missing)
        return before != self.pieces

    def within(self, budget: int) -> list[Piece]:
        """The pieces that fit into `budget` characters, the most helpful ones, in order."""
        chosen: list[Piece] = []
        for piece in sorted(self.pieces, key=lambda one: -one.weight):
            if len(piece.text) <= budget:
                budget -= len(piece.text)
                chosen.append(piece)
        return [piece for piece in self.pieces if piece in chosen]
