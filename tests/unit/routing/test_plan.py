"""Strategy, consent, budget, mode and complexity in all combinations, against who is asked."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import pytest

from nearfield.routing.consent import Consent
from nearfield.routing.plan import Candidate, Funds, Step, Use, plan

STRATEGIES = ("local_only", "local_first", "hybrid", "cloud_only")
ESCALATE = ("suggest", "ask", "auto")


@dataclass(frozen=True)
class Row:
    """One line of the table; "*" is anything, a set any of its members. `order` is who is asked or
    offered, L local and C cloud, with the cloud's use after a failure and after a poor answer."""

    strategy: Any
    escalate: Any
    complex: Any
    consent: Any
    funds: Any
    order: str
    failed: str = ""
    poor: str = ""
    offer: bool = False

    def holds(self, point: tuple[Any, ...]) -> bool:
        wanted = (self.strategy, self.escalate, self.complex, self.consent, self.funds)
        return all(
            want == "*" or (value in want if isinstance(want, set) else value == want)
            for want, value in zip(wanted, point, strict=True)
        )


N, O, W, X = Consent.UNASKED, Consent.ONCE, Consent.WORKSPACE, Consent.NEVER  # noqa: E741 - columns of a table
OK, SOFT, HARD = Funds.OK, Funds.SOFT, Funds.HARD
FEW = {OK, SOFT}
TALK = {"suggest", "auto"}

TABLE = (
    #   strategy       escalate  complex consent funds  order  failed   poor     offered at once
    Row("local_only",  "*",      "*",    "*",    "*",   "L"),
    Row("local_first", "*",      "*",    X,      "*",   "L"),
    Row("local_first", "*",      "*",    {N, O, W}, HARD, "L"),
    Row("local_first", "*",      "*",    O,      FEW,   "CL", "go",    "go"),
    Row("local_first", TALK,     "*",    N,      FEW,   "LC", "offer", "offer"),
    Row("local_first", "ask",    "*",    N,      FEW,   "LC", "ask",   "ask"),
    Row("local_first", TALK,     "*",    W,      SOFT,  "LC", "offer", "offer"),
    Row("local_first", "ask",    "*",    W,      SOFT,  "LC", "ask",   "ask"),
    Row("local_first", "suggest", "*",   W,      OK,    "LC", "go",    "offer"),
    Row("local_first", {"ask", "auto"}, "*", W,  OK,    "LC", "go",    "go"),
    Row("hybrid",      "*",      "*",    X,      "*",   "L"),
    Row("hybrid",      "*",      "*",    {N, O, W}, HARD, "L"),
    Row("hybrid",      "*",      "*",    O,      FEW,   "CL", "go",    "go"),
    Row("hybrid",      TALK,     False,  N,      FEW,   "LC", "offer", "offer"),
    Row("hybrid",      "ask",    False,  N,      FEW,   "LC", "ask",   "ask"),
    Row("hybrid",      TALK,     False,  W,      SOFT,  "LC", "offer", "offer"),
    Row("hybrid",      "ask",    False,  W,      SOFT,  "LC", "ask",   "ask"),
    Row("hybrid",      "suggest", False, W,      OK,    "LC", "go",    "offer"),
    Row("hybrid",      {"ask", "auto"}, False, W, OK,   "LC", "go",    "go"),
    Row("hybrid",      TALK,     True,   N,      FEW,   "LC", "offer", "offer", True),
    Row("hybrid",      "ask",    True,   N,      FEW,   "LC", "ask",   "ask",   True),
    Row("hybrid",      TALK,     True,   W,      SOFT,  "LC", "offer", "offer", True),
    Row("hybrid",      "ask",    True,   W,      SOFT,  "LC", "ask",   "ask",   True),
    Row("hybrid",      "suggest", True,  W,      OK,    "CL", "go",    "offer"),
    Row("hybrid",      {"ask", "auto"}, True, W, OK,    "CL", "go",    "go"),
    Row("cloud_only",  "*",      "*",    X,      "*",   ""),
    Row("cloud_only",  "*",      "*",    {N, O, W}, HARD, ""),
    Row("cloud_only",  "*",      "*",    O,      FEW,   "C",  "go",    "go"),
    Row("cloud_only",  TALK,     "*",    N,      FEW,   "C",  "offer", "offer"),
    Row("cloud_only",  "ask",    "*",    N,      FEW,   "C",  "ask",   "ask"),
    Row("cloud_only",  TALK,     "*",    W,      SOFT,  "C",  "offer", "offer"),
    Row("cloud_only",  "ask",    "*",    W,      SOFT,  "C",  "ask",   "ask"),
    Row("cloud_only",  "suggest", "*",   W,      OK,    "C",  "go",    "offer"),
    Row("cloud_only",  {"ask", "auto"}, "*", W,  OK,    "C",  "go",    "go"),
)  # fmt: skip

DOMAIN = tuple(itertools.product(STRATEGIES, ESCALATE, (False, True), Consent, Funds))


def test_the_table_covers_its_domain_without_overlap() -> None:
    assert len(DOMAIN) == 4 * 3 * 2 * 4 * 3
    for point in DOMAIN:
        rows = [row for row in TABLE if row.holds(point)]
        assert len(rows) == 1, (point, rows)


@pytest.mark.parametrize("point", DOMAIN, ids=lambda p: "-".join(str(x) for x in p))
def test_the_strategy_decides_the_order(point: tuple[Any, ...]) -> None:
    strategy, escalate, is_complex, consent, funds = point
    row = next(row for row in TABLE if row.holds(point))
    made = plan(
        strategy,
        escalate,
        is_complex,
        [Candidate("L", True), Candidate("C", False, consent, funds)],
    )
    assert "".join(step.name for step in made.steps) == row.order
    cloud = [step for step in made.steps if step.name == "C"]
    expected = [Step("C", Use(row.failed), Use(row.poor))] if row.failed else []
    assert cloud == expected
    assert made.offer == (("C",) if row.offer else ())
    assert {name for name, _ in made.skipped} == {"L", "C"} - set(row.order)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("who", ["L", "C"])
def test_a_refused_candidate_is_not_asked(strategy: Any, who: str) -> None:
    candidates = [
        Candidate("L", True, refused="paused" if who == "L" else ""),
        Candidate("C", False, Consent.WORKSPACE, refused="paused" if who == "C" else ""),
    ]
    made = plan(strategy, "auto", False, candidates)
    assert who not in [step.name for step in made.steps]
    assert who in dict(made.skipped)


@pytest.mark.parametrize(
    ("is_complex", "order"), [(False, ["a", "b", "c", "d"]), (True, ["c", "d", "a", "b"])]
)
def test_candidates_keep_their_order_within_their_kind(is_complex: bool, order: list[str]) -> None:
    made = plan(
        "hybrid",
        "auto",
        is_complex,
        [
            Candidate("c", False, Consent.WORKSPACE),
            Candidate("a", True),
            Candidate("d", False, Consent.WORKSPACE),
            Candidate("b", True),
        ],
    )
    assert [step.name for step in made.steps] == order
