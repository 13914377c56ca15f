"""A model's answer in OpenAI's formats: whole, or as events of a stream."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from nearfield.errors import BadAnswer
from nearfield.routing.router import Restart, Route
from nearfield.types import Delta, Finish, ToolCall, Usage

_FINISH = {
    Finish.STOP: "stop",
    Finish.LENGTH: "length",
    Finish.TOOLS: "tool_calls",
    Finish.DEADLINE: "length",
}


@dataclass(slots=True)
class AnswerText:
    """A model's complete answer."""

    model: str
    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    finish: Finish = Finish.STOP
    usage: Usage | None = None

    def add(self, delta: Delta) -> None:
        """`delta` has come."""
        self.text += delta.text
        self.calls += delta.tool_calls
        self.finish = delta.finish or self.finish
        self.usage = delta.usage or self.usage

    def counts(self) -> dict[str, Any]:
        """Its tokens; 0 where a provider does not say."""
        usage = self.usage or Usage(self.model)
        read, written = usage.prompt_tokens or 0, usage.generated_tokens or 0
        return {
            "prompt_tokens": read,
            "completion_tokens": written,
            "total_tokens": read + written,
            "prompt_tokens_details": {"cached_tokens": usage.reused_tokens or 0},
        }


class Form(Protocol):
    """The format of an answer in one of the APIs: whole, or as the events of a stream."""

    def whole(self, said: AnswerText) -> dict[str, Any]:
        """Return the answer to a request that asks for no stream."""
        ...

    def begin(self, model: str) -> Sequence[dict[str, Any]]:
        """Return the events before the first text."""
        ...

    def piece(self, model: str, text: str, calls: tuple[ToolCall, ...]) -> Sequence[dict[str, Any]]:
        """Return the events with more of the answer."""
        ...

    def end(self, said: AnswerText) -> Sequence[dict[str, Any]]:
        """Return the events that say why it ended, and what it cost."""
        ...


@dataclass(frozen=True, slots=True)
class _Head:
    """Fields at the start of every object of one answer."""

    id: str
    created: int = field(default_factory=lambda: int(time.time()))

    def object(self, kind: str, model: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": model,
            "choices": choices,
        }


class CompletionForm:
    """`/v1/completions`: one kind of object for both ways."""

    def __init__(self, with_usage: bool = False) -> None:
        self._with_usage = with_usage
        self._head = _Head(f"cmpl-{secrets.token_hex(12)}")

    def whole(self, said: AnswerText) -> dict[str, Any]:
        """See `Form`."""
        return {**self._object(said.model, said.text, said.finish), "usage": said.counts()}

    def begin(self, model: str) -> Sequence[dict[str, Any]]:
        """See `Form`."""
        return ()

    def piece(self, model: str, text: str, calls: tuple[ToolCall, ...]) -> Sequence[dict[str, Any]]:
        """See `Form`."""
        return (self._object(model, text, None),)

    def end(self, said: AnswerText) -> Sequence[dict[str, Any]]:
        """See `Form`."""
        last = self._object(said.model, "", said.finish)
        if not self._with_usage:
            return (last,)
        head = self._head.object("text_completion", said.model, [])
        return last, {**head, "usage": said.counts()}

    def _object(self, model: str, text: str, finish: Finish | None) -> dict[str, Any]:
        reason = _FINISH[finish] if finish else None
        choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": reason}
        return self._head.object("text_completion", model, [choice])


class ChatForm:
    """`/v1/chat/completions`."""

    def __init__(self, with_usage: bool = False) -> None:
        self._with_usage = with_usage
        self._head = _Head(f"chatcmpl-{secrets.token_hex(12)}")

    def whole(self, said: AnswerText) -> dict[str, Any]:
        """See `Form`."""
        message: dict[str, Any] = {"role": "assistant", "content": said.text}
        if said.calls:
            message |= {"content": said.text or None, "tool_calls": _calls(said.calls)}
        choice = {"index": 0, "message": message, "finish_reason": _FINISH[said.finish]}
        whole = self._head.object("chat.completion", said.model, [choice])
        return {**whole, "usage": said.counts()}

    def begin(self, model: str) -> Sequence[dict[str, Any]]:
        """See `Form`."""
        return (self._chunk(model, {"role": "assistant", "content": ""}, None),)

    def piece(self, model: str, text: str, calls: tuple[ToolCall, ...]) -> Sequence[dict[str, Any]]:
        """See `Form`."""
        delta: dict[str, Any] = {"content": text} if text else {}
        if calls:
            numbered = enumerate(_calls(calls))
            delta["tool_calls"] = [{"index": index, **call} for index, call in numbered]
        return (self._chunk(model, delta, None),)

    def end(self, said: AnswerText) -> Sequence[dict[str, Any]]:
        """See `Form`."""
        last = self._chunk(said.model, {}, said.finish)
        if not self._with_usage:
            return (last,)
        chunk = self._head.object("chat.completion.chunk", said.model, [])
        return last, {**chunk, "usage": said.counts()}

    def _chunk(self, model: str, delta: dict[str, Any], finish: Finish | None) -> dict[str, Any]:
        reason = _FINISH[finish] if finish else None
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return self._head.object("chat.completion.chunk", model, [choice])


async def whole(route: Route) -> AnswerText:
    """Listen to the end. Raises what the route raises."""
    said = AnswerText(_model(route))
    async with route:
        async for item in route:
            if isinstance(item, Restart):
                said = AnswerText(_model(route))
            else:
                said.add(item)
    said.model = _model(route)
    return said


async def events(route: Route, form: Form) -> AsyncGenerator[dict[str, Any]]:
    """Yield the answer as it arrives. Sent text cannot be taken back: an answer that another
    provider would improve on is kept. Raises `BadAnswer` for one that broke off, and what the route
    raises.
    """
    said = AnswerText(_model(route))
    async with route:
        async for item in route:
            said.model = _model(route)
            if isinstance(item, Restart):
                if said.text and route.failures:
                    raise BadAnswer("The answer broke off.", "Ask again.")
                if said.text:
                    break
                continue
            first = not said.text and not said.calls
            said.add(item)
            if item.text or item.tool_calls:
                if first:
                    for event in form.begin(said.model):
                        yield event
                for event in form.piece(said.model, item.text, item.tool_calls):
                    yield event
    for event in _last(form, said):
        yield event


def in_one_piece(form: Form, said: AnswerText) -> Sequence[dict[str, Any]]:
    """Return the stream of an answer that is there already."""
    events = [*form.begin(said.model)]
    if said.text or said.calls:
        events += form.piece(said.model, said.text, said.calls)
    return [*events, *form.end(said)]


def _last(form: Form, said: AnswerText) -> Sequence[dict[str, Any]]:
    """Return the end of a stream; of one without any text, all of it."""
    return form.end(said) if said.text or said.calls else in_one_piece(form, said)


def _model(route: Route) -> str:
    return route.provider.model if route.provider is not None else ""


def _calls(calls: tuple[ToolCall, ...]) -> list[dict[str, Any]]:
    return [
        {
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }
        for call in calls
    ]
