"""The scripted provider keeps the provider's contract, so that tests above it mean something."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearfield.config.schema import ProviderSettings
from nearfield.errors import ConfigError, DeadlineExceeded, NotReady, RateLimited
from nearfield.providers.scripted import Scripted, tokens
from nearfield.types import (
    ChatRequest,
    Delta,
    Finish,
    Health,
    HealthState,
    InfillRequest,
    Message,
    Role,
    ToolCall,
)

ASK = InfillRequest("doc", "a.py", "python", prefix="x = ", suffix="\n", max_tokens=64)


def scripted(*answers: dict[str, Any], **options: Any) -> Scripted:
    settings = ProviderSettings(
        kind="scripted", model="actor", options={"answers": list(answers), **options}
    )
    return Scripted("stage", settings)


async def deltas(provider: Scripted, request: InfillRequest | ChatRequest = ASK) -> list[Delta]:
    if isinstance(request, InfillRequest):
        return [delta async for delta in provider.infill(request)]
    return [delta async for delta in provider.chat(request)]


async def text_of(provider: Scripted, request: InfillRequest | ChatRequest = ASK) -> str:
    return "".join(delta.text for delta in await deltas(provider, request))


async def test_a_stream_and_its_account() -> None:
    provider = scripted({"text": "a + b", "chunk": 2, "logprob": -0.5})
    first, second, third, last = await deltas(provider)
    assert [d.text for d in (first, second, third)] == ["a ", "+ ", "b"]
    assert first.logprobs == (-0.5, -0.5)
    assert first.usage is not None
    assert first.usage.generated_tokens is None
    assert (last.text, last.finish) == ("", Finish.STOP)
    assert last.usage is not None
    assert (last.usage.model, last.usage.generated_tokens) == ("actor", 5)
    (call,) = provider.calls
    assert (call.request, call.sent, call.ended) == (ASK, "a + b", "finished")


async def test_the_common_beginning_is_reused_in_each_document() -> None:
    provider = scripted()

    async def cost(request: InfillRequest) -> tuple[int | None, int | None]:
        usage = (await deltas(provider, request))[-1].usage
        assert usage is not None
        return usage.reused_tokens, usage.evaluated_tokens

    assert await cost(ASK) == (0, 5)
    assert await cost(replace(ASK, prefill_only=True)) == (5, 0)
    assert await cost(replace(ASK, prefix="x = y")) == (4, 2)
    assert await cost(replace(ASK, document="other")) == (0, 5)


LIMITS = [
    ("first match", {}, "abc\ndef\nghi"),
    ("one line", {"single_line": True}, "abc"),
    ("a stop", {"stop": ("zzz", "ef")}, "abc\nd"),
    ("the earliest stop", {"stop": ("ghi", "c")}, "ab"),
    ("tokens", {"max_tokens": 3}, "abc\ndef"),
    ("nothing", {"prefill_only": True}, ""),
    ("no match", {"prefix": "y"}, ""),
]


@pytest.mark.parametrize(("change", "text"), [c[1:] for c in LIMITS], ids=[c[0] for c in LIMITS])
async def test_token_limits_and_stops_end_an_answer(change: dict[str, Any], text: str) -> None:
    provider = scripted({"match": "x = $", "text": "abc\ndef\nghi"})
    assert await text_of(provider, replace(ASK, **change)) == text


async def test_a_cut_says_how_it_ended() -> None:
    provider = scripted({"text": "a b c d"})
    assert (await deltas(provider, replace(ASK, max_tokens=3)))[-1].finish is Finish.LENGTH


async def test_errors_come_after_the_text() -> None:
    provider = scripted({"text": "ab", "error": "RateLimited"})
    stream = provider.infill(ASK)
    assert (await anext(stream)).text == "ab"
    with pytest.raises(RateLimited):
        await anext(stream)
    assert provider.calls[0].ended == "error"


async def test_while_it_is_not_ready_it_refuses() -> None:
    provider = scripted({"text": "ab"})
    provider.health_now = Health(HealthState.STARTING, "loading")
    assert await provider.health() == provider.health_now
    with pytest.raises(NotReady, match="loading"):
        await deltas(provider)


async def test_the_deadline() -> None:
    soon = replace(ASK, deadline=time.monotonic() + 0.02)
    with pytest.raises(DeadlineExceeded):
        await deltas(scripted({"text": "ab", "delay_ms": 60_000}), soon)
    for slow in ({"piece_ms": 60_000}, {"hang": True}):
        # Long enough for the first piece on a busy machine.
        soon = replace(ASK, deadline=time.monotonic() + 0.5)
        assert (await deltas(scripted({"text": "ab", **slow}), soon))[-1].finish is Finish.DEADLINE


async def test_an_answer_waits_for_a_file(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    provider = scripted({"text": "ab", "waits_for": str(gate)})
    with pytest.raises(DeadlineExceeded):
        await deltas(provider, replace(ASK, deadline=time.monotonic() + 0.05))
    gate.touch()
    assert await text_of(provider) == "ab"


async def test_closing_a_stream_is_seen() -> None:
    provider = scripted({"text": "a b c"})
    stream = provider.infill(ASK)
    assert (await anext(stream)).text == "a"
    assert provider.streaming == 1
    await stream.aclose()
    assert (provider.streaming, provider.calls[0].ended) == (0, "closed")


async def test_a_chat_answers_the_last_user_message_and_calls_tools() -> None:
    provider = scripted(
        {"match": "weather", "text": "", "tool_calls": [{"name": "look", "arguments": {"at": 1}}]},
        {"match": "hello", "text": "Hello."},
    )
    hello = ChatRequest((Message(Role.USER, "weather"), Message(Role.USER, "hello")))
    assert await text_of(provider, hello) == "Hello."
    last = (await deltas(provider, ChatRequest((Message(Role.USER, "weather?"),))))[-1]
    assert last.finish is Finish.TOOLS
    assert last.tool_calls == (ToolCall("call-0", "look", '{"at": 1}'),)


@given(st.text())
def test_tokens_lose_nothing(text: str) -> None:
    assert "".join(tokens(text)) == text


async def test_a_script_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "script.json"
    answers = [{"text": "from the file"}]
    for content in (answers, {"answers": answers, "prefill_rate": 70}):
        file.write_text(json.dumps(content))
        provider = Scripted(
            "stage", ProviderSettings(kind="scripted", options={"script": str(file)})
        )
        assert await text_of(provider) == "from the file"
    assert provider.capabilities.prefill_rate == 70


BAD: list[tuple[dict[str, Any], str]] = [
    ({"answers": [{"txt": "typo"}]}, "txt"),
    ({"answers": [{"match": "("}]}, "regular expression"),
    ({"answers": [{"error": "NoSuchError"}]}, "NoSuchError"),
    ({"answers": [{"error": "annotations"}]}, "annotations"),
    ({"answers": [{"delay_ms": -1}]}, "delay_ms"),
    ({"script": "/no/such/file.json"}, "No such file"),
    ({"surprise": 1}, "surprise"),
    ({"edit_form": "cook"}, "edit_form: cook"),
]


@pytest.mark.parametrize(("options", "words"), BAD)
def test_a_bad_script_is_named(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Scripted("stage", ProviderSettings(kind="scripted", options=options))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_script_may_begin_with_a_byte_order_mark(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "script.json").write_text('[{"match": "", "text": "a"}]', encoding)
    settings = ProviderSettings(
        kind="scripted", model="m", options={"script": str(tmp_path / "script.json")}
    )
    assert Scripted("actor", settings).model == "m"
