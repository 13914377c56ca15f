"""Ollama's API on the wire: its options, the parts of its answers that are used, and turns of a
chat for it."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
from msgspec import field

from nearfield.coerce import shallow_object
from nearfield.providers.address import is_passed_on
from nearfield.providers.openai_chat import TokenProb
from nearfield.providers.options import ServerOptions
from nearfield.types import Finish, Message, ServedModel, ToolCall, Usage

NS_PER_MS = 1e6


class OllamaOptions(ServerOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[providers.NAME.options]` of an ollama."""

    keep_alive: str | int = "30m"
    """How long the model stays in memory after a request: a duration, seconds, or -1 for ever."""
    num_ctx: int = 8192
    """The context to load the model with, in tokens; the same for every call."""
    load: dict[str, Any] = field(default_factory=dict[str, Any])
    """Further options that shape the model in memory, such as num_gpu, num_thread or num_batch."""
    fim_template: str = ""
    """A catalogue name of a FIM form for a model without "insert"; empty goes by its name."""
    logprobs: bool = True
    """Whether to ask for log-probabilities; servers before 0.12.11 ignore it."""


class CalledFunction(msgspec.Struct, frozen=True):
    """The function of a call, with its arguments as an object."""

    name: str
    arguments: dict[str, Any] = field(default_factory=dict[str, Any])


class OllamaToolCall(msgspec.Struct, frozen=True):
    """A call, in one piece."""

    function: CalledFunction
    id: str = ""


class OllamaMessage(msgspec.Struct, frozen=True):
    """A piece of the assistant's turn."""

    content: str = ""
    thinking: str = ""
    tool_calls: list[OllamaToolCall] | None = None


class AnswerLine(msgspec.Struct, frozen=True):
    """A line of `/api/generate` (`response`) or `/api/chat` (`message`)."""

    done: bool
    response: str = ""
    message: OllamaMessage = field(default_factory=OllamaMessage)
    done_reason: str = ""
    logprobs: list[TokenProb] | None = None
    prompt_eval_count: int | None = None
    prompt_eval_duration: int | None = None
    eval_count: int | None = None
    eval_duration: int | None = None

    @property
    def finish(self) -> Finish:
        """Return why the text has ended; "load" is an answer of no text."""
        return Finish.LENGTH if self.done_reason == "length" else Finish.STOP

    def usage(self, model: str) -> Usage:
        """Return the counts of the last line; how much of the prompt it still held is not said."""
        return Usage(
            model=model,
            prompt_tokens=self.prompt_eval_count,
            generated_tokens=self.eval_count,
            prefill_ms=_ms(self.prompt_eval_duration),
            decode_ms=_ms(self.eval_duration),
        )


class Tag(msgspec.Struct, frozen=True):
    """A model of a list."""

    name: str
    size: int | None = None
    capabilities: list[str] | None = None
    remote_host: str = ""

    @property
    def model(self) -> ServedModel:
        """Return it as other providers tell theirs."""
        outside = bool(self.remote_host) or is_passed_on(self.name)
        return ServedModel(
            self.name, bytes=self.size, can=tuple(self.capabilities or ()), outside=outside
        )


class ListedModels(msgspec.Struct, frozen=True):
    """The answer of `/api/tags` and `/api/ps`."""

    models: list[Tag]


class ModelInfo(msgspec.Struct, frozen=True):
    """The answer of `/api/show`."""

    capabilities: list[str] = field(default_factory=list[str])
    remote_host: str = ""
    model_info: dict[str, Any] = field(default_factory=dict[str, Any])

    def context(self, asked: int) -> int:
        """Return the context that `asked` becomes: no larger than what the model was trained on."""
        trained = (v for k, v in self.model_info.items() if k.endswith(".context_length"))
        return min([asked, *(v for v in trained if isinstance(v, int) and v > 0)])


class PullStatus(msgspec.Struct, frozen=True):
    """A step of a pull: a status, and for a layer how many of its bytes are here."""

    status: str
    digest: str = ""
    total: int | None = None
    completed: int | None = None


def keep_alive(said: str | int) -> str | int:
    """Return it as the server reads it: a text needs a unit there, and a number is seconds."""
    is_number = isinstance(said, int) or re.fullmatch(r"-?\d+", said)
    return int(said) if is_number else said


def is_same(model: str, names: list[str]) -> bool:
    """Return whether `model` is one of the server's `names`, which have a tag."""
    full = model if ":" in model else f"{model}:latest"
    return full in names


def messages(turns: tuple[Message, ...]) -> list[dict[str, Any]]:
    """Return the conversation as OpenAI's API takes it, but with arguments as objects and tool
    results that name the tool."""
    names = {call.id: call.name for turn in turns for call in turn.tool_calls}
    plain: list[dict[str, Any]] = []
    for turn in turns:
        message: dict[str, Any] = {"role": str(turn.role), "content": turn.content}
        if turn.tool_call_id:
            message["tool_name"] = names.get(turn.tool_call_id, "")
            message["tool_call_id"] = turn.tool_call_id
        if turn.tool_calls:
            message["tool_calls"] = [
                {"id": c.id, "function": {"name": c.name, "arguments": shallow_object(c.arguments)}}
                for c in turn.tool_calls
            ]
        plain.append(message)
    return plain


def tool_call(call: OllamaToolCall, index: int) -> ToolCall:
    """Return a call as the other providers tell it."""
    arguments = json.dumps(call.function.arguments)
    return ToolCall(call.id or f"call-{index}", call.function.name, arguments)


def _ms(ns: int | None) -> float | None:
    return None if ns is None else ns / NS_PER_MS
