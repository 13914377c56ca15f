"""The breaker, the gate, the choice of a role, prices, the race: one table each."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from nearfield.config.schema import Budget, Config
from nearfield.errors import (
    BadAnswer,
    ContextTooLong,
    NearfieldError,
    RateLimited,
    Unauthorised,
    Unreachable,
)
from nearfield.routing.breaker import Breaker, Circuit
from nearfield.routing.hedge import race
from nearfield.routing.ledger import Spent
from nearfield.routing.money import Standing, funds, price
from nearfield.routing.plan import Funds
from nearfield.routing.provider_pool import variants
from nearfield.routing.quality import Answer, judge
from nearfield.routing.request_context import RequestContext, Source, Task
from nearfield.routing.tasks import choose
from nearfield.types import ChatRequest, Delta, Finish, Message, Role, Tool, ToolCall


def test_the_breaker_opens_tries_once_and_closes() -> None:
    breaker = Breaker(2, 10)
    now = 100.0
    for error in (Unreachable(""), BadAnswer("")):
        assert breaker.why_not(now) == ""
        breaker.begin(now)
        breaker.fail(error, now)
    assert breaker.state(now) is Circuit.OPEN and "BadAnswer" in breaker.why_not(now)
    now += 13
    assert breaker.state(now) is Circuit.HALF_OPEN and not breaker.why_not(now)
    breaker.begin(now)
    assert "being tried" in breaker.why_not(now)
    breaker.fail(Unreachable(""), now)
    assert breaker.state(now + 19) is Circuit.OPEN
    now += 25
    breaker.begin(now)
    breaker.succeed()
    assert breaker.state(now) is Circuit.CLOSED and not breaker.why_not(now)


@pytest.mark.parametrize(
    ("error", "open_after"),
    [
        (RateLimited("", retry_after=40), 39),
        (RateLimited(""), 9),
        (Unauthorised(""), 59),
        (ContextTooLong(""), None),
        (Unreachable(""), None),
    ],
)
def test_one_failure(error: NearfieldError, open_after: float | None) -> None:
    breaker = Breaker(3, 10)
    breaker.begin(0)
    breaker.fail(error, 1.0)
    assert (breaker.state(1.0) is Circuit.OPEN) == (open_after is not None)
    if open_after is not None:
        assert breaker.state(1.0 + open_after) is Circuit.OPEN
        assert breaker.state(1.0 + open_after + 2) is Circuit.HALF_OPEN


def test_a_trial_that_says_nothing_may_be_repeated() -> None:
    breaker = Breaker(1, 10)
    breaker.begin(0)
    breaker.fail(Unreachable(""), 0)
    breaker.begin(20)
    breaker.abandon()
    assert breaker.why_not(20) == ""


OBJECT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "n": {"type": "integer"},
        "tags": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["n"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("answer", "wrong"),
    [
        (Answer("return a + b"), ""),
        (Answer(""), "empty"),
        (Answer("  \n"), "empty"),
        (Answer("", tool_calls=(ToolCall("1", "f", "{}"),)), ""),
        (Answer("I'm sorry, but I can't help with that."), "refused"),
        (Answer("As an AI language model, I have no opinion."), "refused"),
        (Answer("def f():\n    # I cannot do that yet\n    pass"), ""),
        (Answer("The function cannot write to the file, since it is closed."), ""),
        (Answer("print(x)\n" + "total = total + value\n" * 6), "repeats itself"),
        (Answer("so it goes on and on and " + "on and on and " * 12), "repeats itself"),
        (Answer("a\nb\nc\n" + "first_line_of_two()\nsecond_line_of_two()\n" * 5), "repeats itself"),
        (Answer("    }\n" * 4), ""),
        (Answer("=" * 80), ""),
        (Answer("| a | b |\n| - | - |\n| 1 | 2 |\n| 3 | 4 |\n"), ""),
        (Answer("some words of it", (-3.0,) * 8), "unsure of itself"),
        (Answer("some words of it", (-3.0,) * 7), ""),
        (Answer("some words of it", (-1.0,) * 20), ""),
        (Answer('{"n": 1}', schema=OBJECT), ""),
        (Answer('{"n": 1, "tags": ["a"]}', schema=OBJECT), ""),
        (Answer('{"n": true}', schema=OBJECT), "answer.n is not integer"),
        (Answer('{"tags": []}', schema=OBJECT), "answer lacks n"),
        (Answer('{"n": 1, "tags": [1]}', schema=OBJECT), "answer.tags[0] is not string"),
        (Answer('{"n": 1, "m": 2}', schema=OBJECT), "answer has a key too many"),
        (Answer('{"n": 1', schema=OBJECT), "not JSON"),
        (Answer('"x"', schema={"enum": ["a", "b"]}), "answer is none of the allowed values"),
        (Answer("1", schema={"anyOf": [{"type": "string"}, {"type": "null"}]}), "answer"),
    ],
)  # fmt: skip
def test_the_gate(answer: Answer, wrong: str) -> None:
    assert judge(answer, -2.0) == wrong


def test_the_gate_asks_the_features() -> None:
    assert judge(Answer("x"), -2.0, [lambda _: "", lambda text: f"{text} does not apply"]) == (
        "x does not apply"
    )


HARD = "Implement a thread-safe LRU cache with time-based expiry and a background sweeper."
PLAIN = ChatRequest((Message(Role.USER, "hello"),))


@pytest.mark.parametrize(
    ("settings", "request_", "context", "role", "is_complex"),
    [
        ({}, PLAIN, RequestContext(Task.EXPLAIN), "fast", False),
        ({}, PLAIN, RequestContext(Task.FIX), "code", False),
        ({}, PLAIN, RequestContext(Task.REVIEW), "review", False),
        ({"tasks": {"fix": "large"}}, PLAIN, RequestContext(Task.FIX), "large", False),
        ({"strategy": "hybrid"}, PLAIN, RequestContext(complex=True), "code", True),
        ({"roles": {"large": ["x"]}}, PLAIN, RequestContext(complex=True), "large", True),
        ({"roles": {"large": ["x"]}}, PLAIN, RequestContext(Task.REVIEW, complex=True), "review", True),
        ({"strategy": "hybrid"}, PLAIN, RequestContext(diagnostics=9), "code", True),
        (
            {"strategy": "hybrid"}, PLAIN,
            RequestContext(sources=tuple(Source(f"{n}.py") for n in range(5))), "code", True,
        ),
        (
            {"strategy": "hybrid"}, ChatRequest((Message(Role.USER, "x" * 30_000),)), RequestContext(),
            "code", True,
        ),
        (
            {"strategy": "hybrid"},
            ChatRequest((Message(Role.USER, "go on"),) * 9, tools=(Tool("f", "", {}),)), RequestContext(),
            "code", True,
        ),
        ({"strategy": "hybrid"}, PLAIN, RequestContext(Task.EXPLAIN), "fast", False),
        ({"strategy": "hybrid", "complex_from": 1.0}, PLAIN, RequestContext(Task.CODE), "code", False),
        ({"strategy": "hybrid", "complex_from": 1e-9}, PLAIN, RequestContext(Task.CODE), "code", True),
    ],
)  # fmt: skip
def test_the_role_of_a_task(
    settings: Any, request_: ChatRequest, context: RequestContext, role: str, is_complex: bool
) -> None:
    choice = choose(msgspec.convert({"routing": settings}, Config), request_, context)
    assert (choice.role, choice.complex) == (role, is_complex)
    assert choice.why


@pytest.mark.parametrize(
    ("model", "prices", "expected"),
    [
        ("claude-sonnet-4-5", {}, Decimal("0.0045")),
        ("nobody-knows-this-one", {}, None),
        ("nobody-knows-this-one", {"nobody-knows-this-one": [1, 10]}, Decimal("0.002")),
        ("claude-sonnet-4-5", {"claude-sonnet-4-5": [0, 0]}, Decimal(0)),
    ],
)
def test_prices(model: str, prices: dict[str, list[float]], expected: Decimal | None) -> None:
    assert price(Budget(prices=prices), model, 1000, 100) == expected


def _standing(today: float, month: float) -> Standing:
    return Standing(Spent(Decimal(str(today)), 0), Spent(Decimal(str(month)), 0))


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
def test_the_budget(
    budget: dict[str, Any], spent: tuple[float, float], cost: str | None, state: Funds
) -> None:
    amount = None if cost is None else Decimal(cost)
    found, why = funds(Budget(**budget), _standing(*spent), amount)
    assert found is state
    assert bool(why) == (state is not Funds.OK)


def test_variants_name_a_model_of_a_provider() -> None:
    config = msgspec.convert(
        {
            "providers": {"ollama": {"kind": "ollama", "model": "small", "base_url": "http://h"}},
            "routing": {"roles": {"large": ["ollama/big:32b", "ollama", "unknown/x"]}},
        },
        Config,
    )
    wanted = variants(config)
    assert set(wanted) == {"ollama", "ollama/big:32b"}
    assert (wanted["ollama/big:32b"].model, wanted["ollama/big:32b"].base_url) == (
        "big:32b",
        "http://h",
    )


def _stream(*items: Delta | NearfieldError) -> Any:
    async def run() -> AsyncGenerator[Delta]:
        for item in items:
            if isinstance(item, NearfieldError):
                raise item
            yield item

    return run


END = Delta(finish=Finish.STOP)


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ((Delta("a"), END), (Unreachable("no"),), "a"),
        ((Unreachable("no"),), (Delta("b"), END), "b"),
        ((Delta("a"), Unreachable("broke")), (Unreachable("no"),), "a broke"),
        ((Unreachable("x"),), (Unreachable("y"),), " y"),
        ((END,), (Unreachable("y"),), ""),
    ],
)
async def test_the_race(first: Any, second: Any, said: str) -> None:
    winners: list[str] = []
    heard = ""
    try:
        async for delta in race({"1": _stream(*first), "2": _stream(*second)}, winners.append):
            heard += delta.text
    except Unreachable as error:
        heard += f" {error.message}"
    assert heard == said
    assert len(winners) <= 1
