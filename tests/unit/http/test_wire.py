"""Bodies of clients of the HTTP frontend, and the requests made of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nearfield.http import fim_prompt, wire
from nearfield.http.fim_prompt import Hole
from nearfield.http.wire import BadRequest, ChatBody, CompletionBody
from nearfield.types import MAX_ANSWER_TOKENS, Role, ToolCall


@pytest.mark.parametrize(
    ("prompt", "hole"),
    [
        ("def f(", None),
        ("<|fim_prefix|>a = <|fim_suffix|>\nb<|fim_middle|>", Hole("a = ", "\nb")),
        ("<|fim_prefix|><|fim_suffix|><|fim_middle|>", Hole("", "")),
        ("<fim_prefix>a<fim_suffix>b<fim_suffix>c<fim_middle>", Hole("a", "b<fim_suffix>c")),
        ("<fim_prefix>a<fim_suffix>b<fim_middle>", Hole("a", "b")),
        ("<PRE> a <SUF>b <MID>", Hole("a", "b")),
        ("[SUFFIX]b[PREFIX]a", Hole("a", "b")),
        # Not all of the form: somebody's own text.
        ("<|fim_prefix|>a<|fim_suffix|>b", None),
        ("<|fim_prefix|>a<|fim_middle|>", None),
        ("x <|fim_prefix|>a<|fim_suffix|>b<|fim_middle|>", None),
    ],
)  # fmt: skip
def test_a_prompt_in_the_form_of_a_family_is_taken_apart(prompt: str, hole: Hole | None) -> None:
    assert fim_prompt.read(prompt) == hole


def test_a_completion_fills_the_hole_between_prompt_and_suffix() -> None:
    body = {"prompt": "a = 1\nb = ", "suffix": "\nc", "stop": "\n\n", "max_tokens": 7}
    request = wire.read(CompletionBody, json.dumps(body).encode()).request("d")
    assert (request.prefix, request.suffix, request.typed) == ("a = 1\nb = ", "\nc", "b = ")
    assert (request.stop, request.max_tokens, request.document) == (("\n\n",), 7, "d")


def test_control_tokens_beside_a_suffix_are_text() -> None:
    prompt = "<|fim_prefix|>a<|fim_suffix|>b<|fim_middle|>"
    body = json.dumps({"prompt": prompt, "suffix": "c"}).encode()
    assert wire.read(CompletionBody, body).request("d").prefix == prompt


def test_a_conversation_with_a_call_and_its_result() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    body = {
        "messages": [
            {"role": "developer", "content": "Be short."},
            {"role": "user", "content": [{"type": "text", "text": part} for part in "ab"]},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "1", "content": "2"},
        ],
        "tools": [{"type": "function", "function": {"name": "f"}}],
        "max_completion_tokens": 5,
        "something_new": True,
    }  # fmt: skip
    request = wire.read(ChatBody, json.dumps(body).encode()).request()
    assert [turn.role for turn in request.messages] == [
        Role.SYSTEM, Role.USER, Role.ASSISTANT, Role.TOOL
    ]  # fmt: skip
    assert request.messages[1].content == "ab"
    assert request.messages[2].tool_calls == (ToolCall("1", "f", "{}"),)
    assert request.messages[3].tool_call_id == "1"
    assert request.tools[0].parameters == {"type": "object", "properties": {}}
    assert request.max_tokens == 5


TURN = {"role": "user", "content": "a"}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "messages"),
        ([], ""),
        ({"messages": []}, "messages"),
        ({"messages": [{"content": "a"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [TURN], "stream": "soon"}, "stream"),
        ({"messages": [TURN], "stop": list(map(str, range(17)))}, "stop"),
        ({"messages": [TURN], "max_tokens": "many"}, "max_tokens"),
        ({"messages": [TURN], "tools": [{"function": {}}]}, "tools[0].function.name"),
        ({"messages": [{"role": "cat", "content": ""}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages"),
        ({"messages": [TURN], "n": 2}, "n"),
        ({"messages": [TURN], "tool_choice": "required"}, "tool_choice"),
        ({"messages": [TURN], "response_format": {"type": "json_schema"}}, "response_format"),
        ({"messages": [TURN], "response_format": {"type": "xml"}}, "response_format.type"),
        (
            {
                "messages": [TURN],
                "tools": [{"function": {"name": "f"}}],
                "response_format": {"type": "json_object"},
            },
            "response_format",
        ),
    ],
)
def test_an_unusable_field_is_named(body: Any, param: str) -> None:
    with pytest.raises(BadRequest) as raised:
        wire.read(ChatBody, json.dumps(body).encode()).request()
    assert raised.value.param == param
    assert raised.value.status == 400


@pytest.mark.parametrize("raw", [b"", b"{", b"[1]", b"\xff", b'{"messages": 1}'])
def test_a_body_that_is_no_request_is_refused(raw: bytes) -> None:
    with pytest.raises(BadRequest):
        wire.read(ChatBody, raw)


CALL = {"id": "a", "function": {"name": "f", "arguments": {"x": 1}}}


@pytest.mark.parametrize(
    ("more", "field", "expected"),
    [
        (dict.fromkeys(["model", "max_tokens", "temperature", "stop", "stream", "stream_options",
                        "tools", "tool_choice", "response_format", "n"]), "max_tokens", 1024),
        ({"max_tokens": -1}, "max_tokens", 1024),
        ({"max_tokens": 0, "max_completion_tokens": None}, "max_tokens", 1024),
        ({"max_tokens": 128_000}, "max_tokens", MAX_ANSWER_TOKENS),
        ({"max_tokens": 10**30}, "max_tokens", MAX_ANSWER_TOKENS),
        ({"max_tokens": 20.0}, "max_tokens", 20),
        ({"max_tokens": "20"}, "max_tokens", 20),
        ({"temperature": 3}, "temperature", 2.0),
        ({"temperature": -0.5}, "temperature", 0.0),
        ({"stop": [None, "a", ""]}, "stop", ("a",)),
        ({"n": 1.0}, "max_tokens", 1024),
        ({"response_format": {}}, "schema", None),
        ({"response_format": {"type": None, "json_schema": None}}, "schema", None),
        ({"tools": [{"type": "function", "function": {"name": "f", "parameters": None,
                                                      "strict": None}}]}, "schema", None),
    ],
)  # fmt: skip
def test_absent_fields_and_too_large_numbers_are_read_as_limits(
    more: dict[str, Any], field: str, expected: object
) -> None:
    request = wire.read(ChatBody, json.dumps({"messages": [TURN], **more}).encode()).request()
    assert getattr(request, field) == expected


def test_a_call_with_arguments_as_an_object() -> None:
    turn = {"role": "assistant", "content": None, "tool_calls": [CALL], "name": None,
            "tool_call_id": None}  # fmt: skip
    body = wire.read(ChatBody, json.dumps({"messages": [turn]}).encode())
    assert body.request().messages[0].tool_calls[0].arguments == '{"x": 1}'
