"""The requests of Claude Code 2.1.332, as it sent them to this server, played again.

They were recorded from `claude -p` and from a terminal session whose `ANTHROPIC_BASE_URL` was a
recorder before `nearfield serve --http`. All fields are kept, and every text is replaced by a short
one of our own. The model is a server that keeps its requests.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from tests.e2e.test_http import HttpServer, end, start
from werkzeug import Request, Response

HEADERS = {
    "anthropic-version": "2023-06-01",
    "anthropic-beta": "claude-code-20250219,context-management-2025-06-27,effort-2025-11-24",
    "anthropic-dangerous-direct-browser-access": "true",
    "user-agent": "claude-cli/2.1.332 (external, sdk-cli)",
    "x-app": "cli",
    "x-claude-code-session-id": "d593f67e",
    "x-stainless-retry-count": "0",
    "x-stainless-timeout": "600",
}
CACHED = {"cache_control": {"type": "ephemeral"}}
SYSTEM = [
    {"type": "text", "text": "billing"},
    {"type": "text", "text": "who you are", **CACHED},
    {"type": "text", "text": "rules", **CACHED},
]
OBJECT = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
READ = {"name": "Read", "description": "Reads.", "input_schema": OBJECT}
SEARCH = {"name": "ToolSearch", "description": "Finds tools.", "input_schema": OBJECT}
HIDDEN = {
    "name": "WebFetch", "description": "Fetches.", "input_schema": OBJECT, "defer_loading": True,
}  # fmt: skip
SAFEGUARDS = [
    {"type": "dangerous_tool_use", "classifier_context": {"v": 1, "permission_mode": "auto"}}
]


TURN = {
    "role": "user",
    "content": [{"type": "text", "text": "note"}, {"type": "text", "text": "do it"}],
}


def asked(*more: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """The request of a turn, whose conversation goes on with `more`."""
    return {
        "model": "nearfield/large",
        "messages": [
            TURN,
            {"role": "system", "content": "place"},
            *more,
        ],
        "system": SYSTEM,
        "tools": [READ, SEARCH, HIDDEN],
        "metadata": {"user_id": '{"device_id":"1"}'},
        "max_tokens": 32000,
        "thinking": {"type": "adaptive", "display": "omitted"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "output_config": {"effort": "high"},
        "stream": True,
        **fields,
    }


def used(tool: str, *thoughts: dict[str, Any]) -> dict[str, Any]:
    call = {"type": "tool_use", "id": "call-0", "name": tool, "input": {"path": "a"}}
    return {
        "role": "assistant",
        "content": [*thoughts, {"type": "text", "text": "I look."}, call],
    }


def result(content: Any, **fields: Any) -> dict[str, Any]:
    block = {"tool_use_id": "call-0", "type": "tool_result", "content": content}
    return {"role": "user", "content": [{**block, **fields, **CACHED}]}


PICTURE = {
    "type": "image",
    "source": {"type": "base64", "data": "iVBORw0KGgo=", "media_type": "image/png"},
}
THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "x"}
REFERENCE = {"type": "tool_reference", "tool_name": "WebFetch"}
PLAIN = [{"type": "text", "text": "place", **CACHED}]
FIRST = [("system", "billing\nwho you are\nrules"), ("user", "note\ndo it\n\nplace")]
LOOKED = ("assistant", "I look.")


@dataclass(frozen=True)
class Shape:
    """A request, and what the model has to be asked for it: its turns, and its tools."""

    body: dict[str, Any]
    turns: list[tuple[str, str]]
    tools: list[str] = field(default_factory=lambda: ["Read", "ToolSearch"])


SHAPES: dict[str, Shape] = {
    "first turn": Shape(asked(messages=[TURN, {"role": "system", "content": PLAIN}]), FIRST),
    "first turn in auto mode": Shape(asked(safeguards=SAFEGUARDS), FIRST),
    "result of a tool": Shape(
        asked(used("Read", THOUGHT), result("1\tx")), [*FIRST, LOOKED, ("tool", "1\tx")]
    ),
    "failure of a tool": Shape(
        asked(used("Read"), result("It failed.", is_error=True)),
        [*FIRST, LOOKED, ("tool", "It failed.")],
    ),
    "picture that a tool has read": Shape(
        asked(used("Read"), result([PICTURE])),
        [*FIRST, LOOKED, ("tool", "(image: only text can be read here)")],
    ),
    "tools that were searched for": Shape(
        asked(used("ToolSearch"), result([REFERENCE])),
        [*FIRST, LOOKED, ("tool", "The tool WebFetch can be called now.")],
        ["Read", "ToolSearch", "WebFetch"],
    ),
    "instruction after a result": Shape(
        asked(used("Read"), result("1\tx"), {"role": "system", "content": PLAIN}),
        [*FIRST, LOOKED, ("tool", "1\tx"), ("user", "place")],
    ),
    "asked again without a stream": Shape(asked(stream=False), FIRST),
    "safety of a command": Shape(
        {
            "model": "nearfield/large",
            "messages": [{"role": "user", "content": [{"type": "text", "text": "is it safe?"}]}],
            "system": [{"type": "text", "text": "judge", **CACHED}],
            "metadata": {"user_id": "1"},
            "max_tokens": 64,
            "stop_sequences": ["</block>"],
            "thinking": {"type": "disabled"},
        },
        [("system", "judge"), ("user", "is it safe?")],
        [],
    ),
}  # fmt: skip


@dataclass
class Model:
    """A model server that keeps its requests."""

    received: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    says: str = "done"

    def answer(self, request: Request) -> Response:
        self.received.append(json.loads(request.get_data(as_text=True)))
        choice = {"index": 0, "delta": {"content": self.says}, "finish_reason": "stop"}
        events = f"data: {json.dumps({'choices': [choice]})}\n\ndata: [DONE]\n\n"
        return Response(events, content_type="text/event-stream")


@pytest.fixture
def model(httpserver: HTTPServer) -> Model:
    made = Model()
    httpserver.expect_request("/v1/chat/completions").respond_with_handler(made.answer)
    return made


@pytest.fixture
def server(tmp_path: Path, httpserver: HTTPServer, model: Model) -> Iterator[HttpServer]:
    provider = {
        "kind": "openai_compatible", "model": "m", "base_url": httpserver.url_for("/v1"),
        "options": {"tools": True, "schema": True},
    }  # fmt: skip
    settings = {
        "engine": {"enabled": False},
        "providers": {"fake": provider},
        "routing": {"roles": {name: ["fake"] for name in ("complete", "fast", "code", "large")}},
        "cache": {"enabled": False},
    }
    one = start(tmp_path, settings, ready=False)
    yield one
    assert end(one) == 0


def test_every_shape_is_answered_and_asked_as_it_is_meant(server: HttpServer, model: Model) -> None:
    for name, shape in SHAPES.items():
        model.received.clear()
        answer = server.post("/v1/messages?beta=true", shape.body, **HEADERS)
        assert answer.status_code == 200, (name, answer.text)
        assert "done" in answer.text, name
        sent = model.received[-1]
        turns = [(turn["role"], turn["content"]) for turn in sent["messages"]]
        tools = [tool["function"]["name"] for tool in sent.get("tools", [])]
        assert (turns, tools) == (shape.turns, shape.tools), name


def test_a_title_is_json_of_its_schema(server: HttpServer, model: Model) -> None:
    model.says = '{"title": "Greeting"}'
    schema = {
        "type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"],
        "additionalProperties": False,
    }  # fmt: skip
    wanted = {"effort": "high", "format": {"type": "json_schema", "schema": schema}}
    body = asked(model="nearfield/fast", tools=[], output_config=wanted)
    for left_out in ("thinking", "context_management"):
        del body[left_out]
    answer = server.post("/v1/messages?beta=true", body, **HEADERS)
    assert answer.status_code == 200, answer.text
    assert "Greeting" in answer.text


@pytest.mark.parametrize(
    ("fields", "status", "says"),
    [
        ({"model": "claude-sonnet-5"}, 404, "There is no model"),
        (
            {"tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": 8}]},
            400,
            "are not run here",
        ),
        ({"messages": [{"role": "user", "content": [PICTURE]}]}, 400, "only text"),
    ],
)
def test_what_cannot_be_done_is_said(
    server: HttpServer, fields: dict[str, Any], status: int, says: str
) -> None:
    answer = server.post("/v1/messages?beta=true", asked(**fields), **HEADERS)
    assert answer.status_code == status
    assert says in answer.json()["error"]["message"]


def test_tokens_are_counted_of_a_text_alone_and_of_tools(server: HttpServer) -> None:
    body = {"model": "nearfield/large", "messages": [{"role": "user", "content": "foo"}]}
    counted = [
        server.post("/v1/messages/count_tokens?beta=true", {**body, "tools": tools}, **HEADERS)
        for tools in ([], [READ], [READ, SEARCH])
    ]
    numbers = [one.json()["input_tokens"] for one in counted]
    assert 0 < numbers[0] < numbers[1] < numbers[2]


def test_the_probe_before_a_session_is_told_nothing(server: HttpServer) -> None:
    # It shows no token, and goes on whatever it is answered.
    assert server.client.head("/api/hello", headers={"authorization": ""}).status_code == 401
