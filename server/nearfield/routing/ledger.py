"""The words of the ledger: what is recorded of a request that leaves, and what is asked of it.

Plain data; `store.Store` keeps it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path

import platformdirs

from nearfield.errors import NotPermitted
from nearfield.routing.request_context import Consent

DATA_DIR_VARIABLE = "NEARFIELD_DATA_DIR"
SENDING = "sending"
"""The outcome of an entry from before the request until its end; one that keeps it was cut off."""


class LedgerError(NotPermitted):
    """The file cannot be read or written; then nothing is sent."""


def data_dir(environ: Mapping[str, str] | None = None) -> Path:
    """The user's data directory of Nearfield; nothing is created."""
    environ = os.environ if environ is None else environ
    moved = environ.get(DATA_DIR_VARIABLE, "")
    return Path(moved) if moved else platformdirs.user_data_path("nearfield", appauthor=False)


@dataclass(frozen=True, slots=True)
class Sending:
    """What the ledger says about a request before it goes out. `files` are (path, start, end) with
    None for a whole file, `redactions` counts by kind, `digest` the SHA-256 of the redacted text,
    `content` that text itself where the user wants it kept."""

    workspace: str
    provider: str
    model: str
    destination: str
    task: str
    files: tuple[tuple[str, int | None, int | None], ...]
    bytes: int
    redactions: tuple[tuple[str, int], ...]
    digest: str
    content: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the ledger. `at` is in seconds since the epoch, `price` in US dollars, None when
    unknown; `outcome` is "answered", "cancelled", an error's name, or `SENDING`."""

    id: int
    at: float
    sending: Sending
    outcome: str
    tokens_in: int | None
    tokens_out: int | None
    price: Decimal | None


@dataclass(frozen=True, slots=True)
class Said:
    """What the user has decided about one provider in one workspace, and when."""

    workspace: str
    provider: str
    destination: str
    consent: Consent
    at: float

    def row(self) -> dict[str, object]:
        """It as programs read it."""
        return {**asdict(self), "consent": self.consent.value}


@dataclass(frozen=True, slots=True)
class Spent:
    """Dollars of the requests whose price is known, and how many have none."""

    dollars: Decimal
    unknown: int


@dataclass(frozen=True, slots=True)
class LocalUse:
    """What one model on this machine did on one day."""

    day: str
    task: str
    provider: str
    model: str
    requests: int
    tokens_in: int
    tokens_out: int


@dataclass(frozen=True, slots=True)
class Filter:
    """Which entries: all conditions that are set must hold. Times are seconds since the epoch,
    `workspace` is a path, `provider` and `task` are names, `outcome` its beginning."""

    since: float | None = None
    until: float | None = None
    workspace: str | None = None
    provider: str | None = None
    task: str | None = None
    outcome: str | None = None
