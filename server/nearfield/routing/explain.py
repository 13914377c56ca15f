"""Foretell which providers a request would be put to, without asking any of them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from nearfield.errors import NotPermitted, OverBudget
from nearfield.routing.guard import Request
from nearfield.routing.plan import Funds, Step, Use
from nearfield.routing.provider_pool import ProviderPool
from nearfield.routing.request_context import RequestContext

WORDS = {
    Use.GO: "is asked",
    Use.ASK: "is asked if you say yes",
    Use.OFFER: "is only offered to you",
}


@dataclass(frozen=True, slots=True)
class ForeseenTurn:
    """A provider in the order in which they are tried. `use` says what happens at its turn. For one
    outside this machine `bytes` is what it would receive after redaction. `redactions` is the
    number of replaced secrets, and `price` the most that it can cost in dollars, None if unknown.
    """

    provider: str
    model: str
    is_local: bool
    use: str
    bytes: int = 0
    redactions: int = 0
    price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class RouteExplanation:
    """The role of a request, the user's rule that decided ("" for none), whether the task counts as
    complex and why; the providers in order; and why each other one is left out.
    """

    role: str
    rule: str
    is_complex: bool
    why: str
    turns: tuple[ForeseenTurn, ...]
    left_out: tuple[tuple[str, str], ...]


async def explain(
    pool: ProviderPool,
    role: str,
    request: Request,
    context: RequestContext,
    is_complex: bool,
    why: str,
    *,
    by_rules: bool,
) -> RouteExplanation:
    """Return what would happen to the request now."""
    ruled, plan = await pool.planned(role, request, context, is_complex, by_rules=by_rules)
    left_out = list(plan.skipped)
    turns: list[ForeseenTurn] = []
    for step in plan.steps:
        try:
            turns.append(await _turn(pool, step, request, context))
        except NotPermitted as error:
            left_out.append((step.name, error.message))
    return RouteExplanation(ruled.role, ruled.rule, is_complex, why, tuple(turns), tuple(left_out))


async def _turn(
    pool: ProviderPool, step: Step, request: Request, context: RequestContext
) -> ForeseenTurn:
    model, use = pool.providers[step.name].model, WORDS[step.failed]
    if step.name in pool.local:
        return ForeseenTurn(step.name, model, True, use)
    sent = await pool.prepare(step.name, request, context)
    if sent.funds is Funds.HARD:
        raise OverBudget(f"Nothing is sent to {step.name}: {sent.warning}.")
    return ForeseenTurn(
        step.name,
        model,
        False,
        use,
        len(sent.content),
        sum(count for _, count in sent.redactions.kinds),
        sent.most,
    )
