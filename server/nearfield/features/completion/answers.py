"""The answers of models: the text as it is written, how sure it is, why it ended; and those kept.

Kept answers are completions without a model: of an earlier one the user has typed or deleted a
part. The key is the text around the cursor, not an offset, so that edits elsewhere lose nothing.
Entries are candidates: the caller checks a match against the current text before it is shown.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from nearfield.config.schema import Completion
from nearfield.context.slice import AUTO_CLOSERS, continues_with
from nearfield.errors import NearfieldError
from nearfield.features.completion.postprocess import Shaped
from nearfield.files.lines import plain_breaks
from nearfield.routing.request_context import Offer
from nearfield.types import Cell, CompletionRequest, Delta, Finish, Reason, Usage

MIN_CHARS = 3
"""A shorter suggestion saves no key: taking it costs one, and a look."""

MIN_PART_CHARS = 4
"""Characters of a line's beginning that are worth reading."""

FORGIVING_MEAN = -0.15
"""A text with at least this mean log-probability may have a token below the threshold: there it is
mostly one of two good ways to write the same, such as with a space or without. It is waited for
only where too little comes before that token to be shown."""

MAX_FORGIVEN = 3.0
"""A token below this many times the threshold is never forgiven."""

ARRIVAL_SHARE = 0.3
"""How much the log-probability of a token in the first `MIN_PART_CHARS` characters counts at an
empty line that the user has just come to. Nothing says yet what will be written there, so its first
token is seldom certain; and the user looks before typing (tests/bench/RESULTS.md, Openings)."""

ARRIVAL_MEAN = 0.75
"""Factor of the mean's threshold there: a line that is unsure in general stays hidden."""

BEFORE_CHARS = 1000
"""Text that must be equal before the cursor: about 25 lines, which decide a small model's next
line. Less would match look-alike places; the whole prompt would lose every entry at any edit."""

AFTER_CHARS = 300
"""Text that must be equal after the cursor."""

MAX_ENTRIES = 256
"""Over all documents, about 2 KB each. llama.vim keeps 250."""

_CLOSERS = "".join(AUTO_CLOSERS)

_TAIL_CHARS = 24
"""Length of the text that is searched for: rare enough, and quick to find."""


class Ending(StrEnum):
    """The way a stream ended."""

    FINISHED = "finished"  # the model wrote its end token
    ENOUGH = "enough"  # the statement, block or scope is complete
    LENGTH = "length"  # `max_tokens` were written
    DEADLINE = "deadline"
    UNSURE = "unsure"  # a token was so unlikely that the text after it would not be shown
    OVERTAKEN = "overtaken"  # the user has typed something else
    FAILED = "failed"


_CUT_OFF: dict[Ending | None, Reason] = {
    Ending.LENGTH: Reason.LENGTH,
    Ending.DEADLINE: Reason.DEADLINE,
    Ending.UNSURE: Reason.UNSURE,
    Ending.OVERTAKEN: Reason.STALE,
}


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


def confidence_of(
    logprobs: Sequence[tuple[int, float]], chars: int, *, is_arrival: bool = False
) -> Confidence | None:
    """Return the confidence in the first `chars` characters of a text; None if nothing is known.

    `logprobs` has each token's offset and log-probability. Tokens after `chars` do not count: a
    stream runs a token or two past the text that is shown. For `is_arrival` see `ARRIVAL_SHARE`.
    """
    shown = [(start, value) for start, value in logprobs if start < max(1, chars)]
    if not shown:
        return None
    mean = sum(value for _, value in shown) / len(shown)
    return Confidence(mean, min(_counted(start, value, is_arrival) for start, value in shown))


def _counted(start: int, logprob: float, is_arrival: bool) -> float:
    return ARRIVAL_SHARE * logprob if is_arrival and start < MIN_PART_CHARS else logprob


def is_unsure(
    confidence: Confidence | None, settings: Completion, *, is_arrival: bool = False
) -> bool:
    """Return whether a confidence is below the settings' thresholds; an unknown one never is.

    What the default thresholds cost and save is in tests/bench/RESULTS.md (A typist's keys).
    """
    min_confidence = settings.min_confidence * (ARRIVAL_MEAN if is_arrival else 1.0)
    return confidence is not None and (
        confidence.mean < min_confidence or confidence.is_below(settings.min_token_confidence)
    )


@dataclass(slots=True)
class Generated:
    """The text up to now; may be read at any time, also after a cancellation.

    A token below `min_logprob` ends the stream, unless it may be forgiven. `logprobs` has each
    token's offset in the text and its log-probability, as far as they are told; `doubt` is the
    offset of the first one below `min_logprob`. `asked` names the providers that were asked, with
    or without success, and `stumbled` says whether one failed before the one that answered.
    `ended_by` is the control token that ended the text, if one did. `prompt` is the SHA-256 of the
    prompt. Line breaks in the text are "\\n", whatever the model writes. For `is_arrival` see
    `ARRIVAL_SHARE`.
    """

    min_logprob: float = float("-inf")
    is_arrival: bool = False
    watch: Stopwatch = field(default_factory=Stopwatch)
    text: str = ""
    logprobs: list[tuple[int, float]] = field(default_factory=list[tuple[int, float]])
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
    def is_unforgivable(self) -> bool:
        """Return whether the text has a token below `min_logprob` after which nothing is waited
        for: the text before it can be shown, or it is far too unlikely."""
        if self.doubt is None:
            return False
        sure = self.text[: self.doubt]
        if "\n" in sure or len(sure.strip()) >= MIN_PART_CHARS:
            return True
        least = MAX_FORGIVEN * self.min_logprob
        return any(_counted(at, value, self.is_arrival) < least for at, value in self.logprobs)

    @property
    def is_unsure(self) -> bool:
        """Return whether the text has a token below `min_logprob` that is not forgiven."""
        if self.doubt is None:
            return False
        confidence = self.confidence(len(self.text))
        return confidence is not None and confidence.is_below(self.min_logprob)

    def confidence(self, chars: int) -> Confidence | None:
        """Return the confidence in its first `chars` characters; None if nothing is known."""
        return confidence_of(self.logprobs, chars, is_arrival=self.is_arrival)

    @property
    def cut_off(self) -> Reason:
        """The reason why the text was cut off, `SHOWN` if it was not."""
        return _CUT_OFF.get(self.ending, Reason.SHOWN)

    def add(self, delta: Delta) -> None:
        """Append a piece of the answer."""
        if "\r" in delta.text or self._ends_in_return:
            delta = self._with_plain_breaks(delta)
        if delta.logprobs:
            start, values = len(self.text), delta.logprobs
            # A piece is mostly one token, with nothing to divide.
            tokens = [(start, values[0])] if len(values) == 1 else delta.tokens_at(start)
            self.logprobs += tokens
            if self.doubt is None and min(values) < self.min_logprob:
                counted = ((at, _counted(at, value, self.is_arrival)) for at, value in tokens)
                self.doubt = next((at for at, value in counted if value < self.min_logprob), None)
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
        self.watch, self.text, self.logprobs = Stopwatch(), "", []
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


@dataclass(frozen=True, slots=True)
class CachedCompletion:
    """A model's answer: `text` as it may be shown, or "" with a `reason`. `result` is the hash of
    the whole document with `text` inserted, for which the answer was checked; `prompt` is the
    SHA-256 of the prompt. A `part` is the sure beginning of a line. For `is_arrival` see
    `ARRIVAL_SHARE`: it holds while the text is typed, so that what was shown does not go."""

    text: str
    reason: Reason = Reason.SHOWN
    confidence: Confidence | None = None
    provider: str = ""
    model: str = ""
    result: int = 0
    prompt: str = ""
    part: bool = False
    is_arrival: bool = False

    @classmethod
    def of(
        cls,
        request: CompletionRequest,
        found: Generated,
        shaped: Shaped,
        chars: int | None = None,
        *,
        part: bool = False,
    ) -> CachedCompletion:
        """Return the cache entry for what came. Its confidence is that of the first `chars`
        characters, by default of what remains of `shaped` after the selected item."""
        text, offset, rest = request.snapshot.text, request.offset, shaped.text
        if request.selected is not None:
            text, offset = request.with_item()
            rest = rest[request.item_length :]
        return cls(
            rest,
            shaped.reason,
            found.confidence(len(rest) if chars is None else chars),
            found.provider,
            found.model,
            result=_text_hash(text, offset, rest),
            prompt=found.prompt,
            part=part,
            is_arrival=found.is_arrival,
        )

    def hidden(self, request: CompletionRequest, settings: Completion) -> Reason:
        """Return why it is no answer to `request`, `SHOWN` if it is one."""
        return Reason.SHOWN if request.invoked else self.unasked(settings)

    def unasked(self, settings: Completion) -> Reason:
        """Return why only a key shows it, `SHOWN` if typing does too."""
        if is_unsure(self.confidence, settings, is_arrival=self.is_arrival):
            return Reason.UNSURE
        is_short = 0 < len(self.text.strip()) < MIN_CHARS
        return Reason.TOO_SHORT if is_short else Reason.SHOWN

    def was_checked_in(self, text: str, offset: int, rest: str) -> bool:
        """Return whether `text` with `rest` at `offset` is the text that it was checked in."""
        return _text_hash(text, offset, rest) == self.result


@dataclass(frozen=True, slots=True)
class _Entry:
    """A completion with the text around its cursor; `reaches_start` and `reaches_end` say whether
    that text extends to the document's start and end."""

    before: str
    after: str
    reaches_start: bool
    reaches_end: bool
    completion: CachedCompletion


@dataclass(frozen=True, slots=True)
class CacheMatch:
    """A cached completion, the first `typed` characters of which are in the document already."""

    completion: CachedCompletion
    typed: int

    @property
    def rest(self) -> str:
        """The text that remains to be suggested."""
        return self.completion.text[self.typed :]


class CompletionCache:
    """The most recent answers of all documents, at most `MAX_ENTRIES`."""

    def __init__(self, max_entries: int = MAX_ENTRIES) -> None:
        self._max_entries = max_entries
        self._entries: OrderedDict[tuple[str, str, str], _Entry] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, request: CompletionRequest, completion: CachedCompletion) -> None:
        """Store the answer to `request`."""
        uri, (text, offset) = request.snapshot.uri, _position(request)
        first, last = max(0, offset - BEFORE_CHARS), min(len(text), offset + AFTER_CHARS)
        before, after = text[first:offset], text[offset:last]
        key = uri, before, after
        self._entries.pop(key, None)
        self._entries[key] = _Entry(before, after, first == 0, last == len(text), completion)
        while len(self._entries) > self._max_entries:
            self._entries.popitem(last=False)

    def find(self, request: CompletionRequest) -> Iterator[CacheMatch]:
        """Yield the answers that fit `request`, newest first. An empty answer matches only its
        exact position; one that is fully typed never matches."""
        uri, (text, offset) = request.snapshot.uri, _position(request)
        for (owner, *_), entry in reversed(self._entries.items()):
            typed = _typed(entry, text, offset) if owner == uri else None
            if typed is not None and continues_with(
                text, offset, entry.after, to_end=entry.reaches_end
            ):
                yield CacheMatch(entry.completion, typed)

    def forget(self, uri: str | None = None) -> None:
        """Drop the answers for `uri`, or all of them."""
        for key in [key for key in self._entries if uri in (None, key[0])]:
            del self._entries[key]


def is_typed_along(request: CompletionRequest, written: str, text: str) -> bool:
    """Return whether the document of `request` became `text` by typing what a model has `written`
    at the cursor, as far as both go. The editor may have inserted closers after it."""
    before, offset = request.snapshot.text, request.offset
    end = offset + len(text) - len(before)
    if not written or end < offset or request.selected is not None:
        return False
    if text[:offset] != before[:offset] or text[end:] != before[offset:]:
        return False
    typed = plain_breaks(text[offset:end])
    ways = (typed, typed.rstrip(_CLOSERS))
    return any(written.startswith(way) or way.startswith(written) for way in ways)


def _text_hash(text: str, offset: int, continuation: str) -> int:
    """Return the hash of the document with `continuation` inserted at `offset`."""
    return hash(text[:offset] + continuation + text[offset:])


def _position(request: CompletionRequest) -> tuple[str, int]:
    """Return the text and the offset under which answers to `request` are cached: with the selected
    item inserted and, in a notebook, after the end of the cells above."""
    text, offset = request.snapshot.text, request.offset
    if request.selected is not None:
        text, offset = request.with_item()
    cells = request.snapshot.above
    if not cells:
        return text, offset
    above = "\0".join(cell.text for cell in (*cells, Cell("", "")))[-BEFORE_CHARS:]
    return above + text, len(above) + offset


def _typed(entry: _Entry, text: str, offset: int) -> int | None:
    """Return how much of the entry's text is left of the cursor; None if the entry does not fit."""
    suggested, tail = entry.completion.text, entry.before[-_TAIL_CHARS:]
    longest = len(suggested) - 1 if suggested else 0
    low, high = max(0, offset - longest - len(tail)), offset
    while high >= low and (at := text.rfind(tail, low, high)) >= 0:
        end = at + len(tail)
        begin = end - len(entry.before)
        fits_before = begin >= 0 and text.startswith(entry.before, begin)
        if (
            fits_before
            and (begin == 0 or not entry.reaches_start)
            and text.startswith(suggested[: offset - end], end)
        ):
            return offset - end
        high = end - 1
    return None
