"""The price of a request, and whether the budget allows it.

Prices come from genai-prices, which ships with the package and is not updated over the network;
`[budget.prices]` adds to and overrides it. A model in neither has the price None, shown as unknown
and never treated as free.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from nearfield.config.schema import Budget
from nearfield.providers.estimate import CHARS_PER_TOKEN
from nearfield.routing.ledger import Spending
from nearfield.routing.plan import Funds
from nearfield.routing.store import Store
from nearfield.types import ChatRequest, EditRequest, InfillRequest, Usage

_MILLION = Decimal(1_000_000)


def estimate_tokens(characters: int) -> int:
    """Return an upper estimate of the tokens in `characters` characters."""
    return int(characters / CHARS_PER_TOKEN) + 1


def read_tokens(usage: Usage | None, request: InfillRequest | EditRequest | ChatRequest) -> int:
    """Return the tokens of `request` that a provider read: as it says, else an estimate."""
    if usage is not None and usage.prompt_tokens is not None:
        return usage.prompt_tokens
    if isinstance(request, ChatRequest):
        return estimate_tokens(sum(len(message.content) for message in request.messages))
    if isinstance(request, EditRequest):
        return estimate_tokens(len(request.text))
    shown = sum(len(snippet.text) for snippet in request.snippets)
    return estimate_tokens(len(request.prefix) + len(request.suffix) + shown)


def price(
    budget: Budget, model: str, tokens_in: int, tokens_out: int, base_url: str = ""
) -> Decimal | None:
    """US dollars for a request to `model`, None when its price is not known. Blocks for 0.1 s the
    first time, while the price list loads."""
    own = budget.prices.get(model)
    if own is not None and len(own) == 2:
        read, written = (Decimal(str(x)) for x in own)
        return (read * tokens_in + written * tokens_out) / _MILLION
    # Imported late: the list is some hundred kilobytes of Python.
    try:
        from genai_prices import Usage, calc_price
    except ImportError:  # without the extra "cloud" a price is known only from the settings
        return None

    usage = Usage(input_tokens=tokens_in, output_tokens=tokens_out)
    for address in (base_url, None) if base_url else (None,):
        try:
            return calc_price(usage, model, provider_api_url=address).total_price
        except LookupError:
            continue
    return None


def dollars(amount: Decimal | None) -> str:
    """An amount as people read it: small ones with all that matters, unknown ones as that."""
    if amount is None:
        return "unknown"
    return f"${amount:.2f}" if amount >= 1 or not amount else f"${amount:.6f}"


@dataclass(frozen=True, slots=True)
class Standing:
    """Spending of today and of this month."""

    today: Spending
    month: Spending


def standing(store: Store, now: float | None = None) -> Standing:
    """Return the spending in the ledger, by local date. Blocks."""
    today = datetime.fromtimestamp(time.time() if now is None else now).date()
    return Standing(store.spent(_midnight(today)), store.spent(_midnight(today.replace(day=1))))


def funds(budget: Budget, spent: Standing, cost: Decimal | None) -> tuple[Funds, str]:
    """Return the state of the budget for a request of at most `cost`, and a sentence if it is
    exceeded. With a hard limit, an unknown cost exceeds it.
    """
    limits = (
        ("daily", budget.daily_soft, budget.daily_hard, spent.today.dollars),
        ("monthly", budget.monthly_soft, budget.monthly_hard, spent.month.dollars),
    )
    for name, _, hard, gone in limits:
        if not hard:
            continue
        if cost is None:
            return Funds.HARD, f"its price is unknown and there is a {name} limit"
        if gone + cost > Decimal(str(hard)):
            return (
                Funds.HARD,
                f"it could pass the {name} limit of ${hard:g} ({dollars(gone)} spent)",
            )
    for name, soft, _, gone in limits:
        if soft and gone + (cost or 0) > Decimal(str(soft)):
            return Funds.SOFT, f"over the {name} soft limit of ${soft:g} ({dollars(gone)} spent)"
    return Funds.OK, ""


def _midnight(day: date) -> float:
    return datetime(day.year, day.month, day.day).timestamp()
