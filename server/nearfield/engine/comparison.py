"""Two models side by side: which lines of code each writes as they were, and how fast each is."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from nearfield.engine.lane import Abort, Lane
from nearfield.engine.llama import Model
from nearfield.engine.optimise_frames import Case, Compared, Figures

CHUNK = 64
"""Prompt tokens a step when speed is measured, as when completing."""
PREFIX_TOKENS, MIDDLE_TOKENS, SUFFIX_TOKENS = 64, 32, 24
BATCH = 128
"""Holds a whole case: the three above, four control tokens at most, and four to spare."""
CONTEXT = 256
SPEED_PROMPT = 2 * CHUNK
SPEED_WRITTEN = 8
SPEED_SHARE = 0.2
"""Of the comparison's progress: about what the rounds take of its time."""

# The first-place token and the log-probability of the true one, for each token of a gap.
Scores = tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]


@dataclass
class _Side:
    """One model, and what was found of it."""

    model: Model
    lane: Lane
    right: int = 0
    likelihood: float = 0.0
    prefill: list[float] = field(default_factory=list[float])
    decode: list[float] = field(default_factory=list[float])

    def figures(self, tokens: int) -> Figures:
        return Figures(
            right=self.right,
            likelihood=round(self.likelihood / max(tokens, 1), 4),
            prefill=round(statistics.median(self.prefill), 1),
            decode=round(statistics.median(self.decode), 1),
            bytes=self.model.bytes,
        )


def compare(
    before: Model,
    after: Model,
    cases: Sequence[Case],
    *,
    rounds: int,
    infill: bool,
    threads: int,
    progress: Callable[[float], None],
) -> Compared:
    """Compare two models of one vocabulary. `cases` must hold some code.

    A line counts as right when each of its tokens is the one that the model puts first after the
    true text before it, which is when greedy decoding writes that line.
    """
    abort = Abort()
    sides = [_Side(model, _lane(model, threads, abort)) for model in (before, after)]
    try:
        lines = tokens = agreed = 0
        for i, case in enumerate(cases):
            prompt, middle = _tokens(before, case, infill)
            scores = [_scored(side.lane, prompt, middle) for side in sides]
            spans = _lines(before, middle)
            for side, (first, chances) in zip(sides, scores, strict=True):
                hits = first == np.asarray(middle)
                side.right += sum(bool(hits[start:end].all()) for start, end in spans)
                side.likelihood += float(chances.sum())
            lines += len(spans)
            tokens += len(middle)
            agreed += int((scores[0][0] == scores[1][0]).sum())
            progress((1 - SPEED_SHARE) * (i + 1) / len(cases))
        sample = before.tokenize("\n".join(case.prefix for case in cases))
        for i in range(rounds):
            for side in sides:
                _race(side, sample)
            progress(1 - SPEED_SHARE + SPEED_SHARE * (i + 1) / rounds)
        return Compared(
            before=sides[0].figures(tokens),
            after=sides[1].figures(tokens),
            lines=lines,
            tokens=tokens,
            agreement=round(agreed / max(tokens, 1), 4),
            prefill=_ratio(sides[0].prefill, sides[1].prefill),
            decode=_ratio(sides[0].decode, sides[1].decode),
        )
    finally:
        for side in sides:
            side.lane.close()


def _lane(model: Model, threads: int, abort: Abort) -> Lane:
    return Lane(model, context_size=CONTEXT, sequences=1, chunk=BATCH, threads=threads, abort=abort)


def _tokens(model: Model, case: Case, infill: bool) -> tuple[list[int], list[int]]:
    """The prompt and the gap. A model that was not taught to fill in sees only what stands before,
    even when its vocabulary has the tokens."""
    prefix = model.tokenize(case.prefix)[-PREFIX_TOKENS:]
    middle = model.tokenize(case.middle)[:MIDDLE_TOKENS]
    opening, closing, gap = (model.tokenize(text, special=True) for text in model.fim[:3])
    if not (infill and opening and closing and gap):
        return [*model.bos, *prefix], middle
    suffix = model.tokenize(case.suffix)[:SUFFIX_TOKENS]
    return [*model.bos, *opening, *prefix, *closing, *suffix, *gap], middle


def _lines(model: Model, middle: Sequence[int]) -> list[tuple[int, int]]:
    """The whole lines of a gap as ranges of its tokens; a last one that was cut off counts too when
    there is no other."""
    ends = [i + 1 for i, token in enumerate(middle) if b"\n" in model.pieces[token]]
    starts = [0, *ends]
    return list(zip(starts, ends, strict=False)) or [(0, len(middle))]


def _scored(lane: Lane, prompt: Sequence[int], middle: Sequence[int]) -> Scores:
    lane.clear()
    before = len(prompt) - 1
    lane.decode(lane.table.all[0], [*prompt, *middle[:-1]], outputs=len(middle))
    first = np.empty(len(middle), dtype=np.int64)
    chances = np.empty(len(middle), dtype=np.float64)
    for i, token in enumerate(middle):
        logits = lane.logits(before + i)
        first[i] = int(logits.argmax())
        top = float(logits[first[i]])
        chances[i] = float(logits[token]) - top - float(np.log(np.exp(logits - top).sum()))
    return first, chances


def _race(side: _Side, sample: Sequence[int]) -> None:
    """One round: read a prompt, then write a few tokens."""
    lane = side.lane
    lane.clear()
    sequence = lane.table.all[0]
    prompt = [sample[i % len(sample)] for i in range(SPEED_PROMPT + SPEED_WRITTEN)]
    started = time.perf_counter()
    for start in range(0, SPEED_PROMPT, CHUNK):
        lane.decode(sequence, prompt[start : start + CHUNK])
    read = time.perf_counter()
    for token in prompt[SPEED_PROMPT:]:
        lane.decode(sequence, [token])
    side.prefill.append(SPEED_PROMPT / (read - started))
    side.decode.append(SPEED_WRITTEN / (time.perf_counter() - read))


def _ratio(before: Sequence[float], after: Sequence[float]) -> float:
    return round(statistics.median(b / a for a, b in zip(before, after, strict=True)), 3)
