"""Calls in a model's text: seen in whatever form, in whatever pieces, and nothing else is."""

from __future__ import annotations

import json

import pytest

from nearfield.providers.tool_text import (
    CLOSE,
    OPEN,
    CallDetector,
    as_text,
    call_schema,
    is_doubtful,
)
from nearfield.types import Message, Role, Tool, ToolCall

TOOLS = (
    Tool("readFile", "Read.", {"type": "object", "properties": {"path": {"type": "string"}}}),
    Tool("list", "List.", {"$defs": {"A": {"type": "string"}}, "properties": {}}),
)

TEXTS: dict[str, tuple[str, str | None]] = {
    "plain JSON": ('{"name": "readFile", "arguments": {"path": "a"}}', ""),
    "in a fence": ('```json\n{\n  "name": "readFile",\n', ""),
    "another key": ('{"function": "list"}', ""),
    "in a list": ('[{"name": "list"}]', ""),
    "after words": ('I will look.\n\n```json\n{"name": "list"}', "I will look.\n\n"),
    "words": ("The answer is 3.\nNo more.", None),
    "code": ("```python\ndef f():\n    return {}\n```\n", None),
    "other JSON": ('```json\n{"name": "Ada", "age": 3}\n```', None),
    "a brace at the end": ("Like so:\n{", None),
    "inside a line": ('Use {"name": "readFile"} for it.', None),
    "a set": ("{1, 2}\n", None),
}


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize("case", TEXTS)
def test_calls_in_text_are_read(case: str, size: int) -> None:
    """`None`: there is none, and all of the text comes out."""
    text, words = TEXTS[case]
    wish, shown = CallDetector(TOOLS), ""
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    for number, piece in enumerate(pieces):
        shown += wish.feed(piece, ended=number == len(pieces) - 1)
        if wish.seen:
            break
    assert wish.seen is (words is not None)
    assert shown == (text if words is None else words)


def test_words_are_not_held_back() -> None:
    wish = CallDetector(TOOLS)
    assert wish.feed("The answer", ended=False) == "The answer"
    assert wish.feed(" is\n{", ended=False) == " is\n"
    assert wish.feed("1, 2}" + " and" * 40, ended=False).startswith("{1, 2}")


@pytest.mark.parametrize(
    ("body", "logprobs", "doubt"),
    [
        ("{}", [-9.0, -0.1, -0.1], False),
        ("{}", [-0.1, -0.1, -0.3], True),
        ("x" * 500, [-0.1, -0.9, -0.9], False),
        ("{}", [], False),
    ],
)
def test_an_unsure_call_is_doubtful(body: str, logprobs: list[float], doubt: bool) -> None:
    assert is_doubtful(body, logprobs) is doubt


CALL = '{"name": "readFile", "arguments": {"path": "a"}}'


def test_the_schema_of_a_call() -> None:
    schema = call_schema(TOOLS)
    [read, listing] = schema["oneOf"]
    assert read["properties"]["name"] == {"const": "readFile"}
    assert read["properties"]["arguments"]["additionalProperties"] is False
    assert "$defs" not in listing["properties"]["arguments"]
    assert schema["$defs"] == {"A": {"type": "string"}}


def test_calls_as_plain_turns() -> None:
    call = ToolCall("1", "readFile", '{"path": "a"}')
    plain = as_text(
        [
            Message(Role.USER, "look"),
            Message(Role.ASSISTANT, "I will.", (call,)),
            Message(Role.TOOL, "text", tool_call_id="1"),
        ]
    )
    assert [message.role for message in plain] == [Role.USER, Role.ASSISTANT, Role.USER]
    body = plain[1].content.removeprefix(f"I will.\n{OPEN}").removesuffix(CLOSE)
    assert json.loads(body) == {"name": "readFile", "arguments": {"path": "a"}}
    assert plain[2].content == "Result of the call:\ntext"
