"""Tool calls that a model writes as text: `<tool_call>{"name": …, "arguments": …}</tool_call>`.

That is the form of Qwen's and Hermes' chat templates, and what `describe` asks of a model whose
template knows no tools.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from nearfield.types import Delta, Finish, Message, Role, Tool, ToolCall

OPEN = "<tool_call>"
CLOSE = "</tool_call>"


def describe(tools: Sequence[Tool]) -> str:
    """Instructions on `tools` for a model that was not trained on a form of its own."""
    signatures = "\n".join(
        json.dumps({"name": t.name, "description": t.description, "parameters": dict(t.parameters)})
        for t in tools
    )
    return (
        "You may call these functions, one JSON signature a line:\n"
        f"{signatures}\n"
        f'To call one, answer with {OPEN}{{"name": NAME, "arguments": {{…}}}}{CLOSE} and nothing '
        "else. When none fits, answer in words."
    )


def call_schema(tools: Sequence[Tool]) -> dict[str, Any]:
    """The JSON schema of one call of one of `tools`, for decoding by grammar. What a function takes
    is closed: an argument that it does not name cannot be written."""
    shared: dict[str, Any] = {}
    calls: list[dict[str, Any]] = []
    for tool in tools:
        parameters: dict[str, Any] = {"type": "object", "properties": {}, **tool.parameters}
        shared |= parameters.pop("$defs", {})
        calls.append(
            {
                "type": "object",
                "properties": {
                    "name": {"const": tool.name},
                    "arguments": {**parameters, "additionalProperties": False},
                },
                "required": ["name", "arguments"],
                "additionalProperties": False,
            }
        )
    schema: dict[str, Any] = calls[0] if len(calls) == 1 else {"oneOf": calls}
    return {**schema, "$defs": shared} if shared else schema


def as_text(messages: Sequence[Message]) -> list[Message]:
    """`messages` for a model whose template knows no tools: calls and results as plain turns."""
    plain: list[Message] = []
    for message in messages:
        if message.role is Role.TOOL:
            plain.append(Message(Role.USER, f"Result of the call:\n{message.content}"))
            continue
        calls = [
            f'{OPEN}{{"name": {json.dumps(call.name)}, "arguments": {call.arguments}}}{CLOSE}'
            for call in message.tool_calls
        ]
        text = "\n".join([message.content, *calls] if message.content else calls)
        plain.append(replace(message, content=text, tool_calls=()))
    return plain


class ToolText:
    """Takes tool calls out of a streamed answer. One instance an answer."""

    def __init__(self) -> None:
        self._held = ""
        self._calls = 0

    def filter(self, delta: Delta) -> Delta:
        """`delta` with the text that is certainly not part of a call, and the calls it ended."""
        self._held += delta.text
        text, calls = "", []
        while True:
            start = self._held.find(OPEN)
            if start < 0:
                keep = 0 if delta.finish else _begun(self._held)
                text += self._held[: len(self._held) - keep]
                self._held = self._held[len(self._held) - keep :]
                break
            end = self._held.find(CLOSE, start)
            if end < 0 and delta.finish is None:
                text += self._held[:start]
                self._held = self._held[start:]
                break
            body = self._held[start + len(OPEN) : end if end >= 0 else None]
            call = self._call(body)
            text += self._held[:start] if call else self._held[: start + len(OPEN)] + body
            calls += [call] if call else []
            self._held = self._held[end + len(CLOSE) :] if end >= 0 else ""
        finish = delta.finish
        if finish is Finish.STOP and self._calls:
            finish = Finish.TOOLS
        return replace(delta, text=text, tool_calls=tuple(calls), finish=finish)

    def _call(self, body: str) -> ToolCall | None:
        """The call in `body`; None when it is not one, and then it stays text."""
        try:
            call = json.loads(body)
            name, arguments = call["name"], call.get("arguments", {})
        except (json.JSONDecodeError, KeyError, TypeError, AttributeError):
            return None
        if not isinstance(name, str):
            return None
        self._calls += 1
        return ToolCall(f"call_{self._calls}", name, json.dumps(arguments))


def _begun(text: str) -> int:
    """How many characters at the end of `text` could be the beginning of a call."""
    return next((n for n in range(len(OPEN) - 1, 0, -1) if text.endswith(OPEN[:n])), 0)
