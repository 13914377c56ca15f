"""A provider that answers from a script: for tests, and for authors of integrations.

It is shipped so that an editor plugin or a script can be tried with no model at all:

    [providers.demo]
    kind = "scripted"
    options = { answers = [ { match = "def add\\(a, b\\):\\s*$", text = "return a + b\n" } ] }

ScriptedOptions (`[providers.NAME].options`):

* `answers`: a list of tables, tried in order; the first whose `match` (a regular expression,
  searched in the last 200 characters of the prefix, or in the last user message of a chat) fits is
  played. Nothing fits: an empty answer. A request with `avoid` gets an answer with another
  first character. Fields are those of `ScriptedAnswer`. After a call, an answer whose `result` fits
  what the function answered is played before all others.
* `script`: the path of a JSON file that holds such a list, or an object of these same options.
* `edit_form`: the form of next-edit prompts that it takes; none when empty.
* `context_tokens`, `prefill_rate`, `decode_rate`, `yields`: what `capabilities` says.
* `load_ms`: how long its model takes to load, once it is asked or told to `start`; 0: loaded.
* `model`: see `ProviderSettings.model`; "scripted" when empty.

It is deterministic: the same requests in the same order give the same deltas, log-probabilities
and usage. Tokens are words, runs of blanks and single marks. As a real model would, it remembers
the last prompt of each document and counts the common beginning as reused.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
import time
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, field

from nearfield import errors
from nearfield.config.schema import ProviderSettings
from nearfield.errors import ConfigError, DeadlineExceeded, NearfieldError, NotReady
from nearfield.files.read import UnreadableFile, read_text
from nearfield.providers.families import edit_form_of
from nearfield.providers.options import ProviderArgs
from nearfield.types import (
    Capabilities,
    ChatRequest,
    Delta,
    EditRequest,
    Finish,
    Health,
    HealthState,
    InfillRequest,
    Role,
    ServedModel,
    ToolCall,
    Usage,
)

MAX_SCRIPT_BYTES = 10_000_000
MATCH_CHARS = 200
"""Characters at the prefix's end that an answer's `match` sees; documented above: part of the
contract.
"""

CALLS_KEPT = 512
"""Calls that are remembered for inspection; bounded, because a plugin may run on it for days."""

DOCUMENTS_KEPT = 8
"""Documents whose last prompt counts as evaluated; the embedded engine holds about as many."""

LOOK_MS = 20.0
"""Interval at which the file is looked for that an answer waits for."""

_TOKEN = re.compile(r"\w+|[^\S\n]+|\n|[^\w\s]")


class ScriptedAnswer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An entry of the script."""

    match: str = ""
    """Regular expression; empty fits everything."""
    result: str = ""
    """For a chat whose last message is a function's result: a regular expression for that."""
    text: str = ""
    """The streamed text."""
    delay_ms: Annotated[float, Meta(ge=0)] = 0
    """Wait before the first piece, as a model that reads the prompt would."""
    waits_for: str = ""
    """Path of a file: the first piece comes once it is there."""
    piece_ms: Annotated[float, Meta(ge=0)] = 0
    """Wait before each piece, as a model that writes would."""
    chunk: Annotated[int, Meta(ge=1)] = 1
    """Tokens in one piece."""
    logprob: float = -0.1
    """The log-probability of every token."""
    logprobs: dict[str, float] = field(default_factory=dict[str, float])
    """Log-probabilities of single tokens that differ from the default."""
    hang: bool = False
    """Say nothing more after `text` and do not end, until the deadline or until it is closed."""
    error: str = ""
    """The name of a class in `nearfield.errors`, raised after `text` has been streamed."""
    tool_calls: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """For a chat: `{name, arguments}` tables, sent with the last delta."""


class ScriptedOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[providers.NAME].options`; the module's docstring says what each means."""

    answers: list[ScriptedAnswer] = field(default_factory=list[ScriptedAnswer])
    script: str = ""
    edit_form: str = ""
    context_tokens: int | None = None
    prefill_rate: float | None = None
    decode_rate: float | None = None
    yields: bool = True
    load_ms: Annotated[float, Meta(ge=0)] = 0


@dataclass(slots=True)
class ScriptedCall:
    """A request and its outcome. `ended` is "" while it streams, then "finished", "error", or
    "closed" when the caller closed the stream or was cancelled."""

    request: InfillRequest | EditRequest | ChatRequest
    sent: str = ""
    ended: str = ""


class Scripted:
    """See the module's docstring. `calls` holds the last calls, oldest first; `health_now` may be
    set by a test: while it is not ready, requests raise `NotReady`."""

    at_start = True

    def __init__(self, name: str, settings: ProviderSettings) -> None:
        """Raises `ConfigError` when the options cannot be used."""
        self.name = name
        self.model = settings.model or "scripted"
        options = _options(name, settings.options)
        self._answers = [(_pattern(name, a.match), _checked(name, a)) for a in options.answers]
        self._results = [
            (_pattern(name, a.match), _pattern(name, a.result), a)
            for a in options.answers
            if a.result
        ]
        self._capabilities = Capabilities(
            infill=True,
            chat=True,
            edit=edit_form_of(name, "", options.edit_form),
            tools=True,
            schema=True,
            local=True,
            yields=options.yields,
            context_tokens=options.context_tokens,
            prefill_rate=options.prefill_rate,
            decode_rate=options.decode_rate,
        )
        self._evaluated: OrderedDict[str, list[str]] = OrderedDict()
        self._load_s = options.load_ms / 1000
        self._loaded_at: float | None = None
        """The moment at which the model will be loaded; None before the first request."""
        self.health_now = Health(HealthState.READY)
        self.calls: deque[ScriptedCall] = deque(maxlen=CALLS_KEPT)

    @property
    def capabilities(self) -> Capabilities:
        """Every capability, locally; the rates as in the options."""
        return self._capabilities

    @property
    def streaming(self) -> int:
        """The number of open streams; 0 when every caller has closed its own."""
        return sum(not call.ended for call in self.calls)

    def start(self) -> None:
        """Begin to load, as an engine would; returns at once."""
        if self._loaded_at is None:
            self._loaded_at = time.monotonic() + self._load_s

    async def health(self) -> Health:
        """`health_now`, or how far the loading is."""
        if not self._load_s:
            return self.health_now
        if self._loaded_at is None:
            return Health(HealthState.IDLE, f"{self.name} is not loaded.")
        if time.monotonic() < self._loaded_at:
            return Health(HealthState.STARTING, f"{self.name} is loading.")
        return self.health_now

    async def infill(self, request: InfillRequest) -> AsyncGenerator[Delta]:
        """Play the first answer that fits the end of the prefix."""
        answer = self._find(request.prefix[-MATCH_CHARS:], request.avoid)
        if request.prefill_only:
            answer = msgspec.structs.replace(answer, text="")
        text = _cut(answer.text, request)
        prompt = tokens(request.prefix) + tokens(request.suffix)
        key = request.owner + request.document
        async with aclosing(self._play(request, key, prompt, answer, text)) as stream:
            async for delta in stream:
                yield delta

    async def edit(self, request: EditRequest) -> AsyncGenerator[Delta]:
        """Play the first answer that fits the end of the prompt."""
        answer = self._find(request.text[-MATCH_CHARS:])
        prompt = tokens(request.text)
        stream = self._play(request, request.document, prompt, answer, answer.text)
        async with aclosing(stream):
            async for delta in stream:
                yield delta

    async def chat(self, request: ChatRequest) -> AsyncGenerator[Delta]:
        """Play the first answer that fits the last user message."""
        said = [m.content for m in request.messages if m.role is Role.USER]
        answer = self._after(request, said[-1] if said else "")
        prompt = [token for m in request.messages for token in tokens(m.content)]
        text = answer.text
        async with aclosing(
            self._play(request, request.owner + request.session, prompt, answer, text)
        ) as stream:
            async for delta in stream:
                yield delta

    async def count_tokens(self, text: str) -> int:
        """Words, runs of blanks and marks."""
        return len(tokens(text))

    async def models(self) -> list[ServedModel]:
        """Return the one model."""
        return [ServedModel(self.model, self._capabilities.context_tokens)]

    async def aclose(self) -> None:
        """Nothing to free."""

    def _find(self, text: str, avoid: Sequence[str] = ()) -> ScriptedAnswer:
        begun = {other.lstrip()[:1] for other in avoid}
        for pattern, answer in self._answers:
            if pattern.search(text) and not answer.result:
                if answer.text.lstrip()[:1] in begun:
                    continue
                return answer
        return ScriptedAnswer()

    def _after(self, request: ChatRequest, said: str) -> ScriptedAnswer:
        """Return the answer to a chat: one for the last function's result, or for what the user
        wrote."""
        last = request.messages[-1] if request.messages else None
        if last is not None and last.role is Role.TOOL:
            for match, result, answer in self._results:
                if match.search(said) and result.search(last.content):
                    return answer
        return self._find(said)

    async def _play(
        self,
        request: InfillRequest | EditRequest | ChatRequest,
        key: str,
        prompt: list[str],
        answer: ScriptedAnswer,
        text: str,
    ) -> AsyncGenerator[Delta]:
        call = ScriptedCall(request)
        self.calls.append(call)
        try:
            if self.health_now.state is not HealthState.READY:
                raise NotReady(f"The provider {self.name} is not ready.", self.health_now.detail)
            self.start()
            if (left := (self._loaded_at or 0.0) - time.monotonic()) > 0:
                await _pause(left * 1000, request.deadline)
            begun = time.monotonic()
            await _pause(answer.delay_ms, request.deadline)
            while answer.waits_for and not _is_there(answer.waits_for):
                await _pause(LOOK_MS, request.deadline)
            usage = self._evaluate(key, prompt, _ms_since(begun))
            begun = time.monotonic()
            finish, generated = Finish.STOP, 0
            for piece in _pieces(tokens(text), answer.chunk):
                if generated + len(piece) > request.max_tokens:
                    finish = Finish.LENGTH
                    break
                try:
                    await _pause(answer.piece_ms, request.deadline)
                except DeadlineExceeded:
                    finish = Finish.DEADLINE
                    break
                generated += len(piece)
                call.sent += "".join(piece)
                first = usage if generated == len(piece) else None
                sure = tuple(answer.logprobs.get(token, answer.logprob) for token in piece)
                yield Delta("".join(piece), sure, usage=first)
            if answer.hang:
                finish = await _hang(request.deadline)
            if answer.error:
                raise _error(answer.error)(f"The script of {self.name} says so.")
            call.ended = "finished"
            yield Delta(
                tool_calls=tuple(_tool_call(i, c) for i, c in enumerate(answer.tool_calls)),
                finish=Finish.TOOLS if answer.tool_calls else finish,
                usage=replace(usage, generated_tokens=generated, decode_ms=_ms_since(begun)),
            )
        except NearfieldError:
            call.ended = "error"
            raise
        finally:
            call.ended = call.ended or "closed"

    def _evaluate(self, key: str, prompt: list[str], prefill_ms: float) -> Usage:
        """Remember `prompt` as evaluated and count what it shares with the last one under `key`."""
        held = self._evaluated.pop(key, [])
        reused = 0
        for old, new in zip(held, prompt, strict=False):
            if old != new:
                break
            reused += 1
        self._evaluated[key] = prompt
        while len(self._evaluated) > DOCUMENTS_KEPT:
            self._evaluated.popitem(last=False)
        return Usage(
            model=self.model,
            prompt_tokens=len(prompt),
            evaluated_tokens=len(prompt) - reused,
            reused_tokens=reused,
            prefill_ms=prefill_ms,
        )


def build(args: ProviderArgs) -> Scripted:
    """Return the provider. Raises `ConfigError`."""
    return Scripted(args.name, args.settings)


def tokens(text: str) -> list[str]:
    """`text` cut into this provider's tokens; joined they are `text` again."""
    return _TOKEN.findall(text)


def _options(name: str, raw: dict[str, Any]) -> ScriptedOptions:
    try:
        options = msgspec.convert(raw, ScriptedOptions)
        if not options.script:
            return options
        loaded: Any = json.loads(read_text(Path(options.script), MAX_SCRIPT_BYTES))
        more = {"answers": loaded} if isinstance(loaded, list) else loaded
        return msgspec.convert({**raw, "script": "", **more}, ScriptedOptions)
    except (msgspec.ValidationError, UnreadableFile, OSError, ValueError, TypeError) as error:
        raise ConfigError(
            f"The script of the provider {name} cannot be used: {error}.",
            "Its options are listed in nearfield/providers/scripted.py.",
        ) from error


def _pattern(name: str, match: str) -> re.Pattern[str]:
    try:
        return re.compile(match)
    except re.error as error:
        raise ConfigError(
            f"The script of the provider {name} has a bad regular expression: {error}."
        ) from error


def _checked(name: str, answer: ScriptedAnswer) -> ScriptedAnswer:
    if answer.error:
        try:
            _error(answer.error)
        except (AttributeError, TypeError) as error:
            raise ConfigError(
                f"The script of the provider {name} names an unknown error: {answer.error}.",
                "Take the name of a class in nearfield/errors.py.",
            ) from error
    return answer


def _error(name: str) -> type[NearfieldError]:
    found = getattr(errors, name)
    if not (isinstance(found, type) and issubclass(found, NearfieldError)):
        raise TypeError(name)
    return found


def _cut(text: str, request: InfillRequest) -> str:
    """`text` up to the request's first stop; when single, to the end of its first visible line."""
    ends = [at for stop in request.stop if stop and (at := text.find(stop)) >= 0]
    if request.single_line:
        visible = len(text) - len(text.lstrip())
        ends += [at for at in [text.find("\n", visible)] if at >= 0]
    return text[: min(ends)] if ends else text


def _pieces(all_tokens: list[str], chunk: int) -> list[list[str]]:
    return [all_tokens[i : i + chunk] for i in range(0, len(all_tokens), chunk)]


async def _pause(ms: float, deadline: float | None) -> None:
    """Wait `ms`, at least one turn of the event loop; raise `DeadlineExceeded` at the deadline."""
    seconds = ms / 1000
    left = math.inf if deadline is None else deadline - time.monotonic()
    await asyncio.sleep(max(0.0, min(seconds, left)))
    if left <= seconds:
        raise DeadlineExceeded("The scripted answer is slower than the deadline.")


def _is_there(path: str) -> bool:
    return Path(path).exists()


async def _hang(deadline: float | None) -> Finish:
    """Wait for the deadline, for ever without one."""
    if deadline is None:
        await asyncio.Event().wait()
    else:
        await asyncio.sleep(max(0.0, deadline - time.monotonic()))
    return Finish.DEADLINE


def _ms_since(begun: float) -> float:
    return (time.monotonic() - begun) * 1000


def _tool_call(index: int, raw: dict[str, Any]) -> ToolCall:
    arguments: Any = raw.get("arguments", {})
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return ToolCall(str(raw.get("id", f"call-{index}")), str(raw.get("name", "")), text)
