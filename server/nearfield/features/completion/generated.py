"""The text that a model has written for a completion, how sure it was, and why it ended."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from nearfield.config.schema import Completion
from nearfield.errors import NearfieldError
from nearfield.files.lines import plain_breaks
from nearfield.routing.request_context import Offer
from nearfield.types import Delta, Finish, Reason, Usage


class Ending(StrEnum):
    """The way a stream ended."""

    FINISHED = "finished"  # the model wrote its end token
    ENOUGH = "enough"  # the statement, block or scope is complete
    LENGTH = "length"  # `max_tokens` were written
    DEADLINE = "deadline"
    UNSURE = "unsure"  # a token was so unlikely that the text after it would not be shown
    FAILED = "failed"


_CUT_OFF: dict[Ending | None, Reason] = {
    Ending.LENGTH: Reason.LENGTH,
    Ending.DEADLINE: Reason.DEADLINE,
    Ending.UNSURE: Reason.UNSURE,
}


MIN_PART_CHARS = 4
"""Characters of a line's beginning that are worth reading."""

FORGIVING_MEAN = -0.15
"""A text with at least this mean log-probability may have a token below the threshold: there it is
mostly one of two good ways to write the same, such as with a space or without. It is waited for
only where too little comes before that token to be shown."""

MAX_FORGIVEN = 3.0
"""A token below this many times the threshold is never forgiven."""


@dataclass(slots=True)
class Stopwatch:
    """When a stream began and sent its first and its last token (s), and how many it sent."""

    begun: float = field(default_factory=time.monotonic)
    first: float | None = None
    last: float | None = None
    tokens: int = 0

    def token(self, count: int) -> None:
        """Count tokens that have just arrived."""
        self.last = time.monotonic()
        self.first = self.last if self.first is None else self.first
        self.tokens += count


@dataclass(frozen=True, slots=True)
class Confidence:
    """Log-probabilities of a text's tokens (natural logarithm): the mean and the minimum."""

    mean: float
    min_logprob: float

    def is_below(self, threshold: float) -> bool:
        """Return whether the text has a token below `threshold` that is not forgiven."""
        most = MAX_FORGIVEN if self.mean >= FORGIVING_MEAN else 1.0
        return self.min_logprob < most * threshold


def confidence_of(logprobs: Sequence[tuple[int, float]], chars: int) -> Confidence | None:
    """Return the confidence in the first `chars` characters of a text; None if nothing is known.

    `logprobs` has each token's offset and log-probability. Tokens after `chars` do not count: a
    stream runs a token or two past the text that is shown.
    """
    shown = [value for start, value in logprobs if start < max(1, chars)]
    return Confidence(sum(shown) / len(shown), min(shown)) if shown else None


def is_unsure(confidence: Confidence | None, settings: Completion) -> bool:
    """Return whether a confidence is below the settings' thresholds; an unknown one never is.

    What the default thresholds cost and save is in tests/bench/RESULTS.md (A typist's keys).
    """
    return confidence is not None and (
        confidence.mean < settings.min_confidence
        or confidence.is_below(settings.min_token_confidence)
    )


@dataclass(slots=True)
class Generated:
    """The text up to now; may be read at any time, also after a cancellation.

    A token below `min_logprob` ends the stream, unless it may be forgiven. `pieces` are the deltas
    that tell how likely their tokens are, each with its offset in the text; `doubt` is the offset
    of the first one below `min_logprob`. `asked` names the providers that were asked, with or
    without success, and `stumbled` says whether one failed before the one that answered. `ended_by`
    is the control token that ended the text, if one did. `prompt` is the SHA-256 of the prompt.
    Line breaks in the text are "\\n", whatever the model writes.
    """

    min_logprob: float = float("-inf")
    watch: Stopwatch = field(default_factory=Stopwatch)
    text: str = ""
    pieces: list[tuple[int, Delta]] = field(default_factory=list[tuple[int, Delta]])
    doubt: int | None = None
    provider: str = ""
    model: str = ""
    reported: Usage | None = None
    ending: Ending | None = None
    error: NearfieldError | None = None
    asked: frozenset[str] = frozenset()
    offers: tuple[Offer, ...] = ()
    ended_by: str = ""
    stumbled: bool = False
    prompt: str = ""
    _ends_in_return: bool = False

    @property
    def usage(self) -> Usage | None:
        """The cost as the provider reported it, completed by our own counts and times."""
        first, last = self.watch.first, self.watch.last
        if self.reported is None and first is None:
            return None
        usage = self.reported or Usage(model=self.model)
        if usage.generated_tokens is None:
            usage = replace(usage, generated_tokens=self.watch.tokens)
        if usage.prefill_ms is None and first is not None:
            usage = replace(usage, prefill_ms=(first - self.watch.begun) * 1000)
        if usage.decode_ms is None and last is not None and first is not None:
            usage = replace(usage, decode_ms=(last - first) * 1000)
        return usage

    @property
    def logprobs(self) -> list[tuple[int, float]]:
        """Each token's offset in the text and its log-probability."""
        return [token for at, delta in self.pieces for token in delta.tokens_at(at)]

    @property
    def is_unforgivable(self) -> bool:
        """Return whether the text has a token below `min_logprob` after which nothing is waited
        for: the text before it can be shown, or it is far too unlikely."""
        if self.doubt is None:
            return False
        sure = self.text[: self.doubt]
        if "\n" in sure or len(sure.strip()) >= MIN_PART_CHARS:
            return True
        return any(value < MAX_FORGIVEN * self.min_logprob for _, value in self.logprobs)

    @property
    def is_unsure(self) -> bool:
        """Return whether the text has a token below `min_logprob` that is not forgiven."""
        if self.doubt is None:
            return False
        confidence = confidence_of(self.logprobs, len(self.text))
        return confidence is not None and confidence.is_below(self.min_logprob)

    @property
    def cut_off(self) -> Reason:
        """The reason why the text was cut off, `SHOWN` if it was not."""
        return _CUT_OFF.get(self.ending, Reason.SHOWN)

    def add(self, delta: Delta) -> None:
        """Append a piece of the answer."""
        if "\r" in delta.text or self._ends_in_return:
            delta = self._with_plain_breaks(delta)
        if delta.logprobs:
            self.pieces.append((len(self.text), delta))
            if self.doubt is None and min(delta.logprobs) < self.min_logprob:
                tokens = delta.tokens_at(len(self.text))
                self.doubt = next(at for at, value in tokens if value < self.min_logprob)
        self.text += delta.text
        self.reported = delta.usage or self.reported
        if delta.text or delta.logprobs:
            self.watch.token(len(delta.logprobs) or 1)
        if delta.finish is Finish.LENGTH:
            self.ending = Ending.LENGTH
        elif delta.finish is Finish.DEADLINE:
            self.ending = Ending.DEADLINE

    def restart(self) -> None:
        """Discard the text, as another provider starts over."""
        self.watch, self.text, self.pieces = Stopwatch(), "", []
        self.reported = self.ending = self.doubt = None
        self._ends_in_return = False

    def _with_plain_breaks(self, delta: Delta) -> Delta:
        """Return a piece with plain line breaks; one of two characters may come in two pieces."""
        text = delta.text
        if text and self._ends_in_return:
            text = text.removeprefix("\n")
        if delta.text:
            self._ends_in_return = delta.text.endswith("\r")
        return replace(delta, text=plain_breaks(text))

    def whole_lines(self) -> str:
        """Return the text; if it was cut off, only its complete and sure lines ("" for none)."""
        if not self.cut_off:
            return self.text
        sure = len(self.text) if self.ending is not Ending.UNSURE else (self.doubt or 0) + 1
        lines = self.text[: self.text.rfind("\n", 0, sure) + 1]
        return lines if lines.strip() else ""

    def sure_part(self) -> str:
        """Return the sure beginning of a first line that becomes unsure; "" if it is too short."""
        if self.ending is not Ending.UNSURE:
            return ""
        part = self.text[: self.doubt].rstrip()
        return part if "\n" not in part and len(part.strip()) >= MIN_PART_CHARS else ""
