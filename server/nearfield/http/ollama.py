"""Ollama's API, for programs that look for a model of this machine there: `/api/tags` and others.

Its clients have no place for a token. So these paths are there only where the user has named them
(`--ollama`), and a request without the token is answered by this machine's models alone. Models are
neither fetched nor deleted here, and `options` but the few below are not read.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from nearfield.coerce import shallow_object
from nearfield.features.completion.prompting import UNKNOWN_CONTEXT
from nearfield.files.encoding import TEXT_ALONE
from nearfield.http import wire
from nearfield.http.answers import AnswerText
from nearfield.http.asking import DOCUMENT, Asking, role_of, unknown_model
from nearfield.http.embeddings import EMBED_MODEL, MAX_TEXTS, checked_texts, embedder_name, vectors
from nearfield.http.exchange import Answer, HttpExchange
from nearfield.http.wire import (
    CHAT_TOKENS,
    DEADLINE_SECONDS,
    BadRequest,
    Stops,
    Temperature,
    Tokens,
)
from nearfield.providers import estimate
from nearfield.providers.base import Provider
from nearfield.routing.request_context import Task
from nearfield.types import (
    ChatRequest,
    Finish,
    HealthState,
    InfillRequest,
    Message,
    Role,
    Tool,
    ToolCall,
)

API_VERSION = "0.13.5"
"""The version of Ollama whose API this is: clients refuse those that are too old for it."""

LATEST = ":latest"
_REASONS = {Finish.LENGTH: "length", Finish.DEADLINE: "length"}


class AnswerOptions(msgspec.Struct, frozen=True):
    """Limits of an answer."""

    num_predict: Tokens | None = None
    temperature: Temperature | None = None
    stop: Stops = None


class ShowBody(msgspec.Struct, frozen=True):
    """`POST /api/show`."""

    model: str = ""
    name: str = ""


class GenerateBody(msgspec.Struct, frozen=True):
    """`POST /api/generate`. With a `suffix` the hole is filled; a `raw` prompt is continued, or is
    in the form of one family of models. Any other is a question."""

    model: str
    prompt: str = ""
    suffix: str = ""
    system: str = ""
    raw: bool = False
    stream: bool | None = None
    images: list[Any] | None = None
    format: str | dict[str, Any] | None = None
    options: AnswerOptions | None = None

    @property
    def is_hole(self) -> bool:
        """Return whether it asks to complete code, and no question."""
        return bool(self.suffix) or self.raw

    def hole(self) -> InfillRequest:
        """Return the body as a hole to be filled."""
        given = self.options or AnswerOptions()
        return wire.hole(
            DOCUMENT, self.prompt, self.suffix, given.num_predict, given.stop, given.temperature
        )

    def turns(self) -> tuple[Message, ...]:
        """Return the body as a conversation."""
        system = (Message(Role.SYSTEM, self.system),) if self.system else ()
        return (*system, Message(Role.USER, self.prompt))


class OllamaFunction(msgspec.Struct, frozen=True):
    """A function that a model has called."""

    name: str
    arguments: dict[str, Any] | str | None = None

    def text(self) -> str:
        """Return the arguments as JSON text."""
        given = self.arguments or {}
        return given if isinstance(given, str) else json.dumps(given)


class OllamaCall(msgspec.Struct, frozen=True):
    """A call that a model has made."""

    function: OllamaFunction
    id: str = ""


class OllamaTurn(msgspec.Struct, frozen=True):
    """A turn of a conversation."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str | None = None
    images: list[Any] | None = None
    tool_calls: list[OllamaCall] | None = None
    tool_name: str = ""
    tool_call_id: str = ""


class OllamaChatBody(msgspec.Struct, frozen=True):
    """`POST /api/chat`."""

    model: str
    messages: list[OllamaTurn] = msgspec.field(default_factory=list[OllamaTurn])
    tools: list[wire.ToolBody] | None = None
    stream: bool | None = None
    format: str | dict[str, Any] | None = None
    options: AnswerOptions | None = None

    def turns(self) -> tuple[Message, ...]:
        """Return the conversation. Ollama's calls have no ids: a result belongs to the first call
        of its name that has none yet. Raises `BadRequest` for pictures."""
        turns: list[Message] = []
        waiting: list[tuple[str, str]] = []
        for number, turn in enumerate(self.messages):
            _refuse_images(turn.images)
            calls = tuple(
                ToolCall(one.id or f"call_{number}_{place}", one.function.name, one.function.text())
                for place, one in enumerate(turn.tool_calls or ())
            )
            waiting += [(call.name, call.id) for call in calls]
            answered = turn.tool_call_id
            if turn.role == "tool" and not answered:
                fits = [one for one in waiting if turn.tool_name in ("", one[0])]
                if fits:
                    waiting.remove(fits[0])
                    answered = fits[0][1]
            turns.append(Message(Role(turn.role), turn.content or "", calls, answered))
        return tuple(turns)


class EmbedBody(msgspec.Struct, frozen=True):
    """`POST /api/embed`."""

    model: str
    input: str | Annotated[list[str], Meta(min_length=1, max_length=MAX_TEXTS)]
    dimensions: int | None = None


class OldEmbedBody(msgspec.Struct, frozen=True):
    """`POST /api/embeddings`, of one text."""

    model: str
    prompt: str


class OllamaApi:
    """See the module."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    def paths(self) -> Mapping[str, tuple[str, Answer]]:
        """Return the method of HTTP and the handler of each path."""
        return {
            "/": ("GET", self._alive),
            "/api/version": ("GET", self._version),
            "/api/tags": ("GET", self._tags),
            "/api/ps": ("GET", self._running),
            "/api/show": ("POST", self._show),
            "/api/generate": ("POST", self._generate),
            "/api/chat": ("POST", self._chat),
            "/api/embed": ("POST", self._embed),
            "/api/embeddings": ("POST", self._old_embed),
        }

    async def _alive(self, exchange: HttpExchange, body: bytes) -> None:
        await exchange.text("Nearfield is running")

    async def _version(self, exchange: HttpExchange, body: bytes) -> None:
        await exchange.json({"version": API_VERSION})

    # --- models -----------------------------------------------------------------------------

    async def _tags(self, exchange: HttpExchange, body: bytes) -> None:
        names = self._asking.names(exchange)
        first = [(name, self._first(name)) for name in names]
        rows = [_row(name, provider.model) for name, provider in first if provider]
        if embedder := await embedder_name():
            rows.append(_row(EMBED_MODEL, embedder))
        await exchange.json({"models": rows})

    async def _running(self, exchange: HttpExchange, body: bytes) -> None:
        rows: list[dict[str, Any]] = []
        for name in self._asking.names(exchange):
            provider = self._first(name)
            # Asking a server outside this machine would be a connection.
            if provider is None or not provider.capabilities.local:
                continue
            if (await provider.health()).state is HealthState.READY:
                context = provider.capabilities.context_tokens or UNKNOWN_CONTEXT
                row = _row(name, provider.model) | {"context_length": context}
                rows.append({**row, "expires_at": _now(), "size_vram": 0})
        await exchange.json({"models": rows})

    async def _show(self, exchange: HttpExchange, body: bytes) -> None:
        asked = wire.read(ShowBody, body)
        name = _plain(asked.model or asked.name)
        context = UNKNOWN_CONTEXT
        if name == EMBED_MODEL and (model := await embedder_name()):
            abilities = {"embedding": True}
        else:
            _role(name)
            provider = self._first(name)
            if provider is None:
                raise unknown_model(name)
            can, model = provider.capabilities, provider.model
            context = can.context_tokens or context
            abilities = {"completion": can.chat or can.infill, "insert": can.infill}
            abilities["tools"] = can.tools and can.chat
        row = _row(name, model)
        await exchange.json(
            {
                "modelfile": "",
                "parameters": "",
                "template": "",
                "license": "",
                "modified_at": row["modified_at"],
                "details": row["details"],
                "model_info": {
                    "general.architecture": "nearfield",
                    "general.basename": model,
                    "nearfield.context_length": context,
                },
                "capabilities": [ability for ability, has in abilities.items() if has],
            }
        )

    def _first(self, name: str) -> Provider | None:
        """Return the provider that answers first to a model's name, None without one."""
        return self._asking.named(name.partition("/")[2])

    # --- answers ----------------------------------------------------------------------------

    async def _generate(self, exchange: HttpExchange, body: bytes) -> None:
        asked = wire.read(GenerateBody, body)
        role = _role(asked.model)
        _refuse_images(asked.images)
        form = OllamaForm(asked.model, is_chat=False)
        stream = asked.stream is not False
        if not asked.prompt and not asked.suffix:
            await self._loaded(exchange, form, stream=stream)
        elif asked.is_hole:
            if role not in ("", "complete"):
                raise BadRequest("Holes are filled by the model 'nearfield'.", "model")
            async with self._asking.hole(exchange) as router:
                context = self._asking.context(exchange, Task.COMPLETE)
                route = router.infill(asked.hole(), context)
                await self._asking.say(exchange, route, form, stream=stream)
        else:
            request = _request(asked.turns(), asked.format, asked.options)
            await self._asking.chat(exchange, request, role, form, stream=stream)

    async def _chat(self, exchange: HttpExchange, body: bytes) -> None:
        asked = wire.read(OllamaChatBody, body)
        role, turns = _role(asked.model), asked.turns()
        form = OllamaForm(asked.model, is_chat=True)
        stream = asked.stream is not False
        if not turns:
            await self._loaded(exchange, form, stream=stream)
            return
        tools = tuple(one.tool() for one in asked.tools or ())
        if tools and asked.format:
            raise BadRequest("tools and a format exclude each other.", "format")
        request = _request(turns, asked.format, asked.options, tools)
        await self._asking.chat(exchange, request, role, form, stream=stream)

    async def _loaded(self, exchange: HttpExchange, form: OllamaForm, *, stream: bool) -> None:
        """Answer a request without any question. It asks to load the model, which the first
        question does here."""
        said = AnswerText("")
        async with self._asking.place(exchange, "chat"):
            await self._asking.say_whole(exchange, said, form.loading(), stream=stream)

    async def _embed(self, exchange: HttpExchange, body: bytes) -> None:
        asked = wire.read(EmbedBody, body)
        begun = time.monotonic_ns()
        texts = checked_texts(asked.input)
        model = _plain(asked.model)
        found = await vectors(self._asking, exchange, texts, model, asked.dimensions)
        await exchange.json(
            {
                "model": found.model,
                "embeddings": found.rows,
                "total_duration": time.monotonic_ns() - begun,
                "load_duration": 0,
                "prompt_eval_count": sum(map(estimate.tokens, texts)),
            }
        )

    async def _old_embed(self, exchange: HttpExchange, body: bytes) -> None:
        asked = wire.read(OldEmbedBody, body)
        found = await vectors(
            self._asking, exchange, checked_texts(asked.prompt), _plain(asked.model)
        )
        await exchange.json({"embedding": found.rows[0]})


class OllamaForm:
    """See `answers.Form`: objects of `/api/generate`, or of `/api/chat`."""

    def __init__(self, model: str, *, is_chat: bool) -> None:
        self._model = model
        self._is_chat = is_chat
        self._begun = time.monotonic_ns()
        self._reason = ""

    def loading(self) -> OllamaForm:
        """Return the form of an answer to no question."""
        self._reason = "load"
        return self

    def whole(self, said: AnswerText) -> dict[str, Any]:
        """See `Form`."""
        return {**self._object(said.text, said.calls), **self._ended(said)}

    def begin(self, model: str) -> Sequence[dict[str, Any]]:
        """See `Form`."""
        return ()

    def piece(self, model: str, text: str, calls: tuple[ToolCall, ...]) -> Sequence[dict[str, Any]]:
        """See `Form`."""
        return ({**self._object(text, calls), "done": False},)

    def end(self, said: AnswerText) -> Sequence[dict[str, Any]]:
        """See `Form`."""
        return ({**self._object("", ()), **self._ended(said)},)

    def _object(self, text: str, calls: tuple[ToolCall, ...]) -> dict[str, Any]:
        head = {"model": self._model, "created_at": _now()}
        if not self._is_chat:
            return {**head, "response": text}
        message: dict[str, Any] = {"role": "assistant", "content": text}
        if calls:
            message["tool_calls"] = [
                {
                    "id": call.id,
                    "function": {"name": call.name, "arguments": shallow_object(call.arguments)},
                }
                for call in calls
            ]
        return {**head, "message": message}

    def _ended(self, said: AnswerText) -> dict[str, Any]:
        """Return why an answer ended, and its cost, in nanoseconds."""
        usage = said.usage
        return {
            "done": True,
            "done_reason": self._reason or _REASONS.get(said.finish, "stop"),
            "total_duration": time.monotonic_ns() - self._begun,
            "load_duration": 0,
            "prompt_eval_count": (usage.prompt_tokens or 0) if usage else 0,
            "prompt_eval_duration": _ns(usage.prefill_ms if usage else None),
            "eval_count": (usage.generated_tokens or 0) if usage else 0,
            "eval_duration": _ns(usage.decode_ms if usage else None),
        }


def _row(name: str, model: str) -> dict[str, Any]:
    """Return a model as lists show it."""
    return {
        "name": f"{name}{LATEST}",
        "model": f"{name}{LATEST}",
        "modified_at": _now(),
        "size": 0,
        "digest": sha256(f"{name} {model}".encode()).hexdigest(),
        "details": {
            "parent_model": "",
            "format": "gguf",
            "family": model,
            "families": [model],
            "parameter_size": "",
            "quantization_level": "",
        },
    }


def _request(
    turns: tuple[Message, ...],
    wanted: str | dict[str, Any] | None,
    options: AnswerOptions | None,
    tools: tuple[Tool, ...] = (),
) -> ChatRequest:
    """Return a conversation to continue. Raises `BadRequest` for an unknown format."""
    if wanted not in (None, "", "json") and not isinstance(wanted, dict):
        raise BadRequest("The format can be 'json' or a JSON schema.", "format")
    schema = wanted if isinstance(wanted, dict) else {"type": "object"} if wanted else None
    given = options or AnswerOptions()
    return ChatRequest(
        messages=turns,
        tools=tools,
        schema=schema,
        max_tokens=wire.limit(given.num_predict) or CHAT_TOKENS,
        temperature=given.temperature,
        stop=wire.stops(given.stop),
        deadline=time.monotonic() + DEADLINE_SECONDS,
    )


def _plain(model: str) -> str:
    return model.removesuffix(LATEST)


def _role(model: str) -> str:
    """Return the role of a model's name. Raises `BadRequest`."""
    return role_of(_plain(model))


def _refuse_images(images: list[Any] | None) -> None:
    if images:
        raise BadRequest(f"Pictures are not read. {TEXT_ALONE}", "images")


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def _ns(milliseconds: float | None) -> int:
    return int((milliseconds or 0.0) * 1_000_000)
