"""Types of the ledger: the record of a request that leaves, and the filter of a query.

Plain data; `store.Store` keeps it.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from nearfield.errors import NotPermitted


class RequestOutcome(StrEnum):
    """The end of a request that left this machine; a failed one has its error's name instead."""

    SENDING = "sending"
    """From before the request until its end; an entry that keeps it was cut off."""
    ANSWERED = "answered"
    CANCELLED = "cancelled"


class LedgerError(NotPermitted):
    """The file cannot be read or written; then nothing is sent."""


@dataclass(frozen=True, slots=True)
class Sending:
    """The ledger's record of a request before it is sent. `files` are (path, start, end) with None
    for a whole file; `redactions` counts by kind. `digest` is the SHA-256 of the redacted text,
    `content` that text itself if the user wants it kept.
    """

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
class LedgerEntry:
    """A row of the ledger. `at` is in seconds since the epoch, `price` in US dollars, None when
    unknown; `outcome` is an `RequestOutcome` or the name of an error.
    """

    id: int
    at: float
    sending: Sending
    outcome: str
    tokens_in: int | None
    tokens_out: int | None
    price: Decimal | None

    def row(self, full: bool = False) -> dict[str, Any]:
        """Return the entry as programs read it; `full` with the hash and, where it was kept, the
        text."""
        sending = self.sending
        row: dict[str, Any] = {
            "id": self.id,
            "at": self.at,
            "workspace": sending.workspace,
            "provider": sending.provider,
            "model": sending.model,
            "destination": sending.destination,
            "task": sending.task,
            "files": [
                {"path": path, "start": start, "end": end} for path, start, end in sending.files
            ],
            "bytes": sending.bytes,
            "redactions": dict(sending.redactions),
            "tokens_in": self.tokens_in,
            "tokens_out": self.tokens_out,
            "price": self.price,
            "outcome": self.outcome,
        }
        return row | {"sha256": sending.digest, "content": sending.content} if full else row


@dataclass(frozen=True, slots=True)
class Spending:
    """Dollars of the requests whose price is known, and how many have none."""

    dollars: Decimal
    unknown: int


@dataclass(frozen=True, slots=True)
class LocalUse:
    """The use of one model on this machine on one day."""

    day: str
    task: str
    provider: str
    model: str
    requests: int
    tokens_in: int
    tokens_out: int


@dataclass(frozen=True, slots=True)
class EntryFilter:
    """A filter of entries: all conditions that are set must hold. Times are seconds since the
    epoch, `workspace` is a path, `provider` and `task` are names, `outcome` is a prefix of it.
    `before` is the number of a later entry.
    """

    since: float | None = None
    until: float | None = None
    workspace: str | None = None
    provider: str | None = None
    task: str | None = None
    outcome: str | None = None
    before: int | None = None
