"""Prompt sizes follow from the deadline and the measured rates."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nearfield.features.completion.answers import Stopwatch
from nearfield.features.completion.prompting import (
    FIRST_TOKENS,
    MIN_PROMPT_TOKENS,
    allow,
)
from nearfield.features.completion.question import LearnedRates
from nearfield.providers.estimate import UNKNOWN_DECODE_RATE, UNKNOWN_PREFILL_RATE
from nearfield.types import Capabilities, Usage

LAPTOP = Capabilities(prefill_rate=70, decode_rate=20, context_tokens=8192)
GPU = Capabilities(prefill_rate=5000, decode_rate=100, context_tokens=8192)

# seconds, rates, new tokens at most while typing and for manual requests, tokens in all (128 kept
# for the answer, 64 for the template)
SIZES = [
    (2.5, LAPTOP, 115, 115, 8000),
    (20.0, LAPTOP, FIRST_TOKENS, 1340, 8000),
    (0.5, LAPTOP, MIN_PROMPT_TOKENS, MIN_PROMPT_TOKENS, 8000),
    (-1.0, LAPTOP, MIN_PROMPT_TOKENS, MIN_PROMPT_TOKENS, 8000),
    (2.5, GPU, 1500, 8000, 8000),
    (0.5, GPU, 1450, 1450, 8000),
    (2.5, replace(GPU, context_tokens=2048), 1500, 1856, 1856),
    (
        2.5,
        replace(GPU, context_tokens=128),
        MIN_PROMPT_TOKENS,
        MIN_PROMPT_TOKENS,
        MIN_PROMPT_TOKENS,
    ),
    (2.5, Capabilities(), 83, 83, 3904),
]


@pytest.mark.parametrize(("seconds", "can", "typing", "waiting", "whole"), SIZES)
def test_sizes_follow_from_deadline_and_rates(
    seconds: float, can: Capabilities, typing: int, waiting: int, whole: int
) -> None:
    for is_manual, fresh in ((False, typing), (True, waiting)):
        allowance = allow(can, seconds, 128, is_manual=is_manual)
        assert (allowance.fresh_tokens, allowance.prompt_tokens) == (fresh, whole)


@pytest.mark.parametrize(
    ("rate", "elsewhere", "arrived"),
    [(70, 115, 115), (300, FIRST_TOKENS, 360), (1000, 300, 1200), (5000, 1500, 6000)],
)
def test_more_is_read_at_an_empty_line_that_the_user_has_come_to(
    rate: float, elsewhere: int, arrived: int
) -> None:
    can = replace(LAPTOP, prefill_rate=rate)
    assert allow(can, 2.5, 128).fresh_tokens == elsewhere
    assert allow(can, 2.5, 128, is_arrival=True).fresh_tokens == arrived


@pytest.mark.parametrize(
    ("can", "idle"), [(LAPTOP, 700), (GPU, 8000), (replace(LAPTOP, context_tokens=512), 320)]
)
def test_idle_prefill_is_limited(can: Capabilities, idle: int) -> None:
    assert allow(can, 2.5, 128).idle_tokens == idle


def test_unknown_rates_are_careful() -> None:
    assert UNKNOWN_PREFILL_RATE < 65
    assert UNKNOWN_DECODE_RATE < 19


def watch(first: float, last: float, tokens: int) -> Stopwatch:
    stopwatch = Stopwatch()
    stopwatch.first, stopwatch.last = stopwatch.begun + first, stopwatch.begun + last
    stopwatch.tokens = tokens
    return stopwatch


# time to the first token, time to the last, tokens, characters shown, usage; prefill, decode rate
LEARNED = [
    (1.0, 2.0, 40, 600, None, 200, 40),
    (1.0, 2.0, 40, 600, Usage("m", evaluated_tokens=100), 100, 40),
    (1.0, 2.0, 40, 30, None, None, 40),
    (1.0, 2.0, 3, 600, None, 200, None),
]


@pytest.mark.parametrize(
    ("first", "last", "tokens", "chars", "usage", "prefill", "decode"), LEARNED
)
def test_rates_are_learned_where_a_provider_has_none(
    first: float,
    last: float,
    tokens: int,
    chars: int,
    usage: Usage | None,
    prefill: float | None,
    decode: float | None,
) -> None:
    rates = LearnedRates()
    rates.learn("p", watch(first, last, tokens), chars, usage)
    can = rates.fill_in("p", Capabilities(infill=True))
    expected = Capabilities(infill=True, prefill_rate=prefill, decode_rate=decode)
    assert (can.prefill_rate, can.decode_rate) == (
        pytest.approx(prefill),
        pytest.approx(decode),
    )
    assert replace(can, prefill_rate=prefill, decode_rate=decode) == expected
    assert rates.fill_in("p", LAPTOP) == LAPTOP
    assert rates.fill_in("other", Capabilities()) == Capabilities()


def test_a_rate_moves_slowly() -> None:
    rates = LearnedRates()
    rates.learn("p", watch(1, 2, 40), 600, None)
    rates.learn("p", watch(1, 2, 40), 1200, None)
    assert rates.fill_in("p", Capabilities()).prefill_rate == pytest.approx(0.7 * 200 + 0.3 * 400)


def test_a_stopwatch_counts_tokens_from_the_first_to_the_last() -> None:
    stopwatch = Stopwatch()
    for count in (2, 3):
        stopwatch.token(count)
    assert stopwatch.tokens == 5
    assert stopwatch.first is not None
    assert stopwatch.last is not None
    assert stopwatch.begun <= stopwatch.first <= stopwatch.last
