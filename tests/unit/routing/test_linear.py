"""Redaction takes time linear in the text, whatever the text is, and ends at its deadline."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nearfield.errors import NearfieldError, NotPermitted
from nearfield.providers.base import Provider
from nearfield.routing import guard, redact, secrets, shapes
from nearfield.routing.assigned_secrets import assigned
from nearfield.routing.consent import Consent
from nearfield.routing.linear import compiled
from nearfield.routing.redact import redact_texts
from nearfield.routing.request_context import RequestContext
from nearfield.routing.router import Router
from nearfield.types import ChatRequest, InfillRequest, Message, Role, Snippet

GROWTH = 2.5
"""Twice the text may take up to this many times the calls: twice, and what the end of a text adds."""
FEW_CALLS = 500

UNITS = (
    "A", "a1", "eyJ", "=eyJ", "key", "api_key", "password=", '"', "'", "`", "://a:", "Bearer ", "Basic ",
    "A/+\n", "A" * 64 + "\n", "curl -u ", "mysql -p", "--password ", "<password>", "machine a login b ",
    "//x/:_authToken=", "softlayer_api_key=", 'password = "', 'password = "\n', "token('a' + ",
    '"token=" + ', "api_key='a'\n", "secret (((((", "key: [", "token\n", "pass.", "pass `", "sk-", "0x11, ",
    "api_key=0x11, ", "login('a','b'", "auth=('a', ", "x&api_key=", "token [[", "token \\", "secret: |\n",
    "-----BEGIN RSA PRIVATE KEY-----\n", "-----END RSA PRIVATE KEY-----\n", "A/+=\nPRIVATE KEY", "1 | token\n",
    'token "a"      \n      \n', "token" + " " * 300, "token =\n" + " " * 300,
    "Private-Lines: 1\n", "a.secret.b", "token token ", "password='Ab1!xyz'\n", "api_key='kT8sW2nB5xQ9zR4'\n",
)  # fmt: skip


def _calls(work: Callable[[str], Any], text: str) -> int:
    """Return how many functions `work` calls; what each reads of the text is bounded, or RE2's."""
    count = 0

    def counted(_frame: Any, event: str, _function: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(counted)
    try:
        work(text)
    finally:
        sys.setprofile(before)
    return count


def _assert_linear(work: Callable[[str], Any], unit: str, size: int) -> None:
    text = unit * (size // len(unit))
    once, twice = _calls(work, text), _calls(work, text * 2)
    assert twice < GROWTH * max(once, FEW_CALLS), (unit, once, twice)


@pytest.mark.parametrize("number", range(len(shapes.shapes())))
def test_each_shape_is_linear(number: int) -> None:
    """In the literals of its own pattern, over and over, alone and joined."""
    shape = shapes.shapes()[number]
    pattern: Any = shape.pattern
    literals = re.findall(r"[A-Za-z0-9_.:/=\-]{2,}", pattern.pattern.decode())
    for unit in {*literals, "".join(literals), " ".join(literals), "A1", "a-"}:
        view = f"{unit}{'A1b2' * 4}"
        _assert_linear(lambda text: list(shapes.shaped(text.encode(), shape)), unit, 40_000)
        _assert_linear(lambda text: list(shapes.shaped(text.encode(), shape)), view, 40_000)


@pytest.mark.parametrize("unit", UNITS)
def test_all_of_redaction_is_linear(unit: str) -> None:
    _assert_linear(lambda text: redact_texts([text]), unit, 8_000)


@pytest.mark.parametrize("own", [r"(a+)+$", r"(a|a)*b", r"(\w+\s?)*:", r"a*a*a*a*a*a*c"])
def test_a_users_pattern_is_linear(own: str) -> None:
    patterns = [compiled(own)]
    _assert_linear(lambda text: secrets.find(text, patterns), "a", 40_000)
    _assert_linear(lambda text: secrets.find(text + "!", patterns), "aa ", 40_000)


@pytest.mark.parametrize("own", [r"(?=a)b", r"(a)\1", r"(a", "[b-a]"])
def test_a_pattern_that_cannot_be_linear_is_refused(own: str) -> None:
    with pytest.raises(ValueError):
        compiled(own)


def test_redaction_ends_at_its_deadline_with_an_error() -> None:
    text = "password = 'x' # " * 2000
    with pytest.raises(NotPermitted) as caught:
        redact_texts([text], deadline=secrets.ScanDeadline(0))
    assert "looking for secrets in it took longer than 0 s" in str(caught.value)


def test_the_deadline_is_looked_at_at_every_name() -> None:
    ticks: list[None] = []
    text = "token = a\n" * 50
    list(assigned(text, text.encode(), lambda: ticks.append(None)))
    assert len(ticks) >= 50


Make = Callable[..., Router]


async def test_nothing_is_looked_for_on_the_event_loop_or_for_a_local_model(
    make: Make,
    provider: Callable[..., Provider],
    workspace: Path,
    allow: Callable[[str, Consent], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads: list[int] = []
    find = secrets.find

    def watched(*given: Any, **more: Any) -> Any:
        threads.append(threading.get_ident())
        return find(*given, **more)

    monkeypatch.setattr(redact.secrets, "find", watched)
    key = "api_key = '" + "kT8sW2nB5xQ9zR4v'"
    chat = ChatRequest((Message(Role.USER, key),))
    infill = InfillRequest("d", "a.py", "python", key, "", snippets=(Snippet("b.py", key),))
    context = RequestContext(workspace=str(workspace))
    settings = {"cache": {"enabled": False}}
    near = make(settings, provider("near", text="x"))
    await _heard(near.chat(chat, context=context))
    await _heard(near.infill(infill, context))
    assert threads == []
    allow("far", Consent.WORKSPACE)
    far = make(
        {**settings, "routing": {"strategy": "cloud_only"}},
        provider("far", text="x", remote=True),
    )
    await _heard(far.chat(chat, context=context))
    await _heard(far.infill(infill, context))
    assert threads and threading.get_ident() not in threads


async def test_text_that_cannot_be_searched_in_time_is_neither_sent_nor_kept(
    make: Make,
    provider: Callable[..., Any],
    workspace: Path,
    allow: Callable[[str, Consent], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(guard, "REDACTION_SECONDS", 0)
    allow("far", Consent.WORKSPACE)
    far = provider("far", text="x", remote=True)
    router = make({"routing": {"strategy": "cloud_only"}}, far)
    request = ChatRequest((Message(Role.USER, "token = a\n" * 100),))
    with pytest.raises(NearfieldError, match="looking for secrets in it took longer"):
        await _heard(router.chat(request, context=RequestContext(workspace=str(workspace))))
    assert guard.has_secrets(["token = a"])


async def _heard(route: Any) -> None:
    async with route:
        async for _ in route:
            pass
