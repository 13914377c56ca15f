"""Strategy, health, quality, consent, budget and mode in all combinations, through the router: who
is asked, in which order, whose answer stands, and what the user is offered or asked."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from nearfield.errors import NoProvider
from nearfield.routing.consent import Consent
from nearfield.routing.request_context import Offer, RequestContext
from nearfield.routing.route import Restart
from nearfield.routing.store import Store
from nearfield.types import ChatRequest

STRATEGIES = ("local_only", "local_first", "hybrid", "cloud_only")
HEALTH = ("both", "no cloud", "no local", "none")
QUALITY = ("good", "poor")
BUDGET = ("within", "soft", "hard")
MODES = ("suggest", "ask", "auto")
DOMAIN = tuple(itertools.product(STRATEGIES, HEALTH, QUALITY, Consent, BUDGET, MODES))

LIMITS = {"within": {}, "soft": {"daily_soft": 1e-9}, "hard": {"daily_hard": 1e-9}}
DOWN = {"error": "Unreachable"}


@dataclass(frozen=True)
class Row:
    """One line of the table; "*" is anything, a set any of its members. `asked` is who was asked,
    L local and C cloud, `answer` whose answer stands ("" for nobody's), `user` what becomes of the
    cloud: offered, asked for, or "" for neither."""

    strategy: Any
    health: Any
    quality: Any
    consent: Any
    budget: Any
    mode: Any
    asked: str
    answer: str
    user: str = ""

    def holds(self, point: tuple[Any, ...]) -> bool:
        wanted = (
            self.strategy, self.health, self.quality, self.consent, self.budget, self.mode,
        )  # fmt: skip
        return all(
            want == "*" or (value in want if isinstance(want, set) else value == want)
            for want, value in zip(wanted, point, strict=True)
        )


N, O, W, X = Consent.UNASKED, Consent.ONCE, Consent.WORKSPACE, Consent.NEVER  # noqa: E741 - columns of a table
FEW = {"within", "soft"}
HERE, GONE = {"both", "no cloud"}, {"no local", "none"}
FIRST = {"local_first", "hybrid"}
"""With "hybrid" a task that is not complex goes the same way; test_plan.py has the complex ones."""
TALK, GO = {"suggest", "auto"}, {"ask", "auto"}

TABLE = (
    #   strategy      health      quality consent    budget    mode      asked answer user
    Row("local_only", HERE,       "*",    "*",       "*",      "*",      "L",  "L"),
    Row("local_only", GONE,       "*",    "*",       "*",      "*",      "L",  ""),
    # No, or no money.
    Row(FIRST,        HERE,       "*",    X,         "*",      "*",      "L",  "L"),
    Row(FIRST,        GONE,       "*",    X,         "*",      "*",      "L",  ""),
    Row(FIRST,        HERE,       "*",    {N, O, W}, "hard",   "*",      "L",  "L"),
    Row(FIRST,        GONE,       "*",    {N, O, W}, "hard",   "*",      "L",  ""),
    Row("cloud_only", "*",        "*",    X,         "*",      "*",      "",   ""),
    Row("cloud_only", "*",        "*",    {N, O, W}, "hard",   "*",      "",   ""),
    # Yes, this once: it goes first, and what is here is for its failure.
    Row(FIRST, {"both", "no local"}, "*", O,         FEW,      "*",      "C",  "C"),
    Row(FIRST,        "no cloud", "*",    O,         FEW,      "*",      "CL", "L"),
    Row(FIRST,        "none",     "*",    O,         FEW,      "*",      "CL", ""),
    # Nobody has said anything, or it costs more than the user wanted to spend unasked.
    Row(FIRST,        HERE,       "good", N,         FEW,      "*",      "L",  "L"),
    Row(FIRST,        HERE,       "good", W,         "soft",   "*",      "L",  "L"),
    Row(FIRST,        HERE,       "poor", N,         FEW,      TALK,     "L",  "L", "offered"),
    Row(FIRST,        HERE,       "poor", W,         "soft",   TALK,     "L",  "L", "offered"),
    Row(FIRST,        HERE,       "poor", N,         FEW,      "ask",    "L",  "L", "asked"),
    Row(FIRST,        HERE,       "poor", W,         "soft",   "ask",    "L",  "L", "asked"),
    Row(FIRST,        GONE,       "*",    N,         FEW,      TALK,     "L",  "",  "offered"),
    Row(FIRST,        GONE,       "*",    W,         "soft",   TALK,     "L",  "",  "offered"),
    Row(FIRST,        GONE,       "*",    N,         FEW,      "ask",    "L",  "",  "asked"),
    Row(FIRST,        GONE,       "*",    W,         "soft",   "ask",    "L",  "",  "asked"),
    # Yes, in this workspace.
    Row(FIRST,        HERE,       "good", W,         "within", "*",      "L",  "L"),
    Row(FIRST,        HERE,       "poor", W,         "within", "suggest", "L", "L", "offered"),
    Row(FIRST,        "both",     "poor", W,         "within", GO,       "LC", "C"),
    Row(FIRST,        "no cloud", "poor", W,         "within", GO,       "LC", "L"),
    Row(FIRST,        "no local", "*",    W,         "within", "*",      "LC", "C"),
    Row(FIRST,        "none",     "*",    W,         "within", "*",      "LC", ""),
    # The cloud alone.
    Row("cloud_only", {"both", "no local"}, "*", O,  FEW,      "*",      "C",  "C"),
    Row("cloud_only", {"no cloud", "none"}, "*", O,  FEW,      "*",      "C",  ""),
    Row("cloud_only", "*",        "*",    N,         FEW,      TALK,     "",   "",  "offered"),
    Row("cloud_only", "*",        "*",    N,         FEW,      "ask",    "",   "",  "asked"),
    Row("cloud_only", "*",        "*",    W,         "soft",   TALK,     "",   "",  "offered"),
    Row("cloud_only", "*",        "*",    W,         "soft",   "ask",    "",   "",  "asked"),
    Row("cloud_only", {"both", "no local"}, "*", W,  "within", "*",      "C",  "C"),
    Row("cloud_only", {"no cloud", "none"}, "*", W,  "within", "*",      "C",  ""),
)  # fmt: skip


def test_the_table_covers_its_domain_without_overlap() -> None:
    assert len(DOMAIN) == 4 * 4 * 2 * 4 * 3 * 3
    for point in DOMAIN:
        rows = [row for row in TABLE if row.holds(point)]
        assert len(rows) == 1, (point, rows)


@pytest.mark.parametrize("health", HEALTH)
@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_every_combination_has_its_outcome(
    strategy: str, health: str, make: Any, provider: Any, chat: Any, store: Store, workspace: Path
) -> None:
    wrong: list[object] = []
    for point in (point for point in DOMAIN if point[:2] == (strategy, health)):
        row = next(row for row in TABLE if row.holds(point))
        asked, answer, user, ledger = await _outcome(point, make, provider, chat, store, workspace)
        if (asked, answer, user) != (row.asked, row.answer, row.user):
            wrong.append((point, row, asked, answer, user))
        assert ledger == ("C" in row.asked), "what is sent is in the ledger, and nothing else"
    assert not wrong


async def _outcome(
    point: tuple[Any, ...], make: Any, provider: Any, chat: Any, store: Store, workspace: Path
) -> tuple[str, str, str, bool]:
    """Who was asked, whose answer stood, what the user was told, and whether the ledger has it."""
    strategy, health, quality, consent, budget, mode = point
    before = len(store.entries())
    store.revoke(None, None)
    if consent in (W, X):
        store.say(str(workspace), "C", "C", consent)
    local = provider("L", **({"text": "L"} if health in HERE else DOWN))
    up = health in ("both", "no local")
    cloud = provider("C", remote=True, model="claude-sonnet-4-5", **({"text": "C"} if up else DOWN))
    settings = {
        "routing": {"strategy": strategy, "escalate": mode, "ask_timeout_s": 1},
        "budget": LIMITS[budget],
        "cache": {"enabled": False},
    }
    router = make(settings, local, cloud)
    questions: list[Offer] = []

    async def ask(offer: Offer) -> Consent | None:
        questions.append(offer)
        return None

    def check(text: str) -> str:
        return "does not parse" if quality == "poor" and text == "L" else ""

    context = RequestContext(
        workspace=str(workspace),
        ask=ask,
        checks=(check,),
        complex=False,
        accepted=("C",) if consent is O else (),
    )
    order: list[str] = []
    for one in (local, cloud):
        one.chat = partial(_noted, one.name, one.chat, order)
    shown = ""
    route = router.chat(chat(), context=context)
    try:
        async with route:
            async for item in route:
                shown = "" if isinstance(item, Restart) else shown + item.text
    except NoProvider:
        shown = ""
    told = "asked" if questions else "offered" if route.offers else ""
    return "".join(order), shown, told, len(store.entries()) > before


def _noted(name: str, chat: Any, order: list[str], request: ChatRequest) -> Any:
    order.append(name)
    return chat(request)
