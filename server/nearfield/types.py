"""Types shared by the layers: frozen dataclasses and enums without behaviour.

Units, unless a field says otherwise: offsets and lengths in Unicode code points (Python `str`
indices), times in milliseconds, deadlines in seconds of `time.monotonic()`, memory in bytes.
This module knows nothing of LSP, HTTP or llama.cpp.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum
from pathlib import PurePath
from typing import Any

# --- documents ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a notebook; `language` is an LSP language id, "markdown" for prose."""

    language: str
    text: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A document at one moment; every feature works on snapshots.

    `language` is the client's language id in lower case ("" if unknown). `path` is absolute, None
    for an untitled or remote document. `root` is the workspace folder that holds it.

    A notebook cell is a document of its own with the notebook's `path`: the file's rules apply to
    it, but its text is not the file's content. `above` holds the cells above it; None if the
    document is not a cell.
    """

    uri: str
    language: str
    version: int | None
    text: str
    path: str | None = None
    root: str | None = None
    above: tuple[Cell, ...] | None = None

    @property
    def is_cell(self) -> bool:
        """Return whether it is a notebook cell, whose text is not the content of `path`."""
        return self.above is not None

    @property
    def shown_path(self) -> str:
        """The path as users and models see it: relative to the workspace folder, separated by '/';
        outside a folder the file's name, for an untitled document its title."""
        if self.path is None:
            name = PurePath(self.uri.rpartition(":")[2]).name
        else:
            path = PurePath(self.path)
            is_inside = self.root and path.is_relative_to(self.root)
            name = path.relative_to(self.root or "").as_posix() if is_inside else path.name
        # A file name may hold bytes that are no text.
        return name.encode("utf-8", "replace").decode()


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open range of offsets, `start <= end`."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Edit:
    """A change of a document: `span` of the text before it, replaced by `text`."""

    span: Span
    text: str


class Surface(StrEnum):
    """The place where the answer to a request is displayed. The values are those of traces and of
    the records of earlier versions."""

    GHOST_TEXT = "textDocument/inlineCompletion"
    POPUP = "textDocument/completion"
    COMMAND_LINE = "complete"
    INFILL = "/infill"
    NEXT_EDIT = "nextEdit"
    HOVER = "textDocument/hover"
    EXPLANATION = "nearfield.explain"
    ACTION = "nearfield.action"
    REVIEW = "nearfield.review"
    CHAT = "nearfield/chat"
    GENERATED = "nearfield/generate"
    COMMIT_MESSAGE = "nearfield.commitMessage"


@dataclass(frozen=True, slots=True)
class Selected:
    """The item selected in the client's completion popup: it would replace `span`, which ends at
    or after the cursor, by `text`. A suggestion then replaces `span` and starts with `text`."""

    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class Window:
    """The start of a slice's lines: an offset, and the text there ("" at the document's start,
    which no edit moves)."""

    top: int
    anchor: str = ""


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    """A request for a completion at `offset` of `snapshot`. `id` is unique in a run.

    `invoked`: the user pressed a key for it. `again`: the second time at this position, so other
    suggestions may be wanted. `client_waits`: the client itself has waited for a pause in typing.
    `late` returns whether the client has been answered meanwhile; a result is then only cached.
    `max_tokens` is the client's limit below that of the settings, None for none.
    """

    id: str
    surface: Surface
    snapshot: Snapshot
    offset: int
    invoked: bool = False
    selected: Selected | None = None
    client_waits: bool = False
    late: Callable[[], bool] | None = None
    again: bool = False
    max_tokens: int | None = None

    @property
    def item_length(self) -> int:
        """The length of the selected item's text, 0 without one."""
        return len(self.selected.text) if self.selected else 0

    def with_item(self) -> tuple[str, int]:
        """Return the text and the cursor as if the selected item had been inserted."""
        text = self.snapshot.text
        if self.selected is None:
            return text, self.offset
        span, item = self.selected.span, self.selected.text
        right = max(self.offset, span.end)
        return text[: span.start] + item + text[right:], span.start + len(item)


@dataclass(frozen=True, slots=True)
class SymbolLocation:
    """A definition of a name, or a reference to it.

    `path` is absolute, `shown` relative to the workspace folder. Rows count from 0: `row` is the
    name's, `first` and `last` (included) the definition's. A reference has no `text`.
    """

    path: str
    shown: str
    name: str
    kind: str
    container: str
    row: int
    first: int
    last: int
    signature: str = ""
    doc: str = ""
    text: str = ""

    @property
    def symbol(self) -> str:
        """The dotted path of the definition."""
        return f"{self.container}.{self.name}" if self.container else self.name


# --- prompts --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FimTemplate:
    """The way a model family marks fill-in-the-middle: the control tokens' exact texts.

    `order` is "psm" (prefix, suffix, middle) or "spm" (suffix first). `file_sep` and `repo_name`
    are empty where the family has no repository-level form. `end` lists further texts that end
    a middle, besides the model's own end-of-generation tokens. With `files_inside` the other files
    are written where the prefix is, not before all else.
    """

    name: str
    prefix: str
    suffix: str
    middle: str
    order: str = "psm"
    file_sep: str = ""
    repo_name: str = ""
    end: tuple[str, ...] = ()
    files_inside: bool = False

    def has_tokens(self, prefix: str, suffix: str, middle: str) -> bool:
        """Return whether these are the form's tokens."""
        return (self.prefix, self.suffix) == (prefix, suffix) and self.middle in ("", middle)


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a rendered prompt. Only `special` text is parsed as control tokens: a document
    that contains "<|fim_middle|>" cannot forge one."""

    text: str
    special: bool = False


class EditForm(StrEnum):
    """The prompt form that a model was trained to predict next edits by; `NONE` where it was not.
    How each is written is in `features/next_edit/edit_prompt.py`."""

    NONE = ""
    SWEEP = "sweep"
    ZETA2 = "zeta2"
    ZETA2_1 = "zeta2.1"
    ZETA2_1_QWEN = "zeta2.1-qwen"
    MERCURY = "mercury"
    INSTRUCT = "instruct"


class SnippetKind(StrEnum):
    """The reason why a snippet is in the prompt."""

    DEFINITION = "definition"
    SIMILAR = "similar"
    RECENT = "recent"
    CELLS = "cells"
    RULES = "rules"
    """What the project says about its style."""


@dataclass(frozen=True, slots=True)
class Snippet:
    """Code from elsewhere that helps the model. `path` is as the model sees it: relative to the
    workspace, separated by '/'."""

    path: str
    text: str
    kind: SnippetKind = SnippetKind.DEFINITION


class Priority(IntEnum):
    """The order of jobs in the engine; a lower number is more urgent."""

    COMPLETION = 0
    CHAT = 1
    HOVER = 2
    PREFILL = 3
    EDIT = 4
    INDEX = 5


@dataclass(frozen=True, slots=True)
class PromptVariant:
    """A way to write the prompt of an `InfillRequest`, whose fields it replaces.

    `max_extra_tokens` is how many more tokens it may evaluate than the cheapest variant and still
    be preferred to later ones.
    """

    prefix: str
    suffix: str
    typed: str = ""
    written: str = ""
    snippets: tuple[Snippet, ...] = ()
    max_extra_tokens: int = 0


@dataclass(frozen=True, slots=True)
class InfillRequest:
    """Fill the hole between `prefix` and `suffix`.

    `typed` is the part of the cursor's line left of the cursor; `prefix` ends with it. `written`,
    which ends with `typed`, is a longer end of the prefix that may change before the next request.
    A form that writes it last keeps the text before it evaluated. `document` is an opaque key:
    requests with the same key share evaluated state. Providers stop at `stop`, at `max_tokens`, at
    the model's end of middle, and, when `single_line`, at the first line break after something
    visible. The caller may close the stream at any time: that frees the model. `prefill_only`
    evaluates the prompt and generates nothing. `patient` is true if the user asked by a key and
    waits: the best answer in time is preferred to the quickest. The answer must begin differently
    from each of `avoid`: by a constraint where the provider can, else by `temperature`.

    `variants`, best first, are for a provider that knows its KV cache. It takes one of them in
    place of the request's own prompt, and `Usage.variant` says which. They never leave this
    machine. Requests of different `owner`s, as a team's server has them, share no evaluated state.
    """

    document: str
    path: str
    language: str
    prefix: str
    suffix: str
    typed: str = ""
    written: str = ""
    snippets: tuple[Snippet, ...] = ()
    repo: str = ""
    single_line: bool = False
    max_tokens: int = 64
    stop: tuple[str, ...] = ()
    temperature: float = 0.0
    deadline: float | None = None
    priority: Priority = Priority.COMPLETION
    prefill_only: bool = False
    patient: bool = False
    avoid: tuple[str, ...] = ()
    variants: tuple[PromptVariant, ...] = ()
    owner: str = ""

    def with_variant(self, variant: PromptVariant) -> InfillRequest:
        """Return the request with `variant` as its only prompt."""
        return replace(
            self,
            prefix=variant.prefix,
            suffix=variant.suffix,
            typed=variant.typed,
            written=variant.written,
            snippets=variant.snippets,
            variants=(),
        )


@dataclass(frozen=True, slots=True)
class EditRequest:
    """Rewrite a window of a document by a prompt that is written already (`features/next_edit`).

    `document` and `path` are as in `InfillRequest`. `is_chat`: the segments are one user message,
    not a raw prompt. Text that is not `special` is never parsed as a control token. The answer
    repeats `copied` except for its changes.
    """

    form: EditForm
    document: str
    path: str
    segments: tuple[Segment, ...]
    is_chat: bool = False
    stop: tuple[str, ...] = ()
    max_tokens: int = 512
    deadline: float | None = None
    priority: Priority = Priority.EDIT
    copied: str = ""

    @property
    def text(self) -> str:
        """The prompt as one string."""
        return "".join(segment.text for segment in self.segments)


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    """Tell how likely `text` is after `prefix`; nothing is generated. `document` is as in
    `InfillRequest`."""

    document: str
    prefix: str
    text: str
    deadline: float | None = None
    priority: Priority = Priority.CHAT


@dataclass(frozen=True, slots=True)
class ScoredToken:
    """A token of a scored text, from the offset `start` in it. `others` are the likeliest other
    tokens at its place, best first, each with its log-probability. A token that begins or ends
    inside a character has the text "", and so have such others."""

    start: int
    text: str
    logprob: float
    others: tuple[tuple[str, float], ...] = ()


class Role(StrEnum):
    """The author of a chat message."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model may call. `parameters` is a JSON schema of an object. One that
    `is_general` helps with questions of any subject, as reading and searching files do."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    is_general: bool = False


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool call by the model. `arguments` is JSON text, as the model wrote it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    """A turn of a chat. An assistant's may carry tool calls; a tool's answers `tool_call_id`."""

    role: Role
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""


CHAT_TEMPERATURE = 0.2
"""Default for chats without a temperature in the request or the settings: nearly greedy."""

MAX_ANSWER_TOKENS = 32_768
"""The most that a client may ask for."""


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A conversation to continue. With `schema`, a JSON schema, the answer is JSON that conforms to
    it. `temperature` None means the provider's: the user's setting, or `CHAT_TEMPERATURE`. `copied`
    is what the answer repeats except for its changes, "" where that is not known. A reasoning model
    may think for `thinking` tokens before it answers; with 0 it is told not to. `owner` is that of
    `InfillRequest`."""

    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    schema: Mapping[str, Any] | None = None
    max_tokens: int = 1024
    temperature: float | None = None
    stop: tuple[str, ...] = ()
    deadline: float | None = None
    priority: Priority = Priority.CHAT
    session: str = ""
    copied: str = ""
    thinking: int = 0
    owner: str = ""

    @classmethod
    def of_edit(cls, request: EditRequest) -> ChatRequest:
        """Return the request as a conversation of one message."""
        message = Message(Role.USER, request.text)
        return cls(
            (message,),
            max_tokens=request.max_tokens,
            temperature=0.0,
            stop=request.stop,
            deadline=request.deadline,
            priority=request.priority,
            session=request.document,
            copied=request.copied,
        )

    def temperature_or(self, usual: float = CHAT_TEMPERATURE) -> float:
        """Return the temperature, or `usual` if none is set."""
        return usual if self.temperature is None else self.temperature


# --- answers --------------------------------------------------------------------------------


REASONING = {
    "<think>": "</think>",
    "<seed:think>": "</seed:think>",
    "[THINK]": "[/THINK]",
    "◁think▷": "◁/think▷",
    "<|START_THINKING|>": "<|END_THINKING|>",
    "analysis": "<|end|>",
    "commentary": "<|end|>",
    "thought": "<channel|>",
}
"""Openers of a passage of reasoning (a token, or the name of a channel), and their closers."""


class Finish(StrEnum):
    """The reason why a generation ended."""

    STOP = "stop"
    LENGTH = "length"
    TOOLS = "tools"
    DEADLINE = "deadline"


@dataclass(frozen=True, slots=True)
class Usage:
    """The cost of one request. `evaluated_tokens` are prompt tokens that the model had to evaluate,
    `reused_tokens` those in its KV cache; None if the provider does not report it. `variant` is the
    index of the request's variant that was used, None for the request's own prompt. `decode_steps`
    are the batches in which the tokens were generated. `reuses_prefix` is False for a model that
    cannot keep a part of a prompt, None if unknown."""

    model: str
    prompt_tokens: int | None = None
    evaluated_tokens: int | None = None
    reused_tokens: int | None = None
    generated_tokens: int | None = None
    prefill_ms: float | None = None
    decode_ms: float | None = None
    decode_steps: int | None = None
    variant: int | None = None
    reuses_prefix: bool | None = None


@dataclass(slots=True)
class TokenTotals:
    """Running totals of requests: prompt tokens evaluated, prompt tokens reused from the KV cache,
    and tokens generated."""

    evaluated: int = 0
    reused: int = 0
    generated: int = 0

    def add(self, other: TokenTotals) -> None:
        """Add other totals."""
        self.evaluated += other.evaluated
        self.reused += other.reused
        self.generated += other.generated


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of a streamed answer. `logprobs` has one natural logarithm per token of `text` (empty
    if the provider gives none). Only the last delta has `finish`, with `usage`. A provider that
    knows the prompt's cost earlier sends `usage` with the first delta too, because most completions
    are closed by the caller before their end. Before any text, a delta may say with `read` which
    share of the prompt (0..1) is evaluated, and nothing else. `thinking` is what a model thinks
    before its answer, and never a part of that."""

    text: str = ""
    logprobs: tuple[float, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    finish: Finish | None = None
    usage: Usage | None = None
    read: float | None = None
    thinking: str = ""

    def tokens_at(self, offset: int) -> list[tuple[int, float]]:
        """Return each token's offset, as if all were equally long, in a text to which this is
        appended at `offset`, with its log-probability."""
        width = len(self.text) / max(1, len(self.logprobs))
        return [(offset + int(i * width), value) for i, value in enumerate(self.logprobs)]


# --- providers ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Capabilities:
    """A provider's capabilities. `local` is true only if nothing leaves the machine. Rates are in
    tokens per second as measured on this machine, None while unknown. `edit` is the form of
    next-edit prompts that the model takes. `yields` says that a chat gives way to a completion, so
    that explanations may be prepared."""

    infill: bool = False
    chat: bool = False
    edit: EditForm = EditForm.NONE
    tools: bool = False
    schema: bool = False
    local: bool = False
    yields: bool = False
    context_tokens: int | None = None
    prefill_rate: float | None = None
    decode_rate: float | None = None


class HealthState(StrEnum):
    """The availability of a provider. Only `STARTING` ends by itself: an `IDLE` provider loads its
    model when it gets a request."""

    READY = "ready"
    IDLE = "idle"  # not loaded; the next request loads it
    STARTING = "starting"  # being loaded
    UNAVAILABLE = "unavailable"


WOULD_ANSWER = frozenset({HealthState.READY, HealthState.IDLE})
"""States in which a request is answered, perhaps after loading."""


@dataclass(frozen=True, slots=True)
class Health:
    """The health of a provider. `detail` is one sentence for the user: the problem and its remedy,
    or the current activity. `progress` is 0..1 while something loads. `note` is what the user
    should know although it answers."""

    state: HealthState
    detail: str = ""
    progress: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model that a provider can answer with. `can` is what its server says that it can, in
    Ollama's words, empty where it says nothing; `outside` whether the server passes it on."""

    name: str
    context_tokens: int | None = None
    bytes: int | None = None
    can: tuple[str, ...] = ()
    outside: bool = False


# --- accounting -----------------------------------------------------------------------------


class Situation(StrEnum):
    """The user's last action before a completion was requested."""

    COLD = "cold"  # the document had nothing evaluated
    NEW_LINE = "new_line"
    TYPING = "typing"
    ACCEPTED = "accepted"
    MOVED = "moved"  # the cursor jumped, or the text changed elsewhere
    CACHED = "cached"  # answered from the completion cache, no model asked
    NEXT_EDIT = "next_edit"  # answered with a change that follows from an edit elsewhere


class Reason(StrEnum):
    """The reason why nothing was shown; `features/reasons.py` has the explanations for the user."""

    SHOWN = ""
    # By the user or the settings.
    PAUSED = "paused"
    DISABLED = "disabled"
    LANGUAGE = "language"
    TOO_BIG = "too_big"
    EXCLUDED = "excluded"
    LOST = "lost"
    # The request was obsolete.
    CANCELLED = "cancelled"
    STOPPED = "stopped"
    SUPERSEDED = "superseded"
    STALE = "stale"
    LATE = "late"
    # No model could answer.
    NOT_READY = "not_ready"
    NO_PROVIDER = "no_provider"
    UNREACHABLE = "unreachable"
    UNAUTHORISED = "unauthorised"
    RATE_LIMITED = "rate_limited"
    LEFT_ALONE = "left_alone"
    ENGINE_DIED = "engine_died"
    NOT_SERVED = "model_not_served"
    TOO_LONG = "context_too_long"
    UNSUPPORTED = "unsupported"
    BAD_ANSWER = "bad_answer"
    NO_CONSENT = "no_consent"
    OVER_BUDGET = "over_budget"
    WITHHELD = "withheld"
    # A model answered, but the answer could not be shown.
    DEADLINE = "deadline"
    LENGTH = "length"
    UNSURE = "unsure"
    TOO_SHORT = "too_short"
    EMPTY = "empty"
    WHITESPACE = "whitespace"
    REPEATS = "repeats"
    SYNTAX = "syntax"
    CONTROL_TOKEN = "control_token"  # noqa: S105 - of a model's vocabulary
    UNDOES = "undoes"  # a next edit that takes back what the user just did
    DELETES = "deletes"  # a next edit that deletes what no recent edit explains
    UNRELATED = "unrelated"  # a next edit that no recent edit explains
    UNKNOWN_NAME = "unknown_name"  # a next edit that calls what nothing defines
    TOO_LARGE = "too_large"
    # Of other requests than completions.
    NOTHING = "nothing"
    REFUSED = "refused"
    FAILED = "failed"
    ERROR = "error"


GIVEN_UP = frozenset(
    {Reason.CANCELLED, Reason.STOPPED, Reason.SUPERSEDED, Reason.STALE, Reason.LATE}
)
"""Reasons of requests that became obsolete."""


@dataclass(frozen=True, slots=True)
class Included:
    """Code of another file that was in a prompt: its origin, why, and its estimated size."""

    path: str
    kind: SnippetKind
    tokens: int


@dataclass(frozen=True, slots=True)
class Trace:
    """An answered request, as `nearfield/trace` shows it; never any text of a document.

    `shown` is true if the client got at least one item; otherwise `reason` says why not, and
    `detail` what the error was. `mean_logprob` and `min_logprob` are of the tokens of the text that
    was or could have been shown. `stages` are parts of `total_ms` by name, in their order.
    """

    id: str
    surface: Surface
    uri: str
    version: int | None
    provider: str
    model: str
    situation: str
    total_ms: float
    shown: bool
    reason: Reason = Reason.SHOWN
    detail: str = ""
    usage: Usage | None = None
    included: tuple[Included, ...] = ()
    mean_logprob: float | None = None
    min_logprob: float | None = None
    stages: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A completion ready to be shown: replace `replace` (on one line) by `text`.

    `confidence` is the mean log-probability of its tokens, None if unknown. `prompt` is the SHA-256
    of the prompt that it answers, "" if no model was asked.
    """

    id: str
    text: str
    replace: Span
    confidence: float | None = None
    provider: str = ""
    model: str = ""
    prompt: str = ""


@dataclass(frozen=True, slots=True)
class CompletionAnswer:
    """The suggestions for a `CompletionRequest`; if there are none, `reason` says why."""

    suggestions: tuple[Suggestion, ...] = ()
    reason: Reason = Reason.SHOWN
