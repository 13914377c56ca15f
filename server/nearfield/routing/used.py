"""The use of each model: requests, tokens, money spent, and money that local models saved."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from nearfield.config.schema import Budget
from nearfield.routing import money
from nearfield.routing.ledger import LedgerEntry, LocalUse, RequestOutcome


@dataclass(slots=True)
class UsedModel:
    """Statistics of one model. `price` is the money spent for a remote one, or else the price at
    `budget.compare_with`; None when unknown.
    """

    provider: str
    model: str
    local: bool
    requests: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    price: Decimal | None = Decimal(0)
    unknown: int = 0


@dataclass(frozen=True, slots=True)
class ModelUse:
    """`spent_unknown` counts requests without a known price; `share_local` is 0..1."""

    lines: tuple[UsedModel, ...]
    spent: Decimal
    spent_unknown: int
    saved: Decimal | None
    share_local: float | None
    today: Decimal
    month: Decimal


def used(
    entries: Sequence[LedgerEntry],
    uses: Sequence[LocalUse],
    budget: Budget,
    today: Decimal,
    month: Decimal,
) -> ModelUse:
    """The sums of those entries of the ledger and local uses."""
    lines: dict[tuple[str, str, bool], UsedModel] = {}
    for entry in entries:
        to = entry.sending
        line = lines.setdefault(
            (to.provider, to.model, False), UsedModel(to.provider, to.model, False)
        )
        line.requests += 1
        line.tokens_in += entry.tokens_in or 0
        line.tokens_out += entry.tokens_out or 0
        if entry.price is not None:
            line.price = (line.price or Decimal(0)) + entry.price
        elif entry.outcome in (RequestOutcome.ANSWERED, RequestOutcome.CANCELLED):
            line.unknown += 1
    answered = sum(entry.outcome == RequestOutcome.ANSWERED for entry in entries)
    local = sum(use.requests for use in uses)
    saved = _add_local(lines, uses, budget)
    clouds = [line for line in lines.values() if not line.local]
    return ModelUse(
        lines=tuple(sorted(lines.values(), key=lambda line: -line.requests)),
        spent=sum((line.price or Decimal(0) for line in clouds), Decimal(0)),
        spent_unknown=sum(line.unknown for line in clouds),
        saved=saved,
        share_local=local / (local + answered) if local + answered else None,
        today=today,
        month=month,
    )


def _add_local(
    lines: dict[tuple[str, str, bool], UsedModel], uses: Sequence[LocalUse], budget: Budget
) -> Decimal | None:
    tokens: dict[tuple[str, str, bool], list[int]] = defaultdict(lambda: [0, 0, 0])
    for use in uses:
        held = tokens[use.provider, use.model, True]
        held[0] += use.requests
        held[1] += use.tokens_in
        held[2] += use.tokens_out
    total: Decimal | None = Decimal(0)
    for key, (requests, read, written) in tokens.items():
        price = money.price(budget, budget.compare_with, read, written)
        lines[key] = UsedModel(*key, requests, read, written, price)
        total = None if price is None or total is None else total + price
    return total
