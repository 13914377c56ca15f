"""Ollama's own API.

    [providers.ollama]
    kind = "ollama"
    model = "qwen2.5-coder:1.5b-base"

Options are those of `OllamaOptions`. Ollama reloads a model when what shapes it in memory differs
from the last call's. So `num_ctx` and the like come from the settings alone and are sent with every
call, and so are `keep_alive` and `shift`. It also gives up loading a model when the request that it
loads it for has ended; then it is told to load it by a request of its own, which stays.

Filling in sends `suffix` to models that have the capability "insert" (asked of `/api/show`),
and to others a raw prompt in their family's control tokens. Without text on both sides of the
cursor the prompt is always raw: the server would take it for a chat, or only load the model.
Models of Ollama's cloud count as leaving the machine, even through a server on loopback: nothing is
sent before it has said that the model is its own.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Any

from nearfield.errors import (
    DeadlineExceeded,
    ModelNotServed,
    NotPermitted,
    NotReady,
    ProviderError,
    Unsupported,
)
from nearfield.providers import fim, ollama_wire, openai_chat
from nearfield.providers.address import is_passed_on
from nearfield.providers.clock import Clock
from nearfield.providers.cut import Cut, answer, server_stops
from nearfield.providers.families import edit_form_of, raw_prompt, template_of
from nearfield.providers.http import ASK_TIMEOUT_SECONDS, Http
from nearfield.providers.http_provider import HttpProvider, pickable
from nearfield.providers.lines import JsonLines
from nearfield.providers.ollama_wire import (
    AnswerLine,
    ListedModels,
    ModelInfo,
    OllamaOptions,
    PullStatus,
    Tag,
    is_same,
)
from nearfield.providers.options import ProviderArgs
from nearfield.tasks import run_task, stop_task
from nearfield.types import (
    Capabilities,
    ChatRequest,
    Delta,
    EditRequest,
    Finish,
    Health,
    HealthState,
    InfillRequest,
    ServedModel,
    ToolCall,
)

DEFAULT_URL = "http://127.0.0.1:11434"
MAX_REPEATS = 30
"""After so many repeats of one token the server ends an answer, without its last line."""

UNLOAD_CHECKS = 20
UNLOAD_CHECK_SECONDS = 0.1
LIST_SECONDS = 1.0
"""The server does not say what is in memory while it loads a model, and else says it at once."""
LOAD_SECONDS = 600.0
"""The longest wait for a model to come into memory: 30 GB from a hard disk."""
HEARD_SECONDS = 30.0
"""A model that has answered so lately is in memory, whatever ends the next request early."""


class Ollama(HttpProvider):
    """See the module's docstring."""

    at_start = False  # its memory is for other programs, too

    def __init__(self, args: ProviderArgs) -> None:
        """Raises `ConfigError`."""
        self._options = options = args.options(OllamaOptions)
        url, model = args.settings.base_url or DEFAULT_URL, args.settings.model
        http = Http(args.name, url, options, args.key(options), environ=args.environ, model=model)
        http.list_models = self.models
        super().__init__(args.name, model, http)
        self._template = template_of(args.name, model, options.fim_template)
        self._edit = edit_form_of(args.name, model, options.edit_form)
        self._load = {"num_ctx": options.num_ctx, **options.load}
        self._keep_alive = ollama_wire.keep_alive(options.keep_alive)
        self._shown: ModelInfo | None = None
        self._loading: asyncio.Task[None] | None = None
        self._heard = -math.inf

    @property
    def capabilities(self) -> Capabilities:
        """See `Provider`. Until the model has been looked at, it is taken for one that fills in
        and chats."""
        shown = self._shown
        can = set(shown.capabilities) if shown else {"completion", "insert", "tools"}
        # An older server, or one of the cloud, says nothing.
        can = can or {"completion", "tools"}
        return Capabilities(
            infill="insert" in can or self._template is not None,
            chat="completion" in can,
            edit=self._edit,
            tools="tools" in can,
            schema="completion" in can,
            local=self._http.local and not self._is_cloud,
            context_tokens=(shown or ModelInfo()).context(self._options.num_ctx),
            prefill_rate=self._speed.prefill,
            decode_rate=self._speed.decode,
        )

    @property
    def _is_cloud(self) -> bool:
        return is_passed_on(self.model) or bool(self._shown and self._shown.remote_host)

    async def health(self) -> Health:
        """See `Provider`: whether the model is pulled, and whether it is in memory."""
        at = f"{self.model} at {self._http.who.host}"
        if self._is_loading:  # looked at often
            return Health(HealthState.STARTING, f"{at} is being loaded.")
        try:
            await self._look()
        except ModelNotServed as error:
            return Health(HealthState.UNAVAILABLE, f"{error} Run `ollama pull {self.model}`.")
        except ProviderError as error:
            return Health(HealthState.UNAVAILABLE, str(error))
        try:
            if self._is_cloud:
                return Health(HealthState.READY, f"{at}, in the cloud.")
            if await self._is_in_memory():
                return Health(HealthState.READY, f"{at}, in memory.")
        except DeadlineExceeded:
            return Health(HealthState.STARTING, f"{self._http.who} is loading a model.")
        except ProviderError as error:
            return Health(HealthState.UNAVAILABLE, str(error))
        return Health(HealthState.IDLE, f"{at}, loaded when it is first asked.")

    async def _is_in_memory(self) -> bool:
        """Ask whether the model is in memory. Raises `DeadlineExceeded` while one is loaded."""
        return is_same(self.model, [one.name for one in await self._tags("/api/ps", LIST_SECONDS)])

    async def show(self, deadline: float | None = None) -> ModelInfo:
        """Return what the server knows about the model; asked once. Raises `ModelNotServed`."""
        return self._shown or await self._look(deadline)

    async def _look(self, deadline: float | None = None) -> ModelInfo:
        body = {"model": self.model}
        said = await self._http.ask("POST", "/api/show", body, deadline=deadline)
        shown: ModelInfo = self._http.convert(said, ModelInfo)
        self._shown = shown
        return shown

    async def running(self) -> list[ServedModel]:
        """Return the models that are in memory now."""
        return await self._tags("/api/ps")

    async def models(self) -> list[ServedModel]:
        """See `Provider`: those that are pulled."""
        return await self._tags("/api/tags")

    def start(self) -> None:
        """Begin to load the model, in the background; see `features.assemble.Loading`."""
        if self._http.local:  # another machine only for a request
            self._begin_loading()

    async def load(self) -> None:
        """Load the model into the server's memory, as a request would. Raises `NotReady` when that
        takes longer than `LOAD_SECONDS`, and another `ProviderError`."""
        body = {"model": self.model, "stream": False, "options": self._load, "shift": False}
        await self._keep({**body, "keep_alive": self._keep_alive}, "loaded")

    async def unload(self) -> None:
        """Let the server give the model's memory back, and wait a little until it has: it answers
        before. Raises `ProviderError`."""
        await self._keep({"model": self.model, "stream": False, "keep_alive": 0}, "unloaded")
        for _ in range(UNLOAD_CHECKS):
            if not is_same(self.model, [model.name for model in await self.running()]):
                return
            await asyncio.sleep(UNLOAD_CHECK_SECONDS)

    async def _keep(self, body: object, done: str) -> None:
        # Without a prompt nothing is generated.
        seconds = max(LOAD_SECONDS, self._options.first_token_timeout_s)
        try:
            await self._http.ask("POST", "/api/generate", body, timeout_s=seconds)
        except DeadlineExceeded:
            raise NotReady(
                f"{self._http.who} has not {done} {self.model} in {seconds:.0f} s.",
                "Let that machine do less beside it, or choose a smaller model.",
            ) from None

    async def pull(self) -> AsyncGenerator[PullStatus]:
        """Fetch the model, yielding its progress; the server keeps what it has when this is
        closed. Raises `ModelNotServed` when the library has none of that name."""
        http = self._http
        clock = Clock.long(self._options)
        body = {"model": self.model, "stream": True}
        lines = http.stream("/api/pull", body, events=JsonLines, clock=clock)
        async with aclosing(lines):
            async for line in lines:
                step: PullStatus = http.decode(line, PullStatus)
                yield step
                if step.status == "success":
                    self._shown = None
                    return
        raise http.broke_off()

    async def infill(self, request: InfillRequest) -> AsyncGenerator[Delta]:
        """See `Provider`."""
        body: dict[str, Any] = {"model": self.model, "think": False}
        inserts = "insert" in (await self.show(request.deadline)).capabilities
        loose = fim.as_text(fim.render(None, request))
        cut = Cut.of(request)
        if inserts and loose and request.suffix:
            body |= {"prompt": loose, "suffix": request.suffix}
        elif self._template is not None:
            cut = Cut.of(request, self._template.end)
            prompt = raw_prompt(self._template, fim.render(self._template, request))
            body |= {"prompt": prompt, "raw": True}
        elif inserts:
            body |= {"prompt": loose, "raw": True}
        else:
            raise Unsupported(
                f"{self.model} at {self._http.who} cannot fill in the middle.",
                "Choose a model that can, such as qwen2.5-coder:1.5b-base.",
            )
        # `num_predict` 0 would mean "as much as you like": reading ahead asks for one token.
        tokens = 1 if request.prefill_only else request.max_tokens
        body |= self._common(tokens, request.temperature, server_stops(cut))
        async with aclosing(self._stream("/api/generate", body, request, cut)) as stream:
            async for delta in stream:
                yield delta

    async def edit(self, request: EditRequest) -> AsyncGenerator[Delta]:
        """See `Provider`: a raw prompt, as Ollama's own templates know none of these forms."""
        if request.is_chat:
            stream = self.chat(ChatRequest.of_edit(request))
        else:
            cut = Cut.of(request)
            body = {"model": self.model, "prompt": request.text, "raw": True}
            body |= self._common(request.max_tokens, 0.0, server_stops(cut))
            stream = self._stream("/api/generate", body, request, cut)
        async with aclosing(stream):
            async for delta in stream:
                yield delta

    async def chat(self, request: ChatRequest) -> AsyncGenerator[Delta]:
        """See `Provider`."""
        body: dict[str, Any] = {
            "model": self.model,
            "messages": ollama_wire.messages(request.messages),
        }
        if request.tools:
            body["tools"] = openai_chat.tools(request.tools)
        if request.schema is not None:
            body["format"] = dict(request.schema)
        if not request.thinking:
            body["think"] = False
        body |= self._common(request.max_tokens, request.temperature_or(), list(request.stop))
        if request.tools:
            body.pop("logprobs", None)  # llama.cpp's server, which is behind it, refuses both
        async with aclosing(self._stream("/api/chat", body, request, Cut.of(request))) as stream:
            async for delta in stream:
                yield delta

    async def aclose(self) -> None:
        """See `Provider`."""
        self._heard = math.inf  # nothing is loaded any more
        await stop_task(self._loading)
        await super().aclose()

    async def _tags(self, path: str, timeout_s: float = ASK_TIMEOUT_SECONDS) -> list[ServedModel]:
        said = await self._http.ask("GET", path, timeout_s=timeout_s)
        tags: list[Tag] = self._http.convert(said, ListedModels).models
        return pickable(tag.model for tag in tags)

    def _common(self, tokens: int, temperature: float, stop: list[str]) -> dict[str, Any]:
        options = {**self._load, "num_predict": tokens, "temperature": temperature, "stop": stop}
        common: dict[str, Any] = {
            "stream": True,
            "keep_alive": self._keep_alive,
            "options": options,
            # Else the server leaves out what does not fit, without a word.
            "truncate": False,
            "shift": False,
        }
        if self._options.logprobs:
            common["logprobs"] = True
        return common

    def _stream(
        self,
        path: str,
        body: object,
        request: InfillRequest | EditRequest | ChatRequest,
        cut: Cut,
    ) -> AsyncGenerator[Delta]:
        pieces = self._pieces(path, body, request.deadline)
        return answer(pieces, request, cut, self.model, self._speed)

    async def _pieces(
        self, path: str, body: object, deadline: float | None
    ) -> AsyncGenerator[Delta]:
        await self._check_that_it_stays(deadline)
        has_begun = False
        lines = self._lines(self._http.stream(path, body, deadline=deadline, events=JsonLines))
        try:
            if deadline is None:
                await self._bring_into_memory()
            async with aclosing(lines):
                async for delta in lines:
                    has_begun, self._heard = True, time.monotonic()
                    yield delta
        except (GeneratorExit, asyncio.CancelledError, DeadlineExceeded):
            if not has_begun:
                self._go_on_loading()
            raise

    async def _lines(self, lines: AsyncGenerator[str]) -> AsyncGenerator[Delta]:
        calls: list[ToolCall] = []
        last, repeats = "", 0
        async with aclosing(lines):
            async for line in lines:
                piece: AnswerLine = self._http.decode(line, AnswerLine)
                for call in piece.message.tool_calls or ():
                    calls.append(ollama_wire.tool_call(call, len(calls)))
                text = piece.response or piece.message.content
                probs = tuple(token.logprob for token in piece.logprobs or ())
                if not piece.done:
                    token = (text or piece.message.thinking).strip()
                    last, repeats = token, repeats + 1 if token == last else 0
                    yield Delta(text, probs, thinking=piece.message.thinking)
                    continue
                end = Finish.TOOLS if calls else piece.finish
                yield Delta(text, probs, tuple(calls), end, piece.usage(self.model))
                return
        if repeats < MAX_REPEATS:
            raise self._http.broke_off()
        yield Delta(finish=Finish.LENGTH)

    async def _bring_into_memory(self) -> None:
        """Load a model that is not in memory before it is asked: that may take longer than the
        first token of an answer. Raises `ProviderError`."""
        try:
            if self._has_just_spoken or self._is_cloud or await self._is_in_memory():
                return
        except ProviderError as error:
            # In time it says nothing while it loads one; else the request says what is wrong.
            if not isinstance(error, DeadlineExceeded):
                return
        await self.load()

    def _go_on_loading(self) -> None:
        """Let the server load the model, if it has not, although the request has ended."""
        if not self._has_just_spoken:
            self._begin_loading()

    def _begin_loading(self) -> None:
        if not (self._is_loading or self._is_cloud):
            self._loading = run_task(self._loaded(), f"{self.name} loads {self.model}")

    @property
    def _has_just_spoken(self) -> bool:
        return time.monotonic() - self._heard < HEARD_SECONDS

    @property
    def _is_loading(self) -> bool:
        return self._loading is not None and not self._loading.done()

    async def _loaded(self) -> None:
        with suppress(ProviderError):
            await self.load()

    async def _check_that_it_stays(self, deadline: float | None) -> None:
        """Raise `NotPermitted` for a model that is taken for one of this machine by its name, and
        of which the server says that it passes it on."""
        if not self._http.local or is_passed_on(self.model):
            return  # its requests pass the guard
        if (await self.show(deadline)).remote_host:
            raise NotPermitted(
                f"{self._http.who} passes on what it gets for {self.model}: nothing is sent to it.",
                "Name the model as the cloud does, or set the option leaves_machine = true.",
            )
