"""What is said between the command that optimises a model and the process that does the work.

The process gets one `Job` as a line of JSON on its standard input and answers with lines of JSON:
`Progressed`s, and at last `Compared` or `Refused`. It ends when its standard input does, which
happens when the command ends, however it ends.
"""

from __future__ import annotations

import msgspec

WRITE_FAILED = "write"
"""The `kind` of a `Refused` that is about the disk."""


class Case(msgspec.Struct, frozen=True):
    """A piece of code with a gap: what stands before, in and after it."""

    prefix: str
    middle: str
    suffix: str


class Job(msgspec.Struct, frozen=True):
    """Write `target` from `source`: the tensors named in `change` in the type `kind` (a name of
    llama.cpp's), all others as they are.

    `tensors` has the type's number of every matrix of the source. `texts` are read to see which
    weights matter (none: no importance matrix, up to `importance_tokens` tokens), `cases` to
    compare the two models, with what stands after the gap where they can `infill`, and `rounds` how
    often their speeds are taken in turns. `gpu` says that the engine would use a GPU if it can.
    """

    source: str
    target: str
    kind: str
    change: list[str]
    tensors: dict[str, int]
    texts: list[str]
    importance_tokens: int
    cases: list[Case]
    rounds: int
    infill: bool
    threads: int
    memory_limit: int  # bytes, 0 for none
    gpu: bool


class Progressed(msgspec.Struct, tag="progress", frozen=True):
    """How far a phase is: "reading", "writing" or "comparing", 0..1."""

    phase: str
    done: float


class Figures(msgspec.Struct, frozen=True):
    """One model's side of a comparison. `right` are the lines of the cases that it writes as they
    were, given what stands before; `likelihood` is the mean log-probability of their tokens; rates
    are medians in tokens a second."""

    right: int
    likelihood: float
    prefill: float
    decode: float
    bytes: int


class Compared(msgspec.Struct, tag="compared", frozen=True):
    """The outcome. `lines` and `tokens` were looked at; `agreement` is the share of tokens for
    which both models put the same one first. `prefill` and `decode` are how many times as fast the
    new one is: medians over rounds in which both took turns, so that what else the machine does
    falls on both."""

    before: Figures
    after: Figures
    lines: int
    tokens: int
    agreement: float
    prefill: float
    decode: float


class Refused(msgspec.Struct, tag="refused", frozen=True):
    """The work could not be done. `kind` is an error's class name, or `WRITE_FAILED`."""

    kind: str
    message: str
    hint: str = ""


Event = Progressed | Compared | Refused
