"""Consent: what the user has said about sending code of a workspace to one provider."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum


class Consent(StrEnum):
    """The user's decision; all values but `UNASKED` are answers to an offer."""

    UNASKED = "unasked"
    ONCE = "once"
    WORKSPACE = "workspace"
    NEVER = "never"

    @property
    def allows(self) -> bool:
        """Return whether something may be sent."""
        return self in (Consent.ONCE, Consent.WORKSPACE)


ANSWERS = (Consent.ONCE, Consent.WORKSPACE, Consent.NEVER)
"""The choices that an offer is answered with."""


@dataclass(frozen=True, slots=True)
class ConsentRecord:
    """A remembered decision. `at` is in seconds since the epoch."""

    workspace: str
    provider: str
    destination: str
    consent: Consent
    at: float

    def row(self) -> dict[str, object]:
        """Return a dict that JSON can hold."""
        return {**asdict(self), "consent": self.consent.value}
