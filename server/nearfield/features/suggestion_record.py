"""The record of one answered request: numbers and names of models, never text of a document."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Taken(StrEnum):
    """The stages of a suggestion, in increasing order."""

    NONE = "none"  # there was no suggestion
    OFFERED = "offered"
    SHOWN = "shown"
    CONTINUED = "continued"  # typed along, and the rest was offered again: counted there
    PARTIAL = "partial"
    ACCEPTED = "accepted"


@dataclass(slots=True, eq=False)
class SuggestionRecord:
    """A request, answered `at` (seconds since the epoch; 0: not to be stored) after `ms`.

    `reason` says why nothing was shown. `chars` and `lines` are of the first suggestion. `saved`
    counts characters that were accepted instead of typed; `survived` is the share of these that
    is left half a minute later (0..1, None while unknown). `stages` are parts of `ms` by name, of a
    next edit. `trial` says to which arm of which trial it belongs. `id` is assigned by the
    database.
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
    stages: dict[str, float] = field(default_factory=dict[str, float])
    trial: str = ""
