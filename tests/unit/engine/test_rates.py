"""Measured rates of prefill and decoding."""

from __future__ import annotations

import pytest

from nearfield.engine.rates import Rates


def test_rates_start_unknown_and_follow_measurements() -> None:
    rates = Rates()
    assert rates.prefill_ms(100) == 0.0
    rates.prefilled(100, 1000)
    assert rates.prefill == 100
    for _ in range(40):
        rates.prefilled(100, 500)
    assert rates.prefill == pytest.approx(200, rel=0.01)
    assert rates.prefill_ms(100) == pytest.approx(500, rel=0.01)


def test_a_chunk_of_a_few_tokens_says_nothing_about_the_rate() -> None:
    rates = Rates(prefill=100)
    rates.prefilled(2, 1000)
    assert rates.prefill == 100
