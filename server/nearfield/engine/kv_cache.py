"""The tokens that each KV sequence holds, and the sequence that a prompt should continue.

Pure bookkeeping, no llama.cpp: `lane` carries out what is decided here. The invariant that
everything rests on: `Sequence.tokens` is exactly what the cache holds for that sequence, position
by position, so a prompt that begins with the first n of them needs only the rest evaluated.
"""

from __future__ import annotations

from collections.abc import Sequence as SequenceOf
from dataclasses import dataclass, field

from nearfield.engine.frames import owner_of

COMPARED = 64
"""Tokens that are compared at once. Most prompts differ within the first ones."""

WORTH_KEEPING = 32
"""A shorter common beginning than this (tokens) is no reason to overwrite another prompt's
sequence: control tokens and an import line agree between any two files of a project."""


@dataclass(slots=True)
class Sequence:
    """A KV sequence: its tokens, their document, and the job that is using it. The first `whole`
    tokens are of prompts that were evaluated to their end: only these will be needed again."""

    id: int
    tokens: list[int] = field(default_factory=list[int])
    whole: int = 0
    document: str = ""
    used_at: int = 0
    job: int | None = None


def common_prefix(held: list[int], prompt: list[int]) -> int:
    """Return the length of the common prefix of `held` and `prompt`."""
    at, end = 0, min(len(held), len(prompt))
    while at < end and held[at : at + COMPARED] == prompt[at : at + COMPARED]:
        at += COMPARED
    while at < end and held[at] == prompt[at]:
        at += 1
    return min(at, end)


WORTH_COPYING = 24
"""Evaluated tokens that are kept in a copy rather than lost: evaluating as many takes about as long
as the copy."""

MAX_PROMPTS_PER_DOCUMENT = 2
"""Evaluated prompts kept of one document before its older one is replaced: that of the last request
and the larger one that idle prefill evaluates."""


class SequenceTable:
    """The sequences of one lane, least recently used first to go. Without `has_tails` a sequence
    can be continued after its last token only, or not at all."""

    def __init__(self, count: int, *, has_tails: bool = True) -> None:
        self.all = [Sequence(i) for i in range(count)]
        self._has_tails = has_tails
        self._clock = 0

    def shared(self, sequence: Sequence, prompt: list[int], document: str) -> int:
        """Return how many tokens of `prompt` need not be evaluated if it continues `sequence`: none
        where that is another owner's, who could be told by the time that it was evaluated."""
        if owner_of(sequence.document) != owner_of(document):
            return 0
        held = common_prefix(sequence.tokens, prompt)
        if self._has_tails or held == len(sequence.tokens) < len(prompt):
            return held
        return 0

    def choose(
        self, prompt: list[int], document: str, stealable: frozenset[int] = frozenset()
    ) -> tuple[Sequence, int] | None:
        """Return the sequence that `prompt` should continue, and how many of its tokens are shared.

        `stealable` are jobs that may lose their sequence. None when every sequence is held by a
        job that may not.
        """
        free = [s for s in self.all if s.job is None or s.job in stealable]
        if not free:
            return None
        best, shared = max(
            ((s, self.shared(s, prompt, document)) for s in free),
            key=lambda pair: (pair[1], pair[0].document == document, pair[0].used_at),
        )
        swallowed = best.job is None and shared == len(best.tokens)
        if goes_on(shared, prompt) or swallowed:
            return best, shared
        # Nothing worth continuing: take an unused sequence before a job's, an empty one before one
        # with part of a prompt, that before one with a whole prompt, else the least recently used.
        oldest = min(free, key=lambda s: (s.job is not None, _worth(s), s.used_at))
        return oldest, self.shared(oldest, prompt, document)

    def spare(self, document: str, but: Sequence | None = None) -> Sequence | None:
        """Return a sequence other than `but` to overwrite for `document`: one without a whole
        prompt, else an older one of a document that has its maximum, else the least recently used.
        None if all are in use, or if `but` itself is what the document needs least."""
        own = [s for s in self.all if s.document == document and _worth(s) == 2]
        enough = len(own) >= MAX_PROMPTS_PER_DOCUMENT
        if enough and min(own, key=lambda s: s.used_at) is but:
            return None
        others = [s for s in self.all if s is not but and s.job is None]
        return min(
            others,
            key=lambda s: (
                _worth(s),
                _worth(s) == 2 and (s.document == document) is not enough,
                s.used_at,
            ),
            default=None,
        )

    def holding(self, prompts: SequenceOf[list[int]], document: str) -> Sequence | None:
        """Return the sequence of `document` that shares most with one of `prompts`, which are
        variants of the same; None if none shares more than any two prompts do."""
        shared = {
            s.id: max((common_prefix(s.tokens, one) for one in prompts), default=0)
            for s in self.all
            if s.document == document
        }
        best = max(shared, key=shared.__getitem__, default=None)
        return None if best is None or shared[best] < WORTH_KEEPING else self.all[best]

    def of(self, document: str) -> Sequence | None:
        """Return the sequence of `document` that holds most; None if none is worth keeping."""
        own = [s for s in self.all if s.document == document and len(s.tokens) >= WORTH_KEEPING]
        return max(own, key=lambda s: len(s.tokens), default=None)

    def give(self, sequence: Sequence, document: str) -> None:
        """Assign `sequence` to `document`."""
        self._clock += 1
        sequence.document, sequence.used_at = document, self._clock

    def take(self, sequence: Sequence, job: int, document: str, keep: int) -> None:
        """Give `sequence` to `job`, with only its first `keep` tokens left."""
        sequence.job = job
        self.give(sequence, document)
        del sequence.tokens[keep:]
        sequence.whole = min(sequence.whole, keep)

    def release(self, job: int) -> None:
        """Note that the job is over; what it evaluated stays for the next one."""
        for sequence in self.all:
            if sequence.job == job:
                sequence.job = None

    def clear(self) -> None:
        """Forget every token."""
        for sequence in self.all:
            sequence.tokens.clear()
            sequence.whole = 0
            sequence.job = None
            sequence.document = ""


def goes_on(shared: int, prompt: SequenceOf[int]) -> bool:
    """Return whether a shared prefix of this length is worth continuing."""
    return shared >= WORTH_KEEPING or shared * 2 >= len(prompt)


def _worth(sequence: Sequence) -> int:
    """Return what is lost if it is overwritten: 0 nothing, 1 part of a prompt, 2 a whole prompt."""
    return 2 if sequence.whole >= WORTH_KEEPING else int(bool(sequence.tokens))
