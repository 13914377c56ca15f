"""Completions without a model: earlier answers, of which the user has typed or deleted a part.

The key is the text around the cursor, not an offset, so that edits elsewhere lose nothing. Entries
are candidates: the caller checks a match against the current text before it is shown.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

from nearfield.features.completion.generated import Confidence, Generated, confidence_of
from nearfield.features.completion.postprocess import Shaped
from nearfield.syntax.brackets import continues_with
from nearfield.types import Cell, CompletionRequest, Reason

BEFORE_CHARS = 1000
"""Text that must be equal before the cursor: about 25 lines, which decide a small model's next
line. Less would match look-alike places; the whole prompt would lose every entry at any edit."""

AFTER_CHARS = 300
"""Text that must be equal after the cursor."""

MAX_ENTRIES = 256
"""Over all documents, about 2 KB each. llama.vim keeps 250."""

_TAIL_CHARS = 24
"""Length of the text that is searched for: rare enough, and quick to find."""


@dataclass(frozen=True, slots=True)
class CachedCompletion:
    """A model's answer: `text` as it may be shown, or "" with a `reason`. `result` is the hash of
    the whole document with `text` inserted, for which the answer was checked; `prompt` is the
    SHA-256 of the prompt. A `part` is the sure beginning of a line."""

    text: str
    reason: Reason = Reason.SHOWN
    confidence: Confidence | None = None
    provider: str = ""
    model: str = ""
    result: int = 0
    prompt: str = ""
    part: bool = False

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
            confidence_of(found.logprobs, len(rest) if chars is None else chars),
            found.provider,
            found.model,
            result=_text_hash(text, offset, rest),
            prompt=found.prompt,
            part=part,
        )

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
