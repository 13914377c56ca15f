"""The order of providers for a request, and those that are only offered: one pure function.

Everything that it depends on is an argument, so its whole domain can be a table in a test
(tests/unit/routing/test_plan.py). It knows no requests and calls no provider.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from nearfield.config.schema import Escalate, Strategy
from nearfield.routing.consent import Consent


class Funds(StrEnum):
    """State of the budget for one request: within it, over a soft limit, or over a hard one."""

    OK = "ok"
    SOFT = "soft"
    HARD = "hard"


class Use(StrEnum):
    """Permitted use of a candidate at its turn."""

    GO = "go"
    """Ask it."""
    ASK = "ask"
    """Ask the user first."""
    OFFER = "offer"
    """Tell the user that it could be asked, and go on without it."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A provider as the plan sees it. `refused` is the sentence that rules it out (paused after
    failures, not capable, must not see these files), "" for none.
    """

    name: str
    local: bool
    consent: Consent = Consent.UNASKED
    funds: Funds = Funds.OK
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """A turn. `failed` is what may be done after an error of the one before, or at the start,
    `poor` after an answer that is not good enough."""

    name: str
    failed: Use = Use.GO
    poor: Use = Use.GO


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in order. `offer` names candidates to offer in any case (a complex task that may not be
    sent to its best provider). `skipped` has (name, reason) of the others.
    """

    steps: tuple[Step, ...]
    offer: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...]


NO_CLOUD = 'the strategy is "local_only"'
NO_LOCAL = 'the strategy is "cloud_only"'
WITHOUT_CLOUD = (
    "Name a provider outside this machine under [providers] or, beside LLM_STRATEGY, set"
    " ANTHROPIC_API_KEY; or change routing.strategy."
)
"""What to do where only the cloud may answer and there is none."""
UNASKED = "you have not allowed it for this workspace"
REFUSED = "you said never for this workspace"
BROKE = "it could pass the hard limit of your budget, or its price is unknown"


def plan(
    strategy: Strategy, escalate: Escalate, complex_task: bool, candidates: Sequence[Candidate]
) -> Plan:
    """Return the order for one request. `candidates` come in the order in which the role names
    them.

    Local ones precede the cloud, with one exception: with "hybrid" a complex task is sent to a
    cloud first if no question is needed. A local provider never waits for an answer of the user.
    """
    skipped: list[tuple[str, str]] = []
    local: list[Step] = []
    cloud: list[Step] = []
    once: list[Step] = []
    for candidate in candidates:
        if why := _why_not(strategy, candidate):
            skipped.append((candidate.name, why))
        elif candidate.local:
            local.append(Step(candidate.name))
        elif candidate.consent is Consent.ONCE:
            once.append(Step(candidate.name))
        else:
            cloud.append(_cloud_step(escalate, candidate))
    if strategy == "hybrid" and complex_task:
        free = [step for step in cloud if step.failed is Use.GO]
        bound = [step for step in cloud if step.failed is not Use.GO]
        offer = tuple(step.name for step in bound) if not (free or once) else ()
        return Plan((*once, *free, *local, *bound), offer, tuple(skipped))
    return Plan((*once, *local, *cloud), (), tuple(skipped))


def _why_not(strategy: Strategy, candidate: Candidate) -> str:
    if candidate.local:
        return NO_LOCAL if strategy == "cloud_only" else candidate.refused
    if strategy == "local_only":
        return NO_CLOUD
    if candidate.consent is Consent.NEVER:
        return REFUSED
    if candidate.funds is Funds.HARD:
        return candidate.refused or BROKE
    return candidate.refused


def _cloud_step(escalate: Escalate, candidate: Candidate) -> Step:
    question = Use.ASK if escalate == "ask" else Use.OFFER
    if not candidate.consent.allows or candidate.funds is Funds.SOFT:
        return Step(candidate.name, question, question)
    return Step(candidate.name, Use.GO, Use.OFFER if escalate == "suggest" else Use.GO)
