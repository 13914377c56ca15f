"""Statistics of suggestions, for `nearfield stats` and the control panel."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from nearfield.features.metrics.sums_store import (
    BIN_WIDTH,
    CLASS_WIDTH,
    DayCount,
    Row,
    SuggestionSums,
)
from nearfield.types import GIVEN_UP, Situation


@dataclass(frozen=True, slots=True)
class Latency:
    """Percentiles of the milliseconds from request to answer in one situation."""

    situation: str
    answers: int
    p50: float
    p90: float
    p99: float


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


@dataclass(frozen=True, slots=True)
class SuggestionPart:
    """Counts of the completions of one day, language, situation or model, its `key`; see
    `CompletionStatistics`."""

    key: str
    questions: int
    offered: int
    accepted: int
    partly: int
    acceptance: float | None
    saved: int
    survived: float | None


_STAGES = ("context", "wait", "read", "generate", "gate", "total")
"""The stages of a next edit in the order in which they come."""


@dataclass(frozen=True, slots=True)
class ConfidenceBin:
    """Completions whose tokens' mean log-probability is between `low` and `high`: those that were
    offered, taken, their characters saved, and those `hidden` by the threshold."""

    low: float
    high: float
    offered: int
    taken: int
    saved: int
    hidden: int


def next_edit_summary(sums: SuggestionSums) -> NextEditStatistics:
    """Return what the sums say about next edits."""
    rows = [row for row in sums.counts if row.next_edit]
    stages = _percentiles(sums.stages, (50, 90, 99))
    answered = {stage: count for stage, count, _ in stages}
    in_order = sorted(stages, key=lambda one: _STAGES.index(one[0]) if one[0] in _STAGES else -1)
    return NextEditStatistics(
        questions=round(sum(row.questions for row in rows)),
        offered=round(sum(row.unreasoned for row in rows)),
        answered=answered.get("total", 0),
        silent=_reasons(sums, next_edit=True),
        stages=tuple(StageLatency(stage, *values) for stage, _, values in in_order),
    )


def summary(sums: SuggestionSums) -> CompletionStatistics:
    """Return what the sums say about completions."""
    rows = [row for row in sums.counts if not row.next_edit]
    whole = _part("", rows)
    given_up = {str(reason) for reason in GIVEN_UP}
    silent = _reasons(sums, next_edit=False)
    order = [str(situation) for situation in Situation]
    times = {
        name: (count, values) for name, count, values in _percentiles(sums.times, (50, 90, 99))
    }
    return CompletionStatistics(
        questions=whole.questions,
        offered=whole.offered,
        accepted=whole.accepted,
        partly=whole.partly,
        acceptance=whole.acceptance,
        saved=whole.saved,
        survived=whole.survived,
        silent={reason: count for reason, count in silent.items() if reason not in given_up},
        evaluated=round(sum(row.evaluated for row in rows)),
        reused=round(sum(row.reused for row in rows)),
        generated=round(sum(row.generated for row in rows)),
        latency=tuple(
            Latency(name, times[name][0], *times[name][1]) for name in order if name in times
        ),
    )


def parts(sums: SuggestionSums, by: str) -> list[SuggestionPart]:
    """Return the completions of each "day", "language", "situation" or "model"."""
    found: defaultdict[str, list[DayCount]] = defaultdict(list)
    for row in sums.counts:
        if not row.next_edit:
            found[str(getattr(row, by) or "")].append(row)
    return [_part(key, found[key]) for key in sorted(found)]


def curve(sums: SuggestionSums) -> list[ConfidenceBin]:
    """Return the completions by confidence, the lowest first."""
    return [
        ConfidenceBin(
            round(number * BIN_WIDTH, 4), round((number + 1) * BIN_WIDTH, 4), *map(round, counts)
        )
        for number, *counts in sorted(sums.confidences)
    ]


def _part(key: str, rows: Sequence[DayCount]) -> SuggestionPart:
    offered, accepted = sum(row.offered for row in rows), sum(row.accepted for row in rows)
    partly, looked_at = sum(row.partly for row in rows), sum(row.looked_at for row in rows)
    return SuggestionPart(
        key=key,
        questions=round(sum(row.questions for row in rows)),
        offered=round(offered),
        accepted=round(accepted),
        partly=round(partly),
        acceptance=(accepted + partly) / offered if offered else None,
        saved=round(sum(row.saved for row in rows)),
        survived=sum(row.remained for row in rows) / looked_at if looked_at else None,
    )


def _reasons(sums: SuggestionSums, *, next_edit: bool) -> dict[str, int]:
    """Return the reasons, the commonest first."""
    found = [(str(reason), round(count)) for of, reason, count in sums.reasons if of == next_edit]
    return dict(sorted(found, key=lambda one: -one[1]))


def _percentiles(
    rows: Sequence[Row], percents: Sequence[int]
) -> list[tuple[str, int, tuple[float, ...]]]:
    """Return the count and the percentiles of each name's classes of milliseconds."""
    classes: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for name, number, count in rows:
        classes[str(name)].append((int(number), round(count)))
    return [
        (
            name,
            sum(count for _, count in found),
            tuple(round(percentile(sorted(found), percent), 1) for percent in percents),
        )
        for name, found in classes.items()
    ]


def percentile(classes: Sequence[tuple[int, int]], percent: int) -> float:
    """Return the middle of the class, in milliseconds, that at least `percent` of the answers do
    not exceed. `classes` are numbers and counts, the quickest first."""
    rest = -(-sum(count for _, count in classes) * percent // 100)
    for number, count in classes:
        rest -= count
        if rest <= 0:
            return CLASS_WIDTH**number
    return 0.0
