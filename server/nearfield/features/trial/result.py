"""The state of a trial: what each model did, the difference with its interval, and when it ends.

A trial ends as soon as the interval leaves 0 out, or lies within `SAME` of it, or when its days are
over. The interval holds at every look (`sequential`), so looking often decides nothing by chance.
Both arms are counted as they were drawn, also where the first model stood in for the second: to
leave those out would compare other hours of work.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from statistics import quantiles

from nearfield.features.metrics.store import RecordStore
from nearfield.features.suggestion_record import SuggestionRecord, Taken
from nearfield.features.trial.sequential import (
    MIN_DAYS_OF_DOCUMENTS,
    MIN_TAKEN,
    ArmSums,
    RateInterval,
    rate_interval,
)
from nearfield.features.trial.trial import DAY, Trial, end_trial, kept_trial, read_mark
from nearfield.types import GIVEN_UP

SAME = 0.05
"""Rates that differ by less are the same for a user."""
MAX_STAND_INS = 0.2
"""The share of requests that the first model may answer for the second before that is said."""
ENDED = "You ended it."
SETTLED_SECONDS = 120.0
"""Younger suggestions may still be taken; they are not counted yet."""


@dataclass(frozen=True, slots=True)
class TrialArm:
    """The figures of one model. `shown` suggestions were offered; `kept` is the share of characters
    taken that were left half a minute later. `stand_ins` were answered by the other model."""

    model: str
    document_days: int
    requests: int
    shown: int
    taken: int
    acceptance: float | None
    kept: float | None
    saved: int
    p50_ms: float | None
    p90_ms: float | None
    stand_ins: int


@dataclass(frozen=True, slots=True)
class TrialResult:
    """A trial as it stands. `words` say it in sentences, `over` why it ends, "" while it goes on;
    `better` is the better model as the settings name it, "" for neither."""

    trial: Trial
    arms: tuple[TrialArm, TrialArm]
    interval: RateInterval | None
    words: str
    over: str
    better: str
    days_left: int


@dataclass(slots=True)
class _Tally:
    """The counts of an arm."""

    requests: int = 0
    saved: int = 0
    looked_at: int = 0
    remained: float = 0.0
    stand_ins: int = 0
    ms: list[float] = field(default_factory=list[float])
    days: defaultdict[tuple[str, str], list[int]] = field(
        default_factory=lambda: defaultdict[tuple[str, str], list[int]](lambda: [0, 0])
    )

    def add(self, row: SuggestionRecord, document: str, *, is_stand_in: bool) -> None:
        self.requests += 1
        self.stand_ins += is_stand_in
        if row.reason not in GIVEN_UP:
            self.ms.append(row.ms)
        if row.chars and row.taken is not Taken.CONTINUED:
            day = datetime.fromtimestamp(row.at).strftime("%Y-%m-%d")
            counts = self.days[document, day]
            counts[0] += 1
            counts[1] += row.taken in (Taken.ACCEPTED, Taken.PARTIAL)
        self.saved += row.saved
        if row.survived is not None:
            self.looked_at += row.saved
            self.remained += row.survived * row.saved

    def sums(self) -> ArmSums:
        sums = ArmSums()
        for shown, taken in self.days.values():
            sums.add(shown, taken)
        return sums

    def arm(self, model: str) -> TrialArm:
        shown, taken = (sum(one[at] for one in self.days.values()) for at in (0, 1))
        cuts = quantiles(self.ms, n=10, method="inclusive") if len(self.ms) > 1 else None
        return TrialArm(
            model=model,
            document_days=len(self.days),
            requests=self.requests,
            shown=shown,
            taken=taken,
            acceptance=taken / shown if shown else None,
            kept=self.remained / self.looked_at if self.looked_at else None,
            saved=self.saved,
            p50_ms=round(cuts[4], 1) if cuts else None,
            p90_ms=round(cuts[8], 1) if cuts else None,
            stand_ins=self.stand_ins,
        )


def trial_result(
    trial: Trial, rows: Sequence[SuggestionRecord], now: float | None = None
) -> TrialResult:
    """Return how a trial stands by its records."""
    now = time.time() if now is None else now
    tallies = (_Tally(), _Tally())
    for row in rows:
        if (mark := read_mark(row.trial, trial)) is not None and row.at < now - SETTLED_SECONDS:
            is_other = mark.arm == 1 and row.model == trial.first_name and bool(row.provider)
            tallies[mark.arm].add(row, mark.document, is_stand_in=is_other)
    arms = (tallies[0].arm(trial.first_name), tallies[1].arm(trial.second_name))
    found = rate_interval(tallies[0].sums(), tallies[1].sums())
    left = max(0, round((trial.started + trial.days * DAY - now) / DAY + 0.499))
    over = trial.why or _over(trial, found, left)
    better = ""
    if found is not None and found.is_decided:
        better = trial.second if found.difference > 0 else trial.first
    words = " ".join(_words(trial, arms, found))
    return TrialResult(trial, arms, found, words, over, better, left)


def look(store: RecordStore) -> TrialResult | None:
    """Return how the last trial stands, and end it where that is due; None if there was none.

    Touches the disk. Raises `RecordUnusable`, and `ConfigError` where the end cannot be written.
    """
    trial = kept_trial()
    if trial is None:
        return None
    found = trial_result(trial, store.rows_of_trial(trial.id))
    if not trial.is_running or not found.over:
        return found
    return replace(found, trial=end_trial(trial, found.over))


def end_now(store: RecordStore, why: str) -> TrialResult | None:
    """End the running trial, and return how it stood; None if none runs. Raises as `look`."""
    found = look(store)
    if found is None or not found.trial.is_running:
        return None
    end_trial(found.trial, why)
    return found


def _over(trial: Trial, found: RateInterval | None, left: int) -> str:
    if found is not None and found.is_decided:
        return "It is decided."
    if found is not None and found.low > -SAME and found.high < SAME:
        return "Both are the same to a user."
    return "" if left else f"Its {trial.days} days are over."


def _words(trial: Trial, arms: tuple[TrialArm, TrialArm], found: RateInterval | None) -> list[str]:
    words = [_verdict(trial, arms, found)]
    second = arms[1]
    if second.stand_ins > MAX_STAND_INS * second.requests:
        words.append(
            f"{trial.first_name} answered {second.stand_ins} of the {second.requests} requests of"
            f" {trial.second_name}, which was not loaded or too slow: the difference is larger"
            " than it looks."
        )
    return words


def _verdict(trial: Trial, arms: tuple[TrialArm, TrialArm], found: RateInterval | None) -> str:
    if found is None:
        counts = " and ".join(str(arm.document_days) for arm in arms)
        return (
            f"Not enough yet: {counts} document-days of the {MIN_DAYS_OF_DOCUMENTS} that each"
            f" model needs, and {sum(arm.taken for arm in arms)} suggestions taken of {MIN_TAKEN}."
        )
    span = (
        f"{100 * found.difference:+.1f} points, 95 % interval {100 * found.low:+.1f} to"
        f" {100 * found.high:+.1f}"
    )
    if found.is_decided:
        names = (trial.second_name, trial.first_name)
        better, other = names if found.difference > 0 else names[::-1]
        return f"Suggestions of {better} are taken more often than those of {other} ({span})."
    if found.low > -SAME and found.high < SAME:
        return f"Both are taken equally often, within {100 * SAME:.0f} points ({span})."
    return f"Not enough to tell them apart yet ({span})."
