"""Prices and the budget."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from nearfield.config.schema import Budget
from nearfield.routing.ledger import Spending
from nearfield.routing.money import Standing, dollars, funds, price
from nearfield.routing.plan import Funds


@pytest.mark.parametrize(
    ("model", "prices", "expected"),
    [
        ("claude-sonnet-4-5", {}, Decimal("0.0045")),
        ("nobody-knows-this-one", {}, None),
        ("nobody-knows-this-one", {"nobody-knows-this-one": [1, 10]}, Decimal("0.002")),
        ("claude-sonnet-4-5", {"claude-sonnet-4-5": [0, 0]}, Decimal(0)),
    ],
)
def test_a_request_is_priced_or_its_price_is_unknown(
    model: str, prices: dict[str, list[float]], expected: Decimal | None
) -> None:
    assert price(Budget(prices=prices), model, 1000, 100) == expected


def _standing(today: float, month: float) -> Standing:
    return Standing(Spending(Decimal(str(today)), 0), Spending(Decimal(str(month)), 0))


@pytest.mark.parametrize(
    ("budget", "spent", "cost", "state"),
    [
        ({}, (100, 100), "9", Funds.OK),
        ({"daily_hard": 1}, (0.5, 5), "0.5", Funds.OK),
        ({"daily_hard": 1}, (0.5, 5), "0.51", Funds.HARD),
        ({"daily_hard": 1}, (0, 0), None, Funds.HARD),
        ({"daily_soft": 1}, (0, 0), None, Funds.OK),
        ({"daily_soft": 1}, (1, 1), "0.01", Funds.SOFT),
        ({"monthly_soft": 10, "monthly_hard": 20}, (0, 15), "1", Funds.SOFT),
        ({"monthly_soft": 10, "monthly_hard": 20}, (0, 19.5), "1", Funds.HARD),
        ({"daily_soft": 1, "monthly_hard": 2}, (1, 1.9), "1", Funds.HARD),
    ],
)
def test_the_budget_allows_warns_or_refuses(
    budget: dict[str, Any], spent: tuple[float, float], cost: str | None, state: Funds
) -> None:
    amount = None if cost is None else Decimal(cost)
    found, why = funds(Budget(**budget), _standing(*spent), amount)
    assert found is state
    assert bool(why) == (state is not Funds.OK)


def test_small_sums_are_not_rounded_to_nothing() -> None:
    shown = [dollars(Decimal(text)) for text in ("0", "0.00042", "1.005", "12")]
    assert shown == ["$0.00", "$0.000420", "$1.00", "$12.00"]
    _, why = funds(Budget(daily_hard=0.001), _standing(0.0004, 0.0004), Decimal("0.01"))
    assert "$0.000400 spent" in why
