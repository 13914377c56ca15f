"""Check the clients' bodies and convert them into internal requests.

Clients write every field of the API, null where they set none, and limits of other models. So every
field is converted to its type if possible (`nearfield.coerce`), and unknown fields are ignored, as
every server of this kind does. A known one that cannot be used is an error that names it.
"""

from __future__ import annotations

import json
import time
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta, field

from nearfield.coerce import CoercionError, NotJson, convert, loads
from nearfield.errors import NearfieldError
from nearfield.files.encoding import TEXT_ALONE
from nearfield.http import fim_prompt
from nearfield.json_schema import SchemaUnusable, check
from nearfield.types import (
    MAX_ANSWER_TOKENS,
    ChatRequest,
    InfillRequest,
    Message,
    Role,
    Tool,
    ToolCall,
)

MODEL = "nearfield"
"""The one model of this server; which model it is in the end, routing decides by the task."""

DEADLINE_SECONDS = 600.0
"""Clients have their own patience and hang up; this ends what they have forgotten."""

COMPLETION_TOKENS = 64
CHAT_TOKENS = 1024

Tokens = Annotated[int, Meta(le=MAX_ANSWER_TOKENS)]
"""An upper limit; None for 0 and below, with which clients say that they set no limit."""
Temperature = Annotated[float, Meta(ge=0, le=2)]
Stops = str | Annotated[list[str | None], Meta(max_length=16)] | None


class BadRequest(NearfieldError):
    """A request that cannot be answered. `param` names the field, `code` is OpenAI's. After
    `wait_seconds` it is worth asking again; 0 where that is not known."""

    def __init__(
        self,
        message: str,
        param: str = "",
        code: str = "",
        status: int = 400,
        hint: str = "",
        wait_seconds: float = 0.0,
    ) -> None:
        super().__init__(message, hint)
        self.param, self.code, self.status = param, code, status
        self.wait_seconds = wait_seconds


class StreamOptions(msgspec.Struct, frozen=True):
    """Additions to a stream besides the answer."""

    include_usage: bool = False


class RoleBody(msgspec.Struct, frozen=True):
    """A role whose model is loaded or unloaded; "" for the completing one, or for all."""

    role: str = ""


class CompletionBody(msgspec.Struct, frozen=True):
    """`POST /v1/completions`."""

    prompt: str | Annotated[list[str], Meta(min_length=1, max_length=1)]
    model: str = MODEL
    suffix: str | None = None
    max_tokens: Tokens | None = None
    temperature: Temperature | None = None
    stop: Stops = None
    stream: bool = False
    stream_options: StreamOptions | None = None
    n: Literal[1] | None = None
    best_of: Literal[1] | None = None
    echo: Literal[False] | None = None

    def request(self, document: str) -> InfillRequest:
        """Return the body as a hole to be filled; `document` identifies the KV cache to share."""
        prompt = self.prompt if isinstance(self.prompt, str) else self.prompt[0]
        return hole(
            document, prompt, self.suffix or "", self.max_tokens, self.stop, self.temperature
        )


class WireFunction(msgspec.Struct, frozen=True):
    """A function that may be called."""

    name: Annotated[str, Meta(min_length=1, max_length=64)]
    description: str | None = None
    parameters: dict[str, Any] | None = None


class ToolBody(msgspec.Struct, frozen=True):
    """A tool; there are only functions."""

    function: WireFunction
    type: Literal["function"] = "function"

    def tool(self) -> Tool:
        """Return it as a `Tool`. Raises `BadRequest`."""
        return tool(self.function.name, self.function.description, self.function.parameters)


class WireFunctionCall(msgspec.Struct, frozen=True):
    """A function that a model has called, with its arguments as JSON text."""

    name: str
    arguments: str | dict[str, Any] = "{}"

    def text(self) -> str:
        """The arguments as JSON text."""
        return self.arguments if isinstance(self.arguments, str) else json.dumps(self.arguments)


class CallBody(msgspec.Struct, frozen=True, kw_only=True):
    """A call that a model has made."""

    id: str = ""
    function: WireFunctionCall


class ContentPart(msgspec.Struct, frozen=True):
    """A part of a message's content."""

    type: str
    text: str = ""


class WireMessage(msgspec.Struct, frozen=True):
    """A message of the conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[ContentPart] | None = None
    tool_calls: list[CallBody] | None = None
    tool_call_id: str = ""

    def message(self) -> Message:
        """Return the turn as a `Message`. Raises `BadRequest` for pictures and sounds."""
        role = Role.SYSTEM if self.role == "developer" else Role(self.role)
        calls = tuple(
            ToolCall(call.id, call.function.name, call.function.text())
            for call in self.tool_calls or ()
        )
        return Message(role, self._text(), calls, self.tool_call_id)

    def _text(self) -> str:
        if not isinstance(self.content, list):
            return self.content or ""
        if other := next((part.type for part in self.content if part.type != "text"), ""):
            raise BadRequest(not_read(other), "messages")
        return "".join(part.text for part in self.content)


class Schema(msgspec.Struct, frozen=True):
    """A JSON schema with a name."""

    schema: dict[str, Any] = field(default_factory=dict[str, Any])
    name: str = "answer"


class ResponseFormat(msgspec.Struct, frozen=True):
    """Format of the answer."""

    type: Literal["text", "json_object", "json_schema"] = "text"
    json_schema: Schema | None = None


class ChatBody(msgspec.Struct, frozen=True):
    """`POST /v1/chat/completions`."""

    messages: Annotated[list[WireMessage], Meta(min_length=1)]
    model: str = MODEL
    max_tokens: Tokens | None = None
    max_completion_tokens: Tokens | None = None
    temperature: Temperature | None = None
    stop: Stops = None
    stream: bool = False
    stream_options: StreamOptions | None = None
    tools: list[ToolBody] | None = None
    tool_choice: str | dict[str, Any] | None = None
    response_format: ResponseFormat = field(default_factory=ResponseFormat)
    n: Literal[1] | None = None

    def schema(self) -> dict[str, Any] | None:
        """Return the answer's JSON schema, None for free text. Raises `BadRequest`."""
        wanted = self.response_format
        if wanted.type == "json_object":
            return {"type": "object"}
        if wanted.type == "text":
            return None
        if wanted.json_schema is None:
            raise BadRequest("response_format has no json_schema.", "response_format")
        return wanted.json_schema.schema

    def request(self) -> ChatRequest:
        """Return the body as a conversation to continue. Raises `BadRequest`."""
        if self.tool_choice not in (None, "none", "auto"):
            raise BadRequest("tool_choice can be 'none' or 'auto'.", "tool_choice")
        offered = () if self.tool_choice == "none" else self.tools or ()
        if offered and self.schema() is not None:
            raise BadRequest("tools and a response_format exclude each other.", "response_format")
        return ChatRequest(
            messages=tuple(turn.message() for turn in self.messages),
            tools=tuple(one.tool() for one in offered),
            schema=self.schema(),
            max_tokens=(limit(self.max_completion_tokens) or limit(self.max_tokens) or CHAT_TOKENS),
            temperature=self.temperature,
            stop=stops(self.stop),
            deadline=time.monotonic() + DEADLINE_SECONDS,
        )


Body = TypeVar("Body", bound=msgspec.Struct)


def not_read(kind: str) -> str:
    """Return the sentence for content of a type that is no text."""
    return (
        f"Content of the type {kind[:40]!r} is not read, only text: no pictures, no sounds."
        f" {TEXT_ALONE}"
    )


def read(kind: type[Body], raw: bytes) -> Body:
    """The body of a request. Raises `BadRequest`, whose message names the field."""
    try:
        return convert(kind, loads(raw))
    except NotJson as error:
        raise BadRequest("The body is not JSON in UTF-8, or it is nested too deeply.") from error
    except CoercionError as error:
        where = error.place.removeprefix("$").removeprefix(".")
        what = f"The field {where!r} is missing or wrong." if where else "The body is no object."
        raise BadRequest(what, where) from error
    except msgspec.ValidationError as error:
        said, _, where = str(error).partition(" - at `$.")
        raise BadRequest(f"{error}.", where.rstrip("`") if said else "") from error


def hole(
    document: str,
    prompt: str,
    suffix: str,
    max_tokens: int | None,
    stop: Stops,
    temperature: float | None,
) -> InfillRequest:
    """Return the request to continue `prompt` up to `suffix`. Without one the prompt may be in the
    form of a family of models."""
    found = fim_prompt.Hole(prompt, suffix)
    if not suffix:
        found = fim_prompt.read(prompt) or found
    return InfillRequest(
        document=document,
        path="",
        language="",
        prefix=found.prefix,
        suffix=found.suffix,
        typed=found.prefix.rpartition("\n")[2],
        max_tokens=limit(max_tokens) or COMPLETION_TOKENS,
        stop=stops(stop),
        temperature=temperature or 0.0,
        deadline=time.monotonic() + DEADLINE_SECONDS,
        patient=True,
    )


def limit(tokens: int | None) -> int | None:
    """Return a limit of tokens, None where a client sets none."""
    return tokens if tokens is not None and tokens > 0 else None


def tool(name: str, description: str | None, parameters: dict[str, Any] | None) -> Tool:
    """Return a function that the model may call. Raises `BadRequest` for parameters that no model
    can be held to."""
    schema: dict[str, Any] = parameters or {"type": "object", "properties": {}}
    try:
        check(schema)
    except SchemaUnusable as error:
        raise BadRequest(f"The parameters of {name}: {error}", "tools") from error
    return Tool(name, description or "", schema)


def stops(said: Stops) -> tuple[str, ...]:
    """Return the texts that end an answer."""
    return tuple(filter(None, [said] if isinstance(said, str) else said or []))
