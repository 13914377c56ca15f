"""Up to two suggestions beside the first one, for whoever asks by a key.

The first one never waits for them: they are asked for when it is done, one after the other, each
beginning otherwise than those before. Somebody who asks again at the same place gets them all. Any
other question, and any edit, ends the work. Where the first cannot be shown, as it repeats what is
there or would break the syntax, the first of them takes its place.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from nearfield.features.completion.answer_cache import Said
from nearfield.features.completion.request import CompletionAsk
from nearfield.features.completion.shape import Shaped
from nearfield.tasks import run_task
from nearfield.types import Cell, Reason, Selected

MOST = 2
"""Beside the first."""

LEAST_LOGPROB = -4.0
"""Below this the beginning was forced upon the model, or it wrote itself into nonsense: a token of
less than two in a hundred."""

UNFIT = frozenset({Reason.REPEATS, Reason.SYNTAX})
"""Why the first is not shown, though the model has said something."""

UNNOTICED_MS = 150.0
"""Where all of them take no longer than this, they are waited for at once."""


@dataclass(frozen=True, slots=True)
class Alternative:
    """One more answer: `text` as the model wrote it, "" for none, and what may be shown of it."""

    text: str
    shaped: Shaped | None = None
    said: Said | None = None


Ask = Callable[[CompletionAsk, tuple[str, ...], float], Awaitable[Alternative]]
"""One more answer to the question that begins otherwise than these texts, before that moment."""

Place = tuple[str, str, tuple[Cell, ...] | None, int, Selected | None]


class Alternatives:
    """Those of one place at a time."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._place: Place | None = None
        self._found: list[tuple[Shaped, Said]] = []
        self._task: asyncio.Task[None] | None = None
        self._one = asyncio.Event()
        """There is one, or there will be none."""

    def begin(self, ask: CompletionAsk, first: str, deadline: float) -> None:
        """Look for others than `first`, unless that was done, or is being done, at this place."""
        place = _place(ask)
        if place == self._place:
            return
        self.stop()
        self._place, self._one = place, asyncio.Event()
        self._task = run_task(self._make(ask, first, deadline), "make alternatives")

    async def wait(self, seconds: float) -> None:
        """Until all are there, at most so long."""
        if self._task is not None and not self._task.done():
            await asyncio.wait({self._task}, timeout=seconds)

    async def one(self, seconds: float) -> None:
        """Until one is there, or there will be none, at most so long."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._one.wait(), seconds)

    def at(self, ask: CompletionAsk) -> tuple[tuple[Shaped, Said], ...]:
        """What has been found there."""
        return tuple(self._found) if _place(ask) == self._place else ()

    def leave(self, ask: CompletionAsk) -> None:
        """The next question is `ask`: work for another place ends."""
        if _place(ask) != self._place:
            self.stop()

    def stop(self, uri: str | None = None) -> None:
        """End the work and forget what was found: for that document, or whichever it is."""
        if self._place is None or uri not in (None, self._place[0]):
            return
        if self._task is not None:
            self._task.cancel()
        self._place, self._task, self._found = None, None, []

    async def _make(self, ask: CompletionAsk, first: str, deadline: float) -> None:
        one = self._one
        try:
            await self._find(ask, first, deadline)
        finally:
            one.set()

    async def _find(self, ask: CompletionAsk, first: str, deadline: float) -> None:
        found = self._found
        begun, shown = [first], {_plain(first)}
        for _ in range(MOST + 1):
            other = await self._ask(ask, tuple(begun), deadline)
            if not other.text.strip() or other.text in begun:
                return  # there is no more, or it cannot be told to begin otherwise
            begun.append(other.text)
            if other.shaped is None or other.said is None or not other.shaped.text:
                continue
            least = other.said.confidence.least if other.said.confidence else 0.0
            if _plain(other.said.text) in shown or least < LEAST_LOGPROB:
                continue
            shown.add(_plain(other.said.text))
            found.append((other.shaped, other.said))
            self._one.set()
            if len(found) == MOST:
                return


def _place(ask: CompletionAsk) -> Place:
    return ask.snapshot.uri, ask.snapshot.text, ask.snapshot.above, ask.offset, ask.selected


def _plain(text: str) -> str:
    return " ".join(text.split())
