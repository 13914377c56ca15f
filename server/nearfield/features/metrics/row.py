"""One answered question as it is kept: numbers and names of models, never text of a document."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Taken(StrEnum):
    """How far a suggestion came, each step further than the one before."""

    NONE = "none"  # there was none
    OFFERED = "offered"
    SHOWN = "shown"
    CONTINUED = "continued"  # typed along, and the rest of it was offered again: counted there
    PARTIAL = "partial"
    ACCEPTED = "accepted"


@dataclass(slots=True, eq=False)
class Row:
    """One question, answered `at` (seconds since the epoch; 0: not to be kept). `ms` is from the
    request to the answer, `reason` why nothing was shown.

    `chars` and `lines` are of the first suggestion. `saved` counts characters that the user took
    instead of typing them, `survived` is the share of these that stands there half a minute later
    (0..1, None while not known). `id` is given by the file.
    """

    at: float
    method: str = ""
    language: str = ""
    situation: str = ""
    provider: str = ""
    model: str = ""
    reason: str = ""
    ms: float = 0.0
    evaluated: int = 0
    reused: int = 0
    generated: int = 0
    confidence: float | None = None
    chars: int = 0
    lines: int = 0
    taken: Taken = Taken.NONE
    saved: int = 0
    survived: float | None = None
    id: int | None = None
