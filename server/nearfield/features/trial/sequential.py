"""A test of the difference of two acceptance rates that may be looked at after every day.

The rates are of suggestions, and those of one document on one day are alike, so that document-days
are what counts as independent. On the document-day i of an arm k_i of n_i suggestions are
taken, so its rate is R = sum(k_i) / sum(n_i). The variance of this ratio over m document-days is
estimated by linearisation (Cochran, Sampling Techniques, 3rd edition 1977, chapter 6):

    V = m / (m - 1) * sum((k_i - R n_i)^2) / sum(n_i)^2

Let d be the difference of both rates and V the sum of both variances. The likelihood ratios of
normal effects with the standard deviation tau are mixed (Robbins 1970; Johari, Koomen, Pekelis and
Walsh, Always Valid Inference, Operations Research 70, 2022), which gives an interval

    d ± sqrt(V (V + tau^2) / tau^2 * ln((V + tau^2) / (V alpha^2)))

that holds at every look at once with a probability of 1 - alpha, as far as the rates are nearly
normal. How far they are was simulated: tests/bench/trial.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

ALPHA = 0.05
TAU = 0.1
"""The differences that it looks for, as a standard deviation: ten points."""
MIN_DAYS_OF_DOCUMENTS = 20
"""Document-days of an arm before which nothing is said: with fewer the rates are not normal."""
MIN_TAKEN = 20
"""Suggestions of both arms that were taken, and that were not, before which nothing is said."""
MIN_VARIANCE = 1e-9
"""Below it is rounding: nothing varies."""


@dataclass(slots=True)
class ArmSums:
    """The sums over the document-days of one arm that its rate and variance follow from: how many
    there are, and of the suggestions shown and taken their sums, squares and products."""

    days: int = 0
    shown: int = 0
    taken: int = 0
    shown_squares: int = 0
    taken_squares: int = 0
    products: int = 0

    def add(self, shown: int, taken: int) -> None:
        """Add a document-day with at least one suggestion."""
        self.days += 1
        self.shown += shown
        self.taken += taken
        self.shown_squares += shown * shown
        self.taken_squares += taken * taken
        self.products += shown * taken

    @property
    def rate(self) -> float:
        """The share of the suggestions that was taken."""
        return self.taken / self.shown

    @property
    def variance(self) -> float:
        """The variance of the rate; see the module."""
        rate = self.rate
        squares = self.taken_squares - 2 * rate * self.products + rate**2 * self.shown_squares
        return self.days / (self.days - 1) * max(0.0, squares) / self.shown**2


@dataclass(frozen=True, slots=True)
class RateInterval:
    """The second arm's rate less the first's, and its interval."""

    difference: float
    low: float
    high: float

    @property
    def is_decided(self) -> bool:
        """Return whether one rate is higher."""
        return self.low > 0 or self.high < 0


def rate_interval(first: ArmSums, second: ArmSums, alpha: float = ALPHA) -> RateInterval | None:
    """Return the difference of the rates of two arms; None while there are too few document-days,
    or too few suggestions that were taken, or were not."""
    if min(first.days, second.days) < MIN_DAYS_OF_DOCUMENTS:
        return None
    taken = first.taken + second.taken
    if min(taken, first.shown + second.shown - taken) < MIN_TAKEN:
        return None
    difference, variance = second.rate - first.rate, first.variance + second.variance
    if variance < MIN_VARIANCE:
        return None
    wide = variance + TAU**2
    half = math.sqrt(variance * wide / TAU**2 * math.log(wide / (variance * alpha**2)))
    return RateInterval(difference, difference - half, difference + half)
