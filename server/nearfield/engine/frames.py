"""The messages between the server and the engine's worker, and how they are framed.

A frame is a 4-byte big-endian length followed by that many bytes of MessagePack holding one
tagged struct. Commands go down the worker's standard input, events come up its standard output.
Both sides are the same version of the same package, so there is no negotiation.
"""

from __future__ import annotations

import struct

import msgspec

HEADER = struct.Struct(">I")

MAX_FRAME = 256 * 1024 * 1024
"""Bytes. A longer frame means that the stream is out of step, not that a prompt is large."""

Piece = tuple[str, bool]
"""A prompt's segment: its text, and whether it is control tokens."""


class Variant(msgspec.Struct, frozen=True):
    """A way to write the prompt.

    `heal` is the index of the piece whose last token must be healed, -1 for none: it is given back
    to the model and generated again under the constraint of its bytes. `max_extra_tokens` is how
    many more tokens it may evaluate than the cheapest variant and still be preferred to later ones.
    """

    pieces: list[Piece]
    heal: int = -1
    max_extra_tokens: int = 0


class LoadModel(msgspec.Struct, tag="load", frozen=True):
    """Load a model; an earlier one is freed first. Answered by `ModelLoading`s, then
    `ModelLoaded` or `LoadFailed`. `device` is where it runs, "" for the library's choice."""

    path: str
    threads: int
    gpu_layers: int
    context_size: int
    chat_context_size: int
    memory_limit: int  # bytes, 0 for none
    adapter: str = ""  # the path of a LoRA adapter
    adapter_scale: float = 1.0
    device: str = ""


class Generate(msgspec.Struct, tag="generate", frozen=True):
    """Evaluate a prompt and generate from it. Answered by `Reading`s (in the lane "chat"),
    `Prefilled`, `Tokens`s, then `Done` or `JobFailed`.

    `variants` are ways to write the prompt, best first: see `job.choose_prompt` for which is taken,
    within `prefill_budget_ms`. `lane` is "infill" or "chat".
    A chat carries `chat` (JSON text: messages, tools) in place of variants, and the worker renders
    it by the model's own template. `schema` (JSON text) makes the output JSON that meets it; with
    `call_marks` it is words, or such JSON between the two marks, or words alone without `schema`.
    `line_started` says that the cursor's line has something visible left of the cursor, so that a
    line break as the very first thing ends a `single_line` job. With `avoid`, and no temperature,
    the first visible characters are not those with which one of these texts begins. `copied` is a
    text that the answer mostly repeats: greedy tokens are drafted from it, which changes only their
    cost. A job that `scores` generates nothing: its `Scored`s say how likely the last piece of its
    prompt is. Times are from the receipt of the frame; 0 means none.
    """

    id: int
    lane: str
    priority: int
    document: str
    variants: list[Variant] = []
    chat: str = ""
    max_tokens: int = 64
    stop: list[str] = []
    single_line: bool = False
    line_started: bool = False
    temperature: float = 0.0
    avoid: list[str] = []
    copied: str = ""
    scores: bool = False
    schema: str = ""
    call_marks: tuple[str, str] | None = None
    prefill_only: bool = False
    deadline_ms: float = 0.0
    prefill_budget_ms: float = 0.0


class Cancel(msgspec.Struct, tag="cancel", frozen=True):
    """End a job; it answers `Done` with finish "cancelled"."""

    id: int


class Tokenize(msgspec.Struct, tag="tokenize", frozen=True):
    """Answered by `Tokenized`: the tokens of `text`, or those of a prompt."""

    id: int
    text: str
    prompt: Variant | None = None


class Save(msgspec.Struct, tag="save", frozen=True):
    """Write what is held of a document's prompt to a file; `variants` are ways to write it, as in
    `Generate`. In the lane "chat" it is all that is held of a conversation. Answered by
    `StateTokens`, with 0 tokens if nothing is held, or by `JobFailed`."""

    id: int
    document: str
    path: str
    variants: list[Variant]
    lane: str = "infill"


class Restore(msgspec.Struct, tag="restore", frozen=True):
    """Hold for a document what `Save` wrote, by a worker with the same model and settings. Answered
    by `StateTokens`, with 0 tokens where the file is of no use, or by `JobFailed`."""

    id: int
    document: str
    path: str
    lane: str = "infill"


OWNER_END = "\0"
"""Ends the owner's part of a document's name."""


def document_of(owner: str, document: str) -> str:
    """Return the name of a document that shares evaluated tokens with the same owner's alone."""
    return f"{owner}{OWNER_END}{document}" if owner else document


def owner_of(document: str) -> str:
    """Return the owner in a document's name, "" for none."""
    owner, found, _ = document.partition(OWNER_END)
    return owner if found else ""


Command = LoadModel | Generate | Cancel | Tokenize | Save | Restore


class Started(msgspec.Struct, tag="started", frozen=True):
    """The worker is up. `build` says what this llama.cpp was compiled for."""

    version: str
    build: str
    gpu: bool


class ModelLoading(msgspec.Struct, tag="loading", frozen=True):
    """`progress` is 0..1."""

    progress: float


class ModelLoaded(msgspec.Struct, tag="loaded", frozen=True):
    """A description of the model. `fim` are the texts of its prefix, suffix, middle, repository and
    file tokens ("" where it has none); `tools` says that its chat template knows tools; rates are
    tokens a second from the warm-up. Without `reuses_prefix` the model's state is recurrent: a
    prompt is evaluated from its beginning unless all that is held is its beginning. `memory` is the
    bytes that it takes: weights, KV cells and buffers."""

    name: str
    context_train: int
    document_tokens: int
    documents: int
    layers: int
    vocabulary: int
    bytes: int
    fim: list[str]
    chat_template: bool
    tools: bool
    load_ms: float
    prefill_rate: float
    decode_rate: float
    reuses_prefix: bool = True
    memory: int = 0


class LoadFailed(msgspec.Struct, tag="load_failed", frozen=True):
    """`message` and `hint` as in `nearfield.errors`."""

    message: str
    hint: str


class Prefilled(msgspec.Struct, tag="prefilled", frozen=True):
    """A job's prompt is evaluated; sent before its first `Tokens`, so that the cost is known also
    when the job is cancelled because there is enough of it."""

    id: int
    prompt_tokens: int
    reused_tokens: int
    evaluated_tokens: int
    prefill_ms: float
    variant: int


class Reading(msgspec.Struct, tag="reading", frozen=True):
    """A chat's prompt is evaluated in part: `share` of it, 0..1."""

    id: int
    share: float


class Tokens(msgspec.Struct, tag="tokens", frozen=True):
    """New text of a job, with one log-probability a token; `decode_ms` is what all of the job's
    tokens took so far."""

    id: int
    text: str
    logprobs: list[float]
    decode_ms: float


class Score(msgspec.Struct, frozen=True, array_like=True):
    """A token's bytes, its log-probability, and the likeliest others with theirs, best first."""

    text: bytes
    logprob: float
    others: list[tuple[bytes, float]]


class Scored(msgspec.Struct, tag="scored", frozen=True):
    """The next tokens of a text that a job scores."""

    id: int
    tokens: list[Score]


class Done(msgspec.Struct, tag="done", frozen=True):
    """A job ended. `finish` is stop, length, deadline, cancelled or preempted. `decode_steps` are
    the batches in which the tokens were generated: fewer than tokens where drafts were right."""

    id: int
    finish: str
    prompt_tokens: int
    reused_tokens: int
    evaluated_tokens: int
    generated_tokens: int
    prefill_ms: float
    decode_ms: float
    variant: int
    prefill_rate: float
    decode_rate: float
    decode_steps: int = 0


class JobFailed(msgspec.Struct, tag="failed", frozen=True):
    """A job could not run. `kind` is the name of an error in `nearfield.errors`."""

    id: int
    kind: str
    message: str
    hint: str


class Tokenized(msgspec.Struct, tag="tokenized", frozen=True):
    """The answer to `Tokenize`. `owed` are the bytes with which the answer to a healed prompt
    begins."""

    id: int
    tokens: list[int]
    owed: bytes = b""


class StateTokens(msgspec.Struct, tag="kept", frozen=True):
    """The answer to `Save` and `Restore`: how many tokens were written or read."""

    id: int
    tokens: int


Event = (
    Started
    | ModelLoading
    | ModelLoaded
    | LoadFailed
    | Reading
    | Prefilled
    | Tokens
    | Scored
    | Done
    | JobFailed
    | Tokenized
    | StateTokens
)

_encoder = msgspec.msgpack.Encoder()
_commands = msgspec.msgpack.Decoder(Command)
_events = msgspec.msgpack.Decoder(Event)


def encode(message: Command | Event) -> bytes:
    """The whole frame of a message, header included."""
    body = _encoder.encode(message)
    return HEADER.pack(len(body)) + body


def decode_command(body: bytes) -> Command:
    """A command from a frame's body. Raises `msgspec.DecodeError`."""
    return _commands.decode(body)


def decode_event(body: bytes) -> Event:
    """An event from a frame's body. Raises `msgspec.DecodeError`."""
    return _events.decode(body)
