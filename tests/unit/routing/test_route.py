"""What a request gets: fall-through, the gate, offers, consent, budget, and what is never sent."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from nearfield.errors import (
    ContextTooLong,
    NoProvider,
    NotPermitted,
    ProviderError,
    RequestStopped,
    Unreachable,
)
from nearfield.routing.consent import Consent
from nearfield.routing.ledger import EntryFilter
from nearfield.routing.request_context import Offer, RequestContext, Source, Task
from nearfield.routing.route import Restart, Route
from nearfield.routing.store import Store
from nearfield.routing.unanswered import no_provider, reason
from nearfield.types import Delta, Finish, Message, Role, Snippet, Tool, ToolCall


@dataclass
class Heard:
    """What came out of a route; `text` as a client that honours restarts would show it."""

    text: str = ""
    restarts: list[str] = field(default_factory=list[str])
    last: Delta | None = None
    error: str = ""


async def listen(route: Route) -> Heard:
    heard = Heard()
    try:
        async with route:
            async for item in route:
                assert heard.last is None, "something came after the last delta"
                if isinstance(item, Restart):
                    heard.restarts.append(item.provider)
                    heard.text = ""
                    continue
                heard.text += item.text
                if item.finish is not None:
                    heard.last = item
    except NoProvider as error:
        heard.error = str(error)
    return heard


GOOD = {"text": "a good answer"}
EMPTY = {"text": ""}
UNSURE = {"text": "one two three four five six seven", "logprob": -5.0}
BROKEN = {"text": "half of a", "error": "Unreachable"}
DOWN = {"error": "Unreachable"}


@pytest.mark.parametrize(
    ("local", "second", "text", "restarts", "error"),
    [
        (GOOD, GOOD, "a good answer", [], ""),
        (DOWN, {"text": "B"}, "B", [], ""),
        (BROKEN, {"text": "B"}, "B", ["second"], ""),
        (EMPTY, {"text": "B"}, "B", [], ""),
        (UNSURE, {"text": "B"}, "B", ["second"], ""),
        (UNSURE, DOWN, UNSURE["text"], [], ""),
        (UNSURE, BROKEN, UNSURE["text"], ["second", "first"], ""),
        (EMPTY, DOWN, "", [], ""),
        (BROKEN, DOWN, "half of a", [], "first: "),
        (DOWN, DOWN, "", [], "second: "),
    ],
)
async def test_falls_through(
    make: Any, provider: Any, chat: Any,
    local: dict[str, Any], second: dict[str, Any], text: str, restarts: list[str], error: str,
) -> None:  # fmt: skip
    router = make({}, provider("first", **local), provider("second", **second))
    heard = await listen(router.chat(chat()))
    assert (heard.text, heard.restarts) == (text, restarts)
    assert error in heard.error and bool(error) == bool(heard.error)
    assert (heard.last is None) == bool(error)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("It is off.", "desk: It is off"),
        ("desk (127.0.0.1:9) cannot be reached.", "desk (127.0.0.1:9) cannot be reached"),
        ("desktop is another one.", "desk: desktop is another one"),
    ],
)
def test_a_reason_names_its_provider_once(message: str, expected: str) -> None:
    assert reason("desk", Unreachable(message)) == expected


async def test_a_request_is_stopped_between_two_pieces(make: Any, provider: Any, chat: Any) -> None:
    router = make({}, provider("first", text="one two three"))
    with pytest.raises(RequestStopped):
        async with router.chat(chat()) as route:
            async for _ in route:
                assert all(router.running.stop(number) for number in router.running)
    assert not router.running


@dataclass(frozen=True)
class Case:
    """`said` is what the user answers to a question, None for no answer."""

    strategy: str = "local_first"
    escalate: str = "suggest"
    consent: Consent = Consent.UNASKED
    local: str = "good"
    said: Consent | None = None
    text: str = "local"
    offered: bool = False
    sent: bool = False
    remembered: Consent | None = None


NO = Consent.NEVER
YES = Consent.WORKSPACE
ALWAYS = Consent.WORKSPACE

CASES = [
    Case(),
    Case(local="poor", offered=True),
    Case(local="poor", consent=YES, offered=True),
    Case(local="poor", consent=NO),
    Case(local="down", text="", offered=True),
    Case(local="down", consent=YES, text="cloud", sent=True),
    Case(local="down", consent=NO, text=""),
    Case(escalate="auto", local="poor", offered=True),
    Case(escalate="auto", local="poor", consent=YES, text="cloud", sent=True),
    Case(escalate="ask", local="poor"),
    Case(escalate="ask", local="poor", said=Consent.ONCE, text="cloud", sent=True),
    Case("local_first", "ask", local="poor", said=ALWAYS, text="cloud", sent=True, remembered=YES),
    Case(escalate="ask", local="poor", said=Consent.NEVER, remembered=NO),
    Case(escalate="ask", local="down", said=Consent.ONCE, text="cloud", sent=True),
    Case(escalate="ask", local="down", text=""),
    Case(escalate="ask", consent=YES, local="poor", text="cloud", sent=True),
    Case(strategy="cloud_only", text="", offered=True),
    Case(strategy="cloud_only", consent=YES, text="cloud", sent=True),
    Case(strategy="local_only", consent=YES, local="down", text=""),
    Case(strategy="local_only", consent=YES, local="poor", escalate="auto"),
    Case(strategy="hybrid", consent=YES, text="cloud", sent=True),
    Case(strategy="hybrid", offered=True),
    Case(strategy="hybrid", consent=NO),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_nothing_leaves_without_a_yes(
    case: Case, make: Any, provider: Any, chat: Any, store: Store, workspace: Path
) -> None:
    if case.consent is not Consent.UNASKED:
        store.say(str(workspace), "cloud", "cloud", case.consent)
    cloud = provider("cloud", remote=True, text="cloud")
    routing = {"strategy": case.strategy, "escalate": case.escalate, "ask_timeout_s": 1}
    local = provider("local", **(DOWN if case.local == "down" else {"text": "local"}))
    router = make({"routing": routing}, local, cloud)
    asked: list[Offer] = []

    async def ask(offer: Offer) -> Consent | None:
        asked.append(offer)
        return case.said

    context = RequestContext(
        workspace=str(workspace), ask=ask, complex=True, checks=(_checks(case),)
    )
    route = router.chat(chat(), context=context)
    heard = await listen(route)
    assert heard.text == case.text
    assert bool(heard.error) == (case.text == "")
    assert [offer.provider for offer in route.offers] == (["cloud"] if case.offered else [])
    assert bool(cloud.calls) == case.sent
    assert len(store.entries()) == int(case.sent)
    if case.escalate == "ask":
        silent = case.consent is not Consent.UNASKED
        assert len(asked) == (0 if silent else 1)
    expected = case.remembered or (case.consent if case.consent is not Consent.UNASKED else None)
    assert [said.consent for said in store.said()] == ([expected] if expected else [])


def _checks(case: Case) -> Callable[[str], str]:
    return lambda _text: "does not parse" if case.local == "poor" else ""


@pytest.mark.parametrize(
    ("cause", "says"),
    [
        (ContextTooLong("The prompt has 9 tokens and 4 fit.", "Ask about less."), "about less"),
        (Unreachable("local cannot be reached.", "Start it."), "nearfield doctor"),
    ],
)
def test_a_prompt_that_does_not_fit_has_its_own_advice(cause: ProviderError, says: str) -> None:
    error = no_provider(("local: it failed",), (Unreachable("other is down."), cause))
    assert says in error.hint


async def test_an_unanswered_question_does_not_block(
    make: Any, provider: Any, chat: Any, workspace: Path
) -> None:
    routing = {"strategy": "local_first", "escalate": "ask", "ask_timeout_s": 1}
    cloud = provider("cloud", remote=True, text="cloud")
    router = make({"routing": routing}, provider("local", **UNSURE), cloud)

    async def never(_offer: Offer) -> Consent | None:
        await asyncio.sleep(3600)

    context = RequestContext(workspace=str(workspace), ask=never)
    async with asyncio.timeout(60):
        heard = await listen(router.chat(chat(), context=context))
    assert heard.text == UNSURE["text"]
    assert not cloud.calls


async def test_an_offer_says_what_would_be_sent_and_a_yes_sends_it(
    make: Any, provider: Any, chat: Any, store: Store, workspace: Path
) -> None:
    cloud = provider("cloud", remote=True, model="claude-sonnet-4-5", text="cloud")
    router = make({"routing": {"strategy": "local_first"}}, provider("local", **UNSURE), cloud)
    password = "Wint" + "er%7xQ"
    request = chat(f'password = "{password}"', max_tokens=100)
    context = RequestContext(Task.FIX, str(workspace), (Source("src/a.py"),))
    route = router.chat(request, context=context)
    await listen(route)
    (offer,) = route.offers
    assert (offer.provider, offer.model, offer.task) == ("cloud", "claude-sonnet-4-5", Task.FIX)
    assert offer.files == ("src/a.py",)
    assert offer.redactions == (("assigned secret", 1),)
    assert offer.price is not None and 0 < offer.price < 1
    assert 0 < offer.bytes < 1000 and "not good enough" in offer.reason
    await router.answer(offer, Consent.ONCE)
    again = RequestContext(Task.FIX, str(workspace), (Source("src/a.py"),), accepted=("cloud",))
    heard = await listen(router.chat(request, context=again))
    assert heard.text == "cloud"
    assert store.said() == []
    (entry,) = store.entries()
    assert entry.sending.bytes == offer.bytes
    assert entry.sending.files == (("src/a.py", None, None),)
    assert password not in repr(cloud.calls)


async def test_a_yes_is_for_one_workspace_and_one_address(
    make: Any, provider: Any, chat: Any, store: Store, workspace: Path
) -> None:
    store.say(str(workspace), "cloud", "https://one.host.net", Consent.WORKSPACE)
    for address, folder, expected in (
        ("https://one.host.net", str(workspace), "cloud"),
        ("https://two.host.net", str(workspace), ""),
        ("https://one.host.net", "/elsewhere", ""),
        ("https://one.host.net", "", ""),
    ):
        settings = {
            "routing": {"strategy": "cloud_only"},
            "providers": {"cloud": {"kind": "scripted", "base_url": address}},
        }
        router = make(settings, provider("cloud", remote=True, text="cloud"))
        heard = await listen(router.chat(chat(), context=RequestContext(workspace=folder)))
        assert heard.text == expected, (address, folder)


async def test_a_provider_that_claims_to_be_local_is_not_believed(
    make: Any, provider: Any, chat: Any
) -> None:
    settings = {"providers": {"liar": {"kind": "scripted", "base_url": "https://far.host.net/v1"}}}
    liar = provider("liar", text="sent")
    heard = await listen(make(settings, liar).chat(chat()))
    assert heard.text == "" and "local_only" in heard.error
    assert not liar.calls


async def test_a_wrapped_provider_refuses_a_request_without_context(
    make: Any, provider: Any, chat: Any, infill: Any
) -> None:
    cloud = provider("cloud", remote=True, text="sent")
    router = make({"routing": {"strategy": "cloud_only"}}, cloud)
    (wrapped,) = router.candidates("code")
    for stream in (wrapped.chat(chat()), wrapped.infill(infill())):
        with pytest.raises(NotPermitted):
            await anext(stream)
    assert await wrapped.count_tokens("four words of text") > 0
    assert not cloud.calls


async def test_prefill_never_leaves(
    make: Any, provider: Any, infill: Any, allow: Any, workspace: Path
) -> None:
    allow("cloud")
    cloud = provider("cloud", remote=True, text="sent")
    router = make({"routing": {"strategy": "cloud_only"}}, cloud)
    context = RequestContext(workspace=str(workspace), accepted=("cloud",))
    heard = await listen(router.infill(infill(prefill_only=True), context))
    assert heard.error and not cloud.calls


SECRET = "Rocket+" + "9fKq2xLw7"


async def test_secrets_and_withheld_files_stay(
    make: Any, provider: Any, infill: Any, allow: Any, workspace: Path
) -> None:
    allow("cloud")
    (workspace / ".gitignore").write_text("generated/\n", "utf-8")
    cloud = provider("cloud", remote=True, text="ok")
    router = make({"routing": {"strategy": "cloud_only"}}, cloud)
    request = infill(
        f'password = "{SECRET}"\nlogin(',
        f'"{SECRET}")',
        typed="login(",
        snippets=(
            Snippet("src/b.py", f"db_password = '{SECRET}'"),
            Snippet(".env", "HARMLESS=1"),
            Snippet("generated/c.py", "also = harmless"),
        ),
    )
    heard = await listen(router.infill(request, RequestContext(workspace=str(workspace))))
    assert heard.text == "ok"
    (call,) = cloud.calls
    sent = call.request
    assert SECRET not in repr(sent)
    assert [snippet.path for snippet in sent.snippets] == ["src/b.py"]
    assert sent.typed == "login(" and sent.prefix.endswith("login(")
    assert sent.document not in ("", request.document)


@pytest.mark.parametrize(
    ("path", "text", "sent"),
    [
        ("src/a.py", "", True),
        (".env", "", False),
        ("deploy/id_rsa", "", False),
        ("secret/x.txt", "", False),
        (".env", "PLAIN=words", True),
        (".env", "not in the message", False),
    ],
)
async def test_a_chat_about_a_withheld_file(
    make: Any, provider: Any, chat: Any, allow: Any, workspace: Path,
    path: str, text: str, sent: bool,
) -> None:  # fmt: skip
    allow("cloud")
    (workspace / ".nearfieldignore").write_text("secret/\n", "utf-8")
    cloud = provider("cloud", remote=True, text="ok")
    router = make({"routing": {"strategy": "cloud_only"}}, cloud)
    context = RequestContext(Task.CHAT, str(workspace), (Source(path, text=text),))
    heard = await listen(router.chat(chat("look: PLAIN=words"), context=context))
    assert bool(cloud.calls) == sent == (heard.text == "ok")
    if text and sent:
        assert "PLAIN" not in repr(cloud.calls[0].request)


async def test_the_answer_gets_its_secrets_back(
    make: Any, provider: Any, chat: Any, allow: Any, workspace: Path
) -> None:
    allow("cloud")
    answer = "use REDACTED_SECRET_0001 and not REDACTED_SECRET_0002"
    call = {"name": "write", "arguments": {"text": "REDACTED_SECRET_0001"}}
    cloud = provider("cloud", remote=True, text=answer, tool_calls=[call])
    router = make({"routing": {"strategy": "cloud_only"}}, cloud)
    secret = 'Quo"te+' + "8dKw2"
    request = chat(f"password = '{secret}'", tools=(Tool("write", "", {"type": "object"}),))
    heard = await listen(router.chat(request, context=RequestContext(workspace=str(workspace))))
    assert heard.text == f"use {secret} and not REDACTED_SECRET_0002"
    assert heard.last is not None
    (tool_call,) = heard.last.tool_calls
    assert tool_call.arguments == '{"text": "Quo\\"te+8dKw2"}'


async def test_tool_results_and_calls_are_redacted(
    make: Any, provider: Any, allow: Any, workspace: Path
) -> None:
    allow("cloud")
    cloud = provider("cloud", remote=True, text="ok")
    router = make({"routing": {"strategy": "cloud_only"}}, cloud)
    messages = (
        Message(Role.USER, "read it"),
        Message(Role.ASSISTANT, "", (ToolCall("1", "read", f'{{"password": "{SECRET}"}}'),)),
        Message(Role.TOOL, f"DB_PASSWORD={SECRET}\n", tool_call_id="1"),
    )
    from nearfield.types import ChatRequest

    context = RequestContext(workspace=str(workspace))
    await listen(router.chat(ChatRequest(messages), context=context))
    assert SECRET not in repr(cloud.calls[0].request)


@pytest.mark.parametrize(
    ("budget", "text", "offered"),
    [
        ({}, "cloud", False),
        ({"daily_hard": 100}, "cloud", False),
        ({"daily_hard": 0.0001}, "", False),
        ({"monthly_hard": 0.0001}, "", False),
        ({"daily_soft": 0.0000001}, "", True),
        ({"monthly_soft": 50}, "cloud", False),
    ],
)
async def test_the_budget_holds(
    make: Any, provider: Any, chat: Any, allow: Any, workspace: Path,
    budget: dict[str, float], text: str, offered: bool,
) -> None:  # fmt: skip
    allow("cloud")
    cloud = provider("cloud", remote=True, model="claude-sonnet-4-5", text="cloud")
    router = make({"routing": {"strategy": "cloud_only"}, "budget": budget}, cloud)
    route = router.chat(chat(max_tokens=2000), context=RequestContext(workspace=str(workspace)))
    heard = await listen(route)
    assert heard.text == text
    assert bool(route.offers) == offered


@pytest.mark.parametrize(("prices", "text"), [({}, ""), ({"ours": [0, 0]}, "cloud")])
async def test_an_unknown_price_is_not_within_a_hard_limit(
    make: Any, provider: Any, chat: Any, allow: Any, workspace: Path, prices: Any, text: str
) -> None:
    allow("cloud")
    cloud = provider("cloud", remote=True, model="ours", text="cloud")
    settings = {
        "routing": {"strategy": "cloud_only"},
        "budget": {"daily_hard": 10, "prices": prices},
    }
    heard = await listen(
        make(settings, cloud).chat(chat(), context=RequestContext(workspace=str(workspace)))
    )
    assert heard.text == text


async def test_nothing_is_sent_when_the_ledger_cannot_be_written(
    make: Any, provider: Any, chat: Any, allow: Any, store: Store, workspace: Path
) -> None:
    allow("cloud")
    store.close()
    store.path.unlink()
    for suffix in ("-wal", "-shm"):
        store.path.with_name(store.path.name + suffix).unlink(missing_ok=True)
    store.path.mkdir()
    cloud = provider("cloud", remote=True, text="sent")
    router = make({"routing": {"strategy": "cloud_only"}}, cloud)
    context = RequestContext(workspace=str(workspace), accepted=("cloud",))
    heard = await listen(router.chat(chat(), context=context))
    assert "cannot be used" in heard.error
    assert not cloud.calls


async def test_a_bad_pattern_of_the_user_stops_everything_that_would_leave(
    make: Any, provider: Any, chat: Any, allow: Any, workspace: Path
) -> None:
    allow("cloud")
    cloud = provider("cloud", remote=True, text="sent")
    settings = {"routing": {"strategy": "cloud_only"}, "privacy": {"redact": ["(oops"]}}
    heard = await listen(
        make(settings, cloud).chat(chat(), context=RequestContext(workspace=str(workspace)))
    )
    assert "a pattern in [privacy]" in heard.error and not cloud.calls


async def test_the_ledger_tells_the_whole_story(
    make: Any, provider: Any, infill: Any, allow: Any, store: Store, workspace: Path
) -> None:
    allow("cloud")
    settings = {"routing": {"strategy": "cloud_only"}, "privacy": {"keep_sent": True}}
    cloud = provider("cloud", remote=True, model="claude-sonnet-4-5", text="one two")
    router = make(settings, cloud)
    await listen(router.infill(infill(), RequestContext(workspace=str(workspace))))
    await router.aclose()
    (entry,) = store.entries(EntryFilter(provider="cloud", task="complete", outcome="answered"))
    assert entry.sending.workspace == str(workspace)
    assert entry.sending.files == (("a.py", None, None),)
    assert entry.tokens_out == 3 and (entry.tokens_in or 0) > 0
    assert entry.price is not None and entry.price > 0
    assert '"prefix":"x = "' in entry.sending.content
    assert len(entry.sending.content.encode()) == entry.sending.bytes


@pytest.mark.parametrize(
    ("answer", "outcome"), [({"error": "Unauthorised"}, "Unauthorised"), (BROKEN, "Unreachable")]
)
async def test_the_ledger_knows_failures(
    make: Any, provider: Any, chat: Any, allow: Any, store: Store, workspace: Path,
    answer: dict[str, Any], outcome: str,
) -> None:  # fmt: skip
    allow("cloud")
    cloud = provider("cloud", remote=True, **answer)
    router = make({"routing": {"strategy": "cloud_only"}}, cloud)
    await listen(router.chat(chat(), context=RequestContext(workspace=str(workspace))))
    await router.aclose()
    assert [entry.outcome for entry in store.entries()] == [outcome]


async def test_leaving_early_frees_the_model_and_is_recorded(
    make: Any, provider: Any, chat: Any, allow: Any, store: Store, workspace: Path
) -> None:
    allow("cloud")
    cloud = provider("cloud", remote=True, text="many words to say here", piece_ms=1)
    router = make({"routing": {"strategy": "cloud_only"}}, cloud)
    async with router.chat(chat(), context=RequestContext(workspace=str(workspace))) as route:
        async for _ in route:
            break
    assert cloud.streaming == 0
    await router.aclose()
    assert [entry.outcome for entry in store.entries()] == ["cancelled"]


async def test_a_slow_candidate_leaves_time_for_the_next(
    make: Any, provider: Any, chat: Any
) -> None:
    slow = provider("slow", text="late", delay_ms=60_000)
    router = make({}, slow, provider("quick", text="quick"))
    heard = await listen(router.chat(chat(deadline=time.monotonic() + 3.0)))
    assert heard.text == "quick"
    assert slow.streaming == 0


async def test_a_stream_that_stalls_is_taken_back(make: Any, provider: Any, chat: Any) -> None:
    stalled = provider("stalled", text="one two three four", piece_ms=1000)
    router = make({}, stalled, provider("quick", text="whole"))
    heard = await listen(router.chat(chat(deadline=time.monotonic() + 4)))
    assert (heard.text, heard.restarts) == ("whole", ["quick"])
    assert heard.last is not None and heard.last.finish is Finish.STOP


async def test_the_breaker_leaves_a_failing_provider_alone(
    make: Any, provider: Any, chat: Any
) -> None:
    bad = provider("bad", **DOWN)
    router = make({"routing": {"breaker_failures": 2}}, bad, provider("good", text="ok"))
    for _ in range(5):
        assert (await listen(router.chat(chat(str(_))))).text == "ok"
    assert len(bad.calls) == 2
    (code,) = [role for role in await router.status() if role.role == "code"]
    assert code.provider == "good"
    assert "left alone" in dict(code.others)["bad"]


async def test_an_answer_is_kept(make: Any, provider: Any, chat: Any) -> None:
    local = provider("local", text="computed once")
    router = make({}, local)
    for kept in (False, True):
        route = router.chat(chat("what is this?"))
        assert (await listen(route)).text == "computed once"
        assert route.kept is kept
        await router.aclose()
    assert len(local.calls) == 1
    assert not (await _kept(router.chat(chat("what is that?"))))
    assert not (await _kept(router.chat(chat("what is this?", temperature=0.9))))


async def test_an_answer_with_a_secret_is_not_kept(make: Any, provider: Any, chat: Any) -> None:
    router = make({}, provider("local", text="ok"))
    for _ in range(2):
        assert not (await _kept(router.chat(chat(f'password = "{SECRET}"'))))
        await router.aclose()


async def _kept(route: Route) -> bool:
    await listen(route)
    return route.kept


async def test_the_use_of_local_models_is_counted(
    make: Any, provider: Any, infill: Any, store: Store
) -> None:
    router = make({}, provider("local", text="one two three"))
    for _ in range(3):
        await listen(router.infill(infill()))
    # What is only read ahead was asked by nobody.
    await listen(router.infill(infill(prefill_only=True)))
    await router.aclose()
    (use,) = store.local_use(time.time() - 60)
    assert (use.provider, use.task, use.requests, use.tokens_out) == ("local", "complete", 3, 15)


async def test_status_names_the_provider_and_why_others_do_not_serve(
    make: Any, provider: Any, workspace: Path
) -> None:
    settings = {
        "routing": {"strategy": "local_first", "roles": {"code": ["local", "gone", "cloud"]}}
    }
    router = make(settings, provider("local"), provider("cloud", remote=True))
    roles = {role.role: role for role in await router.status(str(workspace))}
    assert roles["code"].provider == "local"
    assert dict(roles["code"].others) == {
        "cloud": "you have not allowed it for this workspace",
        "gone": "there is no such provider",
    }
