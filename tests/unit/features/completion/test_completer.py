"""One question, one answer, one trace: what is answered when, and what becomes of the stream."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any, Literal

import pytest
from tests.unit.features.conftest import FakeUser, Start, scripted, until

from nearfield.config.schema import Completion, Config, Engine, Routing
from nearfield.features import idle
from nearfield.features.completion.answers import Confidence, confidence_of, is_unsure
from nearfield.features.completion.prefill import REST_SECONDS
from nearfield.providers.scripted import Scripted
from nearfield.types import (
    CompletionAnswer,
    Health,
    HealthState,
    InfillRequest,
    Selected,
    Situation,
    Span,
)

ADD = "def add(a, b):\n    return |\n"
SUM = {"match": r"return $", "text": "a + b\n\n\ndef other():\n    pass\n"}


def completions(provider: Scripted) -> list[Any]:
    """The calls that were questions and not prefill."""
    return [
        call
        for call in provider.calls
        if isinstance(call.request, InfillRequest) and not call.request.prefill_only
    ]


async def test_a_suggestion_is_cut_and_its_stream_closed(start: Start) -> None:
    model = scripted("model", SUM)
    service = await start(model)
    answer = await FakeUser(service, ADD).ask()
    (suggestion,) = answer.suggestions
    assert suggestion.text == "a + b"
    assert suggestion.replace == Span(26, 26)
    assert suggestion.confidence == pytest.approx(-0.1)
    assert (suggestion.provider, suggestion.model) == ("model", "scripted")
    (call,) = completions(model)
    assert call.ended == "closed"
    assert "other" not in call.sent
    (trace,) = service.traces.last(10)
    assert (trace.shown, trace.reason, trace.situation) == (True, "", Situation.COLD)
    assert trace.usage is not None
    assert trace.usage.prompt_tokens
    assert trace.usage.generated_tokens == 6


REASONS: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("nothing to say", {"text": ""}, {}, "empty"),
    ("only blanks", {"text": "   "}, {}, "whitespace"),
    ("only a control token", {"text": "<|im_end|>"}, {}, "control_token"),
    ("breaks the parse", {"text": "a +) (\n"}, {}, "syntax"),
    ("too slow", {"text": "a + b\n", "delay_ms": 60_000}, {"deadline_ms": 30}, "deadline"),
    ("cut in a line", {"text": "a", "hang": True}, {"deadline_ms": 30}, "deadline"),
    ("too long", {"text": "a + b + c + d + e"}, {"max_tokens": 4}, "length"),
    ("switched off", SUM, {"enabled": False}, "disabled"),
    ("not this language", SUM, {"disabled_languages": ["Python"]}, "language"),
    ("loading", {"error": "NotReady"}, {}, "not_ready"),
    ("not reached", {"error": "Unreachable"}, {}, "unreachable"),
    ("died", {"error": "EngineDied"}, {}, "engine_died"),
    ("no key", {"error": "Unauthorised"}, {}, "unauthorised"),
    ("other trouble", {"error": "BadAnswer"}, {}, "bad_answer"),
]


@pytest.mark.parametrize(
    ("answer", "settings", "reason"), [r[1:] for r in REASONS], ids=[r[0] for r in REASONS]
)
async def test_an_empty_answer_has_a_reason(
    start: Start, answer: dict[str, Any], settings: dict[str, Any], reason: str
) -> None:
    model = scripted("model", answer)
    service = await start(model, **settings)
    assert await FakeUser(service, ADD).said() == f"<{reason}>"
    (trace,) = service.traces.last(10)
    assert (trace.shown, trace.reason) == (False, reason)
    assert model.streaming == 0


async def test_an_unsure_answer_is_shown_to_a_manual_request(start: Start) -> None:
    model = scripted("model", {**SUM, "logprob": -3.0})
    service = await start(model, min_confidence=-2.0)
    person = FakeUser(service, ADD)
    assert await person.said() == "<unsure>"
    assert service.traces.last(1)[0].mean_logprob == pytest.approx(-3.0)
    # It is known now, kept back again, and no model is asked until more is typed.
    assert await person.said() == "<unsure>"
    assert service.ready(person.snapshot(), person.cursor) == ()
    assert len(completions(model)) == 1
    assert await person.said(invoked=True) == "a + b"
    person.type("a")
    asked = len(completions(model))
    assert await person.said() == "<empty>"
    assert len(completions(model)) == asked + 1


async def test_cut_text_does_not_lower_the_confidence(start: Start) -> None:
    answers = {"match": r"return $", "text": "a + b\n", "logprob": -0.1}
    shown = [(0, -0.25), (1, -0.75), (5, -9.0)]
    assert confidence_of(shown, 5) == Confidence(mean=-0.5, min_logprob=-0.75)
    assert confidence_of([], 5) is None
    service = await start(scripted("model", answers), min_confidence=-0.2)
    lenient = Completion(min_token_confidence=-1.0)
    assert is_unsure(Confidence(-0.5, -0.9), lenient) is False
    assert is_unsure(Confidence(-0.7, -0.9), Completion()) is True
    assert is_unsure(Confidence(-0.5, -1.1), Completion()) is True
    assert is_unsure(None, Completion()) is False
    assert await FakeUser(service, ADD).said() == "a + b"


@pytest.mark.parametrize(
    ("mean", "least", "unsure"),
    [
        (-0.2, -0.29, False),
        (-0.2, -0.31, True),
        (-0.1, -0.89, False),
        (-0.1, -0.91, True),
    ],
)
def test_one_unsure_token_among_sure_ones_is_forgiven(
    mean: float, least: float, unsure: bool
) -> None:
    assert is_unsure(Confidence(mean, least), Completion()) is unsure
    everything = Completion(min_confidence=-100.0, min_token_confidence=-100.0)
    assert not is_unsure(Confidence(mean, least), everything)


DOUBTS: list[tuple[str, str, str, dict[str, Any], str, str]] = [
    # name, document, what the model would write, what it is how sure of, said, decoded
    ("in the line", ADD, "a + b * 2\n", {"b": -3.0}, "<unsure>", "a + b"),
    (
        "after lines that stand",
        "def add(a, b):\n    |\n",
        "if a:\n        a += 1\n    wild = 3\n",
        {"wild": -3.0},
        "if a:\n        a += 1",
        "if a:\n        a += 1\n    wild",
    ),
    (
        "how the lines go on",
        "def add(a, b):\n    |\n",
        "if a:\n        a += 1\n        b = 3\n",
        {"b": -3.0},
        "if a:\n        a += 1",
        "if a:\n        a += 1\n        b",
    ),
    (
        "the sure beginning of a line",
        ADD,
        "a.together(b)\n",
        {"b": -3.0},
        "a.together(",
        "a.together(b",
    ),
    ("in front of the rest of the line", "f(|)\n", "a, b)\n", {")": -3.0}, "a, b", "a, b)"),
    ("not so much that it counts", ADD, "a + b\n", {"b": -0.25}, "a + b", "a + b\n"),
    (
        "among sure ones",
        ADD,
        "a + b.min(b, a) * b.max(a)\n",
        {"+": -0.6},
        "a + b.min(b, a) * b.max(a)",
        "a + b.min(b, a) * b.max(a)\n",
    ),
    ("among few", ADD, "a + b\n", {"+": -0.6}, "<unsure>", "a + b\n"),
    ("far below", ADD, "a + b * c\n", {"+": -0.95}, "<unsure>", "a +"),
    ("after enough to show", ADD, "total + c\n", {"c": -0.6}, "total +", "total + c"),
]


@pytest.mark.parametrize(
    ("document", "text", "logprobs", "said", "decoded"),
    [row[1:] for row in DOUBTS],
    ids=[row[0] for row in DOUBTS],
)
async def test_decoding_stops_at_an_unsure_token(
    start: Start, document: str, text: str, logprobs: dict[str, float], said: str, decoded: str
) -> None:
    model = scripted("model", {"text": text, "logprobs": logprobs, "piece_ms": 1})
    service = await start(model, multiline="always", deadline_ms=60_000)
    person = FakeUser(service, document)
    assert await person.said() == said
    assert completions(model)[-1].sent == decoded
    assert await person.said() == said
    assert len(completions(model)) == 1
    # Whoever asks by a key sees what there is, sure or not.
    if said in ("<unsure>", "a.together("):
        assert await person.said(invoked=True) == text.rstrip()


EMPTY_LINE = "def add(a, b):\n    |\n"
LIKELY = {"text": "total = a\n", "logprobs": {"total": -0.8}, "logprob": -0.05}


async def test_more_is_shown_at_an_empty_line_that_the_user_comes_to(start: Start) -> None:
    """It stays while it is typed, as anything that is shown does."""
    service = await start(scripted("model", LIKELY))
    person = FakeUser(service, EMPTY_LINE)
    assert await person.said() == "total = a"
    assert await person.said() == "total = a"
    person.type("to")
    assert await person.said() == "tal = a"


async def test_a_prompt_is_larger_at_an_empty_line_that_the_user_comes_to(start: Start) -> None:
    lines = "".join(f"first_{i} = other_{i}\n" for i in range(200))
    model = scripted("model", {"text": "last = 1\n"}, prefill_rate=300, decode_rate=60)
    service = await start(model)
    assert await FakeUser(service, f"{lines}|\n").said() == "last = 1"
    await FakeUser(service, f"{lines}last|\n", "b.py").ask()
    arrived, begun = (call.request for call in completions(model))
    assert isinstance(arrived, InfillRequest)
    assert isinstance(begun, InfillRequest)
    assert len(arrived.prefix) > 1.5 * len(begun.prefix)


async def test_a_line_that_was_typed_or_begun_needs_a_surer_answer(start: Start) -> None:
    service = await start(scripted("model", LIKELY))
    person = FakeUser(service, "def add(a, b):|\n")
    person.type("\n")
    assert await person.said() == "<unsure>"
    assert await FakeUser(service, ADD, "b.py").said() == "<unsure>"


@pytest.mark.parametrize(
    ("logprobs", "logprob", "said"),
    [
        ({"total": -1.2}, -0.05, "<unsure>"),
        ({"total": -0.8, "long": -0.4}, -0.05, "total = a."),
        ({}, -0.5, "<unsure>"),
    ],
    ids=["its first word", "what follows", "all of it"],
)
async def test_at_an_empty_line_too_what_is_unlikely_is_not_shown(
    start: Start, logprobs: dict[str, float], logprob: float, said: str
) -> None:
    answer = {"text": "total = a.long\n", "logprobs": logprobs, "logprob": logprob}
    service = await start(scripted("model", answer))
    assert await FakeUser(service, EMPTY_LINE).said() == said


async def test_an_unsure_answer_is_streamed_whole_when_others_may_answer(start: Start) -> None:
    answer = {"text": "a + b * 2\n", "logprobs": {"b": -3.0}, "piece_ms": 1}
    first, second = scripted("first", answer), scripted("second", SUM)
    service = await start(first, second)
    assert await FakeUser(service, ADD).said() == "<unsure>"
    assert completions(first)[0].sent == "a + b * 2\n"


async def test_a_suggestion_that_saves_nothing_is_shown_by_key_alone(start: Start) -> None:
    model = scripted("model", {"text": "ab\n"})
    service = await start(model)
    person = FakeUser(service, ADD)
    assert await person.said() == "<too_short>"
    person.type("a")
    assert await person.said() == "<too_short>"
    assert len(completions(model)) == 1
    assert await person.said(invoked=True) == "b"


async def test_at_the_deadline_whole_lines_are_shown(start: Start) -> None:
    text = "total = a + b\n    total *= 2\n    retur"
    service = await start(
        scripted("model", {"text": text, "hang": True}), deadline_ms=2000, multiline="always"
    )
    said = await FakeUser(service, "def add(a, b):\n    |\n").said()
    assert said == "total = a + b\n    total *= 2"


async def test_without_providers(start: Start) -> None:
    service = await start()
    assert await FakeUser(service, ADD).said() == "<no_provider>"
    assert "models pull" in service.status.detail


async def test_the_next_provider_answers_and_the_first_text_is_discarded(start: Start) -> None:
    # The bracket that the first one left open must not count when the second one is judged.
    broken, spare = (
        scripted("broken", {"text": "f(\n", "error": "Unreachable"}),
        scripted("spare", SUM),
    )
    service = await start(broken, spare)
    answer = await FakeUser(service, ADD).ask()
    assert [(s.text, s.provider) for s in answer.suggestions] == [("a + b", "spare")]
    assert service.traces.last(1)[0].provider == "spare"
    assert "other" not in completions(spare)[0].sent


async def test_a_newer_question_supersedes_the_older_one(start: Start) -> None:
    model = scripted("model", {**SUM, "delay_ms": 30})
    service = await start(model)
    person = FakeUser(service, ADD)
    first = asyncio.create_task(person.ask())
    await until(lambda: model.streaming)
    second = asyncio.create_task(person.ask())
    assert (await first).reason == "superseded"
    assert [s.text for s in (await second).suggestions] == ["a + b"]
    assert [call.ended for call in completions(model)] == ["closed", "closed"]
    assert [t.reason for t in service.traces.last(10)] == ["", "superseded"]


async def test_questions_for_two_documents_do_not_disturb_each_other(start: Start) -> None:
    service = await start(scripted("model", {**SUM, "delay_ms": 10}))
    people = [FakeUser(service, ADD, f"{i}.py") for i in range(5)]
    assert await asyncio.gather(*(p.said() for p in people)) == ["a + b"] * 5


async def test_a_cancelled_question_frees_the_model_before_it_ends(start: Start) -> None:
    model = scripted("model", {**SUM, "delay_ms": 60_000})
    service = await start(model)
    question = asyncio.create_task(FakeUser(service, ADD).ask())
    await until(lambda: model.streaming)
    question.cancel()
    with pytest.raises(asyncio.CancelledError):
        await question
    assert model.streaming == 0
    assert [t.reason for t in service.traces.last(10)] == ["cancelled"]


async def test_a_stale_answer_is_kept_but_not_shown(start: Start) -> None:
    model = scripted("model", {**SUM, "delay_ms": 30})
    service = await start(model)
    person = FakeUser(service, ADD)
    question = asyncio.create_task(person.said())
    await until(lambda: model.streaming)
    person.type("a")
    assert await question == "<stale>"
    assert await person.said() == " + b"
    assert len(completions(model)) == 1


async def test_a_question_that_is_stale_after_the_pause_reaches_no_model(start: Start) -> None:
    model = scripted("model", SUM)
    service = await start(model, debounce_ms=50)
    person = FakeUser(service, ADD)
    question = asyncio.create_task(person.said())
    await asyncio.sleep(0)
    person.type("a")
    assert await question == "<stale>"
    assert not completions(model)


async def test_a_question_waits_for_a_pause_in_typing(start: Start) -> None:
    model = scripted("model", SUM)
    service = await start(model, debounce_ms=60_000)
    person = FakeUser(service, ADD)
    waiting = asyncio.create_task(person.ask())
    await asyncio.sleep(0.02)
    assert not completions(model)
    # Who asks by a key does not wait, nor does a client that has waited itself.
    assert await person.said(invoked=True) == "a + b"
    assert (await waiting).reason == "superseded"
    other = FakeUser(service, ADD, "b.py")
    assert await other.said(client_waits=True) == "a + b"


async def test_paused_nothing_is_asked(start: Start) -> None:
    model = scripted("model", SUM)
    service = await start(model)
    person = FakeUser(service, ADD)
    service.pause()
    assert await person.said() == "<paused>"
    assert not model.calls
    service.resume()
    assert await person.said() == "a + b"


async def test_the_selected_item_begins_the_suggestion(start: Start) -> None:
    model = scripted("model", {"match": r"math\.sqrt$", "text": "(x)\n"})
    service = await start(model)
    person = FakeUser(service, "import math\ny = math.s|\n")
    item = Selected(Span(person.cursor - 1, person.cursor), "sqrt")
    (suggestion,) = (await person.ask(selected=item)).suggestions
    assert (suggestion.text, suggestion.replace) == ("sqrt(x)", item.span)


async def test_typing_through_and_deleting_back_ask_no_model(start: Start) -> None:
    model = scripted("model", SUM)
    service = await start(model)
    person = FakeUser(service, ADD)
    whole = await person.said()
    for typed in range(1, len(whole)):
        person.type(whole[typed - 1])
        assert await person.said() == whole[typed:]
        assert service.traces.last(1)[0].situation == Situation.CACHED
    for typed in range(len(whole) - 2, -1, -1):
        person.delete()
        assert await person.said() == whole[typed:]
    assert len(completions(model)) == 1


async def test_a_ready_suggestion_needs_no_model_and_no_trace(start: Start) -> None:
    model = scripted("model", SUM)
    service = await start(model)
    person = FakeUser(service, ADD)
    assert service.ready(person.snapshot(), person.cursor) == ()
    await person.ask()
    person.type("a")
    assert [s.text for s in service.ready(person.snapshot(), person.cursor)] == [" + b"]
    assert len(service.traces) == 1
    service.pause()
    assert service.ready(person.snapshot(), person.cursor) == ()


async def test_each_request_has_its_situation(start: Start) -> None:
    service = await start(scripted("model", SUM, {"text": "x = 1\n"}))
    person = FakeUser(service, ADD)

    async def situation() -> str:
        await person.ask(invoked=True)
        return service.traces.last(1)[0].situation

    assert await situation() == Situation.COLD
    person.edit(person.cursor, person.cursor, "a + b")
    assert await situation() == Situation.ACCEPTED
    person.type("\n")
    person.type("    ")
    assert await situation() == Situation.NEW_LINE
    person.type("y")
    assert await situation() == Situation.TYPING
    person.cursor = 0
    assert await situation() == Situation.MOVED


async def test_idle_the_largest_prompt_is_evaluated_once(start: Start) -> None:
    text = "".join(f"value_{i} = {i}\n" for i in range(120)) + "last = |\n"
    model = scripted("model", {"text": "1\n"}, prefill_rate=60, decode_rate=20)
    service = await start(model, deadline_ms=2500)
    person = FakeUser(service, text)
    await person.ask()

    def prefills() -> list[InfillRequest]:
        requests = [c.request for c in model.calls if c.ended == "finished"]
        return [r for r in requests if isinstance(r, InfillRequest) and r.prefill_only]

    await until(prefills)
    (request,) = prefills()
    asked = completions(model)[0].request
    assert len(request.prefix) > 2 * len(asked.prefix)
    assert request.prefix.endswith(asked.prefix[-40:])
    await asyncio.sleep(REST_SECONDS * 1.5)
    assert len(prefills()) == 1
    person.type("v")
    await person.ask()
    # The larger prompt is warm, so it is the one that is asked with now.
    assert completions(model)[-1].request.prefix == request.prefix + "v"


async def test_nothing_is_evaluated_when_the_prompt_was_the_whole_document(start: Start) -> None:
    model = scripted("model", SUM)
    service = await start(model)
    await FakeUser(service, ADD).ask()
    await asyncio.sleep(REST_SECONDS * 1.5)
    assert len(model.calls) == 1


async def test_an_interrupted_prefill_is_continued(start: Start) -> None:
    text = "".join(f"value_{i} = {i}\n" for i in range(400)) + "last = |"
    model = scripted("model", {"text": "", "delay_ms": 60_000}, prefill_rate=60, decode_rate=20)
    person = FakeUser(await start(model), text)

    async def begun(number: int) -> InfillRequest:
        await until(lambda: len(model.calls) == number and model.streaming)
        request = model.calls[-1].request
        assert isinstance(request, InfillRequest) and request.prefill_only
        return request

    first = await begun(1)
    written = "1\n" + "".join(f"more_{i} = {i}\n" for i in range(3))
    person.edit(person.cursor, person.cursor, written)
    assert (await begun(2)).prefix == first.prefix + written
    person.edit(person.cursor, person.cursor, "".join(f"most_{i} = {i}\n" for i in range(9)))
    assert not (await begun(3)).prefix.startswith(first.prefix), "too much stands behind it"


async def test_prefill_stops_at_once(start: Start) -> None:
    model = scripted("model", {"match": "x = $", "text": "100\n"}, {"text": "", "delay_ms": 60_000})
    service = await start(model)
    asking, resting = FakeUser(service, "x = |\n"), FakeUser(service, "y = |\n", "b.py")
    await until(lambda: model.streaming)
    assert await asking.said() == "100"
    first, second = model.calls
    assert (first.ended, second.ended) == ("closed", "closed")
    assert isinstance(first.request, InfillRequest)
    assert (first.request.document, first.request.prefill_only) == (resting.uri, True)


async def test_paused_nothing_is_prefilled(start: Start) -> None:
    model = scripted("model", {"text": "", "delay_ms": 60_000})
    service = await start(model)
    person = FakeUser(service, "x = |\n")
    await until(lambda: model.streaming)
    service.pause()
    person.type("1")
    await asyncio.sleep(REST_SECONDS * 1.5)
    assert [call.ended for call in model.calls] == ["closed"]


@pytest.mark.parametrize(("setting", "prepares"), [("save", False), ("ignore", True)])
async def test_on_the_battery_nothing_is_prepared(
    start: Start,
    monkeypatch: pytest.MonkeyPatch,
    setting: Literal["save", "ignore"],
    prepares: bool,
) -> None:
    monkeypatch.setattr(idle, "is_on_battery", lambda: True)
    model = scripted("model", SUM)
    service = await start(model, config=Config(engine=Engine(on_battery=setting)))
    person = FakeUser(service, ADD)
    await asyncio.sleep(REST_SECONDS * 1.5)
    assert bool(model.calls) is prepares
    assert await person.said()  # whoever asks is answered


@pytest.mark.parametrize("seed", range(6))
async def test_a_storm_of_requests_leaves_every_answer_right(start: Start, seed: int) -> None:
    """Random questions, edits, cancels and closes on three documents: every question has exactly
    one answer and one trace, no stream stays open, and the last answers are right."""
    dice = random.Random(seed)
    model = scripted(
        "model",
        {"match": r"return $", "text": "a + b\n", "delay_ms": 2, "piece_ms": 0.5},
        {"match": r"return .$", "text": "", "error": "Unreachable"},
        {"text": "pass\n", "delay_ms": 1},
    )
    settings = Completion(debounce_ms=1)
    service = await start(
        model, config=Config(completion=settings, routing=Routing(breaker_failures=10_000))
    )
    people = [FakeUser(service, ADD, f"{i}.py") for i in range(3)]
    begun: list[FakeUser] = []

    async def ask(person: FakeUser) -> CompletionAnswer:
        begun.append(person)  # a task that is cancelled before it runs asks nothing
        return await person.ask(invoked=dice.random() < 0.3)

    tasks: list[asyncio.Task[Any]] = []
    for _ in range(150):
        person = dice.choice(people)
        match dice.randrange(6):
            case 0:
                person.type("a")
            case 1 if person.text[person.cursor - 1] == "a":
                person.delete()
            case 2 if tasks:
                dice.choice(tasks).cancel()
            case 3:
                service.closed(person.uri)
                service.opened(person.snapshot())
            case _:
                tasks.append(asyncio.create_task(ask(person)))
        if dice.random() < 0.4:
            await asyncio.sleep(dice.random() * 0.004)
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    unexpected = [e for e in ended if isinstance(e, Exception)]
    assert not unexpected
    traces = service.traces.last(1000)
    assert len(traces) == len({t.id for t in traces}) == len(begun)
    answered = [e for e in ended if isinstance(e, CompletionAnswer)]
    assert Counter(t.reason for t in traces if t.reason != "cancelled") == Counter(
        answer.reason for answer in answered
    )
    # Only what is made beside an answer that was asked for by a key may go on.
    service.pause()
    await until(lambda: model.streaming == 0)
    service.resume()
    for person in people:
        person.delete(person.cursor - len("def add(a, b):\n    return "))
        assert await person.said(invoked=True) == "a + b"


async def test_a_failing_provider_is_reported_once_until_it_answers(
    start: Start,
) -> None:
    model = scripted("model", {"match": r"\w$", "error": "ModelNotServed"}, SUM)
    service = await start(model)
    told: list[str] = []
    service.subscribe(lambda status: told.append(status.state))
    person = FakeUser(service, "def add(a, b):\n    return a|\n")
    for _ in range(5):
        await person.ask()
    await until(lambda: told)
    await asyncio.sleep(0.02)
    assert told == ["unavailable"]
    person.delete()
    assert await person.said() == "a + b"
    await until(lambda: len(told) > 1)
    assert told == ["unavailable", "ready"]


async def test_the_status_follows_a_model_that_loads(start: Start) -> None:
    model = scripted("model", SUM)
    service = await start(model)
    model.health_now = Health(HealthState.STARTING, "half way", 0.5)
    await FakeUser(service, ADD).ask()
    await until(lambda: service.status.state == "loading")
    assert (service.status.detail, service.status.progress) == ("half way", 0.5)
    model.health_now = Health(HealthState.READY)
    await until(lambda: service.status.state == "ready")
