"""The stop and the end of a streamed answer, the same for every server.

Servers differ in how many stop texts they take and none knows "one line"; so the stops are also
kept here, and the stream is closed as soon as one is met, which ends the generation.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from nearfield.errors import DeadlineExceeded
from nearfield.providers.speed import Speed
from nearfield.types import ChatRequest, Delta, EditRequest, Finish, InfillRequest, Usage

MAX_COUNT = 1_000_000_000
"""Tokens or ms of one request; no request has as many."""
_COUNTED = (
    "prompt_tokens", "evaluated_tokens", "reused_tokens", "generated_tokens",
    "prefill_ms", "decode_ms",
)  # fmt: skip


@dataclass(slots=True)
class Cut:
    """Lets text through up to a stop text, or, with `single_line`, up to the first line break
    after something visible. The end of what it has seen is held back while a stop text may have
    begun there."""

    stop: tuple[str, ...] = ()
    single_line: bool = False
    visible: bool = False
    done: bool = False
    _held: str = field(default="", init=False)

    @classmethod
    def of(
        cls, request: InfillRequest | EditRequest | ChatRequest, more: tuple[str, ...] = ()
    ) -> Cut:
        """The cut that `request` asks for, and the stop texts `more`."""
        stop = tuple(text for text in (*request.stop, *more) if text)
        if not isinstance(request, InfillRequest):
            return cls(stop)
        return cls(stop, request.single_line, bool(request.typed.strip()))

    def feed(self, text: str) -> str:
        """Return what may be shown of the answer after `text` has come. Set `done` at a stop."""
        if self.done:
            return ""
        text = self._held + text
        ends = [at for stop in self.stop if (at := text.find(stop)) >= 0]
        line_end = self._line_end(text)
        if line_end >= 0:
            ends.append(line_end)
        if ends:
            self.done, self._held = True, ""
            return text[: min(ends)]
        keep = max((_begun(text, stop) for stop in self.stop), default=0)
        shown = text[: len(text) - keep]
        self._held = text[len(text) - keep :]
        self.visible = self.visible or bool(shown.strip())
        return shown

    def end(self) -> str:
        """Return what was held back and is no stop text after all."""
        held, self._held = self._held, ""
        return held

    def _line_end(self, text: str) -> int:
        if not self.single_line:
            return -1
        first = 0 if self.visible else len(text) - len(text.lstrip())
        return text.find("\n", first)


def server_stops(cut: Cut) -> list[str]:
    """The stop texts to send, the most useful first. A line break is one of them only where the
    line has begun: an answer may start with one."""
    return [*(["\n"] if cut.single_line and cut.visible else []), *cut.stop]


def _begun(text: str, stop: str) -> int:
    """Return how many characters at the end of `text` begin `stop`."""
    for length in range(min(len(stop) - 1, len(text)), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0


async def finished(
    deltas: AsyncGenerator[Delta], cut: Cut, model: str, deadline: float | None
) -> AsyncGenerator[Delta]:
    """`deltas` of a server, cut, and ended by exactly one delta with `finish` and `usage`.

    The deadline ends an answer that has begun with `Finish.DEADLINE`, and raises
    `DeadlineExceeded` on one that has not. Times that the server does not say are measured: until
    the first piece, and from there on.
    """
    begun = time.monotonic()
    first: float | None = None
    pieces = 0
    logprobs: list[float] = []

    def last(usage: Usage | None = None) -> Usage:
        now = time.monotonic()
        usage = _sensible(usage) if usage else Usage(model, generated_tokens=pieces)
        return replace(
            usage,
            prefill_ms=_ms(usage.prefill_ms, begun, first or now),
            decode_ms=_ms(usage.decode_ms, first or now, now),
        )

    async with aclosing(deltas):
        try:
            async for delta in deltas:
                if first is None and delta.text:
                    first = time.monotonic()
                pieces += bool(delta.text)
                logprobs.extend(delta.logprobs)
                text = cut.feed(delta.text)
                if cut.done and delta.finish is None:
                    yield Delta(text, tuple(logprobs), finish=Finish.STOP, usage=last())
                    return
                if delta.finish is not None:
                    finish = Finish.STOP if cut.done else delta.finish
                    yield replace(
                        delta,
                        text=text + cut.end(),
                        logprobs=tuple(logprobs),
                        finish=finish,
                        usage=last(delta.usage),
                    )
                    return
                if text:
                    yield replace(delta, text=text, logprobs=tuple(logprobs))
                    logprobs.clear()
                elif delta.thinking:
                    yield Delta(thinking=delta.thinking)
        except DeadlineExceeded:
            if first is None or deadline is None or time.monotonic() < deadline:
                raise
            finish = Finish.DEADLINE
            yield Delta(cut.end(), tuple(logprobs), finish=finish, usage=last())


async def answer(
    pieces: AsyncGenerator[Delta],
    request: InfillRequest | EditRequest | ChatRequest,
    cut: Cut,
    model: str,
    speed: Speed,
) -> AsyncGenerator[Delta]:
    """A server's `pieces` as the answer to `request`: `finished`, and `speed` learns from it. Where
    the prompt is only to be read ahead, the end alone is told: servers write a token all the same.
    """
    silent = isinstance(request, InfillRequest) and request.prefill_only
    async with aclosing(finished(pieces, cut, model, request.deadline)) as stream:
        async for delta in stream:
            speed.note(delta.usage)
            if not silent:
                yield delta
            elif delta.finish is not None:
                yield Delta(finish=delta.finish, usage=delta.usage)


def _sensible(usage: Usage) -> Usage:
    """`usage` without counts and times that make no sense: they are added up and priced, and what
    is below nothing would make room in the budget."""
    wrong = {
        name: None
        for name in _COUNTED
        if (said := getattr(usage, name)) is not None and not 0 <= said <= MAX_COUNT
    }
    return replace(usage, **wrong) if wrong else usage


def _ms(said: float | None, begin: float, end: float) -> float:
    return (end - begin) * 1000 if said is None else said
