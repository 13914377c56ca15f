"""Other suggestions at the cursor, after a manual request.

The first suggestion never waits for them. They are generated after it, one after the other, and
each begins differently from those before. Any other request and any edit ends the work. If the
first answer cannot be shown, because it repeats the document or breaks its syntax, the first
alternative takes its place.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from nearfield.features.completion.answers import CachedCompletion
from nearfield.features.completion.postprocess import Shaped
from nearfield.features.idle import IdleScheduler
from nearfield.types import CompletionRequest

FIND = "find alternatives"
"""The name of the job, which a keystroke ends."""
MAX_ALTERNATIVES = 2
"""Suggestions beside the first one."""

MIN_ALTERNATIVE_LOGPROB = -4.0
"""A token below 2 % was forced on the model, or the model has lost its way."""

Candidate = tuple[Shaped, CachedCompletion]

OneMore = Callable[
    [CompletionRequest, tuple[str, ...], float], Awaitable[tuple[str, Candidate | None]]
]
"""Answers a request before a deadline, in a way that begins differently from the given texts.
Returns the model's text ("" for none) and its shaped form."""


class Alternatives:
    """Up to `MAX_ALTERNATIVES` other suggestions at one cursor, found one after the other by a
    background task; each begins differently from those before.

    `has_first` is set when there is one, or when there will be none.
    """

    def __init__(
        self,
        scheduler: IdleScheduler,
        one_more: OneMore,
        request: CompletionRequest,
        first: str,
        deadline: float,
    ) -> None:
        self.request = request
        self.candidates: list[Candidate] = []
        self.has_first = asyncio.Event()
        self._one_more = one_more
        self.task = scheduler.run(FIND, self._find(first, deadline))

    def is_for(self, request: CompletionRequest) -> bool:
        """Return whether `request` is at the same cursor of the same text, and the search for it
        has not been ended."""
        if self.task.cancelled() or self.task.cancelling():
            return False
        mine, other = self.request.snapshot, request.snapshot
        return (
            (mine.uri, self.request.offset, self.request.selected)
            == (other.uri, request.offset, request.selected)
            and mine.text == other.text
            and mine.above == other.above
        )

    async def _find(self, first: str, deadline: float) -> None:
        beginnings, shown = [first], {" ".join(first.split())}
        try:
            for _ in range(MAX_ALTERNATIVES + 1):
                text, candidate = await self._one_more(self.request, tuple(beginnings), deadline)
                if not text.strip() or text in beginnings:
                    return  # there is no other, or it cannot be made to begin differently
                beginnings.append(text)
                if candidate is None or not candidate[0].text:
                    continue
                completion = candidate[1]
                words = " ".join(completion.text.split())
                confidence = completion.confidence
                is_forced = confidence and confidence.min_logprob < MIN_ALTERNATIVE_LOGPROB
                if words in shown or is_forced:
                    continue
                shown.add(words)
                self.candidates.append(candidate)
                self.has_first.set()
                if len(self.candidates) == MAX_ALTERNATIVES:
                    return
        finally:
            self.has_first.set()


class AlternativeSearch:
    """The search for alternatives at the cursor where they were wanted last; there is one at a
    time. `found` is None while none is wanted."""

    def __init__(self, scheduler: IdleScheduler, one_more: OneMore) -> None:
        self.found: Alternatives | None = None
        self._scheduler = scheduler
        self._one_more = one_more

    def begin(self, request: CompletionRequest, first: str, deadline: float) -> Alternatives:
        """Look for alternatives to `first`, unless that is under way or done at this cursor."""
        self.leave(request)
        if self.found is None:
            self.found = Alternatives(self._scheduler, self._one_more, request, first, deadline)
        return self.found

    def at(self, request: CompletionRequest) -> Sequence[Candidate]:
        """Return what has been found for `request`."""
        found = self.found
        return found.candidates if found is not None and found.is_for(request) else ()

    def leave(self, request: CompletionRequest) -> None:
        """Stop the search unless it is for `request`."""
        if self.found is not None and not self.found.is_for(request):
            self.stop()

    def stop(self, uri: str | None = None) -> None:
        """Stop and drop the search in that document, or in any."""
        if self.found is not None and uri in (None, self.found.request.snapshot.uri):
            self.found.task.cancel()
            self.found = None
