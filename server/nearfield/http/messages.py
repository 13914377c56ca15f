"""Anthropic's API: `/v1/messages`, whole or as a stream, with tools, and its count of tokens.

It is for agents that speak this form alone. Only text is read: a picture, or a tool that the
service itself would run, is an error that names it. What a model thinks is no part of the answer,
and none is asked to think; `tool_choice` can leave tools out, but not force a model to use one.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from nearfield.coerce import shallow_object
from nearfield.http import wire
from nearfield.http.answers import AnswerText
from nearfield.http.asking import Asking, role_of
from nearfield.http.exchange import HttpExchange
from nearfield.http.wire import DEADLINE_SECONDS, BadRequest, Stops, Temperature, Tokens, not_read
from nearfield.types import ChatRequest, Finish, Message, Role, Tool, ToolCall, Usage

_STOP_REASONS = {
    Finish.STOP: "end_turn",
    Finish.LENGTH: "max_tokens",
    Finish.TOOLS: "tool_use",
    Finish.DEADLINE: "max_tokens",
}
_THOUGHTS = frozenset({"thinking", "redacted_thinking"})


class DocumentSource(msgspec.Struct, frozen=True):
    """The content of a document."""

    type: str = ""
    data: str = ""


class MessageBlock(msgspec.Struct, frozen=True):
    """A block of content, with the fields of all kinds that are read."""

    type: str
    text: str = ""
    id: str = ""
    name: str = ""
    input: dict[str, Any] | None = None
    tool_use_id: str = ""
    content: str | list[MessageBlock] | None = None
    source: DocumentSource | None = None
    tool_name: str = ""

    def result(self) -> str:
        """Return the block of a tool's result as text. An agent's conversation would end at an
        error, so a model is told what it cannot see."""
        if self.type == "tool_reference":
            return f"The tool {self.tool_name} can be called now."
        try:
            return self.read()
        except BadRequest:
            return f"({self.type[:40]}: only text can be read here)"

    def read(self) -> str:
        """Return the block as text. Raises `BadRequest` for what is none."""
        if self.type == "text":
            return self.text
        if self.type == "document" and self.source is not None and self.source.type == "text":
            return self.source.data
        raise BadRequest(not_read(self.type), "messages")


Content = str | list[MessageBlock] | None


class MessageBody(msgspec.Struct, frozen=True):
    """A turn of the conversation."""

    role: Literal["user", "assistant", "system"]
    content: Content = None

    def messages(self) -> Iterator[Message]:
        """Yield the turn as messages: each result of a tool is one of its own. Raises
        `BadRequest`."""
        blocks = self.content if isinstance(self.content, list) else []
        if self.role == "assistant":
            calls = tuple(
                ToolCall(one.id, one.name, json.dumps(one.input or {}))
                for one in blocks
                if one.type == "tool_use"
            )
            yield Message(Role.ASSISTANT, _text(self.content, "tool_use"), calls)
            return
        for one in blocks:
            if one.type == "tool_result":
                yield Message(Role.TOOL, _result(one.content), tool_call_id=one.tool_use_id)
        text = _text(self.content, "tool_result")
        if text or not blocks:
            yield Message(Role(self.role), text)


class AnthropicTool(msgspec.Struct, frozen=True):
    """A tool of the client's."""

    name: Annotated[str, Meta(min_length=1, max_length=128)]
    description: str | None = None
    input_schema: dict[str, Any] | None = None
    type: str | None = None
    defer_loading: bool = False

    def tool(self) -> Tool:
        """Return it as a `Tool`. Raises `BadRequest` for one that the service would run."""
        if self.type not in (None, "", "custom"):
            raise BadRequest(f"Tools of the type {self.type!r} are not run here.", "tools")
        return wire.tool(self.name, self.description, self.input_schema)


class ToolChoice(msgspec.Struct, frozen=True):
    """The client's word on whether tools may be used."""

    type: str = "auto"


class AnswerFormat(msgspec.Struct, frozen=True):
    """The format of an answer."""

    type: str = ""
    schema: dict[str, Any] | None = None


class OutputConfig(msgspec.Struct, frozen=True):
    """The client's wishes for an answer."""

    format: AnswerFormat | None = None


class CountTokensBody(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /v1/messages/count_tokens`."""

    model: str
    messages: Annotated[list[MessageBody], Meta(min_length=1)]
    system: Content = None
    tools: list[AnthropicTool] | None = None
    tool_choice: ToolChoice | None = None

    def turns(self) -> tuple[Message, ...]:
        """Return the conversation. Texts of the user's in a row are one turn, and instructions
        after the first are the user's: most models know no others. Raises `BadRequest`."""
        system = _text(self.system)
        found = [Message(Role.SYSTEM, system)] if system else []
        for message in (message for turn in self.messages for message in turn.messages()):
            last = found[-1] if found else None
            role = message.role
            if role is Role.SYSTEM and last is not None and last.role is not Role.SYSTEM:
                role = Role.USER
            if last is not None and role is last.role and role in (Role.SYSTEM, Role.USER):
                found[-1] = Message(role, f"{last.content}\n\n{message.content}")
            else:
                found.append(replace(message, role=role))
        return tuple(found)

    def offered(self) -> tuple[Tool, ...]:
        """Return the tools that may be called. Raises `BadRequest`."""
        choice = self.tool_choice.type if self.tool_choice is not None else "auto"
        if choice not in ("auto", "none"):
            raise BadRequest("tool_choice can be of the type 'auto' or 'none'.", "tool_choice")
        if choice == "none":
            return ()
        found = self._found()
        wanted = [one for one in self.tools or () if not one.defer_loading or one.name in found]
        return tuple(one.tool() for one in wanted)

    def _found(self) -> set[str]:
        """Return the names of the deferred tools that a search of the client's has found."""
        results = [
            one.content
            for turn in self.messages
            if isinstance(turn.content, list)
            for one in turn.content
            if one.type == "tool_result"
        ]
        blocks = [block for one in results if isinstance(one, list) for block in one]
        return {block.tool_name for block in blocks if block.type == "tool_reference"}


class MessagesBody(CountTokensBody, frozen=True, kw_only=True):
    """`POST /v1/messages`."""

    max_tokens: Tokens
    stream: bool = False
    temperature: Temperature | None = None
    stop_sequences: Stops = None
    output_config: OutputConfig | None = None

    def schema(self) -> dict[str, Any] | None:
        """Return the answer's JSON schema, None for free text. Raises `BadRequest`."""
        wanted = self.output_config.format if self.output_config is not None else None
        if wanted is None:
            return None
        if wanted.type != "json_schema" or wanted.schema is None:
            raise BadRequest("The format can be a json_schema.", "output_config.format")
        return wanted.schema

    def request(self) -> ChatRequest:
        """Return the body as a conversation to continue. Raises `BadRequest`."""
        tools, schema = self.offered(), self.schema()
        most = wire.limit(self.max_tokens)
        if most is None:
            raise BadRequest("max_tokens has to be at least 1.", "max_tokens")
        if tools and schema is not None:
            raise BadRequest("tools and a format exclude each other.", "output_config.format")
        return ChatRequest(
            messages=self.turns(),
            tools=tools,
            schema=schema,
            max_tokens=most,
            temperature=self.temperature,
            stop=wire.stops(self.stop_sequences),
            deadline=time.monotonic() + DEADLINE_SECONDS,
        )


class AnthropicApi:
    """The paths below `/v1/messages`."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    async def message(self, exchange: HttpExchange, body: bytes) -> None:
        """`POST /v1/messages`."""
        asked = wire.read(MessagesBody, body)
        role, request = role_of(asked.model), asked.request()
        await self._asking.chat(exchange, request, role, MessageForm(), stream=asked.stream)

    async def count_tokens(self, exchange: HttpExchange, body: bytes) -> None:
        """`POST /v1/messages/count_tokens`."""
        asked = wire.read(CountTokensBody, body)
        role = role_of(asked.model)
        turns = asked.turns()
        texts = [f"{turn.role}\n{turn.content}" for turn in turns]
        texts += [call.arguments for turn in turns for call in turn.tool_calls]
        texts += [
            f"{one.name}\n{one.description}\n{json.dumps(one.parameters)}"
            for one in asked.offered()
        ]
        await exchange.json({"input_tokens": await self._asking.count(texts, role)})


class MessageForm:
    """See `answers.Form`."""

    def __init__(self) -> None:
        self._id = f"msg_{secrets.token_hex(12)}"
        self._blocks = 0
        self._is_text_open = False

    def whole(self, said: AnswerText) -> dict[str, Any]:
        """See `Form`."""
        content: list[dict[str, Any]] = [{"type": "text", "text": said.text}] if said.text else []
        content += [{**_use(call), "input": shallow_object(call.arguments)} for call in said.calls]
        reason = _STOP_REASONS[said.finish]
        return {**self._message(said.model, content, reason), "usage": _usage(said.usage)}

    def begin(self, model: str) -> Sequence[dict[str, Any]]:
        """See `Form`."""
        message = {**self._message(model, [], None), "usage": _usage(None)}
        return {"type": "message_start", "message": message}, {"type": "ping"}

    def piece(self, model: str, text: str, calls: tuple[ToolCall, ...]) -> Sequence[dict[str, Any]]:
        """See `Form`."""
        events: list[dict[str, Any]] = []
        if text:
            if not self._is_text_open:
                events.append(self._start({"type": "text", "text": ""}))
                self._is_text_open = True
            events.append(self._delta({"type": "text_delta", "text": text}))
        for call in calls:
            events += self._close_text()
            events.append(self._start({**_use(call), "input": {}}))
            arguments = json.dumps(shallow_object(call.arguments), ensure_ascii=False)
            events.append(self._delta({"type": "input_json_delta", "partial_json": arguments}))
            events.append(self._stop())
        return events

    def end(self, said: AnswerText) -> Sequence[dict[str, Any]]:
        """See `Form`."""
        delta = {"stop_reason": _STOP_REASONS[said.finish], "stop_sequence": None}
        return (
            *self._close_text(),
            {"type": "message_delta", "delta": delta, "usage": _usage(said.usage)},
            {"type": "message_stop"},
        )

    def _message(
        self, model: str, content: list[dict[str, Any]], reason: str | None
    ) -> dict[str, Any]:
        return {
            "id": self._id,
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": content,
            "stop_reason": reason,
            "stop_sequence": None,
        }

    def _start(self, block: dict[str, Any]) -> dict[str, Any]:
        return {"type": "content_block_start", "index": self._blocks, "content_block": block}

    def _delta(self, delta: dict[str, Any]) -> dict[str, Any]:
        return {"type": "content_block_delta", "index": self._blocks, "delta": delta}

    def _stop(self) -> dict[str, Any]:
        self._blocks += 1
        return {"type": "content_block_stop", "index": self._blocks - 1}

    def _close_text(self) -> list[dict[str, Any]]:
        was_open, self._is_text_open = self._is_text_open, False
        return [self._stop()] if was_open else []


def _text(content: Content, *without: str) -> str:
    """Return the text of a content, without blocks of some types and without thoughts. Raises
    `BadRequest` for what is no text."""
    if not isinstance(content, list):
        return content or ""
    left_out = {*without, *_THOUGHTS}
    return "\n".join(block.read() for block in content if block.type not in left_out)


def _result(content: Content) -> str:
    """Return the result of a tool as text."""
    if not isinstance(content, list):
        return content or ""
    return "\n".join(block.result() for block in content)


def _use(call: ToolCall) -> dict[str, Any]:
    return {
        "type": "tool_use",
        "id": call.id or f"toolu_{secrets.token_hex(12)}",
        "name": call.name,
    }


def _usage(usage: Usage | None) -> dict[str, Any]:
    """Return the tokens, 0 where a provider does not say."""
    used = usage or Usage("")
    cached = used.reused_tokens or 0
    return {
        "input_tokens": max(0, (used.prompt_tokens or 0) - cached),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": cached,
        "output_tokens": used.generated_tokens or 0,
    }
