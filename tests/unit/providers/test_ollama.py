"""What Ollama's server does that its documentation does not say, as its source (0.17.4) has it."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace
from typing import Any

import pytest
from werkzeug import Request, Response

from nearfield.errors import (
    ContextTooLong,
    DeadlineExceeded,
    NotReady,
    ProviderError,
    RateLimited,
    Unauthorised,
    Unreachable,
)
from nearfield.providers import ollama
from nearfield.types import Finish, HealthState, InfillRequest, Tool

from .conftest import Server, json_lines, question

NDJSON = "application/x-ndjson"
QWEN = "qwen2.5-coder:1.5b-base"
HOLE = InfillRequest("d", "a.py", "python", "x = ", "\nprint(x)\n", max_tokens=8)


def _generate(request: Request) -> Response:
    """Answer as the server's handler: by which way of it the prompt went."""
    body = json.loads(request.data)
    keep = body["keep_alive"]
    if isinstance(keep, str) and keep.lstrip("-").isdigit():
        return _json({"error": f'time: missing unit in duration "{keep}"'}, 400)
    if not body["prompt"]:
        return _json({"done": True, "done_reason": "load", "response": ""})
    if len(body["prompt"]) > 100 and body.get("truncate", True):
        return _lines("of a part")
    if len(body["prompt"]) > 100:
        return _json({"error": "the input length exceeds the context length"}, 400)
    return _lines("raw" if body.get("raw") else "filled" if body.get("suffix") else "chat")


def _json(body: object, status: int = 200) -> Response:
    return Response(json.dumps(body), status, content_type="application/json")


def _lines(text: str) -> Response:
    end = {"response": "", "done": True, "done_reason": "stop"}
    return Response(json_lines({"response": text, "done": False}, end), content_type=NDJSON)


@pytest.fixture
def filler(server: Server) -> Server:
    """A server whose models fill in, and were trained on 2048 tokens."""
    info = {"general.architecture": "qwen2", "qwen2.context_length": 2048}
    server.answer("/api/show", {"capabilities": ["completion", "insert"], "model_info": info})
    server.http.expect_request("/api/generate").respond_with_handler(_generate)
    return server


async def _filled(provider: Any, request: InfillRequest) -> str:
    return "".join([delta.text async for delta in provider.infill(request)])


EDGES = {
    "between": ("x = ", "\nprint(x)\n", QWEN, "filled"),
    "at the end": ("x = ", "", QWEN, "raw"),
    "at the beginning": ("", "print(x)\n", QWEN, "raw"),
    "at the end, of no known family": ("x = ", "", "m", "raw"),
    "nowhere": ("", "", "m", ""),
}


@pytest.mark.parametrize("edge", EDGES)
async def test_a_prompt_is_never_taken_for_a_chat(edge: str, filler: Server, made: Any) -> None:
    prefix, suffix, model, answer = EDGES[edge]
    provider = made("ollama", filler.url, model)
    assert await _filled(provider, replace(HOLE, prefix=prefix, suffix=suffix)) == answer


@pytest.mark.parametrize(
    ("said", "sent"), [("-1", -1), (-1, -1), ("300", 300), ("1h", "1h"), ("-1m", "-1m")]
)
async def test_how_long_it_stays(
    said: str | int, sent: str | int, filler: Server, made: Any
) -> None:
    assert await _filled(made("ollama", filler.url, QWEN, keep_alive=said), HOLE) == "filled"
    [body] = filler.bodies("/api/generate")
    assert body["keep_alive"] == sent


async def test_a_prompt_that_does_not_fit_is_not_cut(filler: Server, made: Any) -> None:
    provider = made("ollama", filler.url, QWEN)
    with pytest.raises(ContextTooLong):
        await _filled(provider, replace(HOLE, prefix="x = 1\n" * 50))
    assert provider.capabilities.context_tokens == 2048
    small = made("ollama", filler.url, QWEN, num_ctx=1024)
    await small.show()
    assert small.capabilities.context_tokens == 1024


async def test_a_model_that_repeats_itself_ends(server: Server, made: Any) -> None:
    """The server ends after the 30th repeat, and without the line that says so."""
    server.answer("/api/chat", _song(31), content_type=NDJSON)
    deltas = [delta async for delta in made("ollama", server.url).chat(question())]
    assert "".join(delta.text for delta in deltas) == "So" + "la " * 31
    assert deltas[-1].finish is Finish.LENGTH


async def test_an_answer_that_breaks_off_among_repeats(server: Server, made: Any) -> None:
    server.answer("/api/chat", _song(30), content_type=NDJSON)
    with pytest.raises(Unreachable):
        [delta async for delta in made("ollama", server.url).chat(question())]


@pytest.mark.parametrize("words", [["la"] * 40, [str(n) for n in range(40)]], ids=["song", "sum"])
async def test_thoughts_that_break_off(words: list[str], server: Server, made: Any) -> None:
    """The server counts the tokens of thoughts, too."""
    lines = ({"message": {"content": "", "thinking": word}, "done": False} for word in words)
    server.answer("/api/chat", json_lines(*lines), content_type=NDJSON)
    stream = made("ollama", server.url).chat(question())
    if words[0] == words[1]:
        assert [delta async for delta in stream][-1].finish is Finish.LENGTH
    else:
        with pytest.raises(Unreachable):
            [delta async for delta in stream]


def _song(times: int) -> bytes:
    words = ["So", *["la "] * times]
    return json_lines(*({"message": {"content": word}, "done": False} for word in words))


async def test_a_model_is_gone_when_it_is_unloaded(server: Server, made: Any) -> None:
    """The server answers before it has given the memory back."""
    server.answer("/api/generate", {"done": True, "done_reason": "unload"})
    held = [["m:latest", "n"], ["m:latest", "n"], ["n"]]

    def running(_request: Request) -> Response:
        return _json({"models": [{"name": name} for name in held.pop(0)]})

    server.http.expect_request("/api/ps").respond_with_handler(running)
    await made("ollama", server.url).unload()
    assert held == []


async def _until(server: Server, path: str, count: int) -> list[Any]:
    """Return the bodies of the requests to `path` once there are `count`."""
    async with asyncio.timeout(60):
        while len(server.bodies(path)) < count:
            await asyncio.sleep(0.01)
    return server.bodies(path)


@pytest.mark.parametrize("ending", ["deadline", "closed"])
async def test_a_model_is_loaded_although_nobody_waits_any_more(
    ending: str, server: Server, made: Any
) -> None:
    """The server gives up loading when the request that it loads for is gone."""
    server.hang("/api/chat")
    server.answer("/api/generate", {"done": True, "done_reason": "load", "response": ""})
    provider = made("ollama", server.url, num_ctx=1024)
    if ending == "deadline":
        with pytest.raises(DeadlineExceeded):
            await anext(provider.chat(question(deadline=time.monotonic() + 0.2)))
    else:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await anext(provider.chat(question()))
    [body] = await _until(server, "/api/generate", 1)
    assert "prompt" not in body
    assert (body["options"], body["keep_alive"]) == ({"num_ctx": 1024}, "30m")


async def test_a_model_that_has_just_answered_is_not_loaded_again(
    server: Server, made: Any
) -> None:
    end = {"message": {"content": ""}, "done": True, "done_reason": "stop"}
    server.answer("/api/chat", json_lines(end), content_type=NDJSON)
    prompts: list[str] = []

    def generate(request: Request) -> Response:
        prompts.append(json.loads(request.data).get("prompt", ""))
        server.release.wait(60)
        return _json({"done": True})

    server.answer("/api/tags", {"models": []})
    server.http.expect_request("/api/generate").respond_with_handler(generate)
    provider = made("ollama", server.url, QWEN)
    assert [delta async for delta in provider.chat(question())][-1].finish is Finish.STOP
    with pytest.raises(DeadlineExceeded):
        # Long enough to be asked on a busy machine.
        await _filled(provider, replace(HOLE, deadline=time.monotonic() + 2))
    await provider.models()
    assert len(prompts) == 1 and prompts[0]


async def test_a_server_that_loads_a_model_says_nothing_of_its_memory(
    server: Server, made: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ollama, "LIST_SECONDS", 0.1)
    server.hang("/api/ps")
    health = await made("ollama", server.url).health()
    assert (health.state, "is loading a model" in health.detail) == (HealthState.STARTING, True)


@pytest.mark.parametrize("held", [[], ["n"], ["m:latest"]])
async def test_a_model_is_in_memory_before_it_is_asked_without_a_deadline(
    held: list[str], server: Server, made: Any
) -> None:
    end = {"message": {"content": "yes"}, "done": True, "done_reason": "stop"}
    server.answer("/api/chat", json_lines(end), content_type=NDJSON)
    server.answer("/api/generate", {"done": True, "done_reason": "load", "response": ""})
    server.answer("/api/ps", {"models": [{"name": name} for name in held]})
    [*_, last] = [delta async for delta in made("ollama", server.url).chat(question())]
    assert last.finish is Finish.STOP
    assert len(server.bodies("/api/generate")) == (0 if "m:latest" in held else 1)


async def test_a_model_that_is_being_loaded_is_said_to_be(server: Server, made: Any) -> None:
    server.answer("/api/generate", {"done": True, "done_reason": "load", "response": ""})
    server.answer("/api/ps", {"models": []})
    provider = made("ollama", server.url)
    assert (await provider.health()).state is HealthState.IDLE
    provider.start()
    provider.start()
    health = await provider.health()
    assert (health.state, "is being loaded" in health.detail) == (HealthState.STARTING, True)
    await _until(server, "/api/generate", 1)
    async with asyncio.timeout(60):
        while (await provider.health()).state is HealthState.STARTING:
            await asyncio.sleep(0.01)
    assert len(server.bodies("/api/generate")) == 1


async def test_a_model_that_does_not_come_into_memory(
    server: Server, made: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ollama, "LOAD_SECONDS", 0.1)
    server.hang("/api/generate")
    server.answer("/api/ps", {"models": []})
    provider = made("ollama", server.url, first_token_timeout_s=0.1)
    for work in (provider.load(), provider.unload(), anext(provider.chat(question()))):
        with pytest.raises(NotReady, match=r"has not (un)?loaded m in") as caught:
            await work
        assert "prompt" not in caught.value.hint


async def test_a_model_that_was_deleted_meanwhile_is_not_healthy(server: Server, made: Any) -> None:
    server.answer("/api/ps", {"models": []})
    provider = made("ollama", server.url)
    assert (await provider.health()).state is HealthState.IDLE
    server.answer("/api/show", {"error": "model 'm' not found"}, 404)
    assert (await provider.health()).state is HealthState.UNAVAILABLE


REFUSALS = {
    "busy": (503, "server busy, please try again.  maximum pending requests exceeded", "no more"),
    "memory": (
        500,
        "model requires more system memory (9.1 GiB) than is available (4.0 GiB)",
        "too little memory for m",
    ),
    "offline": (
        502,
        'Post "https://ollama.com:443/api/chat": dial tcp: lookup ollama.com: no such host',
        "does not reach its maker's servers",
    ),
    "no cloud": (
        403,
        "ollama cloud is disabled: remote model is unavailable",
        "has its cloud turned off",
    ),
    "runner gone": (
        500,
        'Post "http://127.0.0.1:1/completion": dial tcp 127.0.0.1:1: connection refused',
        "answered with status 500",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
async def test_refusals(case: str, server: Server, made: Any) -> None:
    status, said, words = REFUSALS[case]
    server.answer("/api/chat", {"error": said}, status)
    with pytest.raises(ProviderError, match=words) as caught:
        [delta async for delta in made("ollama", server.url).chat(question())]
    assert isinstance(caught.value, RateLimited) == (case == "busy")


async def test_a_cloud_that_nobody_is_signed_in_to(server: Server, made: Any) -> None:
    said = {"error": "unauthorized", "signin_url": "https://ollama.com/connect?key=k"}
    server.answer("/api/chat", said, 401)
    with pytest.raises(Unauthorised, match="signed in to no cloud") as caught:
        [delta async for delta in made("ollama", server.url).chat(question())]
    assert "ollama signin" in caught.value.hint


async def test_a_library_that_cannot_be_reached(server: Server, made: Any) -> None:
    said = 'pull model manifest: Get "https://registry.ollama.ai/v2/": dial tcp: no such host'
    answer = json_lines({"status": "pulling manifest"}, {"error": said})
    server.answer("/api/pull", answer, content_type=NDJSON)
    with pytest.raises(Unreachable, match="does not reach its maker's servers"):
        [step async for step in made("ollama", server.url).pull()]


@pytest.mark.parametrize("with_tools", [False, True])
async def test_probabilities_are_not_asked_for_beside_tools(
    with_tools: bool, server: Server, made: Any
) -> None:
    """The server of llama.cpp that newer versions ask refuses both together."""
    end = {"message": {"content": ""}, "done": True, "done_reason": "stop"}
    server.answer("/api/chat", json_lines(end), content_type=NDJSON)
    tools = (Tool("look", "", {}),) if with_tools else ()
    [delta async for delta in made("ollama", server.url).chat(question(tools=tools))]
    [body] = server.bodies("/api/chat")
    assert ("logprobs" in body) is not with_tools


async def test_a_server_that_says_nothing_of_abilities_chats(server: Server, made: Any) -> None:
    provider = made("ollama", server.url)
    await provider.show()
    can = provider.capabilities
    assert (can.chat, can.tools, can.infill) == (True, True, False)
