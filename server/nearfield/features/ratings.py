"""The user's own word on an answer, good or bad, with the model that gave it. No text is kept."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass

from nearfield.config.schema import Config
from nearfield.errors import NearfieldError
from nearfield.features.metrics.store import RecordStore
from nearfield.types import Surface, Trace

KINDS = {
    Surface.CHAT: "chat",
    Surface.ACTION: "action",
    Surface.REVIEW: "review",
    Surface.EXPLANATION: "explanation",
    Surface.GENERATED: "generated",
    Surface.COMMIT_MESSAGE: "commit message",
}
"""The answers that can be rated, by their words. Completions and next edits are rated by being
taken."""


class NotRated(NearfieldError):
    """Nothing was rated."""


@dataclass(frozen=True, slots=True)
class RatedAnswer:
    """An answer that was rated: its kind, and the model that gave it."""

    kind: str
    model: str
    good: bool


def rate_last(newest_first: Iterable[Trace], config: Config, *, good: bool) -> RatedAnswer:
    """Record whether the last answer in words or edits was good; blocks. Raises `NotRated` where
    there is none or nothing is recorded, and `RecordUnusable`."""
    if not config.completion.record:
        raise NotRated("Nothing is recorded.", "`completion.record` is off in your settings.")
    last = next((one for one in newest_first if _is_rateable(one)), None)
    if last is None:
        raise NotRated("There is no answer to rate yet.")
    rated = RatedAnswer(KINDS[last.surface], last.model, good)
    with closing(RecordStore()) as store:
        store.rate(time.time(), rated.kind, last.provider, last.model, good=good)
    return rated


def _is_rateable(trace: Trace) -> bool:
    return trace.surface in KINDS and trace.shown and bool(trace.provider)
