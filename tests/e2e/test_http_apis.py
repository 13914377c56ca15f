"""The other APIs of `nearfield serve --http`, asked by the clients that their makers publish:
Anthropic's by `anthropic`, Ollama's by `ollama`, and llama.cpp's as llama.vim and llama.vscode ask.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import anthropic
import httpx
import ollama
import pytest
from tests.e2e.test_http import ODD, SETTINGS, HttpServer, end, start, until

from nearfield.http.exchange import MAX_BYTES

ANSWERS: list[dict[str, Any]] = [
    {"match": r"def add\(a, b\):\s*$", "text": "return a + b\n"},
    {"match": r"def twice\(a\):\n    $", "text": "b = a\n    return b + b\n\n\nunused = 1\n"},
    {"match": r"slow = $", "text": "1", "delay_ms": 100, "hang": True},
    {"match": r"slowly\s*$", "text": "1", "delay_ms": 100, "hang": True},
    {"match": "broken", "text": "1 + ", "error": "BadAnswer"},
    {"match": "weather", "result": "wet", "text": "It rains."},
    {
        "match": "weather",
        "text": "I look it up.",
        "tool_calls": [{"name": "weather", "arguments": {"place": "Oslo"}}],
    },
    {"match": "year", "text": '{"year": 1991}'},
    {"match": "hello", "text": "Good day to you"},
]
SCRIPT: dict[str, Any] = {
    **SETTINGS,
    "providers": {"fake": {"kind": "scripted", "options": {"answers": ANSWERS}}},
    "cache": {"enabled": False},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpServer]:
    """One server for all tests, so that each also shows that it has survived the ones before."""
    one = start(tmp_path_factory.mktemp("http"), SCRIPT, "--ollama")
    yield one
    assert end(one) == 0
    assert not [line for line in one.said if "Traceback" in line or "failed" in line]


# --- llama.cpp ------------------------------------------------------------------------------

TIMINGS = [
    f"timings/{name}"
    for name in (
        "prompt_n", "prompt_ms", "prompt_per_token_ms", "prompt_per_second",
        "predicted_n", "predicted_ms", "predicted_per_token_ms", "predicted_per_second",
    )
]  # fmt: skip


def of_llama_vim(prefix: str, prompt: str, suffix: str, *extra: dict[str, Any]) -> dict[str, Any]:
    """A request of llama.vim."""
    return {
        "id_slot": 0,
        "input_prefix": prefix,
        "input_suffix": suffix,
        "input_extra": [{"time": [1, 2], **one} for one in extra],
        "prompt": prompt,
        "n_predict": 128,
        "stop": [],
        "n_indent": len(prompt) - len(prompt.lstrip()),
        "top_k": 40,
        "top_p": 0.9,
        "samplers": ["top_k", "top_p", "infill"],
        "stream": False,
        "cache_prompt": True,
        "t_max_prompt_ms": 500,
        "t_max_predict_ms": 250,
        "response_fields": ["content", *TIMINGS, "truncated", "tokens_cached"],
        "model": "",
    }


PREPARED = {
    "id_slot": 0, "input_prefix": "", "input_suffix": "", "input_extra": [], "prompt": "",
    "n_predict": 0, "temperature": 0.0, "samplers": [], "stream": False, "cache_prompt": True,
    "t_max_prompt_ms": 1, "t_max_predict_ms": 1, "response_fields": [""], "model": "",
}  # fmt: skip


def test_a_request_of_llama_vim_gets_the_fields_that_it_asks_for(server: HttpServer) -> None:
    answer = server.post("/infill", of_llama_vim("def add(a, b):\n", "    ", "\n"))
    # llama.vim takes an answer only if it finds exactly this in it.
    assert '"content":"return a + b' in answer.text
    told = answer.json()
    assert told["content"] == "return a + b"
    assert set(told) == {"content", *TIMINGS, "truncated", "tokens_cached"}
    assert told["timings/predicted_n"] > 0
    assert server.post("/infill", PREPARED).json() == {}


def test_an_answer_of_infill_ends_where_a_completion_in_an_editor_does(server: HttpServer) -> None:
    extra = {
        "filename": "twice.py",
        "text": "def twice(a):\n    return 2 * a\n\n\nprint(twice(2))\n",
    }
    body = of_llama_vim("import os\n\n\ndef twice(a):\n", "    ", "\n", extra)
    assert server.post("/infill", body).json()["content"] == "b = a\n    return b + b"


def test_a_request_of_llama_vscode_is_answered_whole_and_as_a_stream(server: HttpServer) -> None:
    body = {
        "input_prefix": "def add(a, b):\n",
        "input_suffix": "\n",
        "input_extra": [{"filename": "/w/b.py", "text": "x = 1\n", "time": 1}],
        "prompt": "    ",
        "n_predict": 128,
        "top_k": 40,
        "top_p": 0.99,
        "stream": False,
        "samplers": ["top_k", "top_p", "infill"],
        "cache_prompt": True,
        "t_max_prompt_ms": 500,
        "t_max_predict_ms": 2500,
        "n_indent": 4,
    }
    whole = server.post("/infill", body).json()
    assert whole["content"] == "return a + b"
    assert (whole["stop"], whole["model"]) == (True, "scripted")
    answer = server.post("/infill", {**body, "stream": True, "stop": " +"})
    lines = [line for line in answer.text.split("\n\n") if line]
    events = [json.loads(line.removeprefix("data: ")) for line in lines]
    assert "".join(event["content"] for event in events) == "return a"
    assert [event["stop"] for event in events] == [False, True]


def test_a_limit_of_tokens_is_kept(server: HttpServer) -> None:
    body = of_llama_vim("def twice(a):\n", "    ", "\n")
    limited = server.post("/infill", {**body, "n_predict": 4, "response_fields": None}).json()
    # The limit falls within the first line, and no part of a line is an answer.
    assert (limited["content"], limited["reason"]) == ("", "length")
    assert limited["said"]


def test_props_say_what_clients_look_for(server: HttpServer) -> None:
    props = server.client.get("/props", params={"model": "x", "autoload": "false"}).json()
    assert props["default_generation_settings"]["n_ctx"] > 0
    assert props["model_alias"] == "scripted"
    assert props["modalities"] == {"vision": False, "audio": False}


# --- embeddings -----------------------------------------------------------------------------


ALIKE = 0.95
"""Likeness of two vectors of one text: its 8 bits are scaled by what it is embedded with."""


def likeness(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def test_vectors_are_of_the_indexes_embedder_and_alike_texts_are_near(server: HttpServer) -> None:
    texts = ["read a file", "def read_file(path): ...", "the weather in Oslo"]
    answer = server.post("/v1/embeddings", {"input": texts, "model": "nearfield"}).json()
    assert answer["model"] == "all-MiniLM-L6-v2-int8"
    rows = [one["embedding"] for one in answer["data"]]
    assert [one["index"] for one in answer["data"]] == [0, 1, 2]
    assert likeness(rows[0], rows[1]) > likeness(rows[0], rows[2])
    body = {"input": texts[0], "encoding_format": "base64"}
    (one,) = server.post("/v1/embeddings", body).json()["data"]
    raw = base64.b64decode(one["embedding"])
    unpacked = struct.unpack(f"<{len(raw) // 4}f", raw)
    assert likeness(unpacked, rows[0]) > ALIKE
    assert server.post("/v1/embeddings", {**body, "dimensions": 7}).status_code == 400


# --- Anthropic ------------------------------------------------------------------------------


def anthropic_client(server: HttpServer, **more: Any) -> Any:
    return anthropic.Anthropic(base_url=server.url, max_retries=0, **more)


@pytest.fixture(scope="module")
def claude(server: HttpServer) -> Iterator[Any]:
    with anthropic_client(server, api_key=server.token) as client:
        yield client


def asked_to_claude(text: str, **more: Any) -> dict[str, Any]:
    turn = {"role": "user", "content": text}
    return {"model": "nearfield", "max_tokens": 100, "messages": [turn], **more}


HELLO: Any = asked_to_claude("hello")
WEATHER: Any = {
    "name": "weather",
    "description": "The weather at a place.",
    "input_schema": {"type": "object", "properties": {"place": {"type": "string"}}},
}


def test_anthropics_client_gets_an_answer_by_either_header(server: HttpServer, claude: Any) -> None:
    with anthropic_client(server, api_key=None, auth_token=server.token) as other:
        for client in (claude, other):
            message = client.messages.create(**HELLO, system="Be short.")
            assert [block.type for block in message.content] == ["text"]
            assert message.content[0].text == "Good day to you"
            assert (message.stop_reason, message.role) == ("end_turn", "assistant")
            assert message.usage.output_tokens > 0


def test_anthropics_client_reads_a_stream(claude: Any) -> None:
    with claude.messages.stream(**HELLO) as stream:
        texts = list(stream.text_stream)
        final = stream.get_final_message()
    assert len(texts) > 1
    assert "".join(texts) == "Good day to you" == final.content[0].text
    assert final.stop_reason == "end_turn"


def test_a_tool_is_called_and_its_result_is_read(claude: Any) -> None:
    turns: list[Any] = [{"role": "user", "content": "How is the weather?"}]
    asked: Any = {"model": "nearfield", "max_tokens": 100, "tools": [WEATHER]}
    with claude.messages.stream(**asked, messages=turns) as stream:
        streamed = stream.get_final_message()
    whole = claude.messages.create(**asked, messages=turns)
    for message in (streamed, whole):
        assert [block.type for block in message.content] == ["text", "tool_use"]
        assert message.stop_reason == "tool_use"
        assert message.content[1].input == {"place": "Oslo"}
    call = whole.content[1]
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "It is wet."}
    turns += [
        {"role": "assistant", "content": [block.model_dump() for block in whole.content]},
        {"role": "user", "content": [result]},
    ]
    assert claude.messages.create(**asked, messages=turns).content[0].text == "It rains."


def test_tokens_are_counted(claude: Any) -> None:
    few = claude.messages.count_tokens(model="nearfield", messages=HELLO["messages"])
    many = claude.messages.count_tokens(
        model="nearfield", messages=HELLO["messages"], tools=[WEATHER], system="Be short. " * 50
    )
    assert 0 < few.input_tokens < many.input_tokens


CODE_HEADERS = {
    "anthropic-version": "2023-06-01",
    "anthropic-beta": "claude-code-20250219,interleaved-thinking-2025-05-14",
    "x-app": "cli",
    "user-agent": "claude-cli/2.0.0 (external, cli)",
}


def of_claude_code(text: str, **more: Any) -> dict[str, Any]:
    """A request as Claude Code writes it: everything in blocks, some marked for a cache."""
    marked = {"cache_control": {"type": "ephemeral"}}
    read = {
        "name": "Read",
        "description": "Reads a file.",
        "input_schema": {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "type": "object",
            "properties": {"file_path": {"type": "string", "description": "Its path"}},
            "required": ["file_path"],
            "additionalProperties": False,
        },
        **marked,
    }
    blocks = [
        {"type": "text", "text": "<system-reminder>A file was opened.</system-reminder>"},
        {"type": "text", "text": text, **marked},
    ]
    return {
        "model": "nearfield",
        "messages": [{"role": "user", "content": blocks}],
        "system": [{"type": "text", "text": "You are an agent.", **marked}],
        "tools": [read, {**WEATHER, "type": "custom"}],
        "metadata": {"user_id": "user_0_account__session_0"},
        "max_tokens": 32000,
        "thinking": {"type": "adaptive"},
        "context_management": {"edits": []},
        "stream": True,
        **more,
    }


def named_events(answer: httpx.Response) -> list[dict[str, Any]]:
    """The events of a stream, each named as its type says."""
    events: list[dict[str, Any]] = []
    for piece in filter(None, answer.text.split("\n\n")):
        name, data = piece.split("\n")
        events.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {events[-1]['type']}"
    return events


def test_a_conversation_of_an_agent_is_answered(server: HttpServer) -> None:
    def asked(body: dict[str, Any]) -> list[dict[str, Any]]:
        return named_events(server.post("/v1/messages?beta=true", body, **CODE_HEADERS))

    first = of_claude_code("How is the weather?")
    events = asked(first)
    assert events[0]["type"] == "message_start"
    assert [event["type"] for event in events[-2:]] == ["message_delta", "message_stop"]
    assert events[-2]["delta"]["stop_reason"] == "tool_use"
    starts = [event for event in events if event["type"] == "content_block_start"]
    assert [event["index"] for event in starts] == [0, 1]
    call = starts[1]["content_block"]
    (arguments,) = [
        event["delta"]["partial_json"]
        for event in events
        if event.get("delta", {}).get("type") == "input_json_delta"
    ]
    assert json.loads(arguments) == {"place": "Oslo"}
    thought = {"type": "thinking", "thinking": "I look it up.", "signature": "x"}
    result = [{"type": "text", "text": "It is wet."}]
    turns = [
        {"role": "system", "content": "A reminder."},
        *first["messages"],
        {"role": "assistant", "content": [thought, {**call, "input": json.loads(arguments)}]},
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": call["id"], "content": result}],
        },
    ]
    texts = [
        event["delta"]["text"]
        for event in asked({**first, "messages": turns})
        if event.get("delta", {}).get("type") == "text_delta"
    ]
    assert "".join(texts) == "It rains."


def test_a_title_is_json_by_a_schema(server: HttpServer) -> None:
    schema = {"type": "object", "properties": {"year": {"type": "integer"}}, "required": ["year"]}
    wanted = {"format": {"type": "json_schema", "schema": schema}}
    body = of_claude_code("which year?", tools=[], output_config=wanted, stream=False)
    (block,) = server.post("/v1/messages", body).json()["content"]
    assert json.loads(block["text"]) == {"year": 1991}


PICTURE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "x"}}


@pytest.mark.parametrize(
    ("more", "raised"),
    [
        ({"model": "claude-sonnet-5"}, anthropic.NotFoundError),
        ({"max_tokens": 0}, anthropic.BadRequestError),
        ({"messages": []}, anthropic.BadRequestError),
        ({"messages": [{"role": "user", "content": [PICTURE]}]}, anthropic.BadRequestError),
        (
            {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
            anthropic.BadRequestError,
        ),
        ({"tools": [WEATHER], "tool_choice": {"type": "any"}}, anthropic.BadRequestError),
    ],
)
def test_anthropics_client_understands_the_errors(
    claude: Any, more: dict[str, Any], raised: type[Exception]
) -> None:
    with pytest.raises(raised) as caught:
        claude.messages.create(**{**HELLO, **more})
    body = getattr(caught.value, "body", None)
    assert isinstance(body, dict)
    assert body["error"]["message"]


def test_a_stream_that_breaks_off_ends_with_an_error(claude: Any) -> None:
    asked: Any = {**HELLO, "messages": [{"role": "user", "content": "broken"}]}
    with pytest.raises(anthropic.APIStatusError), claude.messages.stream(**asked) as stream:
        list(stream.text_stream)


# --- Ollama ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def llamas(server: HttpServer) -> Iterator[Any]:
    with ollama.Client(server.url) as client:
        yield client


def test_ollamas_client_finds_the_models(server: HttpServer, llamas: Any) -> None:
    names = [one.model for one in llamas.list().models]
    assert "nearfield:latest" in names
    assert {"nearfield/code:latest", "nearfield/embed:latest"} <= set(names)
    assert llamas.show("nearfield/embed").capabilities == ["embedding"]
    shown = llamas.show("nearfield:latest")
    assert shown.modelinfo
    assert shown.modelinfo["nearfield.context_length"] > 0
    assert set(shown.capabilities or ()) >= {"completion", "insert", "tools"}
    assert names[0] in [one.model for one in llamas.ps().models]
    version = httpx.get(f"{server.url}/api/version").json()["version"]
    assert tuple(map(int, version.split("."))) >= (0, 6, 4)  # the oldest that VS Code takes
    assert httpx.head(server.url).status_code == 200


def test_ollamas_client_gets_chats_and_streams(llamas: Any) -> None:
    turns = [{"role": "user", "content": "hello"}]
    whole = llamas.chat("nearfield", turns)
    assert whole.message.content == "Good day to you"
    assert (whole.done, whole.done_reason) == (True, "stop")
    assert whole.eval_count
    pieces = list(llamas.chat("nearfield", turns, stream=True))
    assert len(pieces) > 2
    assert "".join(piece.message.content or "" for piece in pieces) == "Good day to you"
    assert [piece.done for piece in pieces][-2:] == [False, True]


def test_ollamas_client_calls_a_tool_and_tells_its_result(llamas: Any) -> None:
    tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
    turns: list[Any] = [{"role": "user", "content": "the weather?"}]
    message = llamas.chat("nearfield", turns, tools=[tool]).message
    assert message.tool_calls
    assert message.tool_calls[0].function.arguments == {"place": "Oslo"}
    told = {"role": "tool", "tool_name": "weather", "content": "It is wet."}
    turns += [message, told]
    assert llamas.chat("nearfield", turns, tools=[tool]).message.content == "It rains."


def test_ollamas_client_fills_a_hole(llamas: Any) -> None:
    hole = llamas.generate(
        "nearfield", "def add(a, b):\n    ", suffix="\n", options={"stop": ["\n"]}
    )
    assert hole.response == "return a + b"
    raw = "<|fim_prefix|>def add(a, b):\n    <|fim_suffix|>\n<|fim_middle|>"
    assert llamas.generate("nearfield", raw, raw=True).response.startswith("return a + b")
    assert llamas.generate("nearfield", "hello", system="Be short.").response == "Good day to you"
    assert llamas.generate("nearfield", "").done_reason == "load"
    found = llamas.generate("nearfield", "which year?", format={"type": "object"})
    assert json.loads(found.response) == {"year": 1991}


def test_ollamas_client_gets_vectors(llamas: Any) -> None:
    found = llamas.embed("nearfield/embed", ["read a file", "write a file"])
    assert len(found.embeddings) == 2
    assert found.model == "all-MiniLM-L6-v2-int8"
    old = llamas.embeddings("nearfield", "read a file")
    assert likeness(old.embedding, found.embeddings[0]) > ALIKE


@pytest.mark.parametrize(
    ("kind", "asked"),
    [
        ("chat", {"model": "llama3", "messages": [{"role": "user", "content": "hello"}]}),
        ("generate", {"model": "nearfield", "prompt": "a", "images": ["eA=="]}),
        ("show", {"model": "llama3"}),
        ("embed", {"model": "llama3", "input": "a"}),
    ],
)
def test_ollamas_client_understands_the_errors(
    llamas: Any, kind: str, asked: dict[str, Any]
) -> None:
    with pytest.raises(ollama.ResponseError) as caught:
        getattr(llamas, kind)(**asked)
    assert caught.value.status_code in (400, 404)
    assert caught.value.error


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/api/tags", {}, 200),
        ("/api/tags", {"origin": "https://evil.example"}, 403),
        ("/api/tags", {"origin": "null"}, 403),
        ("/api/tags", {"sec-fetch-site": "same-origin"}, 403),
        ("/api/tags", {"referer": "http://127.0.0.1/"}, 403),
        ("/api/tags", {"host": "evil.example"}, 403),
        ("/api/tags", {"origin": "https://evil.example", "authorization": "Bearer {token}"}, 200),
        ("/api/pull", {}, 401),
        ("/v1/models", {}, 401),
        ("/props", {}, 401),
    ],
)
def test_without_a_token_only_ollamas_paths_are_open_and_never_to_a_browser(
    server: HttpServer, path: str, headers: dict[str, str], status: int
) -> None:
    shown = {name: value.format(token=server.token) for name, value in headers.items()}
    answer = httpx.get(f"{server.url}{path}", headers=shown)
    assert answer.status_code == status
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_ollamas_paths_are_not_there_unless_they_are_named(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    one = start(tmp_path_factory.mktemp("plain"), SCRIPT)
    try:
        assert httpx.get(f"{one.url}/api/tags").status_code == 401
        missing = one.client.get("/api/tags")
        assert (missing.status_code, "--ollama" in missing.json()["error"]) == (404, True)
    finally:
        end(one)


# --- hostile requests -----------------------------------------------------------------------


def says_as_llama_cpp(told: dict[str, Any], status: int) -> object:
    error = told["error"]
    return error["code"] == status and error["message"] and error["type"]


def says_as_anthropic(told: dict[str, Any], status: int) -> object:
    return told["type"] == "error" and told["error"]["type"] and told["error"]["message"]


def says_as_openai(told: dict[str, Any], status: int) -> object:
    return told["error"]["message"] and told["error"]["type"]


def says_as_ollama(told: dict[str, Any], status: int) -> object:
    return isinstance(told["error"], str) and told["error"]


TURNS = [{"role": "user", "content": "hello"}]
USUAL: dict[str, tuple[Callable[[dict[str, Any], int], object], dict[str, Any]]] = {
    "/infill": (
        says_as_llama_cpp,
        {"input_prefix": "a", "input_suffix": "b", "input_extra": [], "prompt": "c",
         "n_predict": 9, "stop": [], "stream": False, "response_fields": []},
    ),
    "/v1/embeddings": (
        says_as_openai,
        {"input": "a", "model": "nearfield", "encoding_format": "float", "dimensions": None},
    ),
    "/v1/messages": (
        says_as_anthropic,
        {"model": "nearfield", "max_tokens": 9, "messages": TURNS, "system": "a", "tools": [],
         "tool_choice": None, "stream": False, "temperature": 1, "stop_sequences": [],
         "output_config": None},
    ),
    "/v1/messages/count_tokens": (says_as_anthropic, {"model": "nearfield", "messages": TURNS}),
    "/api/show": (says_as_ollama, {"model": "nearfield"}),
    "/api/generate": (
        says_as_ollama,
        {"model": "nearfield", "prompt": "hello", "suffix": "", "system": "", "raw": False,
         "stream": False, "images": None, "format": None, "options": None},
    ),
    "/api/chat": (
        says_as_ollama,
        {"model": "nearfield", "messages": TURNS, "tools": [], "stream": False, "format": None,
         "options": {}},
    ),
    "/api/embed": (says_as_ollama, {"model": "nearfield", "input": "a", "dimensions": None}),
    "/api/embeddings": (says_as_ollama, {"model": "nearfield", "prompt": "a"}),
}  # fmt: skip
"""For each path how it says an error, and a body with every field that it reads."""

BODIES = [
    (b"", 400),
    (b"{", 400),
    (b"[1]", 400),
    (b'{"model": "\xff"}', 400),
    (b"[" * 100_000 + b"]" * 100_000, 400),
    (b" " * (MAX_BYTES + 1), 413),
]


@pytest.mark.parametrize("path", USUAL)
def test_bad_bodies_are_said_in_the_form_of_the_api(server: HttpServer, path: str) -> None:
    says, usual = USUAL[path]
    for content, status in BODIES:
        answer = server.client.post(path, content=content)
        assert answer.status_code == status, answer.text
        assert says(answer.json(), status)
    if "model" in usual:
        unknown = server.post(path, {**usual, "model": "gpt-9"})
        assert (unknown.status_code, bool(says(unknown.json(), 404))) == (404, True)
    wrong = server.client.get(path)
    assert (wrong.status_code, bool(says(wrong.json(), 405))) == (405, True)
    refused = httpx.post(f"{server.url}{path}", json=usual, headers={"host": "evil.example"})
    assert (refused.status_code, bool(says(refused.json(), 403))) == (403, True)


@pytest.mark.parametrize("path", USUAL)
def test_no_field_of_any_type_is_a_failure_of_the_server(server: HttpServer, path: str) -> None:
    says, usual = USUAL[path]
    for name in usual:
        for odd in ODD:
            for value in (odd, [odd], {name: odd}):
                content = json.dumps({**usual, name: value})
                answer = server.client.post(path, content=content)
                # 502: the script does not meet every schema.
                assert answer.status_code in (200, 400, 404, 502), (name, value, answer.text)
                assert answer.status_code == 200 or says(answer.json(), answer.status_code)


# --- hanging up -----------------------------------------------------------------------------

HANGING: list[tuple[str, dict[str, Any]]] = [
    ("/infill", of_llama_vim("", "slow = ", "")),
    ("/v1/messages", asked_to_claude("slowly", stream=True)),
    ("/v1/messages", asked_to_claude("slowly")),
    ("/api/generate", {"model": "nearfield", "prompt": "slow = ", "suffix": "\n"}),
    ("/api/generate", {"model": "nearfield", "prompt": "slowly"}),
    ("/api/chat", {"model": "nearfield", "messages": [{"role": "user", "content": "slowly"}]}),
]


@pytest.mark.parametrize(("path", "body"), HANGING)
def test_a_client_that_hangs_up_frees_the_model(
    server: HttpServer, path: str, body: dict[str, Any]
) -> None:

    def is_taken() -> bool:
        """Ask and hang up; whether it was begun, and not refused until others are gone."""
        try:
            answer = server.client.post(path, json=body, timeout=0.3)
        except httpx.TimeoutException:
            return True
        assert answer.status_code == 429, answer.text
        return False

    for _ in range(9):  # one more than may be asked at once
        until(is_taken)
    until(lambda: server.post("/v1/messages", HELLO).status_code == 200)
