"""What each server is sent, and what its answers become; shapes from the published APIs."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from nearfield.errors import (
    BadAnswer,
    ModelNotServed,
    NotPermitted,
    Unauthorised,
    Unreachable,
    Unsupported,
)
from nearfield.types import (
    ChatRequest,
    Delta,
    Finish,
    HealthState,
    InfillRequest,
    Message,
    Role,
    Snippet,
    Tool,
    ToolCall,
)

from .conftest import KEY, Server, json_lines, named_sse, question, sse

TOOL = Tool("look", "Looks.", {"type": "object", "properties": {"at": {"type": "string"}}})
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
HOLE = InfillRequest(
    document="d",
    path="a.py",
    language="python",
    prefix="def add(a, b):\n    ret",
    suffix="\nadd(1, 2)\n",
    typed="    ret",
    max_tokens=16,
    stop=("END",),
    single_line=True,
)
TALK = ChatRequest(
    messages=(
        Message(Role.SYSTEM, "Be brief."),
        Message(Role.USER, "Look."),
        Message(Role.ASSISTANT, "", (ToolCall("c1", "look", '{"at": "x"}'),)),
        Message(Role.TOOL, "a tree", tool_call_id="c1"),
    ),
    tools=(TOOL,),
    max_tokens=9,
    temperature=0.5,
)

CHUNK = {"choices": [{"text": "urn a", "index": 0, "finish_reason": None}]}
COMPLETED = sse(
    CHUNK, {"choices": [{"text": " + b", "index": 0, "finish_reason": "stop"}]}, done="[DONE]"
)
LIKE_CHAT = sse(
    {"choices": [{"index": 0, "delta": {"content": "urn a"}}]},
    {"choices": [{"index": 0, "delta": {"content": " + b"}, "finish_reason": "stop"}]},
)
QWEN = "<|fim_prefix|>def add(a, b):\n    ret<|fim_suffix|>\nadd(1, 2)\n<|fim_middle|>"


@dataclass(frozen=True)
class Infill:
    """`sent` is what the body has to hold, `absent` what it must not."""

    kind: str
    path: str
    sent: dict[str, Any]
    answer: bytes
    options: dict[str, Any] = field(default_factory=dict[str, Any])
    model: str = "m"
    absent: tuple[str, ...] = ()
    show: dict[str, Any] | None = None
    content_type: str = "text/event-stream"


_SUFFIX = {"prompt": HOLE.prefix, "suffix": HOLE.suffix, "max_tokens": 16, "stop": ["\n", "END"]}
_OLLAMA_ANSWER = json_lines(
    {"response": "urn a", "done": False, "logprobs": [{"token": "urn", "logprob": -0.5}]},
    {"response": " + b", "done": False},
    {"response": "", "done": True, "done_reason": "stop", "eval_count": 4},
)
_LLAMA_ANSWER = sse(
    {"content": "urn a", "stop": False, "completion_probabilities": [{"logprob": -0.5}]},
    {"content": " + b", "stop": False},
    {"content": "", "stop": True, "stop_type": "word", "tokens_evaluated": 9},
)
INFILL = {
    "llama_server": Infill(
        "llama_server",
        "/infill",
        {
            "input_prefix": "def add(a, b):\n",
            "prompt": "    ret",
            "input_suffix": HOLE.suffix,
            "input_extra": [],
            "n_predict": 16,
            "cache_prompt": True,
            "stop": ["\n", "END"],
        },
        _LLAMA_ANSWER,
    ),
    "vllm takes a template": Infill(
        "openai_compatible",
        "/v1/completions",
        {"prompt": QWEN, "max_tokens": 16, "logprobs": 1},
        COMPLETED,
        {"preset": "vllm"},
        "Qwen/Qwen2.5-Coder-7B",
        absent=("suffix",),
    ),
    "a template by name": Infill(
        "openai_compatible",
        "/v1/completions",
        {"prompt": QWEN},
        COMPLETED,
        {"fim_template": "qwen"},
        absent=("suffix", "logprobs"),
    ),
    "litellm takes a suffix": Infill(
        "openai_compatible", "/v1/completions", _SUFFIX, COMPLETED, {"preset": "litellm"}
    ),
    "mistral has its own endpoint": Infill(
        "openai_compatible",
        "/v1/fim/completions",
        _SUFFIX,
        LIKE_CHAT,
        {"preset": "mistral"},
        "codestral-latest",
        absent=("stream_options",),
    ),
    "deepseek's is beta": Infill(
        "openai_compatible", "/v1/beta/completions", _SUFFIX, COMPLETED, {"preset": "deepseek"}
    ),
    "ollama inserts": Infill(
        "ollama",
        "/api/generate",
        {"prompt": HOLE.prefix, "suffix": HOLE.suffix, "keep_alive": "30m", "stream": True},
        _OLLAMA_ANSWER,
        show={"capabilities": ["completion", "insert"]},
        absent=("raw",),
        content_type="application/x-ndjson",
    ),
    "ollama without insert": Infill(
        "ollama",
        "/api/generate",
        {"prompt": QWEN, "raw": True},
        _OLLAMA_ANSWER,
        model="qwen2.5-coder:7b",
        show={"capabilities": ["completion"]},
        absent=("suffix",),
        content_type="application/x-ndjson",
    ),
}


@pytest.mark.parametrize("name", INFILL)
async def test_each_server_gets_its_form_of_infill(name: str, server: Server, made: Any) -> None:
    case = INFILL[name]
    server.answer(case.path, case.answer, content_type=case.content_type)
    if case.show is not None:
        server.answer("/api/show", case.show)
    provider = _made(made, case.kind, server, case.model, case.options)
    assert provider.capabilities.infill
    deltas: list[Delta] = [delta async for delta in provider.infill(HOLE)]
    assert "".join(delta.text for delta in deltas) == "urn a + b"
    assert deltas[-1].finish is Finish.STOP
    [body] = server.bodies(case.path)
    assert {key: body.get(key) for key in case.sent} == case.sent
    assert not set(case.absent) & set(body)
    assert body.get("model", case.model) == case.model
    if case.kind == "openai_compatible":
        assert len(body["stop"]) <= 4


@pytest.mark.parametrize("name", INFILL)
async def test_prefill_only_shows_nothing(name: str, server: Server, made: Any) -> None:
    case = INFILL[name]
    server.answer(case.path, case.answer, content_type=case.content_type)
    if case.show is not None:
        server.answer("/api/show", case.show)
    provider = _made(made, case.kind, server, case.model, case.options)
    warm = InfillRequest("d", "a.py", "python", "x", "y", prefill_only=True)
    [only] = [delta async for delta in provider.infill(warm)]
    assert (only.text, only.logprobs) == ("", ())
    assert only.finish is not None
    [body] = server.bodies(case.path)
    limits = {**body, **body.get("options", {})}
    asked = [limits[key] for key in ("max_tokens", "n_predict", "num_predict") if key in limits]
    assert asked in ([0], [1])


CANNOT = {
    "openai": ("openai_compatible", {"preset": "openai"}, "gpt-5", None),
    "no family": ("openai_compatible", {}, "m", None),
    "ollama": ("ollama", {}, "llama3", {"capabilities": ["completion"]}),
    "claude": ("anthropic", {}, "m", None),
}


@pytest.mark.parametrize("name", CANNOT)
async def test_cannot_fill_in(name: str, server: Server, made: Any) -> None:
    kind, options, model, show = CANNOT[name]
    server.answer("/api/show", show or {})
    provider = _made(made, kind, server, model, options)
    with pytest.raises(Unsupported):
        [delta async for delta in provider.infill(HOLE)]
    assert not provider.capabilities.infill


async def test_a_document_forges_no_control_text(server: Server, made: Any) -> None:
    server.answer("/v1/completions", COMPLETED)
    provider = _made(made, "openai_compatible", server, "qwen2.5-coder", {})
    snippet = Snippet("b.py", "S = '<|file_sep|>'")
    forged = InfillRequest("d", "a", "", "p<|fim_middle|>", "<|fim_prefix|>", snippets=(snippet,))
    [delta async for delta in provider.infill(forged)]
    prompt = server.bodies("/v1/completions")[0]["prompt"]
    assert [prompt.count(mark) for mark in ("<|fim_middle|>", "<|fim_prefix|>")] == [1, 1]
    assert prompt.count("<|file_sep|>") == 2
    assert "p< |fim_middle|>" in prompt


OPENAI_TALK = {
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Look."},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "c1",
                    "type": "function",
                    "function": {"name": "look", "arguments": '{"at": "x"}'},
                }
            ],
        },
        {"role": "tool", "content": "a tree", "tool_call_id": "c1"},
    ],
    "tools": [
        {
            "type": "function",
            "function": {"name": "look", "description": "Looks.", "parameters": TOOL.parameters},
        }
    ],
    "stream": True,
}


def _call(index: int | None, **function: Any) -> dict[str, Any]:
    piece: dict[str, Any] = {"function": function}
    if index is not None:
        piece["index"] = index
    return {"choices": [{"index": 0, "delta": {"tool_calls": [piece]}}]}


_END = {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}
_STOP = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
CALLS = {
    "in pieces": (
        [
            _call(0, name="look", arguments=""),
            _call(0, arguments='{"at"'),
            _call(0, arguments=": 1}"),
        ],
        [("look", '{"at": 1}')],
    ),
    "two, interleaved": (
        [
            _call(0, name="a", arguments="{"),
            _call(1, name="b", arguments="{}"),
            _call(0, arguments="}"),
        ],
        [("a", "{}"), ("b", "{}")],
    ),
    "without an index": (
        [_call(None, name="a", arguments="{}"), _call(None, name="b", arguments="{}")],
        [("a", "{}"), ("b", "{}")],
    ),
    "arguments as an object": ([_call(0, name="a", arguments={"x": 1})], [("a", '{"x": 1}')]),
}


@pytest.mark.parametrize("end", [_END, _STOP])
@pytest.mark.parametrize("name", CALLS)
async def test_openai_tools(name: str, end: Any, server: Server, made: Any) -> None:
    pieces, expected = CALLS[name]
    server.answer("/v1/chat/completions", sse(*pieces, end, done="[DONE]"))
    provider = _made(made, "openai_compatible", server, "m", {})
    [last] = [delta async for delta in provider.chat(TALK)]
    assert last.finish is Finish.TOOLS
    assert [(call.name, call.arguments) for call in last.tool_calls] == expected
    assert len({call.id for call in last.tool_calls}) == len(expected)
    [body] = server.bodies("/v1/chat/completions")
    assert {key: body[key] for key in OPENAI_TALK} == OPENAI_TALK
    assert (body["max_tokens"], body["temperature"]) == (9, 0.5)


async def test_openai_schema_and_stops(server: Server, made: Any) -> None:
    hello = {"choices": [{"index": 0, "delta": {"content": "a5b"}, "finish_reason": None}]}
    server.answer("/v1/chat/completions", sse(hello, _STOP))
    provider = _made(made, "openai_compatible", server, "m", {})
    stops = ("1", "2", "3", "4", "5", "6")
    deltas = [d async for d in provider.chat(question(schema=SCHEMA, stop=stops))]
    assert "".join(d.text for d in deltas) == "a", "the fifth stop text is ours to see"
    [body] = server.bodies("/v1/chat/completions")
    assert body["stop"] == ["1", "2", "3", "4"]
    assert body["response_format"]["json_schema"]["schema"] == SCHEMA


async def test_azure_uses_deployments_and_its_own_header(server: Server, made: Any) -> None:
    path = "/openai/deployments/my%20gpt/chat/completions"
    server.answer("/openai/deployments/my gpt/chat/completions", sse(_STOP))
    options = {"preset": "azure", "api_version": "2025-01-01", "api_key_env": "TEST_KEY"}
    provider = made("openai_compatible", server.url, "my gpt", **options)
    [delta async for delta in provider.chat(question(max_tokens=3))]
    [request] = server.requests
    assert request.headers["api-key"] == KEY
    assert "authorization" not in request.headers
    assert request.args["api-version"] == "2025-01-01"
    assert request.environ["RAW_URI"].startswith(path)
    assert json.loads(request.data)["max_completion_tokens"] == 3


async def test_geminis_stream_is_read(server: Server, made: Any) -> None:
    """As its OpenAI-compatible endpoint does it: names with "models/", calls without an index and
    with the reason "stop", usage in every piece."""
    usage = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}
    call = {**_call(None, name="look", arguments='{"at":"x"}'), "usage": usage}
    path = "/v1beta/openai/chat/completions"
    server.answer(path, sse(call, {**_STOP, "usage": usage}, done="[DONE]"))
    listed = {"object": "list", "data": [{"id": "models/gemini-2.5-flash", "object": "model"}]}
    server.answer("/v1beta/openai/models", listed)
    options = {"preset": "gemini", "api_key_env": "TEST_KEY"}
    model = "gemini-2.5-flash"
    provider = made("openai_compatible", f"{server.url}/v1beta/openai", model, **options)
    assert (await provider.health()).state is HealthState.READY
    *_, last = [delta async for delta in provider.chat(TALK)]
    assert (last.finish, last.tool_calls[0].name) == (Finish.TOOLS, "look")
    assert (last.usage.prompt_tokens, last.usage.generated_tokens) == (7, 2)
    assert {request.headers["authorization"] for request in server.requests} == {f"Bearer {KEY}"}
    [body] = server.bodies(path)
    assert body["model"] == model


async def test_gemini_refuses_a_key_with_400(server: Server, made: Any) -> None:
    said = "API key not valid. Please pass a valid API key."
    error = [{"error": {"code": 400, "message": said, "status": "INVALID_ARGUMENT"}}]
    server.answer("/v1beta/openai/chat/completions", error, 400)
    options = {"preset": "gemini", "api_key_env": "TEST_KEY"}
    url = f"{server.url}/v1beta/openai"
    provider = made("openai_compatible", url, "gemini-2.5-flash", **options)
    with pytest.raises(Unauthorised):
        [delta async for delta in provider.chat(question())]


LITELLM = {
    "a wrong key, without a database": (
        400,
        {"message": "No connected db.", "type": "no_db_connection", "param": None, "code": "400"},
        Unauthorised,
    ),
    "no server behind it": (
        500,
        {
            "message": "litellm.InternalServerError: InternalServerError: OpenAIException - "
            "Connection error.",
            "type": "internal_server_error",
            "param": None,
            "code": "500",
        },
        Unreachable,
    ),
}
"""What its proxy 1.108.7 answered."""


@pytest.mark.parametrize("case", LITELLM)
async def test_litellm_refuses(case: str, server: Server, made: Any) -> None:
    status, said, error = LITELLM[case]
    server.answer("/v1/chat/completions", {"error": said}, status)
    provider = _made(made, "openai_compatible", server, "coder", {"preset": "litellm"})
    with pytest.raises(error):
        [delta async for delta in provider.chat(question())]


async def test_content_filter(server: Server, made: Any) -> None:
    filtered = {"choices": [{"index": 0, "delta": {}, "finish_reason": "content_filter"}]}
    server.answer("/v1/chat/completions", sse(filtered))
    with pytest.raises(BadAnswer, match="withheld"):
        [d async for d in _made(made, "openai_compatible", server, "m", {}).chat(question())]


async def test_openai_health_and_models(server: Server, made: Any) -> None:
    models = {"data": [{"id": "models/m", "max_model_len": 4096}, {"id": "n"}]}
    server.answer("/v1/models", models)
    provider = _made(made, "openai_compatible", server, "m", {})
    assert (await provider.health()).state is HealthState.READY
    assert provider.capabilities.context_tokens == 4096
    other = _made(made, "openai_compatible", server, "gone", {})
    health = await other.health()
    assert health.state is HealthState.UNAVAILABLE
    assert "It serves: m, n." in health.detail


async def test_ollama_chat(server: Server, made: Any) -> None:
    call = {"function": {"name": "look", "arguments": {"at": "y"}}}
    answer = json_lines(
        {"message": {"role": "assistant", "content": "", "tool_calls": [call]}, "done": False},
        {"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop"},
    )
    server.answer("/api/chat", answer, content_type="application/x-ndjson")
    provider = _made(made, "ollama", server, "m", {"num_ctx": 4096, "load": {"num_gpu": 3}})
    *_, last = [delta async for delta in provider.chat(TALK)]
    assert last.finish is Finish.TOOLS
    assert last.tool_calls == (ToolCall("call-0", "look", '{"at": "y"}'),)
    [body] = server.bodies("/api/chat")
    assert body["messages"][2]["tool_calls"] == [
        {"id": "c1", "function": {"name": "look", "arguments": {"at": "x"}}}
    ]
    told = {"tool_name": "look", "tool_call_id": "c1"}
    assert body["messages"][3] == {"role": "tool", "content": "a tree", **told}
    assert body["tools"] == OPENAI_TALK["tools"]
    assert "format" not in body


async def test_ollama_options_are_the_same_for_every_call(server: Server, made: Any) -> None:
    """What shapes the model in memory never differs: Ollama would load it anew."""
    done = {"done": True, "done_reason": "stop", "response": "", "message": {"content": ""}}
    for path in ("/api/chat", "/api/generate"):
        server.answer(path, json_lines(done), content_type="application/x-ndjson")
    server.answer("/api/show", {"capabilities": ["completion", "insert"]})
    load = {"num_gpu": 3, "num_thread": 2}
    provider = _made(made, "ollama", server, "m", {"num_ctx": 4096, "load": load})
    [d async for d in provider.chat(question(max_tokens=5, temperature=0.9, schema=SCHEMA))]
    [d async for d in provider.infill(HOLE)]
    bodies = [b for p in ("/api/chat", "/api/generate") for b in server.bodies(p)]
    assert len(bodies) == 2
    for body in bodies:
        shaping = {k: v for k, v in body["options"].items() if k.startswith("num_")}
        shaping.pop("num_predict", None)
        assert shaping == {"num_ctx": 4096, **load}
        assert body["keep_alive"] == "30m"
    assert bodies[0]["format"] == SCHEMA


async def test_ollama_health(server: Server, made: Any) -> None:
    server.answer("/api/show", {"capabilities": ["completion", "tools"]})
    server.answer("/api/ps", {"models": [{"name": "m:latest", "size": 9}]})
    provider = _made(made, "ollama", server, "m", {})
    health = await provider.health()
    assert health.state is HealthState.READY
    assert "in memory" in health.detail
    can = provider.capabilities
    assert (can.infill, can.chat, can.tools, can.local) == (False, True, True, True)
    server.http.clear()
    server.answer("/api/show", {"error": "model 'gone' not found"}, 404)
    health = await _made(made, "ollama", server, "gone", {}).health()
    assert health.state is HealthState.UNAVAILABLE
    assert "ollama pull gone" in health.detail


async def test_ollama_finds_out_that_a_model_is_elsewhere(server: Server, made: Any) -> None:
    remote = {"capabilities": ["completion"], "remote_host": "https://ollama.com:443"}
    server.answer("/api/show", remote)
    provider = _made(made, "ollama", server, "alias", {})
    with pytest.raises(NotPermitted, match="passes on"):
        await anext(provider.chat(question()))
    assert server.bodies("/api/chat") == []
    assert not provider.capabilities.local
    marked = _made(made, "ollama", server, "alias", {"leaves_machine": True})
    await marked.show()
    piece = json_lines({"message": {"content": "Hi"}, "done": False})
    server.answer("/api/chat", piece, content_type="application/x-ndjson")
    assert (await anext(marked.chat(question()))).text == "Hi"


async def test_ollama_loads_and_unloads_a_model_as_its_requests_do(
    server: Server, made: Any
) -> None:
    server.answer("/api/generate", {"model": "m", "done": True, "done_reason": "load"})
    server.answer("/api/ps", {"models": []})
    provider = _made(made, "ollama", server, "m", {"num_ctx": 4096, "keep_alive": "1h"})
    await provider.load()
    await provider.unload()
    loaded, unloaded = server.bodies("/api/generate")
    assert loaded == {
        "model": "m", "stream": False, "shift": False,
        "options": {"num_ctx": 4096}, "keep_alive": "1h",
    }  # fmt: skip
    assert unloaded == {"model": "m", "stream": False, "keep_alive": 0}
    server.http.clear()
    server.answer("/api/generate", {"error": "model 'm' not found"}, 404)
    with pytest.raises(ModelNotServed):
        await provider.load()


async def test_ollama_pulls(server: Server, made: Any) -> None:
    steps = [
        {"status": "pulling manifest"},
        {"status": "pulling abc", "digest": "sha256:abc", "total": 10, "completed": 4},
        {"status": "success"},
    ]
    server.answer("/api/pull", json_lines(*steps), content_type="application/x-ndjson")
    provider = _made(made, "ollama", server, "m", {})
    seen = [(step.status, step.completed) async for step in provider.pull()]
    assert seen == [("pulling manifest", None), ("pulling abc", 4), ("success", None)]
    server.http.clear()
    said = json_lines(steps[0], {"error": "pull model manifest: file does not exist"})
    server.answer("/api/pull", said, content_type="application/x-ndjson")
    with pytest.raises(ModelNotServed):
        [step async for step in provider.pull()]


def _claude(*events: dict[str, Any], reason: str = "end_turn") -> bytes:
    usage = {"input_tokens": 5, "cache_read_input_tokens": 90, "output_tokens": 1}
    message = {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": []}
    begin = {"type": "message_start", "message": {**message, "usage": usage}}
    end = {
        "type": "message_delta",
        "delta": {"stop_reason": reason, "stop_sequence": None},
        "usage": {"output_tokens": 8},
    }
    return named_sse(begin, {"type": "ping"}, *events, end, {"type": "message_stop"})


def _use(index: int, name: str, *pieces: str) -> list[dict[str, Any]]:
    block = {"type": "tool_use", "id": f"t{index}", "name": name, "input": {}}
    deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
    return [
        {"type": "content_block_start", "index": index, "content_block": block},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


async def test_claude_tools(server: Server, made: Any) -> None:
    uses = [*_use(0, "look", '{"at":', ' "y"}'), *_use(1, "look")]
    server.answer("/v1/messages", _claude(*uses, reason="tool_use"))
    provider = _made(made, "anthropic", server, "claude", {})
    [last] = [delta async for delta in provider.chat(TALK)]
    assert last.finish is Finish.TOOLS
    assert last.tool_calls == (
        ToolCall("t0", "look", '{"at": "y"}'),
        ToolCall("t1", "look", "{}"),
    )
    usage = last.usage
    assert usage is not None
    counts = (usage.prompt_tokens, usage.evaluated_tokens, usage.reused_tokens)
    assert counts == (95, 5, 90)
    assert usage.generated_tokens == 8
    cached = {"type": "ephemeral"}
    [body] = server.bodies("/v1/messages")
    assert body["system"] == [{"type": "text", "text": "Be brief.", "cache_control": cached}]
    assert body["tools"] == [
        {
            "name": "look",
            "description": "Looks.",
            "input_schema": TOOL.parameters,
            "cache_control": cached,
        }
    ]
    assert [turn["role"] for turn in body["messages"]] == ["user", "assistant", "user"]
    use = {"type": "tool_use", "id": "c1", "name": "look", "input": {"at": "x"}}
    assert body["messages"][1]["content"] == [use]
    result = {"type": "tool_result", "tool_use_id": "c1", "content": "a tree"}
    assert body["messages"][2]["content"] == [{**result, "cache_control": cached}]
    assert "temperature" not in body


async def test_claude_schema(server: Server, made: Any) -> None:
    answer = _use(0, "answer", '{"a"', ": 4}")
    server.answer("/v1/messages", _claude(*answer, reason="tool_use"))
    provider = _made(made, "anthropic", server, "claude", {"temperature": True})
    deltas = [d async for d in provider.chat(question(schema=SCHEMA, temperature=1.5))]
    assert json.loads("".join(d.text for d in deltas)) == {"a": 4}
    assert (deltas[-1].finish, deltas[-1].tool_calls) == (Finish.STOP, ())
    [body] = server.bodies("/v1/messages")
    assert body["tool_choice"] == {"type": "tool", "name": "answer"}
    assert body["tools"][0]["input_schema"] == SCHEMA
    assert body["temperature"] == 1.0
    # A single question is not written to the cache: nobody would read it there.
    assert "cache_control" not in body["messages"][0]["content"][0]


async def test_claude_refuses(server: Server, made: Any) -> None:
    server.answer("/v1/messages", _claude(reason="refusal"))
    with pytest.raises(BadAnswer, match="declined"):
        [d async for d in _made(made, "anthropic", server, "claude", {}).chat(question())]


def _made(made: Any, kind: str, server: Server, model: str, options: dict[str, Any]) -> Any:
    base = "/v1" if kind == "openai_compatible" else ""
    return made(kind, server.url + base, model, **options)
