"""Servers that speak OpenAI's protocol: chat completions, completions, models.

    [providers.studio]
    kind = "openai_compatible"
    model = "qwen2.5-coder-7b"
    options = { preset = "lmstudio" }

Options are those of `OpenAIOptions`; presets are in `presets.py`.

Filling in takes the preset's way: `suffix` beside `prompt`, or a raw prompt in the model family's
control tokens (known from the model's name, or set by `fim_template`). At most four stop texts are
sent, the most that OpenAI and vLLM take; all of them are honoured here.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any
from urllib.parse import quote

import msgspec

from nearfield.errors import ConfigError, Unsupported
from nearfield.providers import address, fim, openai_chat
from nearfield.providers.cut import Cut, answer, server_stops
from nearfield.providers.families import edit_form_of, raw_prompt, template_of
from nearfield.providers.http import Http
from nearfield.providers.http_provider import HttpProvider, pickable
from nearfield.providers.openai_chat import MAX_STOPS
from nearfield.providers.options import ProviderArgs, ServerOptions
from nearfield.providers.presets import PRESETS, Infill, Preset
from nearfield.types import (
    Capabilities,
    ChatRequest,
    Delta,
    EditForm,
    EditRequest,
    Health,
    InfillRequest,
    ServedModel,
)

MERCURY_PATH = "/edit/completions"
"""The path of Inception's service for edit prompts, which takes them as a chat."""


_REASONS = re.compile(r"(?:gpt-[5-9]|o[1-9])", re.IGNORECASE)
"""OpenAI's models that think; the others refuse to be told how much."""


class OpenAIOptions(ServerOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[providers.NAME.options]` of an openai_compatible."""

    preset: str = ""
    """Which server it is: lmstudio, vllm, sglang, litellm, lemonade, foundry_local, openvino,
    openai, azure, gemini, mistral or deepseek; empty for any other."""
    infill: Infill | None = None
    """How to fill in: "suffix", "template" or "none"; unset takes the preset's way."""
    fim_template: str = ""
    """A catalogue name of a FIM form, for `infill = "template"`; empty goes by the model's name."""
    api_version: str = ""
    """Azure's `api-version`."""
    chat: bool = True
    """Whether `model` chats."""
    tools: bool = True
    """Whether `model` calls tools."""
    schema: bool = True
    """Whether the server takes a JSON schema as `response_format`."""
    temperature: bool = True
    """Whether to send a temperature: some reasoning models refuse one."""
    logprobs: bool | None = None
    """Whether to ask for log-probabilities; unset takes the preset's way."""


class _ListedModel(msgspec.Struct, frozen=True):
    id: str
    max_model_len: int | None = None


class _ModelList(msgspec.Struct, frozen=True):
    data: list[_ListedModel]


class OpenAICompatible(HttpProvider):
    """See the module's docstring."""

    def __init__(self, args: ProviderArgs) -> None:
        """Raises `ConfigError`."""
        self._options = options = args.options(OpenAIOptions)
        if options.preset not in PRESETS:
            raise ConfigError(
                f"The provider {args.name} names an unknown preset: {options.preset}.",
                f"It may be one of: {', '.join(filter(None, PRESETS))}.",
            )
        self._preset = preset = PRESETS[options.preset]
        http = _http(args, options, preset)
        http.list_models = self.models
        super().__init__(args.name, args.settings.model, http)
        infill = options.infill or preset.infill
        self._template = None
        if infill == "template":
            self._template = template_of(args.name, self.model, options.fim_template)
        self._edit = edit_form_of(args.name, self.model, options.edit_form)
        self._suffix = infill == "suffix"
        self._logprobs = preset.logprobs if options.logprobs is None else options.logprobs
        self._context = options.context_tokens

    @property
    def capabilities(self) -> Capabilities:
        """See `Provider`."""
        options = self._options
        return Capabilities(
            infill=self._suffix or self._template is not None,
            chat=options.chat,
            edit=self._edit,
            tools=options.chat and options.tools,
            schema=options.chat and options.schema,
            local=self._http.local,
            context_tokens=self._context,
            prefill_rate=self._speed.prefill,
            decode_rate=self._speed.decode,
        )

    async def health(self) -> Health:
        """See `Provider`: whether the server lists the model."""
        # Azure lists models, and is asked by deployment.
        return await self._listed_health(must_list=self._preset.name != "azure")

    async def infill(self, request: InfillRequest) -> AsyncGenerator[Delta]:
        """See `Provider`. Servers of this kind cannot read a prompt ahead: `prefill_only` asks for
        one token."""
        body, cut = self._hole(request)
        path = self._path(self._preset.infill_path)
        async with aclosing(self._stream(path, body, request, cut)) as stream:
            async for delta in stream:
                yield delta

    async def edit(self, request: EditRequest) -> AsyncGenerator[Delta]:
        """See `Provider`."""
        cut = Cut.of(request)
        body: dict[str, Any] = {"model": self.model}
        if request.is_chat:
            body = openai_chat.body(ChatRequest.of_edit(request), self.model)
            body[self._preset.max_tokens_field] = body.pop("max_tokens")
        else:
            body |= {"prompt": request.text, "max_tokens": request.max_tokens, "temperature": 0.0}
            body |= {"stream": True} | ({"logprobs": 1} if self._logprobs else {})
        if stop := server_stops(cut)[:MAX_STOPS]:
            body["stop"] = stop
        path = self._preset.chat_path if request.is_chat else self._preset.infill_path
        if self._edit is EditForm.MERCURY:
            path = MERCURY_PATH
        async with aclosing(
            self._stream(self._path(path), self._adapted(body), request, cut)
        ) as stream:
            async for delta in stream:
                yield delta

    async def chat(self, request: ChatRequest) -> AsyncGenerator[Delta]:
        """See `Provider`."""
        if not self._options.chat:
            raise Unsupported(f"{self.model} at {self._http.who} does not chat.")
        body = self._adapted(openai_chat.body(request, self.model))
        body[self._preset.max_tokens_field] = body.pop("max_tokens")
        if self._logprobs and not request.tools:
            # llama.cpp's server refuses a stream with both.
            body["logprobs"] = True
        if not request.thinking:
            body |= self._without_thinking()
        path = self._path(self._preset.chat_path)
        async with aclosing(self._stream(path, body, request, Cut.of(request))) as stream:
            async for delta in stream:
                yield delta

    async def models(self) -> list[ServedModel]:
        """See `Provider`."""
        said = await self._http.ask("GET", self._preset.models_path)
        # Gemini writes "models/" before its names and takes them without.
        found: list[_ListedModel] = self._http.convert(said, _ModelList).data
        served = pickable(
            ServedModel(one.id.removeprefix("models/"), one.max_model_len) for one in found
        )
        for model in served:
            if model.name == self.model and model.context_tokens:
                self._context = model.context_tokens
        return served

    def _without_thinking(self) -> dict[str, Any]:
        """Return what keeps the model from thinking, or from thinking long, where it can."""
        if self._preset.thinking_off == "effort" and _REASONS.match(self.model):
            return {"reasoning_effort": "low"}
        return openai_chat.without_thinking() if self._preset.thinking_off == "template" else {}

    def _path(self, path: str) -> str:
        return path.replace("{model}", quote(self.model, safe=""))

    def _hole(self, request: InfillRequest) -> tuple[dict[str, Any], Cut]:
        """Return the body and the cut of a request to fill in."""
        body: dict[str, Any] = {
            "model": self.model,
            "max_tokens": 1 if request.prefill_only else request.max_tokens,
            "temperature": request.temperature,
            "stream": True,
        }
        if self._suffix:
            # Snippets precede the file: there is no other place for them here.
            loose = fim.as_text(fim.render(None, request))
            body |= {"prompt": loose, "suffix": request.suffix}
            cut = Cut.of(request)
        elif self._template is not None:
            segments = fim.render(self._template, request)
            body["prompt"] = raw_prompt(self._template, segments)
            cut = Cut.of(request, self._template.end)
        else:
            raise Unsupported(
                f"{self.model} at {self._http.who} cannot fill in the middle.",
                'Set the option fim_template, or infill = "suffix" when the server takes one.',
            )
        if stop := server_stops(cut)[:MAX_STOPS]:
            body["stop"] = stop
        if self._logprobs:
            body["logprobs"] = 1
        return self._adapted(body), cut

    def _adapted(self, body: dict[str, Any]) -> dict[str, Any]:
        """`body` without what this server does not take, and with what it needs."""
        if not self._options.temperature:
            del body["temperature"]
        if self._preset.stream_usage:
            body["stream_options"] = {"include_usage": True}
        return body

    def _stream(
        self,
        path: str,
        body: dict[str, Any],
        request: InfillRequest | EditRequest | ChatRequest,
        cut: Cut,
    ) -> AsyncGenerator[Delta]:
        if self._preset.salts and not isinstance(request, EditRequest) and request.owner:
            body = {**body, "cache_salt": request.owner}
        pieces = openai_chat.stream(self._http, path, body, self.model, request.deadline)
        return answer(pieces, request, cut, self.model, self._speed)


def _http(args: ProviderArgs, options: OpenAIOptions, preset: Preset) -> Http:
    """Return the connection of a provider. Raises `ConfigError`."""
    url = args.settings.base_url or preset.base_url
    if not url:
        raise ConfigError(f"The provider {args.name} needs a base_url.")
    url = address.checked(args.name, url)
    if options.leaves_machine is None and preset.passes_on:
        options = msgspec.structs.replace(options, leaves_machine=True)
    # The service's own variable is for the service's own host; Azure's hosts are the customers'.
    own = address.host_of(url) == address.host_of(preset.base_url) or (
        preset.name == "azure" and address.host_of(url).endswith(".openai.azure.com")
    )
    required = preset.key_required and not address.is_loopback(url)
    query = dict(preset.query)
    if options.api_version:
        query["api-version"] = options.api_version
    header = preset.key_header
    return Http(
        args.name,
        url,
        options,
        args.key(options, preset.key_env if own else (), required=required),
        model=args.settings.model,
        environ=args.environ,
        authorise=(lambda value: {header: value}) if header and not options.user else None,
        query=query,
    )
