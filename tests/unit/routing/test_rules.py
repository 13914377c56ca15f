"""The user's own rules: when one holds, and what it can and cannot do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.unit.routing.conftest import Make, scripted

from nearfield.config.schema import RoutingRule
from nearfield.routing.consent import Consent
from nearfield.routing.request_context import RequestContext, Source, Task
from nearfield.routing.rules import RequestFacts, holds
from nearfield.types import ChatRequest, InfillRequest, Message, Role


def _facts(**changed: Any) -> RequestFacts:
    known: dict[str, Any] = {
        "task": Task.EXPLAIN,
        "path": "docs/guide/a.py",
        "language": "python",
        "chars": 500,
        "is_complex": False,
        "spent": lambda: 2.0,
        "now": lambda: time(23, 30),
        "load": lambda: 0.5,
        "battery": lambda: True,
    }
    return RequestFacts(**{**known, **changed})


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({}, True),
        ({"tasks": ["fix", "explain"]}, True),
        ({"tasks": ["fix"]}, False),
        ({"languages": ["go", "python"]}, True),
        ({"languages": ["go"]}, False),
        ({"paths": ["docs/"]}, True),
        ({"paths": ["*.py"]}, True),
        ({"paths": ["src/**"]}, False),
        ({"min_chars": 500, "max_chars": 500}, True),
        ({"min_chars": 501}, False),
        ({"max_chars": 499}, False),
        ({"complex": False}, True),
        ({"complex": True}, False),
        ({"hours": "22:00-06:00"}, True),
        ({"hours": "23:30-23:31"}, True),
        ({"hours": "09:00-23:30"}, False),
        ({"hours": "00:00-06:00"}, False),
        ({"on_battery": True}, True),
        ({"on_battery": False}, False),
        ({"min_load": 0.5}, True),
        ({"min_load": 0.6}, False),
        ({"min_spent": 2.0}, True),
        ({"min_spent": 2.5}, False),
        ({"tasks": ["explain"], "languages": ["go"]}, False),
    ],
)
def test_every_condition_must_hold(rule: dict[str, Any], expected: bool) -> None:
    assert holds(msgspec.convert({"use": ["code"], **rule}, RoutingRule), _facts()) is expected


def test_a_rule_about_paths_never_holds_without_a_file() -> None:
    assert not holds(RoutingRule(use=["code"], paths=["*"]), _facts(path=""))


def test_costly_facts_are_looked_up_only_where_a_rule_asks() -> None:
    def refuse() -> Any:
        raise AssertionError("looked up")

    about = _facts(spent=refuse, battery=refuse, load=refuse)
    assert holds(RoutingRule(use=["code"], tasks=["explain"]), about)
    assert not holds(RoutingRule(use=["code"], tasks=["fix"], min_spent=1, on_battery=True), about)


def _chat(text: str = "why?") -> ChatRequest:
    return ChatRequest((Message(Role.USER, text),))


async def _asked(router: Any, request: Any, **more: Any) -> tuple[str, str]:
    """Return the provider that answers, and the rule that chose it."""
    if isinstance(request, InfillRequest):
        route = router.infill(request, more.get("context"))
    else:
        route = router.chat(request, **more)
    async with route:
        async for _ in route:
            pass
    return route.provider.name, route.rule


def _two(make: Make, rules: list[dict[str, Any]], **routing: Any) -> Any:
    answers = [scripted("a", text="from a"), scripted("b", text="from b")]
    return make({"routing": {"rules": rules, **routing}}, *answers)


async def test_the_first_rule_that_holds_decides(make: Make, workspace: Path) -> None:
    rules = [
        {"name": "docs", "paths": ["docs/"], "use": ["b"]},
        {"languages": ["python"], "use": ["b", "a"]},
        {"use": ["a"]},
    ]
    router = _two(make, rules, roles={"code": ["b"]})
    file = RequestContext(workspace=str(workspace), sources=(Source(f"{workspace}/docs/x.md"),))
    assert await _asked(router, _chat(), context=file) == ("b", "docs")
    python = RequestContext(workspace=str(workspace), sources=(Source("x.py"),))
    assert await _asked(router, _chat(), context=python) == ("b", "rule 2")
    assert await _asked(router, _chat()) == ("a", "rule 3")


async def test_a_rule_may_name_a_role_and_does_not_bind_who_names_one(make: Make) -> None:
    rules = [{"use": ["large"]}]
    router = _two(make, rules, roles={"large": ["b"], "code": ["a"]})
    assert await _asked(router, _chat()) == ("b", "rule 1")
    assert await _asked(router, _chat(), role="code") == ("a", "")


async def test_completions_follow_rules(make: Make) -> None:
    router = _two(make, [{"tasks": ["complete"], "languages": ["go"], "use": ["b"]}])
    request = InfillRequest("d", "m.go", "go", "func ", "")
    assert await _asked(router, request) == ("b", "rule 1")
    other = InfillRequest("d", "m.py", "python", "def ", "")
    assert await _asked(router, other) == ("a", "")


async def test_a_rule_permits_nothing(
    make: Make, workspace: Path, allow: Callable[[str, Consent], None]
) -> None:
    settings: dict[str, Any] = {
        "routing": {"strategy": "local_first", "rules": [{"use": ["far", "near"]}]},
    }
    near, far = scripted("near", text="near"), scripted("far", remote=True, text="far")
    router = make(settings, near, far)
    context = RequestContext(workspace=str(workspace))
    assert await _asked(router, _chat(), context=context) == ("near", "rule 1")
    allow("far", Consent.NEVER)
    found = await router.explain(_chat(), context)
    assert [turn.provider for turn in found.turns] == ["near"]
    assert dict(found.left_out)["far"]


async def test_explaining_sends_nothing_and_says_what_would_be_sent(
    make: Make, workspace: Path, allow: Callable[[str, Consent], None]
) -> None:
    allow("far", Consent.WORKSPACE)
    settings: dict[str, Any] = {
        "routing": {
            "strategy": "hybrid",
            "rules": [{"name": "big", "min_chars": 20, "use": ["far"]}],
        },
    }
    near, far = scripted("near", text="near"), scripted("far", remote=True, text="far")
    router = make(settings, near, far)
    context = RequestContext(workspace=str(workspace))
    long = await router.explain(_chat('password = "Tr0ub4dor&3x9!kQ"'), context)
    (turn,) = long.turns
    assert (long.rule, turn.provider, turn.is_local, turn.redactions) == ("big", "far", False, 1)
    assert (turn.use, turn.bytes > 0) == ("is asked", True)
    short = await router.explain(_chat("hi"), context)
    assert (short.rule, short.turns[0].provider) == ("", "near")
    assert not far.calls and not near.calls


async def test_an_explanation_leaves_out_what_could_pass_a_limit(
    make: Make, workspace: Path, allow: Callable[[str, Consent], None]
) -> None:
    allow("far", Consent.WORKSPACE)
    settings: dict[str, Any] = {
        "routing": {"strategy": "cloud_only"},
        "budget": {"daily_hard": 0.01, "prices": {"far-1": [100.0, 100.0]}},
    }
    router = make(settings, scripted("far", remote=True, model="far-1"))
    context = RequestContext(workspace=str(workspace))
    assert (await router.explain(_chat("hi"), context)).turns == ()
    found = await router.explain(_chat("hi"), context)
    assert "daily limit of $0.01" in dict(found.left_out)["far"]
