"""A conversation as Anthropic's Messages API takes it."""

from __future__ import annotations

import json
from typing import Any

from nearfield.types import ChatRequest, Finish, Message, Role

ANSWER_TOOL = "answer"
"""The tool that a model must call to give an answer by a schema."""

FINISH = {
    "end_turn": Finish.STOP,
    "stop_sequence": Finish.STOP,
    "pause_turn": Finish.STOP,
    "max_tokens": Finish.LENGTH,
    "model_context_window_exceeded": Finish.LENGTH,
    "tool_use": Finish.TOOLS,
}
"""What the service's `stop_reason` means."""

_CACHED = {"type": "ephemeral"}


def body(request: ChatRequest, model: str, *, temperature: bool) -> dict[str, Any]:
    """The arguments of `messages.create`.

    The service's cache is told to keep the tools and the system text, which most requests share,
    and the turns so far where the conversation goes on: writing to the cache costs a quarter more
    than reading, so a single question is not written.
    """
    system = [m.content for m in request.messages if m.role is Role.SYSTEM and m.content]
    turns = _turns(request.messages)
    asked: dict[str, Any] = {"model": model, "max_tokens": request.max_tokens, "messages": turns}
    if temperature:
        # The SDK no longer names it, since the newest models refuse it.
        asked["extra_body"] = {"temperature": min(1.0, request.temperature_or())}
    if stop := [text for text in request.stop if text.strip()]:
        asked["stop_sequences"] = stop  # the service refuses blank ones; they are cut here
    if system:
        blocks: list[dict[str, Any]] = [{"type": "text", "text": text} for text in system]
        blocks[-1]["cache_control"] = _CACHED
        asked["system"] = blocks
    if tools := _tools(request):
        tools[-1]["cache_control"] = _CACHED
        asked["tools"] = tools
    if request.schema is not None:
        # Other tools may be called first; without any, this one has to be.
        asked["tool_choice"] = (
            {"type": "any"} if request.tools else {"type": "tool", "name": ANSWER_TOOL}
        )
    if turns and (request.tools or any(m.role is Role.ASSISTANT for m in request.messages)):
        turns[-1]["content"][-1]["cache_control"] = _CACHED
    return asked


def _tools(request: ChatRequest) -> list[dict[str, Any]]:
    tools: list[dict[str, Any]] = [
        {"name": t.name, "description": t.description, "input_schema": dict(t.parameters)}
        for t in request.tools
    ]
    if request.schema is not None:
        answer = "Give the final answer by calling this tool."
        schema = dict(request.schema)
        tools.append({"name": ANSWER_TOOL, "description": answer, "input_schema": schema})
    return tools


def _turns(messages: tuple[Message, ...]) -> list[dict[str, Any]]:
    """Turns by user and assistant in alternation; answers of tools are the user's."""
    turns: list[dict[str, Any]] = []
    for message in messages:
        if message.role is Role.SYSTEM:
            continue
        role = "assistant" if message.role is Role.ASSISTANT else "user"
        blocks = _blocks(message)
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        elif blocks:
            turns.append({"role": role, "content": blocks})
    return turns


def _blocks(message: Message) -> list[dict[str, Any]]:
    if message.role is Role.TOOL:
        block: dict[str, Any] = {"type": "tool_result", "tool_use_id": message.tool_call_id}
        return [{**block, "content": message.content}]
    # The service refuses empty text.
    blocks: list[dict[str, Any]] = []
    if message.content.strip():
        blocks.append({"type": "text", "text": message.content})
    for call in message.tool_calls:
        use: dict[str, Any] = {"type": "tool_use", "id": call.id, "name": call.name}
        blocks.append({**use, "input": _object(call.arguments)})
    return blocks


def _object(arguments: str) -> dict[str, Any]:
    try:
        decoded: Any = json.loads(arguments)
    except json.JSONDecodeError:
        return {}
    return decoded if isinstance(decoded, dict) else {}
