"""Which suggestions the user took, whether the client says so or not.

Clients that know of it report what was shown and accepted; others only send the edit. An edit that
puts the whole suggestion, or a beginning of it that no single keystroke types, where the suggestion
was offered, is an acceptance.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from nearfield.types import Edit, Suggestion

OFFERS_KEPT = 200
"""Suggestions that can still be reported on; a client reports within seconds."""

PARTIAL_CHARS = 2
"""The shortest insertion taken for a partly accepted suggestion: one character is a keystroke."""


class Taken(StrEnum):
    """How far a suggestion came, each step further than the one before."""

    OFFERED = "offered"
    SHOWN = "shown"
    PARTIAL = "partial"
    ACCEPTED = "accepted"


_ORDER = list(Taken)


@dataclass(slots=True)
class Offer:
    """A suggestion given to a client for the document `uri`; `begin` is where its text begins."""

    uri: str
    begin: int
    suggestion: Suggestion
    taken: Taken = Taken.OFFERED


class Acceptance:
    """The offers of the recent past. `counts` says how many suggestions came how far."""

    def __init__(self) -> None:
        self._offers: OrderedDict[str, Offer] = OrderedDict()
        self._open: dict[str, list[Offer]] = {}
        self.counts: Counter[Taken] = Counter()

    def offered(self, uri: str, suggestions: Sequence[Suggestion]) -> None:
        """These were given to the client; they replace what was open for the document."""
        self._open[uri] = [Offer(uri, s.replace.start, s) for s in suggestions]
        for offer in self._open[uri]:
            self._offers[offer.suggestion.id] = offer
            self.counts[Taken.OFFERED] += 1
        while len(self._offers) > OFFERS_KEPT:
            self._offers.popitem(last=False)

    def report(self, suggestion_id: str, taken: Taken) -> str | None:
        """The client says so. Answers the document's uri, None for an id that is not known."""
        offer = self._offers.get(suggestion_id)
        if offer is None:
            return None
        self._advance(offer, taken)
        return offer.uri

    def infer(self, uri: str, edits: Sequence[Edit]) -> bool:
        """The document changed by `edits`: was it an open suggestion, or a beginning of it?

        Typing along a suggestion keeps it open; any other edit closes it.
        """
        found = False
        for edit in edits:
            still_open: list[Offer] = []
            for offer in self._open.get(uri, ()):
                step = _step(offer, edit)
                if step is None:
                    continue
                if step is not Taken.SHOWN:
                    found = True
                    self._advance(offer, step)
                if step is not Taken.ACCEPTED:
                    still_open.append(offer)
            self._open[uri] = still_open
        return found

    def closed(self, uri: str) -> None:
        """The document is gone; what was offered may still be reported on."""
        self._open.pop(uri, None)

    def _advance(self, offer: Offer, taken: Taken) -> None:
        if _ORDER.index(taken) > _ORDER.index(offer.taken):
            offer.taken = taken
            self.counts[taken] += 1


def _step(offer: Offer, edit: Edit) -> Taken | None:
    """What `edit` does with the offer: ACCEPTED, PARTIAL, SHOWN (typed along), None (something
    else)."""
    text, begin = offer.suggestion.text, offer.begin
    at = edit.span.start - begin
    if not 0 <= at < len(text) or not edit.text or not text.startswith(edit.text, at):
        return None
    end = at + len(edit.text)
    if len(edit.text) < min(PARTIAL_CHARS, len(text)) or not any(map(str.isalnum, edit.text)):
        return Taken.ACCEPTED if at == 0 and end == len(text) else Taken.SHOWN
    return Taken.ACCEPTED if end == len(text) else Taken.PARTIAL
