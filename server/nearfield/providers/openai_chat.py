"""OpenAI's chat completions on the wire: writing a request, reading the stream's events.

`llama_server` and `openai_compatible` share it. Only what every such server sends is relied on: an
event has `choices` with a `delta`; counts, log-probabilities and ids may be missing.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import msgspec
from msgspec import field

from nearfield.errors import BadAnswer
from nearfield.providers.http import DONE, Http
from nearfield.providers.http_provider import BegunCall
from nearfield.types import (
    CHAT_TEMPERATURE,
    ChatRequest,
    Delta,
    Finish,
    Message,
    Tool,
    Usage,
)

MAX_STOPS = 4
"""OpenAI and vLLM refuse a request with more stop texts than this."""

_FINISH = {
    "stop": Finish.STOP,
    "eos": Finish.STOP,
    "length": Finish.LENGTH,
    "tool_calls": Finish.TOOLS,
    "function_call": Finish.TOOLS,
}


class CallFunction(msgspec.Struct, frozen=True):
    """A piece of a function call."""

    name: str | None = None
    arguments: str | dict[str, Any] | None = None


class CallDelta(msgspec.Struct, frozen=True):
    """A piece of a tool call; pieces with the same index belong together."""

    index: int | None = None
    id: str | None = None
    function: CallFunction = field(default_factory=CallFunction)


class MessageDelta(msgspec.Struct, frozen=True):
    """The addition of one event to the message."""

    content: str | None = None
    tool_calls: list[CallDelta] | None = None
    reasoning_content: str | None = None
    """What llama.cpp, vLLM, SGLang, DeepSeek and LM Studio call the thinking; …"""
    reasoning: str | None = None
    """… newer vLLM, OpenRouter and Groq call it this."""


class TokenProb(msgspec.Struct, frozen=True):
    """A token's log-probability."""

    logprob: float


class LogProbs(msgspec.Struct, frozen=True):
    """Chat gives `content`, plain completions `token_logprobs`."""

    content: list[TokenProb] | None = None
    token_logprobs: list[float | None] | None = None


class StreamChoice(msgspec.Struct, frozen=True):
    """An alternative; one is requested. Plain completions have `text` instead of `delta`."""

    index: int = 0
    delta: MessageDelta | None = None
    text: str | None = None
    finish_reason: str | None = None
    logprobs: LogProbs | None = None


class CachedTokens(msgspec.Struct, frozen=True):
    """Prompt tokens that the server still held."""

    cached_tokens: int | None = None


class TokenCounts(msgspec.Struct, frozen=True):
    """Tokens read and written."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: CachedTokens | None = None


class Timings(msgspec.Struct, frozen=True):
    """llama.cpp's own measurements."""

    cache_n: int | None = None
    prompt_n: int | None = None
    prompt_ms: float | None = None
    predicted_n: int | None = None
    predicted_ms: float | None = None


class StreamEvent(msgspec.Struct, frozen=True):
    """An event of the stream."""

    choices: list[StreamChoice]
    usage: TokenCounts | None = None
    timings: Timings | None = None


def messages(turns: tuple[Message, ...]) -> list[dict[str, Any]]:
    """Return the conversation as the API takes it."""
    return [_message(turn) for turn in turns]


def _message(turn: Message) -> dict[str, Any]:
    plain: dict[str, Any] = {"role": str(turn.role), "content": turn.content}
    if turn.tool_call_id:
        plain["tool_call_id"] = turn.tool_call_id
    if turn.tool_calls:
        plain["content"] = turn.content or None
        plain["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in turn.tool_calls
        ]
    return plain


def tools(offered: tuple[Tool, ...]) -> list[dict[str, Any]]:
    """Return the tools as the API takes them; Ollama takes the same."""
    return [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": tool.description,
                "parameters": dict(tool.parameters),
            },
        }
        for tool in offered
    ]


def body(request: ChatRequest, model: str, temperature: float = CHAT_TEMPERATURE) -> dict[str, Any]:
    """Return a streaming request, without what only some servers understand. `temperature` is for a
    request that names none."""
    asked: dict[str, Any] = {
        "model": model,
        "messages": messages(request.messages),
        "max_tokens": request.max_tokens,
        "temperature": request.temperature_or(temperature),
        "stream": True,
    }
    if request.stop:
        asked["stop"] = list(request.stop[:MAX_STOPS])
    if request.tools:
        asked["tools"] = tools(request.tools)
    if request.schema is not None:
        asked["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": dict(request.schema)},
        }
    return asked


def without_thinking() -> dict[str, Any]:
    """Return what turns thinking off in servers that render the model's own template: Qwen's,
    DeepSeek's and GLM's templates know the one variable, gpt-oss's the other."""
    return {"chat_template_kwargs": {"enable_thinking": False, "reasoning_effort": "low"}}


async def stream(
    http: Http, path: str, body: object, model: str, deadline: float | None
) -> AsyncGenerator[Delta]:
    """Send `body` to `path` and read the answer, of chats and plain completions alike. Raises what
    `Http.stream` raises, and `BadAnswer` on a stream that ends before the answer does."""
    reader = StreamReader(model, str(http.who))
    async with aclosing(http.stream(path, body, deadline=deadline)) as events:
        async for data in events:
            if data == DONE:
                break
            if delta := reader.feed(http.decode(data, StreamEvent)):
                yield delta
    last = reader.last()
    if last is None:
        raise http.broke_off()
    yield last


class StreamReader:
    """Events in, deltas out; the last delta once the stream has ended."""

    def __init__(self, model: str, who: str) -> None:
        self._model = model
        self._who = who
        self._calls: dict[int, BegunCall] = {}
        self._finish: Finish | None = None
        self._counts = TokenCounts()
        self._timings = Timings()

    def feed(self, event: StreamEvent) -> Delta | None:
        """Return what the event adds to the answer, if anything."""
        self._counts = event.usage or self._counts
        self._timings = event.timings or self._timings
        if not event.choices:
            return None
        choice = event.choices[0]
        if choice.finish_reason == "content_filter":
            raise BadAnswer(f"{self._who} withheld its answer.", "Its content filter objected.")
        if choice.finish_reason:
            self._finish = _FINISH.get(choice.finish_reason, Finish.STOP)
        piece = choice.delta or MessageDelta(content=choice.text)
        for call in piece.tool_calls or ():
            self._add(call)
        text, thinking = piece.content or "", piece.reasoning_content or piece.reasoning or ""
        if not text:
            return Delta(thinking=thinking) if thinking else None
        return Delta(text, _logprobs(choice.logprobs), thinking=thinking)

    def last(self) -> Delta | None:
        """Return the last delta; None when the stream ended before the answer did."""
        if self._finish is None:
            return None
        finish = self._finish
        if self._calls and finish is Finish.STOP:
            finish = Finish.TOOLS  # some servers say "stop" after tool calls
        calls = tuple(self._calls[i].whole() for i in sorted(self._calls))
        return Delta(tool_calls=calls, finish=finish, usage=self._usage())

    def _add(self, piece: CallDelta) -> None:
        # Without an index (Gemini), a piece with a name begins a call and one without continues it.
        index = piece.index
        if index is None:
            index = len(self._calls) - (not piece.function.name and bool(self._calls))
        call = self._calls.setdefault(index, BegunCall(f"call-{index}"))
        call.id = piece.id or call.id
        call.name = call.name or piece.function.name or ""
        said = piece.function.arguments
        call.arguments.append(json.dumps(said) if isinstance(said, dict) else said or "")

    def _usage(self) -> Usage:
        counts, timings = self._counts, self._timings
        details = counts.prompt_tokens_details
        reused = timings.cache_n
        if reused is None and details is not None:
            reused = details.cached_tokens
        read = counts.prompt_tokens
        evaluated = timings.prompt_n
        if evaluated is None and read is not None and reused is not None:
            evaluated = read - reused
        if read is None and evaluated is not None:
            read = evaluated + (reused or 0)
        return Usage(
            model=self._model,
            prompt_tokens=read,
            evaluated_tokens=evaluated,
            reused_tokens=reused,
            generated_tokens=counts.completion_tokens or timings.predicted_n,
            prefill_ms=timings.prompt_ms,
            decode_ms=timings.predicted_ms,
        )


def _logprobs(said: LogProbs | None) -> tuple[float, ...]:
    if said is None:
        return ()
    if said.content:
        return tuple(token.logprob for token in said.content)
    return tuple(p for p in said.token_logprobs or () if p is not None)
