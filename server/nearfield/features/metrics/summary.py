"""Sums over the records of suggestions, for `nearfield stats`."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from nearfield.features.suggestion_record import SuggestionRecord, Taken
from nearfield.types import GIVEN_UP, Situation, Surface


@dataclass(frozen=True, slots=True)
class Latency:
    """Percentiles of the milliseconds from request to answer in one situation."""

    situation: str
    answers: int
    p50: float
    p90: float


@dataclass(frozen=True, slots=True)
class CompletionStatistics:
    """Counts of completions. `offered` suggestions were given to an editor (one typed along counts
    once), `accepted` as a whole, `partly` in part; `acceptance` is the share of both. `saved`
    counts characters accepted instead of typed, `survived` is the share of them left half a minute
    later (None if unknown). `silent` counts answers without a suggestion by reason. `evaluated` and
    `reused` count prompt tokens."""

    questions: int
    offered: int
    accepted: int
    partly: int
    acceptance: float | None
    saved: int
    survived: float | None
    silent: dict[str, int]
    evaluated: int
    reused: int
    generated: int
    latency: tuple[Latency, ...]


@dataclass(frozen=True, slots=True)
class StageLatency:
    """Percentiles of the milliseconds that one stage of the next edits took; the last one, "total",
    is all of them."""

    stage: str
    p50: float
    p90: float
    p99: float


@dataclass(frozen=True, slots=True)
class NextEditStatistics:
    """Counts of the questions to a model for the next edit. `silent` counts those without an offer
    by reason, `stages` are of those that were answered."""

    questions: int
    offered: int
    answered: int
    silent: dict[str, int]
    stages: tuple[StageLatency, ...]


def next_edit_summary(rows: Sequence[SuggestionRecord]) -> NextEditStatistics:
    """Return the sums of those of these records that are of next edits."""
    rows = [row for row in rows if row.method == Surface.NEXT_EDIT]
    answered = [row for row in rows if row.stages and row.reason not in GIVEN_UP]
    times: defaultdict[str, list[float]] = defaultdict(list)
    for row in answered:
        for stage, ms in (*row.stages.items(), ("total", row.ms)):
            times[stage].append(ms)
    total = times.pop("total", None)
    in_order = [*times.items(), *([("total", total)] if total else ())]
    return NextEditStatistics(
        questions=len(rows),
        offered=sum(not row.reason for row in rows),
        answered=len(answered),
        silent=dict(Counter(row.reason for row in rows if row.reason).most_common()),
        stages=tuple(
            StageLatency(stage, *(percentile(found, percent) for percent in (50, 90, 99)))
            for stage, found in in_order
        ),
    )


def summary(rows: Sequence[SuggestionRecord]) -> CompletionStatistics:
    """Return the sums of those of these records that are of completions."""
    rows = [row for row in rows if row.method != Surface.NEXT_EDIT]
    taken = Counter(row.taken for row in rows if row.chars)
    accepted, partly = taken[Taken.ACCEPTED], taken[Taken.PARTIAL]
    offered = taken.total() - taken[Taken.CONTINUED]
    known = [(row.survived, row.saved) for row in rows if row.survived is not None and row.saved]
    looked_at = sum(saved for _, saved in known)
    silent = Counter(row.reason for row in rows if row.reason and row.reason not in GIVEN_UP)
    return CompletionStatistics(
        questions=len(rows),
        offered=offered,
        accepted=accepted,
        partly=partly,
        acceptance=(accepted + partly) / offered if offered else None,
        saved=sum(row.saved for row in rows),
        survived=sum(s * saved for s, saved in known) / looked_at if looked_at else None,
        silent=dict(silent.most_common()),
        evaluated=sum(row.evaluated for row in rows),
        reused=sum(row.reused for row in rows),
        generated=sum(row.generated for row in rows),
        latency=_latencies(rows),
    )


def _latencies(rows: Sequence[SuggestionRecord]) -> tuple[Latency, ...]:
    times: defaultdict[str, list[float]] = defaultdict(list)
    for row in rows:
        if row.reason not in GIVEN_UP:
            times[row.situation].append(row.ms)
    order = [str(situation) for situation in Situation]
    known = [situation for situation in order if situation in times]
    return tuple(
        Latency(name, len(times[name]), percentile(times[name], 50), percentile(times[name], 90))
        for name in known
    )


def percentile(values: Sequence[float], percent: int) -> float:
    """Return the smallest of `values` that at least `percent` of them do not exceed."""
    return sorted(values)[max(0, -(-len(values) * percent // 100) - 1)]
