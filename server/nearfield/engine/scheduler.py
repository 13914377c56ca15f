"""The jobs of the compiled engine.

A completion waits for at most one step of a chat answer, and not even for that when the step is a
prompt chunk or a draft: `preempts` lets the reader thread end it. The order is in `job_queue`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nearfield.engine.chat_template import opened, render
from nearfield.engine.drafts import CopyDrafts
from nearfield.engine.frames import Event, Generate, Tokens, Variant
from nearfield.engine.job import Job, choose_prompt
from nearfield.engine.job_queue import JobQueue
from nearfield.engine.kv_cache import WORTH_COPYING, Sequence, goes_on
from nearfield.engine.lane import Abort, Aborted, Lane
from nearfield.engine.llama import Model
from nearfield.engine.rates import Rates
from nearfield.engine.sampling import Chain, Greedy, Sampler
from nearfield.engine.typing_lock import StepGate
from nearfield.errors import NearfieldError
from nearfield.types import Priority

RETURN_TOKENS = 256
"""A request copies a sequence before it cuts off this many tokens, which are of another place in
the file. Fewer were generated and typed since, and will not be needed again."""

MIN_PREFILL_TOKENS = 24
"""Fewer unevaluated tokens of a prompt are left to the request that needs them: it does not notice,
and what it will need of them is not certain."""


@dataclass(frozen=True, slots=True)
class Running:
    """The step under way, as the reader thread may see it. `is_long`: it evaluates more than one
    token, so that ending it is worth doing it again."""

    job: int
    priority: int
    is_long: bool


class Scheduler(JobQueue[Job]):
    """The jobs of one loaded model. Used from one thread, except `running` and `preempts`."""

    def __init__(
        self,
        model: Model,
        lanes: Callable[[str], Lane],
        rates: Rates,
        abort: Abort,
        send: Callable[[Event], None],
        gate: StepGate | None = None,
    ) -> None:
        super().__init__(send, gate)
        self._model = model
        self._lanes = lanes
        self._rates = rates
        self._abort = abort
        self.running: Running | None = None

    def preempts(self, priority: int) -> bool:
        """Return whether a new job of `priority` should end the running step (any thread)."""
        running = self.running
        return running is not None and running.is_long and priority < running.priority

    def add(self, spec: Generate) -> None:
        """Take a new job."""
        try:
            lane = self._lanes(spec.lane)
            self._arrivals += 1
            sampler = self._sampler(spec)
            job = self._jobs[spec.id] = Job(spec, self._arrivals, lane, sampler)
            is_plain = isinstance(sampler, Greedy) and not spec.avoid
            if spec.copied and is_plain and self._model.has_tails:
                job.drafts = CopyDrafts(self._model.tokenize(spec.copied))
        except NearfieldError as error:
            self._fail(spec.id, error)

    def _go_on(self, job: Job) -> None:
        if job.prompt is None:
            self._begin(job)
        else:
            self._advance(job)

    def _advance(self, job: Job) -> None:
        self._abort.clear()
        is_long = not job.generated or job.drafts is not None
        self.running = Running(job.spec.id, job.spec.priority, is_long)
        # An ended step of a model whose state cannot be cut would lose the whole prompt.
        is_watched = is_long and job.spec.priority > Priority.COMPLETION and self._model.has_tails
        try:
            with self._gate.step(is_watched=is_watched):
                events, finish = job.step(job.lane.chunk, self._model, self._rates)
        except Aborted:
            self._gate.held_up()
            job.resume()
            return
        finally:
            self.running = None
        for event in events:
            self._send(event)
        if finish:
            self._end(job, finish)

    def _begin(self, job: Job) -> None:
        variants = self._variants(job.spec)
        budget_ms = job.spec.prefill_budget_ms
        prompt = choose_prompt(
            self._model, variants, job.lane, self._rates, budget_ms, job.spec.document
        )
        weaker = frozenset(
            other.spec.id
            for other in self._jobs.values()
            if other.spec.priority > job.spec.priority and other.lane is job.lane
        )
        choice = job.lane.table.choose(prompt.tokens, job.spec.document, weaker)
        if choice is None:
            # Every sequence belongs to an equally urgent, older job: end the oldest of those.
            self._end(self._oldest(job), "preempted")
            return
        sequence, shared = choice
        if job.spec.prefill_only and len(prompt.tokens) - shared < MIN_PREFILL_TOKENS:
            job.lane.table.give(sequence, job.spec.document)
            job.prompt, job.reused = prompt, len(prompt.tokens)
            self._end(job, "stop")
            return
        if sequence.job is not None and sequence.job in self._jobs:
            self._end(self._jobs[sequence.job], "preempted")
        if job.spec.chat and (mark := opened(variants[prompt.variant].pieces)):
            # The answer begins where the prompt has left off; its reader has to know.
            self._send(Tokens(job.spec.id, mark, [], 0.0))
        if goes_on(shared, prompt.tokens):
            sequence = self._kept(job, sequence, shared)
        job.begin(prompt, sequence, shared)

    def _kept(self, job: Job, sequence: Sequence, shared: int) -> Sequence:
        """Return the sequence to continue in: a copy, if more would be lost than a copy costs. Idle
        prefill must not overwrite what the next request continues, and a user who jumps away may
        come back. The beginning of an interrupted prompt is no loss."""
        lost = sequence.whole - shared
        worth = WORTH_COPYING if job.spec.prefill_only else RETURN_TOKENS
        spare = job.lane.table.spare(job.spec.document, sequence) if lost >= worth else None
        if spare is None:
            return sequence
        job.lane.fork(sequence, spare)
        return spare

    def _oldest(self, job: Job) -> Job:
        holders = [j for j in self._jobs.values() if j.lane is job.lane and j.sequence is not None]
        return min(holders, key=lambda j: j.arrival)

    def _variants(self, spec: Generate) -> list[Variant]:
        if not spec.chat:
            return spec.variants
        eos = self._model.control_text(self._model.eos)
        return [Variant(render(self._model.meta("tokenizer.chat_template"), spec.chat, eos))]

    def _sampler(self, spec: Generate) -> Sampler:
        marks = spec.call_marks
        if spec.temperature <= 0 and not spec.schema and not marks:
            return Greedy(self._model.never(spec.lane))
        from nearfield.engine.grammar import from_call, from_schema

        grammar = ""
        if marks:
            grammar = from_call(spec.schema, *marks)
        elif spec.schema:
            grammar = from_schema(spec.schema)
        never = self._model.never(spec.lane)
        return Chain(self._model, never, temperature=spec.temperature, grammar=grammar)

    def _end(self, job: Job, finish: str) -> None:
        self._close(job)
        self._send(job.done(finish, self._rates))

    def _close(self, job: Job) -> None:
        self._jobs.pop(job.spec.id, None)
        job.lane.table.release(job.spec.id)
        job.sampler.close()
