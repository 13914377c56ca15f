"""A suggestion or an edit that the user has accepted, as the features tell it to the provenance."""

from __future__ import annotations

from dataclasses import dataclass, field

from nearfield.types import Span


@dataclass(frozen=True, slots=True)
class Origin:
    """The provider and model of a text, "" for a rule of our own, and the hash of its prompt
    (`documents.prompt_hash`)."""

    provider: str = ""
    model: str = ""
    prompt: str = ""


@dataclass(frozen=True, slots=True)
class Accepted:
    """Code that has entered the file at `path`, whose text is `after` with it.

    `span` is its place; None for an edit, whose lines are those that `before` does not have. Later
    parts of one suggestion have the same `id`, and each covers the ones before. `at` is in seconds
    since the epoch.
    """

    id: str
    kind: str
    path: str
    root: str | None
    after: str
    at: float
    span: Span | None = None
    before: str = ""
    origin: Origin = field(default_factory=Origin)
