"""One stream from a model, until there is enough of it.

The stream is always closed when this is left: enough, the deadline, an error or a cancellation, and
closing it frees the model.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Protocol

from nearfield.errors import NearfieldError
from nearfield.features.completion.budget import Stopwatch
from nearfield.routing.request_context import Offer, RequestContext
from nearfield.routing.router import Restart, Router
from nearfield.types import Delta, Finish, InfillRequest, Reason, Usage


class Ending(StrEnum):
    """How a stream ended."""

    FINISHED = "finished"  # the model had no more to say
    ENOUGH = "enough"  # the syntax tree had
    LENGTH = "length"  # after so many tokens
    DEADLINE = "deadline"
    UNSURE = "unsure"  # of a token, so that what follows would not be shown
    FAILED = "failed"


_CUT_OFF: dict[Ending | None, Reason] = {
    Ending.LENGTH: Reason.LENGTH,
    Ending.DEADLINE: Reason.DEADLINE,
    Ending.UNSURE: Reason.UNSURE,
}


class Feed(Protocol):
    """What judges a growing answer; `shape.Shaper` in earnest."""

    def feed(self, text: str) -> bool:
        """`text` follows what was fed before; True: that is enough."""
        ...

    def restart(self) -> None:
        """Forget what was fed."""
        ...


@dataclass(slots=True)
class Generated:
    """What has come so far; may be read at any time, also after a cancellation."""

    least: float = float("-inf")
    """A token that is less likely than this (natural logarithm) ends the stream."""
    watch: Stopwatch = field(default_factory=Stopwatch)
    text: str = ""
    logprobs: list[tuple[int, float]] = field(default_factory=list[tuple[int, float]])
    """Of each token: where it begins in the text, and the logarithm of its probability."""
    provider: str = ""
    model: str = ""
    reported: Usage | None = None
    ending: Ending | None = None
    error: NearfieldError | None = None
    asked: frozenset[str] = frozenset()
    """Who was asked, also when nothing came of it."""
    offers: tuple[Offer, ...] = ()
    ended_by: str = ""
    """The control token that ended the text, "" where none did."""
    stumbled: bool = False
    """Whether a candidate before the one that answered failed."""

    @property
    def usage(self) -> Usage | None:
        """What the provider reported; where it has not, what was counted here."""
        if self.reported is None and self.watch.first is None:
            return None
        usage = self.reported or Usage(model=self.model)
        if usage.generated_tokens is None:
            usage = replace(usage, generated_tokens=self.watch.tokens)
        if usage.prefill_ms is None and self.watch.first is not None:
            usage = replace(usage, prefill_ms=(self.watch.first - self.watch.begun) * 1000)
        if usage.decode_ms is None and self.watch.last is not None and self.watch.first is not None:
            usage = replace(usage, decode_ms=(self.watch.last - self.watch.first) * 1000)
        return usage

    def add(self, delta: Delta) -> None:
        """`delta` has come."""
        each = len(delta.text) / max(1, len(delta.logprobs))
        for number, value in enumerate(delta.logprobs):
            self.logprobs.append((len(self.text) + int(number * each), value))
        self.text += delta.text
        self.reported = delta.usage or self.reported
        if delta.text or delta.logprobs:
            self.watch.token(len(delta.logprobs) or 1)
        if delta.finish is Finish.LENGTH:
            self.ending = Ending.LENGTH
        elif delta.finish is Finish.DEADLINE:
            self.ending = Ending.DEADLINE

    def forget(self) -> None:
        """Another provider starts over."""
        self.watch, self.text, self.logprobs = Stopwatch(), "", []
        self.reported = self.ending = None

    @property
    def doubt(self) -> int | None:
        """Where the first token begins that the model was not sure of."""
        return next((start for start, value in self.logprobs if value < self.least), None)

    @property
    def stopped(self) -> bool:
        """Whether nothing is wanted of what may still come."""
        return self.ending in (Ending.ENOUGH, Ending.UNSURE)

    @property
    def cut_off(self) -> Reason:
        """What cut the text off, `SHOWN` when nothing did."""
        return _CUT_OFF.get(self.ending, Reason.SHOWN)

    def whole_lines(self) -> str:
        """The text, or of one that was cut off the lines that are whole, and sure: "" when none
        is."""
        if not self.cut_off:
            return self.text
        sure = len(self.text) if self.ending is not Ending.UNSURE else (self.doubt or 0) + 1
        end = self.text.rfind("\n", 0, sure)
        lines = self.text[: end + 1]
        return lines if lines.strip() else ""


async def generate(
    found: Generated,
    router: Router,
    request: InfillRequest,
    errand: RequestContext,
    feed: Feed,
) -> None:
    """Stream the answer to `request` into `found` until it ends or `feed` says that it is enough.

    Errors of the tree end up in `found.error`; cancellation passes through.
    """
    seconds = None if request.deadline is None else max(0.0, request.deadline - time.monotonic())
    route = router.infill(request, errand)
    try:
        async with asyncio.timeout(seconds), route:
            async for item in route:
                if route.provider is not None:
                    found.provider, found.model = route.provider.name, route.provider.model
                if isinstance(item, Restart):
                    found.forget()
                    feed.restart()
                elif not found.stopped:
                    found.add(item)
                    if item.text and feed.feed(item.text):
                        found.ending = Ending.ENOUGH
                    elif found.doubt is not None:
                        found.ending = Ending.UNSURE
                    if found.stopped:
                        route.enough()
    except TimeoutError:
        # What was enough before somebody better was waited for is whole.
        found.ending = found.ending or Ending.DEADLINE
    except NearfieldError as error:
        late = request.deadline is not None and time.monotonic() >= request.deadline
        found.ending = Ending.DEADLINE if late else Ending.FAILED
        found.error = error
    finally:
        found.asked, found.ended_by = frozenset(route.asked), route.ended_by
        found.offers, found.stumbled = tuple(route.offers), bool(route.failures)
    found.ending = found.ending or Ending.FINISHED
