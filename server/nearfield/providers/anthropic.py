"""Claude, by Anthropic's Messages API.

    [providers.claude]
    kind = "anthropic"
    model = "claude-sonnet-5"
    options = { api_key_env = "ANTHROPIC_API_KEY" }

Options are those of `AnthropicOptions`. The service's prompt cache keeps the parts of a
conversation that seldom change. A JSON schema is met through a tool that the model has to call. It
does not fill in; tokens are estimated, since counting them would send the
text.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import msgspec

from nearfield.coerce import shallow_object
from nearfield.errors import BadAnswer
from nearfield.providers import address
from nearfield.providers.cut import Cut, finished
from nearfield.providers.http import Http
from nearfield.providers.http_provider import BegunCall, HttpProvider, pickable
from nearfield.providers.options import ProviderArgs, ServerOptions
from nearfield.types import (
    Capabilities,
    ChatRequest,
    Delta,
    Finish,
    Health,
    Message,
    Role,
    ServedModel,
    ToolCall,
    Usage,
)

DEFAULT_URL = "https://api.anthropic.com"
DEFAULT_MODEL = "claude-sonnet-5"
API_VERSION = "2023-06-01"
CONTEXT_TOKENS = 200_000
"""The context of every current model; longer ones are a beta that has to be requested."""
ANSWER_TOOL = "answer"
"""The tool that a model must call to give an answer by a schema."""

_FINISH = {"max_tokens": Finish.LENGTH, "model_context_window_exceeded": Finish.LENGTH}
"""Finish by the service's `stop_reason`; STOP by any other."""
_CACHED = {"type": "ephemeral"}


class AnthropicOptions(ServerOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[providers.NAME.options]` of an anthropic."""

    temperature: bool = False
    """Whether to send a temperature; the newest models refuse one."""


class _AnthropicUsage(msgspec.Struct, frozen=True):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None


class _MessageStart(msgspec.Struct, frozen=True):
    usage: _AnthropicUsage


class _ContentBlock(msgspec.Struct, frozen=True):
    type: str
    id: str = ""
    name: str = ""


class _EventDelta(msgspec.Struct, frozen=True):
    type: str = ""
    text: str = ""
    partial_json: str = ""
    stop_reason: str | None = None


class _AnthropicEvent(msgspec.Struct, frozen=True):
    type: str
    index: int = 0
    message: _MessageStart | None = None
    content_block: _ContentBlock | None = None
    delta: _EventDelta | None = None
    usage: _AnthropicUsage | None = None
    error: object = None


class _Listed(msgspec.Struct, frozen=True):
    id: str


class _AnthropicModels(msgspec.Struct, frozen=True):
    data: list[_Listed]


class Anthropic(HttpProvider):
    """See the module's docstring."""

    def __init__(self, args: ProviderArgs) -> None:
        """Raises `ConfigError`."""
        self._options = options = args.options(AnthropicOptions)
        url = address.checked(args.name, args.settings.base_url or DEFAULT_URL)
        model = args.settings.model or DEFAULT_MODEL
        own = address.host_of(url) == address.host_of(DEFAULT_URL)
        usual_env = ("ANTHROPIC_API_KEY",) if own else ()
        key = args.key(options, usual_env, required=not address.is_loopback(url))
        headers = {"anthropic-version": API_VERSION, **options.headers}
        http = Http(
            args.name,
            url,
            msgspec.structs.replace(options, headers=headers),
            key,
            environ=args.environ,
            model=model,
            authorise=None if options.user else lambda value: {"x-api-key": value},
        )
        http.list_models = self.models
        super().__init__(args.name, model, http)

    @property
    def capabilities(self) -> Capabilities:
        """See `Provider`."""
        return Capabilities(
            chat=True,
            tools=True,
            schema=True,
            local=self._http.local,
            context_tokens=self._options.context_tokens or CONTEXT_TOKENS,
        )

    async def health(self) -> Health:
        """See `Provider`: checks that the service knows the key and the model."""
        return await self._listed_health(must_list=not self._http.loopback)

    async def models(self) -> list[ServedModel]:
        """See `Provider`."""
        found: _AnthropicModels = self._http.convert(
            await self._http.ask("GET", "/v1/models?limit=1000"), _AnthropicModels
        )
        return pickable(ServedModel(model.id) for model in found.data)

    async def chat(self, request: ChatRequest) -> AsyncGenerator[Delta]:
        """See `Provider`."""
        pieces = self._pieces(request)
        stream = finished(pieces, Cut.of(request), self.model, request.deadline)
        async with aclosing(stream):
            async for delta in stream:
                yield delta

    async def _pieces(self, request: ChatRequest) -> AsyncGenerator[Delta]:
        http, by_schema = self._http, request.schema is not None
        body = _body(request, self.model, temperature=self._options.temperature)
        calls: dict[int, BegunCall] = {}
        finish: Finish | None = None
        read, written = _AnthropicUsage(), _AnthropicUsage()
        events = http.stream("/v1/messages", body, deadline=request.deadline)
        async with aclosing(events):
            async for data in events:
                event: _AnthropicEvent = http.decode(data, _AnthropicEvent)
                block, piece = event.content_block, event.delta
                if event.type == "error":
                    raise http.failed(event.error)
                if event.message is not None:
                    read = event.message.usage
                elif block is not None and block.type == "tool_use":
                    calls[event.index] = BegunCall(block.id, block.name)
                elif event.type == "message_delta" and piece is not None:
                    written = event.usage or written
                    if piece.stop_reason == "refusal":
                        raise BadAnswer(f"{http.who} declined to answer.", "Ask it another way.")
                    finish = _FINISH.get(piece.stop_reason or "", Finish.STOP)
                elif piece is not None and piece.text and not by_schema:
                    yield Delta(piece.text)
                elif piece is not None and (call := calls.get(event.index)):
                    if call.name == ANSWER_TOOL and by_schema:
                        yield Delta(piece.partial_json)
                    call.arguments.append(piece.partial_json)
        if finish is None:
            raise http.broke_off()
        made = tuple(
            ToolCall(call.id, call.name, "".join(call.arguments) or "{}")
            for _, call in sorted(calls.items())
            if not (by_schema and call.name == ANSWER_TOOL)
        )
        reused = read.cache_read_input_tokens
        evaluated = (read.input_tokens or 0) + (read.cache_creation_input_tokens or 0)
        usage = Usage(
            model=self.model,
            prompt_tokens=evaluated + (reused or 0),
            evaluated_tokens=evaluated,
            reused_tokens=reused,
            generated_tokens=written.output_tokens,
        )
        if made and finish is Finish.STOP:
            finish = Finish.TOOLS
        yield Delta(tool_calls=made, finish=finish, usage=usage)


def _body(request: ChatRequest, model: str, *, temperature: bool) -> dict[str, Any]:
    """Return the request for `/v1/messages`.

    The service's cache keeps the tools and the system text, which most requests share, and the
    earlier turns if the conversation continues. Writing to the cache costs a quarter more than
    reading, so a single question is not written.
    """
    system = [m.content for m in request.messages if m.role is Role.SYSTEM and m.content]
    turns = _turns(request.messages)
    body: dict[str, Any] = {
        "model": model,
        "max_tokens": request.max_tokens,
        "messages": turns,
        "stream": True,
    }
    if temperature:
        body["temperature"] = min(1.0, request.temperature_or())
    if stop := [text for text in request.stop if text.strip()]:
        body["stop_sequences"] = stop  # the service refuses blank ones; `Cut` applies them
    if system:
        blocks: list[dict[str, Any]] = [{"type": "text", "text": text} for text in system]
        blocks[-1]["cache_control"] = _CACHED
        body["system"] = blocks
    tools: list[dict[str, Any]] = [
        {"name": t.name, "description": t.description, "input_schema": dict(t.parameters)}
        for t in request.tools
    ]
    if request.schema is not None:
        answer = "Give the final answer by calling this tool."
        schema = dict(request.schema)
        tools.append({"name": ANSWER_TOOL, "description": answer, "input_schema": schema})
        # Other tools may be called first; without any, this one has to be.
        body["tool_choice"] = (
            {"type": "any"} if request.tools else {"type": "tool", "name": ANSWER_TOOL}
        )
    if tools:
        tools[-1]["cache_control"] = _CACHED
        body["tools"] = tools
    if turns and (request.tools or any(m.role is Role.ASSISTANT for m in request.messages)):
        turns[-1]["content"][-1]["cache_control"] = _CACHED
    return body


def _turns(messages: tuple[Message, ...]) -> list[dict[str, Any]]:
    """Return alternating turns of user and assistant; results of tools are the user's."""
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
    blocks: list[dict[str, Any]] = []
    if message.content.strip():  # the service refuses empty text
        blocks.append({"type": "text", "text": message.content})
    for call in message.tool_calls:
        use: dict[str, Any] = {"type": "tool_use", "id": call.id, "name": call.name}
        blocks.append({**use, "input": shallow_object(call.arguments)})
    return blocks
