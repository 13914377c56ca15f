"""Which suggestions the user took, whether the client says so or not, and what stayed of them.

Clients that know of it report what was shown and accepted; others only send the edit. An edit that
puts the whole suggestion, or a beginning of it that no single keystroke types, where the suggestion
was offered, is an acceptance.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from nearfield.features.feature import Feature
from nearfield.features.metrics.row import Row, Taken
from nearfield.features.metrics.survival import Watch
from nearfield.types import Edit, Span, Suggestion

__all__ = ["Acceptance", "Taken"]

OFFERS_KEPT = 200
"""Suggestions that can still be reported on; a client reports within seconds."""

PARTIAL_CHARS = 2
"""The shortest insertion taken for a partly accepted suggestion: one character is a keystroke."""

SURVIVAL_SECONDS = 30.0
"""After so long somebody who did not want it has changed it."""

_ORDER = list(Taken)

TextOf = Callable[[str], str | None]
"""The text of the document of that uri as it is now, None when it is gone."""


@dataclass(slots=True)
class Offer:
    """A suggestion given to a client for the document `uri`; `begin` is where its text begins,
    `put` how many characters of it edits have put in."""

    uri: str
    begin: int
    suggestion: Suggestion
    row: Row
    taken: Taken = Taken.OFFERED
    put: int = 0


@dataclass(slots=True)
class _Watched:
    """What was taken of an offer, until it is looked at again."""

    offer: Offer
    watch: Watch
    timer: asyncio.TimerHandle | None = field(default=None)


class Acceptance(Feature):
    """The offers of the recent past. `counts` says how many suggestions came how far.

    `on_change` hears of every row that has changed; `text_of` lends the documents' texts.
    """

    def __init__(
        self,
        text_of: TextOf = lambda uri: None,
        on_change: Callable[[Row], None] = lambda row: None,
    ) -> None:
        self.survival_seconds = SURVIVAL_SECONDS
        self.counts: Counter[Taken] = Counter()
        self._text_of = text_of
        self._on_change = on_change
        self._offers: OrderedDict[str, Offer] = OrderedDict()
        self._open: dict[str, list[Offer]] = {}
        self._watched: list[_Watched] = []

    def offered(self, uri: str, suggestions: Sequence[Suggestion], row: Row | None = None) -> None:
        """These were given to the client; they replace what was open for the document."""
        row = row or Row(0.0)
        fresh = [Offer(uri, s.replace.start, s, row) for s in suggestions]
        for older in self._open.get(uri, ()):
            if any(_goes_on(older, newer) for newer in fresh):
                self._advance(older, Taken.CONTINUED)
        self._open[uri] = fresh
        for offer in fresh:
            self._offers[offer.suggestion.id] = offer
            self.counts[Taken.OFFERED] += 1
        while len(self._offers) > OFFERS_KEPT:
            self._offers.popitem(last=False)
        if fresh:
            first = fresh[0].suggestion.text
            row.taken, row.chars, row.lines = Taken.OFFERED, len(first), first.count("\n") + 1
            self._on_change(row)

    def report(self, suggestion_id: str, taken: Taken) -> str | None:
        """The client says so. Answers the document's uri, None for an id that is not known."""
        offer = self._offers.get(suggestion_id)
        if offer is None:
            return None
        self._advance(offer, taken)
        if taken is Taken.ACCEPTED and not offer.put:
            self._took(offer, len(offer.suggestion.text))
        return offer.uri

    def infer(self, uri: str, edits: Sequence[Edit]) -> bool:
        """The document changed by `edits`: was it an open suggestion, or a beginning of it?

        Typing along a suggestion keeps it open; any other edit closes it.
        """
        found = False
        for edit in edits:
            for watched in self._watched:
                if watched.offer.uri == uri:
                    watched.watch.follow(edit)
            still_open: list[Offer] = []
            for offer in self._open.get(uri, ()):
                step = _step(offer, edit)
                if step is None:
                    continue
                if step is not Taken.SHOWN:
                    found = True
                    self._advance(offer, step)
                    offer.put += len(edit.text)
                    self._took(offer, edit.span.start - offer.begin + len(edit.text))
                if step is not Taken.ACCEPTED:
                    still_open.append(offer)
            self._open[uri] = still_open
        return found

    def closed(self, uri: str) -> None:
        """The document is going; what was offered may still be reported on."""
        self._open.pop(uri, None)
        for watched in [one for one in self._watched if one.offer.uri == uri]:
            self._look(watched)

    async def aclose(self) -> None:
        """Look at once at all that was to be looked at later."""
        for watched in tuple(self._watched):
            self._look(watched)

    def _advance(self, offer: Offer, taken: Taken) -> None:
        if _ORDER.index(taken) > _ORDER.index(offer.taken):
            offer.taken = taken
            self.counts[taken] += 1
            if _ORDER.index(taken) > _ORDER.index(offer.row.taken):
                offer.row.taken = taken
            self._on_change(offer.row)

    def _took(self, offer: Offer, chars: int) -> None:
        """The first `chars` of it stand in the document now, or will in a moment."""
        offer.row.saved = offer.put or chars
        self._on_change(offer.row)
        for watched in [one for one in self._watched if one.offer is offer]:
            self._forget(watched)
        text = offer.suggestion.text[:chars]
        watched = _Watched(offer, Watch(text, Span(offer.begin, offer.begin + chars)))
        self._watched.append(watched)
        watched.timer = asyncio.get_running_loop().call_later(
            self.survival_seconds, self._look, watched
        )

    def _look(self, watched: _Watched) -> None:
        """Compare what is there now with what was put there."""
        self._forget(watched)
        text = self._text_of(watched.offer.uri)
        if text is not None:
            watched.offer.row.survived = round(watched.watch.survived(text), 3)
            self._on_change(watched.offer.row)

    def _forget(self, watched: _Watched) -> None:
        if watched.timer is not None:
            watched.timer.cancel()
        if watched in self._watched:
            self._watched.remove(watched)


def _goes_on(older: Offer, newer: Offer) -> bool:
    """Whether the newer one is what is left of the older one, which was typed along, or the same
    again."""
    typed = newer.begin - older.begin
    text = older.suggestion.text
    return 0 <= typed < len(text) and text[typed:] == newer.suggestion.text


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
