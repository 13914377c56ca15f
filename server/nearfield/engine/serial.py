"""Jobs, one at a time, over a library that generates by itself.

The most urgent job advances by steps of the library (a chunk of its prompt, or a token). When a
more urgent one comes, the running generation is ended between two steps, and begun again later from
its prompt and what it has written. A library that keeps what it has evaluated reads neither again.

Unlike `scheduler`, nothing is healed, drafted, scored or saved here: that needs the logits.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from nearfield.engine.chat_template import opened, render
from nearfield.engine.frames import (
    Done,
    Event,
    Generate,
    Prefilled,
    Reading,
    Tokens,
    Variant,
    owner_of,
)
from nearfield.engine.job_queue import JobQueue, QueuedJob
from nearfield.engine.output import TextOutput
from nearfield.engine.prompts import TokenizedPrompt, choose
from nearfield.engine.rates import Rates
from nearfield.engine.typing_lock import StepGate
from nearfield.errors import ContextTooLong, Unsupported


@dataclass(frozen=True, slots=True)
class Sampled:
    """A generated token, and its log-probability where the library tells it."""

    token: int
    logprob: float | None = None


class RunningGeneration(Protocol):
    """A generation under way in a library."""

    def step(self) -> list[Sampled] | None:
        """Advance. Return the new tokens, none while the prompt is being read; None once it has
        ended by itself. Raises `EngineError`."""
        ...

    def close(self) -> None:
        """End it; safe to call twice."""
        ...


class Library(Protocol):
    """A loaded model of a library. `context` is in tokens, `fim` as in `frames.ModelLoaded`."""

    context: int
    vocabulary: int
    chat_template: str
    eos: str
    fim: list[str]

    def tokenize(self, variant: Variant) -> list[int]:
        """Return a prompt's tokens, with the token that begins a text."""
        ...

    def text(self, tokens: list[int]) -> str:
        """Return the text of tokens, control tokens left out."""
        ...

    def ends(self, lane: str) -> frozenset[int]:
        """Return the tokens that end a generation."""
        ...

    def keep_apart(self, owner: str) -> None:
        """Let what was evaluated for others than `owner` serve no generation from now on: its time
        would tell what they asked. Raises `EngineError`."""
        ...

    def held(self, tokens: list[int]) -> int:
        """Return how many tokens from the beginning need not be evaluated again."""
        ...

    def generate(self, tokens: list[int], spec: Generate, most: int) -> RunningGeneration:
        """Begin to generate at most `most` tokens. Raises `EngineError`."""
        ...


@dataclass(slots=True)
class SerialJob(QueuedJob):
    """A request, from its frame to its last token. The text of the tokens up to `shown` has been
    sent; the text of those after `window` is what new ones are read with, as a token's text may
    depend on the one before it."""

    prompt: TokenizedPrompt | None = None
    output: TextOutput = field(default_factory=TextOutput)
    generation: RunningGeneration | None = None
    said: list[int] = field(default_factory=list[int])
    window: int = 0
    shown: int = 0
    reused: int = 0
    read: bool = False
    prefill_ms: float = 0.0
    decode_ms: float = 0.0

    def suspend(self) -> None:
        """End the generation; it is begun again from where it is."""
        if self.generation is not None:
            self.generation.close()
            self.generation = None


class SerialScheduler(JobQueue[SerialJob]):
    """The jobs of one loaded model. Used from one thread."""

    def __init__(
        self,
        library: Library,
        rates: Rates,
        send: Callable[[Event], None],
        gate: StepGate | None = None,
    ) -> None:
        super().__init__(send, gate)
        self._library = library
        self._rates = rates
        self._running: SerialJob | None = None

    def add(self, spec: Generate) -> None:
        """Take a new job."""
        if spec.scores:
            error = Unsupported("This engine does not say how likely a text is.")
            self._fail(spec.id, error)
            return
        self._arrivals += 1
        self._jobs[spec.id] = SerialJob(spec, self._arrivals)

    def _go_on(self, job: SerialJob) -> None:
        if self._running is not job and self._running is not None:
            self._running.suspend()
        self._running = job
        with self._gate.step(is_watched=False):
            finish = self._advance(job)
        if finish:
            self._end(job, finish)

    def _advance(self, job: SerialJob) -> str:
        """Do one step of a job. Return its finish, "" while there is none."""
        if job.generation is None:
            self._library.keep_apart(owner_of(job.spec.document))
        prompt = job.prompt or self._begin(job)
        started = time.perf_counter()
        if job.generation is None:
            left = 1 if job.spec.prefill_only else job.spec.max_tokens - len(job.said)
            tokens = [*prompt.tokens, *job.said]
            job.generation = self._library.generate(tokens, job.spec, left)
        sampled = job.generation.step()
        spent = (time.perf_counter() - started) * 1000
        if job.read:
            job.decode_ms += spent
            self._rates.decoded(spent / max(1, len(sampled or ())))
        else:
            job.prefill_ms += spent
        if sampled is None:
            self._send_prefilled(job, prompt)
            return self._rest(job)
        if not sampled:
            if job.spec.lane == "chat" and not job.read:
                self._send(Reading(job.spec.id, 0.0))
            return ""
        self._send_prefilled(job, prompt)
        if job.spec.prefill_only:
            return "stop"
        return next((end for one in sampled if (end := self._take(job, one))), "")

    def _begin(self, job: SerialJob) -> TokenizedPrompt:
        """Choose and tokenize the prompt of a job. Raises `ContextTooLong`, `Unsupported`."""
        spec, library = job.spec, self._library
        variants = spec.variants
        if spec.chat:
            variants = [Variant(render(library.chat_template, spec.chat, library.eos))]
            if mark := opened(variants[0].pieces):
                # The answer begins where the prompt has left off; its reader has to know.
                self._send(Tokens(spec.id, mark, [], 0.0))
        prompt = choose(
            variants,
            lambda variant, i: TokenizedPrompt(library.tokenize(variant), b"", i),
            lambda tokens: len(tokens) - library.held(tokens),
            self._rates,
            spec.prefill_budget_ms,
        )
        room = library.context - (1 if spec.prefill_only else spec.max_tokens)
        if len(prompt.tokens) > room:
            raise ContextTooLong(
                f"The prompt has {len(prompt.tokens)} tokens and {max(room, 0)} fit.",
                "Ask about less at once, or raise the provider's option context_size.",
            )
        job.prompt = prompt
        # The last token is always evaluated again: its logits are not kept.
        job.reused = min(library.held(prompt.tokens), len(prompt.tokens) - 1)
        job.output = TextOutput(
            stop=tuple(spec.stop), single_line=spec.single_line, line_started=spec.line_started
        )
        return prompt

    def _take(self, job: SerialJob, sampled: Sampled) -> str:
        """Send what one token adds to the answer. Return the finish, "" while there is none."""
        if sampled.token in self._library.ends(job.spec.lane):
            return self._rest(job)
        job.said.append(sampled.token)
        before = self._library.text(job.said[job.window : job.shown])
        whole = self._library.text(job.said[job.window :])
        text = ""
        # A part of a character is nothing, or a replacement, until its other bytes have come.
        if len(whole) > len(before) and not whole.endswith("\ufffd"):
            text = job.output.feed(whole[len(before) :].encode())
            job.window, job.shown = job.shown, len(job.said)
        finish = "stop" if job.output.finished else ""
        if not finish and len(job.said) >= job.spec.max_tokens:
            finish, text = "length", text + job.output.end()
        sure = [] if sampled.logprob is None else [sampled.logprob]
        self._send(Tokens(job.spec.id, text, sure, round(job.decode_ms, 2)))
        return finish

    def _rest(self, job: SerialJob) -> str:
        if text := job.output.end():
            self._send(Tokens(job.spec.id, text, [], round(job.decode_ms, 2)))
        return "stop"

    def _send_prefilled(self, job: SerialJob, prompt: TokenizedPrompt) -> None:
        if job.read:
            return
        job.read = True
        new = len(prompt.tokens) - job.reused
        self._rates.prefilled(new, job.prefill_ms)
        self._send(
            Prefilled(
                id=job.spec.id,
                prompt_tokens=len(prompt.tokens),
                reused_tokens=job.reused,
                evaluated_tokens=new,
                prefill_ms=round(job.prefill_ms, 2),
                variant=prompt.variant,
            )
        )

    def _end(self, job: SerialJob, finish: str) -> None:
        self._close(job)
        total = len(job.prompt.tokens) if job.prompt else 0
        self._send(
            Done(
                id=job.spec.id,
                finish=finish,
                prompt_tokens=total,
                reused_tokens=job.reused,
                evaluated_tokens=total - job.reused if job.read else 0,
                generated_tokens=len(job.said),
                prefill_ms=round(job.prefill_ms, 2),
                decode_ms=round(job.decode_ms, 2),
                variant=job.prompt.variant if job.prompt else 0,
                prefill_rate=self._rates.prefill,
                decode_rate=self._rates.decode,
                decode_steps=len(job.said),
            )
        )

    def _close(self, job: SerialJob) -> None:
        job.suspend()
        self._jobs.pop(job.spec.id, None)
        if self._running is job:
            self._running = None
