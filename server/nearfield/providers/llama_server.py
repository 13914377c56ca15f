"""llama.cpp's HTTP server (`llama-server`), wherever it runs.

    [providers.desk]
    kind = "llama_server"
    base_url = "http://127.0.0.1:8080"

Options are those of `LlamaServerOptions`. The server answers with the one model it was started
with, whatever is asked for. Prompts keep a stable beginning and `cache_prompt` is on, so the
server's slot evaluates only what is new; it finds the slot by the prompts' likeness.

Infilling uses `/infill`, which knows the model's own control tokens and takes snippets as
`input_extra`. The option `fim_template` is for a model whose file does not mark them: the prompt is
written here and sent to `/completion` as token ids, so that a document cannot forge one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import PurePath
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from nearfield.errors import NotReady, ProviderError, Unsupported
from nearfield.providers import estimate, fim, openai_chat
from nearfield.providers.cut import Cut, answer, server_stops
from nearfield.providers.families import edit_form_of, template_of
from nearfield.providers.http import Http
from nearfield.providers.http_provider import HttpProvider, pickable
from nearfield.providers.openai_chat import Timings, TokenProb
from nearfield.providers.options import Key, ProviderArgs, ServerOptions
from nearfield.types import (
    CHAT_TEMPERATURE,
    Capabilities,
    ChatRequest,
    Delta,
    EditRequest,
    FimTemplate,
    Finish,
    Health,
    HealthState,
    InfillRequest,
    Segment,
    ServedModel,
    Usage,
)

DEFAULT_URL = "http://127.0.0.1:8080"
CHAT_PATH = "/v1/chat/completions"
PLAIN, AUTO = "plain", "auto"
_FINISH = {"eos": Finish.STOP, "word": Finish.STOP, "limit": Finish.LENGTH, "none": Finish.STOP}


class LlamaServerOptions(ServerOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[providers.NAME.options]` of a llama_server."""

    fim_template: str = ""
    """A catalogue name of a FIM form, for a model whose file does not mark its control tokens;
    "plain" for a model that has none: it is shown what precedes the cursor, and no more; "auto"
    finds out whether it has any."""
    chat: bool = True
    """Whether the model has a chat template."""
    chat_temperature: Annotated[float, Meta(ge=0, le=2)] = CHAT_TEMPERATURE
    """Temperature of chats whose request names none."""


class _CompletionChunk(msgspec.Struct, frozen=True):
    content: str
    stop: bool = False
    stop_type: str = "none"
    completion_probabilities: list[TokenProb] | None = None
    tokens_evaluated: int | None = None
    tokens_predicted: int | None = None
    timings: Timings | None = None


class _GenerationSettings(msgspec.Struct, frozen=True):
    n_ctx: int | None = None


class _Props(msgspec.Struct, frozen=True):
    default_generation_settings: _GenerationSettings = msgspec.field(
        default_factory=_GenerationSettings
    )
    model_alias: str = ""
    model_path: str = ""


class Slot(msgspec.Struct, frozen=True):
    """A lane of the server."""

    id: int
    is_processing: bool
    n_ctx: int | None = None


class LlamaServer(HttpProvider):
    """See the module's docstring."""

    def __init__(self, args: ProviderArgs, key: Key | None = None) -> None:
        """Raises `ConfigError`. `key` is for a server that we started ourselves."""
        self._options = options = args.options(LlamaServerOptions)
        url, model = args.settings.base_url or DEFAULT_URL, args.settings.model or "llama-server"
        key = key or args.key(options)
        http = Http(args.name, url, options, key, environ=args.environ, model=model)
        super().__init__(args.name, model, http)
        self._model_named = bool(args.settings.model)
        self._form = options.fim_template
        self._template: FimTemplate | None = None
        if self._form not in ("", PLAIN, AUTO):
            self._template = template_of(args.name, "", self._form)
        self._edit = edit_form_of(args.name, args.settings.model, options.edit_form)
        self._infill = True
        self._context = options.context_tokens

    @property
    def capabilities(self) -> Capabilities:
        """See `Provider`; `infill` turns false once the server has said that its model cannot."""
        local = self._http.local
        return Capabilities(
            infill=self._infill,
            chat=self._options.chat,
            edit=self._edit,
            tools=self._options.chat,
            schema=self._options.chat,
            local=local,
            context_tokens=self._context,
            prefill_rate=self._speed.prefill,
            decode_rate=self._speed.decode,
        )

    async def health(self) -> Health:
        """See `Provider`. Also learns the model's name and context."""
        try:
            await self._http.ask("GET", "/health")
            props: _Props = self._http.convert(await self._http.ask("GET", "/props"), _Props)
        except NotReady as error:
            return Health(HealthState.STARTING, str(error))
        except ProviderError as error:
            return Health(HealthState.UNAVAILABLE, str(error))
        served = (props.model_alias or props.model_path).replace("\\", "/")
        name, context = PurePath(served).name, props.default_generation_settings.n_ctx
        if context and context > 0:
            self._context = context
        if not self._model_named and pickable([ServedModel(name)]):
            self.model = name
        return Health(HealthState.READY, f"{self.model} at {self._http.who.host}.")

    async def slots(self) -> list[Slot]:
        """Return the state of the server's lanes. Raises `Unsupported` when it was not started with
        them."""
        return self._http.convert(await self._http.ask("GET", "/slots"), list[Slot])

    async def infill(self, request: InfillRequest) -> AsyncGenerator[Delta]:
        """See `Provider`."""
        if not self._infill:
            raise self._cannot_infill()
        try:
            async with aclosing(self._fill(request)) as stream:
                async for delta in stream:
                    yield delta
        except Unsupported:
            # It says so before it says anything else.
            self._infill = self._form == AUTO
            if not self._infill:
                raise self._cannot_infill() from None
        else:
            return
        self._form = PLAIN
        async with aclosing(self._fill(request)) as stream:
            async for delta in stream:
                yield delta

    async def _fill(self, request: InfillRequest) -> AsyncGenerator[Delta]:
        if self._form in ("", AUTO):
            path, body, cut = "/infill", _infill(request), Cut.of(request)
        else:
            path, body = "/completion", await self._tokens(fim.render(self._template, request))
            cut = Cut.of(request, self._template.end if self._template else ())
        most = 0 if request.prefill_only else request.max_tokens
        body |= _sampling(most, request.temperature, cut, request.owner)
        pieces = self._pieces(path, body, request.deadline)
        async with aclosing(answer(pieces, request, cut, self.model, self._speed)) as stream:
            async for delta in stream:
                yield delta

    async def edit(self, request: EditRequest) -> AsyncGenerator[Delta]:
        """See `Provider`."""
        if request.is_chat:
            stream = self.chat(ChatRequest.of_edit(request))
        else:
            cut = Cut.of(request)
            body = await self._tokens(request.segments)
            body |= _sampling(request.max_tokens, 0.0, cut)
            pieces = self._pieces("/completion", body, request.deadline)
            stream = answer(pieces, request, cut, self.model, self._speed)
        async with aclosing(stream):
            async for delta in stream:
                yield delta

    async def chat(self, request: ChatRequest) -> AsyncGenerator[Delta]:
        """See `Provider`."""
        body = openai_chat.body(request, self.model, self._options.chat_temperature)
        body["cache_prompt"] = not request.owner
        if not request.tools:
            # The server refuses a stream with both.
            body |= {"logprobs": True, "top_logprobs": 1}
        body["stream_options"] = {"include_usage": True}
        body["stop"] = list(request.stop)
        if not request.thinking:
            body |= openai_chat.without_thinking()
        pieces = openai_chat.stream(self._http, CHAT_PATH, body, self.model, request.deadline)
        stream = answer(pieces, request, Cut.of(request), self.model, self._speed)
        async with aclosing(stream):
            async for delta in stream:
                yield delta

    async def count_tokens(self, text: str) -> int:
        """See `Provider`; exact on this machine, an estimate elsewhere."""
        if not self._http.local:
            return estimate.tokens(text)
        return len(await self._tokenize(Segment(text, special=True)))

    async def models(self) -> list[ServedModel]:
        """See `Provider`: the one that it was started with."""
        await self.health()
        return [ServedModel(self.model, self._context)]

    async def _tokenize(self, segment: Segment) -> list[int]:
        body = {"content": segment.text, "parse_special": segment.special, "add_special": False}
        said = await self._http.ask("POST", "/tokenize", body)
        return self._http.convert(said, _TokenizeReply).tokens

    async def _tokens(self, segments: Sequence[Segment]) -> dict[str, Any]:
        parts = await asyncio.gather(*(self._tokenize(segment) for segment in segments))
        return {"prompt": [token for part in parts for token in part]}

    def _cannot_infill(self) -> Unsupported:
        return Unsupported(
            f"{self.model} at {self._http.who} cannot fill in the middle.",
            "Serve a model that can, such as Qwen2.5-Coder, or set the option fim_template.",
        )

    async def _pieces(
        self, path: str, body: object, deadline: float | None
    ) -> AsyncGenerator[Delta]:
        async with aclosing(self._http.stream(path, body, deadline=deadline)) as events:
            async for data in events:
                piece: _CompletionChunk = self._http.decode(data, _CompletionChunk)
                probs = tuple(p.logprob for p in piece.completion_probabilities or ())
                if not piece.stop:
                    yield Delta(piece.content, probs)
                    continue
                finish = _FINISH.get(piece.stop_type, Finish.STOP)
                yield Delta(piece.content, probs, finish=finish, usage=self._usage(piece))
                return
        raise self._http.broke_off()

    def _usage(self, piece: _CompletionChunk) -> Usage:
        timings = piece.timings or Timings()
        return Usage(
            model=self.model,
            prompt_tokens=piece.tokens_evaluated,
            evaluated_tokens=timings.prompt_n,
            reused_tokens=timings.cache_n,
            generated_tokens=piece.tokens_predicted,
            prefill_ms=timings.prompt_ms,
            decode_ms=timings.predicted_ms,
        )


class _TokenizeReply(msgspec.Struct, frozen=True):
    tokens: list[int]


def _infill(request: InfillRequest) -> dict[str, Any]:
    """Return the body of `/infill`. The typed part of the line is sent as `prompt`, so that the
    tokens above it stay the same from one keystroke to the next."""
    above = request.prefix[: len(request.prefix) - len(request.typed)]
    return {
        "input_prefix": above,
        "input_suffix": request.suffix,
        "input_extra": [{"filename": s.path, "text": s.text} for s in request.snippets],
        "prompt": request.typed,
    }


def _sampling(max_tokens: int, temperature: float, cut: Cut, owner: str = "") -> dict[str, Any]:
    """Return the fields of sampling. The server finds by the text alone what it has evaluated, so
    an owner's requests reuse nothing."""
    return {
        "n_predict": max_tokens,
        "temperature": temperature,
        "stop": server_stops(cut),
        "stream": True,
        "cache_prompt": not owner,
        "n_probs": 1,
    }
