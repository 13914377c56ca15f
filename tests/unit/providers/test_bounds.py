"""Answers without an end, and JSON without a bottom: refused at a bounded cost."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from nearfield.coerce import shallow_object
from nearfield.errors import BadAnswer
from nearfield.features.chat.protocol import ToolRefused
from nearfield.features.chat.tool_registry import known
from nearfield.features.chat.tool_schema import checked
from nearfield.features.review.findings import answers
from nearfield.providers import http, reading
from nearfield.providers.tool_text import name_in
from nearfield.routing.quality import unmet
from nearfield.types import ChatRequest, Message, Role, ToolCall

from .conftest import DIALECTS, Server, question

DEEP = '{"a":' * 5_000 + "1" + "}" * 5_000
BOUND = 100_000
LONG = b"x" * 1000

BODIES: dict[str, tuple[bytes, str, dict[str, str]]] = {
    "an event that does not end": ((b"data: " + LONG + b"\n") * 200, "", {}),
    "events that say nothing": (b'data: {"choices": [], "done": false}\n\n' * 4_000, "", {}),
    "an object that does not end": (b" " * 2 * BOUND, "application/json", {}),
    "JSON without a bottom": (b"data: " + DEEP.encode() + b"\n\n", "", {}),
    "two compressions": (b"hi", "", {"content-encoding": "gzip, gzip"}),
    "an unknown compression": (b"hi", "", {"content-encoding": "br"}),
    "a broken compression": (b"hi", "", {"content-encoding": "gzip"}),
    "a bomb": (gzip.compress(b"data: " + b"x" * 20 * BOUND), "", {"content-encoding": "gzip"}),
}


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "MAX_STREAM_BYTES", BOUND)
    monkeypatch.setattr(reading, "MAX_WHOLE_BYTES", BOUND)


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("kind", DIALECTS)
async def test_a_hostile_answer_is_refused(kind: str, body: str, server: Server, made: Any) -> None:
    dialect = DIALECTS[kind]
    content, content_type, headers = BODIES[body]
    if not content_type and kind == "ollama":
        content = content.replace(b"data: ", b"").replace(b"\n\n", b"\n")
    kinds = content_type or dialect.content_type
    server.answer(dialect.path, content, content_type=kinds, headers=headers)
    with pytest.raises(BadAnswer):
        await _asked(made, server, kind, question())


@pytest.mark.parametrize("body", ["an object that does not end", "JSON without a bottom"])
@pytest.mark.parametrize("kind", [name for name, dialect in DIALECTS.items() if dialect.models])
async def test_a_hostile_list_is_refused(kind: str, body: str, server: Server, made: Any) -> None:
    dialect = DIALECTS[kind]
    content = DEEP.encode() if body.startswith("JSON") else b" " * 2 * BOUND
    server.answer(dialect.models_path, content, content_type="application/json")
    with pytest.raises(BadAnswer):
        await _provider(made, server, kind).models()


@pytest.mark.parametrize("kind", DIALECTS)
async def test_a_refusal_without_a_bottom_is_a_refusal(
    kind: str, server: Server, made: Any
) -> None:
    body = DEEP.encode()
    server.answer(DIALECTS[kind].path, body, 400, content_type="application/json")
    with pytest.raises(BadAnswer, match="status 400"):
        await _asked(made, server, kind, question())


@pytest.mark.parametrize("kind", DIALECTS)
async def test_a_deep_call_of_before_is_sent_on_or_left_out(
    kind: str, server: Server, made: Any
) -> None:
    dialect = DIALECTS[kind]
    server.answer(dialect.path, dialect.begin + dialect.rest, content_type=dialect.content_type)
    said = Message(Role.ASSISTANT, "", (ToolCall("1", "readFile", DEEP),))
    told = Message(Role.TOOL, "nothing", tool_call_id="1")
    turns = (*question().messages, said, told)
    assert await _asked(made, server, kind, ChatRequest(turns)) == "Hello there"


@pytest.mark.parametrize("kind", [name for name, dialect in DIALECTS.items() if dialect.models])
async def test_names_that_cannot_be_picked_are_left_out(
    kind: str, server: Server, made: Any
) -> None:
    names = ["\x1b]0;x\x07evil", "a\nb", "", "x" * 1000, "\u202egpj", "known:7b-q4_K"]
    listed = [{"id": name, "name": name} for name in names]
    server.answer(DIALECTS[kind].models_path, {"data": listed, "models": listed})
    found = await _provider(made, server, kind).models()
    assert [one.name for one in found] == ["known:7b-q4_K"]


COUNTS = {"prompt_tokens": -(10**9), "completion_tokens": 10**25}


async def test_counts_that_make_no_sense_are_not_taken(server: Server, made: Any) -> None:
    dialect = DIALECTS["openai_compatible"]
    said = msgspec.json.encode({"choices": [], "usage": COUNTS})
    body = dialect.begin + b"data: " + said + b"\n\n" + dialect.rest.partition(b"data: [DONE]")[0]
    whole = body + b"data: " + said + b"\n\ndata: [DONE]\n\n"
    server.answer(dialect.path, whole, content_type=dialect.content_type)
    provider = _provider(made, server, dialect.kind)
    last = [delta async for delta in provider.chat(question())][-1]
    assert last.usage is not None
    assert (last.usage.prompt_tokens, last.usage.generated_tokens) == (None, None)


async def test_a_servers_odd_name_and_context_are_not_taken(server: Server, made: Any) -> None:
    server.answer("/health", {"status": "ok"})
    odd = {"model_alias": "\x1b[2J", "default_generation_settings": {"n_ctx": -5}}
    server.answer("/props", odd)
    provider = made("llama_server", server.url, model="")
    named = provider.model
    await provider.health()
    assert (provider.model, provider.capabilities.context_tokens) == (named, None)


READERS: dict[str, Callable[[str], bool]] = {
    "a call in a text": lambda text: name_in(text) == "",
    "an answer of a schema": lambda text: unmet(text, {"type": "object"}) == "not JSON",
    "findings": lambda text: answers(text) == [{"a": 1}],  # complete, and not deep
    "a call for a client": lambda text: shallow_object(text) == {},
}


@pytest.mark.parametrize("reader", READERS)
def test_what_a_model_nests_too_deep_is_no_json(reader: str) -> None:
    assert READERS[reader](DEEP)


def test_a_function_refuses_what_is_nested_too_deep() -> None:
    with pytest.raises(ToolRefused, match="nested too deep"):
        checked(known()["readFile"], DEEP)


def _provider(made: Any, server: Server, kind: str) -> Any:
    base = "/v1" if kind == "openai_compatible" else ""
    return made(kind, server.url + base, api_key_env="TEST_KEY", **DIALECTS[kind].options)


async def _asked(made: Any, server: Server, kind: str, request: ChatRequest) -> str:
    text = ""
    async for delta in _provider(made, server, kind).chat(request):
        text += delta.text
    return text
