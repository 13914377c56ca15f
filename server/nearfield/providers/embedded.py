"""The embedded engine as a provider: the default, and the only one that needs no server.

`WorkerProvider` is the part of it that every worker of the engine can do.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from nearfield.catalog.models import is_small
from nearfield.catalog.templates import ChatTemplate, fim_names, fim_template
from nearfield.coerce import NotJson, shallow
from nearfield.engine.client import EngineClient, EngineState
from nearfield.engine.frames import (
    Done,
    Generate,
    ModelLoaded,
    Prefilled,
    Reading,
    Score,
    Scored,
    Tokens,
    Variant,
    document_of,
)
from nearfield.engine.memory import expected
from nearfield.errors import EngineDied, NotReady, Unsupported
from nearfield.providers import fim
from nearfield.providers.estimate import (
    CHARS_PER_TOKEN,
    LINE_TOKENS,
    UNKNOWN_DECODE_RATE,
    UNKNOWN_PREFILL_RATE,
)
from nearfield.providers.families import template_of
from nearfield.providers.memory import ModelMemory
from nearfield.providers.relevance import called, is_relevant
from nearfield.providers.tool_text import (
    CLOSE,
    OPEN,
    CallDetector,
    ToolText,
    as_text,
    call_schema,
    describe,
    is_doubtful,
)
from nearfield.types import (
    CHAT_TEMPERATURE,
    Capabilities,
    ChatRequest,
    Delta,
    EditForm,
    EditRequest,
    FimTemplate,
    Finish,
    Health,
    HealthState,
    InfillRequest,
    Message,
    Priority,
    Role,
    ScoredToken,
    ScoreRequest,
    Segment,
    ServedModel,
    TokenTotals,
    Usage,
)

UNNOTICED_MS = 120.0
"""The most that evaluating the suffix may cost a keystroke; else the typed part is written last. A
user who keeps typing does not see an answer that comes a quarter of a second later.
"""

_HEALTH = {
    EngineState.READY: HealthState.READY,
    EngineState.STARTING: HealthState.STARTING,
    EngineState.LOADING: HealthState.STARTING,
    EngineState.WAITING: HealthState.STARTING,
    EngineState.STOPPED: HealthState.IDLE,
    EngineState.FAILED: HealthState.UNAVAILABLE,
}


class WorkerProvider:
    """A model in a worker of our own.

    `template` is the family's FIM form; None takes it from the model's vocabulary, and a model
    without such tokens then completes from the prefix alone. `chat_template` is for a file that
    brings no chat template of its own. `infills` and `chats` say what the model is here for,
    `edit_form` how it is asked for next edits.
    `temperature` is for chats that name none.
    """

    at_start = True

    def __init__(
        self,
        engine: EngineClient,
        *,
        model: str,
        path: Path,
        template: FimTemplate | None = None,
        chat_template: ChatTemplate | None = None,
        infills: bool = True,
        chats: bool = True,
        edit_form: EditForm = EditForm.NONE,
        temperature: float = CHAT_TEMPERATURE,
        name: str = "embedded",
    ) -> None:
        self.name = name
        self.model = model
        self._engine = engine
        self._path = path
        self._template = template
        self._chat_template = chat_template
        self._infills = infills
        self._chats = chats
        self._edit_form = edit_form
        self._temperature = temperature
        self._rates: tuple[float, float] | None = None
        self._memory: ModelMemory | None = None
        self._needs = expected(path)
        self._asked = 0
        """Requests under way, also those that wait for the model."""

    def live_in(self, memory: ModelMemory) -> None:
        """See `Resident`."""
        self._memory = memory
        self._engine.admit = partial(memory.admit, self.name)

    @property
    def in_memory(self) -> bool:
        """See `Resident`."""
        return self._engine.status.state not in (EngineState.STOPPED, EngineState.FAILED)

    @property
    def memory_bytes(self) -> int:
        """See `Resident`. Before it is loaded the size of its file tells."""
        info = self._engine.status.info
        return info.memory if info is not None else self._needs

    def start(self) -> None:
        """Begin loading in the background. Raises `EngineMissing`."""
        if self._engine.status.state is EngineState.STOPPED:
            self._engine.start(str(self._path))

    async def rest(self, after_seconds: float) -> bool:
        """Free the model's memory after that many idle seconds; the next request loads it again.
        Return whether it was freed.
        """
        state = self._engine.status.state
        if state is not EngineState.READY or self._asked or self._engine.is_busy:
            return False
        if self._engine.idle_seconds < after_seconds:
            return False
        self._needs = self.memory_bytes
        await self._engine.stop()
        return True

    @property
    def capabilities(self) -> Capabilities:
        """See `Provider`."""
        info = self._engine.status.info
        chats = self._chats and (
            info is None or info.chat_template or self._chat_template is not None
        )
        rates = self._rates or ((info.prefill_rate, info.decode_rate) if info else None)
        return Capabilities(
            infill=self._infills,
            chat=chats,
            edit=self._edit_form,
            tools=chats,
            schema=True,
            local=True,
            yields=True,
            context_tokens=info.document_tokens if info else None,
            prefill_rate=rates[0] if rates and rates[0] else None,
            decode_rate=rates[1] if rates and rates[1] else None,
        )

    async def health(self) -> Health:
        """See `Provider`."""
        status, state = self._engine.status, _HEALTH[self._engine.status.state]
        if state is HealthState.IDLE:
            why = f"{status.error or self._why}\n".lstrip()
            return Health(state, f"{why}{self.model} is not loaded; the next request loads it.")
        detail = str(status.error or self._why or f"{self.model}: {status.state}")
        info = status.info
        note = "" if info is None or info.reuses_prefix else no_reuse(self.model)
        return Health(state, detail, status.progress, note)

    @property
    def _why(self) -> str:
        return self._memory.why(self.name) if self._memory is not None else ""

    def infill(self, request: InfillRequest) -> AsyncGenerator[Delta]:
        """See `Provider`. Mid-line the prompt's form follows what time affords (`_variants`); every
        form is healed."""
        return self._held(self._infill(request))

    async def _infill(self, request: InfillRequest) -> AsyncGenerator[Delta]:
        self.start()
        info = await self._engine.ready(request.deadline)
        variants = self._variants(request, self._template or from_vocabulary(info))
        spec = Generate(
            id=0,
            lane="infill",
            priority=request.priority,
            document=document_of(request.owner, request.document),
            variants=[variant for _, variant in variants],
            max_tokens=request.max_tokens,
            stop=list(request.stop),
            single_line=request.single_line,
            line_started=bool(request.typed.strip()),
            temperature=0.0 if request.avoid else request.temperature,
            avoid=list(request.avoid),
            prefill_only=request.prefill_only,
            deadline_ms=_left_ms(request.deadline),
            prefill_budget_ms=self._prefill_budget_ms(request.deadline),
        )
        async with aclosing(self._stream(spec, request.deadline)) as stream:
            async for delta in stream:
                used = delta.usage.variant if delta.usage else None
                if delta.usage is None or used is None:
                    yield delta
                else:
                    usage = replace(delta.usage, variant=variants[used][0])
                    yield replace(delta, usage=usage)

    def edit(self, request: EditRequest) -> AsyncGenerator[Delta]:
        """See `Provider`."""
        return self._held(self._edit(request))

    async def _edit(self, request: EditRequest) -> AsyncGenerator[Delta]:
        self.start()
        await self._engine.ready(request.deadline)
        if request.is_chat:
            # Not in the place of the conversation that the user has open.
            stream = self._chat(ChatRequest.of_edit(request), "infill")
        else:
            spec = Generate(
                id=0,
                lane="infill",
                priority=request.priority,
                document=request.document,
                variants=[_variant(request.segments)],
                max_tokens=request.max_tokens,
                stop=list(request.stop),
                temperature=0.0,
                copied=request.copied,
                deadline_ms=_left_ms(request.deadline),
            )
            stream = self._stream(spec, request.deadline)
        async with aclosing(stream):
            async for delta in stream:
                yield delta

    def chat(self, request: ChatRequest) -> AsyncGenerator[Delta]:
        """See `Provider`. With `schema` decoding is constrained by a grammar; with `tools` as well:
        the answer is words, or a call in the form that the model's own template asks for."""
        return self._held(self._chat(request, "chat"))

    async def _held(self, stream: AsyncGenerator[Delta]) -> AsyncGenerator[Delta]:
        """Pass a stream on, and keep the model in memory meanwhile."""
        with self._under_way():
            async with aclosing(stream) as deltas:
                async for delta in deltas:
                    yield delta

    async def _chat(self, request: ChatRequest, lane: str) -> AsyncGenerator[Delta]:
        spec = await self._chat_spec(request, lane)
        calls = spec.call_marks is not None
        stream = self._calling(spec, request) if calls else self._stream(spec, request.deadline)
        async with aclosing(stream):
            async for delta in stream:
                yield delta

    async def _chat_spec(self, request: ChatRequest, lane: str) -> Generate:
        """Return what the worker is asked for. Raises `Unsupported` without a chat template."""
        self.start()
        info = await self._engine.ready(request.deadline)
        template = None if info.chat_template else self._chat_template
        if template is None and not info.chat_template:
            raise Unsupported(
                f"{self.model} has no chat template.",
                "Set models.chat to an instruct model, such as the default one.",
            )
        schema = _schema(request)
        return Generate(
            id=0,
            lane=lane,
            priority=request.priority,
            document=document_of(request.owner, request.session),
            variants=[_written(template, request)] if template else [],
            chat="" if template else _conversation(request, native_tools=info.tools),
            max_tokens=request.max_tokens,
            stop=[*request.stop, *(template.stop if template else ())],
            temperature=request.temperature_or(self._temperature),
            copied=request.copied,
            schema=schema,
            call_marks=(OPEN, CLOSE) if schema and request.schema is None else None,
            deadline_ms=_left_ms(request.deadline),
        )

    async def _calling(self, spec: Generate, request: ChatRequest) -> AsyncGenerator[Delta]:
        """Stream an answer with tools. When the model begins a call in a form of its own, it is
        asked again for the call alone, held to its schema. If it is not sure of that, or takes the
        function for one of something else, it is asked for words. The prompt that it has read is
        not read again.
        """
        wish, calls = CallDetector(request.tools), ToolText()
        async with aclosing(self._stream(spec, request.deadline)) as stream:
            async for delta in stream:
                text = wish.feed(delta.text, ended=delta.finish is not None)
                finish = None if wish.seen else delta.finish
                told = calls.filter(replace(delta, text=text, finish=finish))
                if told.text or told.tool_calls or told.finish or told.usage or told.read:
                    yield told
                if wish.seen:
                    break
        if not wish.seen:
            return
        call = msgspec.structs.replace(spec, call_marks=None, temperature=0.0)
        body, logprobs = "", list[float]()
        last = Delta(finish=Finish.STOP)
        async with aclosing(self._stream(call, request.deadline)) as stream:
            async for delta in stream:
                body += delta.text
                logprobs += delta.logprobs
                last = delta
        if not is_doubtful(body, logprobs) and await self._is_relevant(body, request):
            yield calls.whole(body, last)
            return
        words = msgspec.structs.replace(spec, schema="")
        async with aclosing(self._stream(words, request.deadline)) as stream:
            async for delta in stream:
                yield delta

    async def _is_relevant(self, body: str, request: ChatRequest) -> bool:
        """Return whether the model, if it is a small one, takes a call for one that fits."""
        tool = called(body, request)
        if tool is None or not await asyncio.to_thread(is_small, self.model):
            return True
        return await is_relevant(tool, request, self._first_token)

    async def _first_token(
        self, request: ChatRequest, in_conversation: bool
    ) -> tuple[str, float | None]:
        """Return the first token of an answer in words and its log-probability. What is asked by
        itself does not take the conversation's place in the KV cache."""
        spec = await self._chat_spec(request, "chat" if in_conversation else "infill")
        spec = msgspec.structs.replace(spec, schema="", call_marks=None)
        answer, logprobs = "", list[float]()
        async with aclosing(self._stream(spec, request.deadline)) as stream:
            async for delta in stream:
                answer += delta.text
                logprobs += delta.logprobs
        return answer, logprobs[0] if logprobs else None

    @property
    def spent(self) -> Mapping[Priority, TokenTotals]:
        """The tokens that the engine has evaluated and generated, by priority."""
        return self._engine.spent

    async def count_tokens(self, text: str) -> int:
        """See `Provider`."""
        with self._under_way():
            self.start()
            return len(await self._engine.tokenize(text))

    async def in_tokens(
        self, request: InfillRequest, middle: str
    ) -> tuple[list[int], list[int], bool]:
        """Return what `infill` would evaluate for a request, in tokens, those of the answer
        `middle`, and whether the prompt has a suffix. Where it has none, the answer
        has a line break at its end."""
        with self._under_way():
            self.start()
            info = await self._engine.ready(request.deadline)
            template = self._template or from_vocabulary(info)
            _, variant = self._variants(request, template)[0]
            prompt, owed = await self._engine.tokenize_prompt(variant)
            answer = owed.decode("utf-8", "replace") + middle + "\n" * (template is None)
            return prompt, await self._engine.tokenize(answer), template is not None

    @contextmanager
    def _under_way(self) -> Generator[None]:
        """Keep the model in memory during a request."""
        self._asked += 1
        try:
            yield
        finally:
            self._asked -= 1

    async def models(self) -> list[ServedModel]:
        """See `Provider`."""
        info = self._engine.status.info
        return [
            ServedModel(
                self.model,
                context_tokens=info.document_tokens if info else None,
                bytes=info.bytes if info else None,
            )
        ]

    async def aclose(self) -> None:
        """See `Provider`."""
        await self._engine.stop()

    async def _stream(self, spec: Generate, deadline: float | None) -> AsyncGenerator[Delta]:
        """Stream the answer; from a second worker if the first died before any output. It may have
        died while idle, which only the next request notices."""
        spoke = False
        try:
            async with aclosing(self._answer(spec, deadline)) as answer:
                async for delta in answer:
                    spoke = True
                    yield delta
        except EngineDied:
            if spoke:
                raise
        else:
            return
        async with aclosing(self._answer(spec, deadline)) as answer:
            async for delta in answer:
                yield delta

    async def _answer(self, spec: Generate, deadline: float | None) -> AsyncGenerator[Delta]:
        usage = Usage(model=self.model, generated_tokens=0, reuses_prefix=self._reuses_prefix)
        async with aclosing(self._engine.generate(spec, deadline)) as events:
            async for event in events:
                if isinstance(event, Done):
                    self._rates = (event.prefill_rate, event.decode_rate)
                    yield self._last(event, spec)
                    return
                if isinstance(event, Reading):
                    yield Delta(read=event.share)
                    continue
                if isinstance(event, Scored):
                    continue  # only of jobs that score
                usage = _so_far(usage, event)
                if isinstance(event, Tokens):
                    yield Delta(text=event.text, logprobs=tuple(event.logprobs), usage=usage)

    def _last(self, done: Done, spec: Generate) -> Delta:
        if done.finish in ("preempted", "cancelled") and not spec.prefill_only:
            raise NotReady("The engine gave way to a newer request.")
        finish = Finish(done.finish) if done.finish in set(Finish) else Finish.STOP
        usage = Usage(
            model=self.model,
            prompt_tokens=done.prompt_tokens,
            evaluated_tokens=done.evaluated_tokens,
            reused_tokens=done.reused_tokens,
            generated_tokens=done.generated_tokens,
            prefill_ms=done.prefill_ms,
            decode_ms=done.decode_ms,
            decode_steps=done.decode_steps,
            variant=done.variant,
            reuses_prefix=self._reuses_prefix,
        )
        return Delta(finish=finish, usage=usage)

    @property
    def _reuses_prefix(self) -> bool | None:
        info = self._engine.status.info
        return info.reuses_prefix if info else None

    def _variants(
        self, request: InfillRequest, template: FimTemplate | None
    ) -> list[tuple[int | None, Variant]]:
        """Return the prompts that the worker may choose from, best first, each with the index of
        the request's variant that it writes (None for the request's own prompt).

        With what was written last after the middle token, only that is evaluated at each request,
        and a new line is begun better (exact match of 60: 33 against 20). In the middle of a line
        the classic order is better (35 against 29; tests/bench/RESULTS.md, Forms), but its suffix
        is evaluated at each keystroke. So an automatic request gets it only where that is not
        noticed, a manual one where the deadline affords it.
        """
        psm = template is not None and template.order == "psm"
        variants: list[tuple[int | None, Variant]] = []
        for i, variant in enumerate(request.variants or (None,)):
            one = request if variant is None else request.with_variant(variant)
            last = (one.written or one.typed) if psm else ""
            forms = [fim.render(template, one, last=last)]
            if psm and one.typed.strip():
                classic = fim.render(template, one)
                if one.patient:
                    forms.insert(0, classic)
                elif self._suffix_ms(one) <= UNNOTICED_MS:
                    forms = [classic]
            index, extra = (None, 0) if variant is None else (i, variant.max_extra_tokens)
            variants += [
                (index, _variant(form, fim.heal_index(template, one, form), extra))
                for form in forms
            ]
        return variants

    def _prefill_budget_ms(self, deadline: float | None) -> float:
        """Return the milliseconds that the prompt may take so that a line can be written before
        `deadline`; 0 for no limit."""
        if deadline is None:
            return 0.0
        line_ms = LINE_TOKENS * 1000 / (self.capabilities.decode_rate or UNKNOWN_DECODE_RATE)
        return max(1.0, _left_ms(deadline) - line_ms)

    def _suffix_ms(self, request: InfillRequest) -> float:
        rate = self.capabilities.prefill_rate or UNKNOWN_PREFILL_RATE
        return len(request.suffix) / CHARS_PER_TOKEN * 1000 / rate


class Embedded(WorkerProvider):
    """A GGUF model in the worker of the compiled engine. It also tells how likely a text is, and
    keeps on disk what it has read."""

    async def score(self, request: ScoreRequest) -> tuple[ScoredToken, ...]:
        """See `Scorer`."""
        with self._under_way():
            self.start()
            await self._engine.ready(request.deadline)
            spec = Generate(
                id=0,
                lane="infill",
                priority=request.priority,
                document=request.document,
                variants=[Variant([(request.prefix, False), (request.text, False)])],
                scores=True,
                deadline_ms=_left_ms(request.deadline),
            )
            found: list[Score] = []
            async with aclosing(self._engine.generate(spec, request.deadline)) as events:
                async for event in events:
                    if isinstance(event, Scored):
                        found += event.tokens
                    elif isinstance(event, Done) and event.finish != "stop":
                        raise NotReady("The engine gave way to a newer request.")
        return tuple(_located(request.text, found))

    def kept_as(self) -> str:
        """Return the identity of model, settings and program; "" while no model is loaded."""
        status = self._engine.status
        if status.info is None or status.started is None:
            return ""
        try:
            file = self._path.stat()
        except OSError:
            return ""
        started, info = status.started, status.info
        adapter = (
            f"{self._engine.adapter}\0{self._engine.adapter_scale}\0{_stamp(self._engine.adapter)}"
        )
        program = f"{started.version} {started.build}"
        return (
            f"{self._path}\0{file.st_size}\0{file.st_mtime_ns}\0{program}\0{info.document_tokens}"
            f"\0{adapter}"
        )

    async def keep(self, request: InfillRequest, path: str) -> int:
        """Write what is held of a request's prompt to a file; how many tokens."""
        info = self._engine.status.info
        template = self._template or (from_vocabulary(info) if info else None)
        variants = [variant for _, variant in self._variants(request, template)]
        return await self._engine.save(request.document, path, variants)

    async def recall(self, document: str, path: str) -> int:
        """Hold for `document` what `keep` wrote; how many tokens, 0 where it is of no use."""
        return await self._engine.restore(document, path)

    async def keep_chat(self, session: str, path: str) -> int:
        """Write what is held of a conversation to a file; how many tokens."""
        return await self._engine.save(session, path, [], "chat")

    async def recall_chat(self, session: str, path: str) -> int:
        """Hold for a conversation what `keep_chat` wrote; how many tokens, 0 where it is of no
        use."""
        return await self._engine.restore(session, path, "chat")

    async def chats_kept_as(self) -> str:
        """Load the model, and return what `kept_as` does."""
        with self._under_way():
            self.start()
            await self._engine.ready()
        return self.kept_as()


def no_reuse(model: str) -> str:
    """Return the sentence about a model whose state cannot be cut."""
    return (
        f"{model} has recurrent layers, whose state cannot be cut: a prompt is read again from its"
        " beginning at each keystroke. A model without such layers completes sooner."
    )


def from_vocabulary(info: ModelLoaded) -> FimTemplate | None:
    """Return the FIM form of a model that the catalogue does not know: that of the family which the
    file's name says or which alone has these control tokens, else the usual order of the tokens.
    None without such tokens."""
    prefix, suffix, middle, repo, separator = info.fim
    if not (prefix and suffix and middle):
        return None
    known = [t for t in map(fim_template, fim_names()) if t is not None]
    fitting = [t for t in known if t.has_tokens(prefix, suffix, middle)]
    named = template_of("", info.name)
    if named in fitting or len(fitting) == 1:
        return named if named in fitting else fitting[0]
    fitting = [t for t in fitting if t.repo_name in ("", repo) and t.file_sep in ("", separator)]
    if fitting:
        return max(fitting, key=lambda t: sum(map(bool, (t.repo_name, t.file_sep))))
    return FimTemplate(
        name="vocabulary",
        prefix=prefix,
        suffix=suffix,
        middle=middle,
        repo_name=repo,
        file_sep=separator,
    )


def _so_far(usage: Usage, event: Prefilled | Tokens) -> Usage:
    """The cost after `event`; a caller that has enough closes the stream and keeps this."""
    if isinstance(event, Prefilled):
        return replace(
            usage,
            prompt_tokens=event.prompt_tokens,
            evaluated_tokens=event.evaluated_tokens,
            reused_tokens=event.reused_tokens,
            prefill_ms=event.prefill_ms,
            variant=event.variant,
        )
    return replace(
        usage,
        generated_tokens=(usage.generated_tokens or 0) + len(event.logprobs),
        decode_ms=event.decode_ms,
    )


def _located(text: str, scores: Sequence[Score]) -> Generator[ScoredToken]:
    """Yield the scored tokens of `text` with their offsets. They are its end: a text without
    anything before it has no score of its first token."""
    at = len(text.encode()) - sum(len(one.text) for one in scores)
    offsets = {size: place for place, size in enumerate(_sizes(text))}
    for one in scores:
        start, at = at, at + len(one.text)
        is_whole = start in offsets and at in offsets
        others = tuple((_readable(other), sure) for other, sure in one.others)
        place = offsets.get(start, offsets.get(at, 0))
        yield ScoredToken(place, _readable(one.text) if is_whole else "", one.logprob, others)


def _sizes(text: str) -> Generator[int]:
    """Yield the number of bytes before each character of `text`, and of all of it."""
    size = 0
    for character in text:
        yield size
        size += len(character.encode())
    yield size


def _readable(piece: bytes) -> str:
    """Return a token's text; "" for a part of a character."""
    try:
        return piece.decode()
    except UnicodeDecodeError:
        return ""


def _variant(segments: Sequence[Segment], heal: int = -1, max_extra_tokens: int = 0) -> Variant:
    return Variant([(s.text, s.special) for s in segments], heal, max_extra_tokens)


def _left_ms(deadline: float | None) -> float:
    """Milliseconds until `deadline`, at least one; 0 for no deadline."""
    return 0.0 if deadline is None else max(1.0, (deadline - time.monotonic()) * 1000)


def _schema(request: ChatRequest) -> str:
    """Return the schema of the answer's JSON, or of that of a call in it; "" for none."""
    if request.schema is not None:
        return json.dumps(request.schema)
    return json.dumps(call_schema(request.tools)) if request.tools else ""


def _conversation(request: ChatRequest, *, native_tools: bool) -> str:
    """The chat as the worker takes it: JSON text with messages and tools."""
    spoken = request.messages if native_tools else as_text(request.messages)
    messages = [_message(message) for message in spoken]
    chat: dict[str, Any] = {"messages": messages, "thinks": bool(request.thinking)}
    if request.tools and native_tools:
        chat["tools"] = [
            {
                "type": "function",
                "function": {
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": dict(tool.parameters),
                },
            }
            for tool in request.tools
        ]
    elif request.tools:
        messages.insert(0, {"role": "system", "content": describe(request.tools)})
    return json.dumps(chat)


def _written(template: ChatTemplate, request: ChatRequest) -> Variant:
    """The chat in a plain-text form, for a file that brings no template."""
    messages = as_text(request.messages)
    if request.tools:
        messages.insert(0, Message(Role.SYSTEM, describe(request.tools)))
    return Variant([(template.render(messages), False)])


def _message(message: Message) -> dict[str, Any]:
    plain: dict[str, Any] = {"role": str(message.role), "content": message.content}
    if message.tool_calls:
        plain["tool_calls"] = [
            {
                "type": "function",
                "id": call.id,
                "function": {"name": call.name, "arguments": _arguments(call.arguments)},
            }
            for call in message.tool_calls
        ]
    return plain


def _arguments(text: str) -> object:
    try:
        return shallow(text)
    except NotJson:
        return text


def _stamp(path: str) -> str:
    """Return what tells that a file was changed, "" without one."""
    try:
        status = Path(path).stat() if path else None
    except OSError:
        return ""
    return f"{status.st_size} {status.st_mtime_ns}" if status else ""
