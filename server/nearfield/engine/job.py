"""A request inside the worker, from its frame to its last token.

A job advances in steps: a chunk of its prompt, or one generated token, or several where a draft of
them was right. It holds no thread and no
lock, so between two steps anything more urgent can go first.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import partial

from nearfield.engine.drafts import CopyDrafts
from nearfield.engine.frames import (
    Done,
    Prefilled,
    Reading,
    Score,
    Scored,
    Tokens,
    Variant,
)
from nearfield.engine.job_queue import QueuedJob
from nearfield.engine.kv_cache import Sequence
from nearfield.engine.lane import Lane
from nearfield.engine.llama import Model
from nearfield.engine.output import TextOutput
from nearfield.engine.prompts import TokenizedPrompt, choose
from nearfield.engine.rates import Rates
from nearfield.engine.sampling import Sampler, likelihoods
from nearfield.engine.token_healing import Ids
from nearfield.errors import ContextTooLong

LESS_CODE = "Raise engine.context_size, or lower completion.prefix_lines."
LESS_CHAT = (
    "Ask about less at once, or raise engine.chat_context_size. Of a long file that is named"
    " (`--file`, `@file:`), what fits the question is shown."
)
"""Advice where a prompt does not fit."""
SCORED_OTHERS = 4
"""Likeliest tokens that are named beside each one that is scored."""
MAX_BANNED = 64
"""Tokens that may be skipped for one that begins differently; later ones make no sense."""


def tokenize(model: Model, variant: Variant, index: int) -> TokenizedPrompt:
    """Return a variant's tokens. The last token of the healed piece is left out, its bytes owed;
    so are those before it that hold the beginning of its first character."""
    tokens = list(model.bos)
    owed = b""
    piece: list[int] = []
    for i, (text, special) in enumerate(variant.pieces):
        piece = model.tokenize(text, special)
        if i == variant.heal and piece:
            owed = model.pieces[piece.pop()]
            while piece and owed[:1] and owed[0] & 0xC0 == 0x80:
                owed = model.pieces[piece.pop()] + owed
        tokens.extend(piece)
    return TokenizedPrompt(tokens, owed, index, len(piece))


def choose_prompt(
    model: Model,
    variants: list[Variant],
    lane: Lane,
    rates: Rates,
    budget_ms: float,
    document: str = "",
) -> TokenizedPrompt:
    """Return the variant to evaluate in `lane`; see `prompts.choose`."""

    def unknown(tokens: list[int]) -> int:
        return len(tokens) - max(lane.table.shared(s, tokens, document) for s in lane.table.all)

    return choose(variants, partial(tokenize, model), unknown, rates, budget_ms)


@dataclass(slots=True)
class Job(QueuedJob):
    """A running request. `todo` are tokens not yet evaluated; the prompt's first, then each
    generated one. `lead` is the white space with which the answer begins, `differs` whether it has
    begun differently from the texts to avoid."""

    lane: Lane
    sampler: Sampler
    prompt: TokenizedPrompt | None = None
    sequence: Sequence | None = None
    output: TextOutput = field(default_factory=TextOutput)
    todo: list[int] = field(default_factory=list[int])
    drafts: CopyDrafts | None = None
    reused: int = 0
    generated: int = 0
    decode_steps: int = 0
    prefill_ms: float = 0.0
    decode_ms: float = 0.0
    lead: bytes = b""
    differs: bool = False

    def begin(self, prompt: TokenizedPrompt, sequence: Sequence, shared: int) -> None:
        """Take `sequence`, of which `shared` tokens are this prompt's. Raises `ContextTooLong`."""
        generates = not (self.spec.prefill_only or self.spec.scores)
        room = self.lane.document_tokens - (self.spec.max_tokens if generates else 0)
        if len(prompt.tokens) > room:
            raise ContextTooLong(
                f"The prompt has {len(prompt.tokens)} tokens and {max(room, 0)} fit.",
                LESS_CHAT if self.spec.lane == "chat" else LESS_CODE,
            )
        # The last token is always evaluated again: its logits are not kept in the cache.
        known = len(prompt.tokens) - 1 - (prompt.last if self.spec.scores else 0)
        shared = self.lane.keep(sequence, min(shared, max(known, 0)))
        self.lane.table.take(sequence, self.spec.id, self.spec.document, shared)
        self.prompt, self.sequence = prompt, sequence
        self.reused = shared
        self.todo = prompt.tokens[shared:]
        self.output = TextOutput(
            stop=tuple(self.spec.stop),
            single_line=self.spec.single_line,
            line_started=self.spec.line_started,
            owed=prompt.owed,
        )

    def step(
        self, chunk: int, model: Model, rates: Rates
    ) -> tuple[list[Reading | Prefilled | Tokens | Scored], str]:
        """Advance by one step. Return its events, and the finish ("" while not finished).

        Raises `Aborted`, after which `resume` must be called.
        """
        sequence = self.sequence
        if sequence is None or self.prompt is None:
            raise RuntimeError("step() before begin()")
        part, drafted = self.todo[:chunk], self._draft(chunk)
        started = time.perf_counter()
        first = len(self.prompt.tokens) - len(self.todo)
        step = range(first, first + len(part))
        scored = self._scored(self.prompt, step)
        outputs = step.stop - scored.start if scored else 1 + len(drafted)
        self.lane.decode(sequence, [*part, *drafted], outputs=outputs)
        spent = (time.perf_counter() - started) * 1000
        del self.todo[: len(part)]
        if self.generated:
            self.decode_ms += spent
            self.decode_steps += 1
            if len(part) + len(drafted) == 1:
                rates.decoded(spent)
        else:
            self.prefill_ms += spent
            rates.prefilled(len(part), spent)
        if self.spec.scores:
            told = [self._told(model, self.prompt, first, scored)] if scored else []
            return [*told], "" if self.todo else "stop"
        if self.todo:
            if self.spec.lane != "chat":
                return [], ""
            share = 1 - len(self.todo) / len(self.prompt.tokens)
            return [Reading(self.spec.id, round(share, 2))], ""
        begun = [] if self.generated else [self._prefilled(self.prompt)]
        if begun:
            sequence.whole = len(sequence.tokens)
        if self.spec.prefill_only:
            return [*begun], "stop"
        tokens, finish = self._sample_all(model, sequence, drafted)
        return [*begun, *tokens], finish

    def _scored(self, prompt: TokenizedPrompt, step: range) -> range:
        """Return the places in the prompt of the tokens of `step` whose next one is scored."""
        if not self.spec.scores:
            return range(0)
        total = len(prompt.tokens)
        return range(max(step.start, total - prompt.last - 1), min(step.stop, total - 1))

    def _told(self, model: Model, prompt: TokenizedPrompt, first: int, scored: range) -> Scored:
        """Return the scores of the tokens after those at `scored`; the step began at `first`."""
        found: list[Score] = []
        for at in scored:
            logits, token = self.lane.logits(at - first), prompt.tokens[at + 1]
            sure, others = likelihoods(logits, token, SCORED_OTHERS)
            named = [(model.pieces[other], other_sure) for other, other_sure in others]
            found.append(Score(model.pieces[token], sure, named))
        return Scored(self.spec.id, found)

    def resume(self) -> None:
        """Go on after an aborted step. A cache that cannot be cut has lost the prompt then."""
        if self.prompt is None or self.sequence is None or self.sequence.tokens:
            return
        self.reused, self.todo = 0, list(self.prompt.tokens)

    def _draft(self, chunk: int) -> list[int]:
        """The tokens that are tried in one batch with the one to be evaluated."""
        if self.drafts is None or not self.generated or len(self.todo) > 1 or self.output.owed:
            return []
        return self.drafts.next(min(chunk, self.spec.max_tokens - self.generated) - 1)

    def _sample_all(
        self, model: Model, sequence: Sequence, drafted: list[int]
    ) -> tuple[list[Tokens], str]:
        """Choose the token after the last one, and after each of `drafted` up to the first that
        would not have been chosen; that and those after it are taken off the sequence."""
        events: list[Tokens] = []
        said: list[int] = []
        finish, right = "", 0
        for row in range(1 + len(drafted)):
            tokens, finish = self._sample(model, row if drafted else -1)
            events += tokens
            if not self.todo:
                break  # the end token
            said.append(self.todo[-1])
            if finish or row == len(drafted) or said[-1] != drafted[row]:
                break
            right += 1
            self.todo.pop()
        if self.drafts is not None:
            self.drafts.settle(len(drafted), said)
        if right < len(drafted):
            self._take_off(sequence, len(drafted) - right)
        return events, finish

    def _take_off(self, sequence: Sequence, count: int) -> None:
        """Take the last tokens off the sequence. A cache that cannot forgets more, which is then
        evaluated again, without drafts."""
        held = sequence.tokens[:-count]
        kept = self.lane.keep(sequence, len(held))
        del sequence.tokens[kept:]
        sequence.whole = min(sequence.whole, kept)
        if kept < len(held):
            self.todo[:0] = held[kept:]
            self.drafts = None

    def _sample(self, model: Model, row: int) -> tuple[list[Tokens], str]:
        started = time.perf_counter()
        owed = self.output.owed
        allowed = model.byte_index.allowed(owed) if owed else None
        token, sure = self.sampler.pick(self.lane, allowed, row=row)
        if self.spec.avoid and not self.differs:
            token, sure = self._otherwise(model, allowed, token, sure)
        self.decode_ms += (time.perf_counter() - started) * 1000
        if token in model.ends(self.spec.lane):
            return self._rest(), "stop"
        self.generated += 1
        self.todo.append(token)
        text = self.output.feed(model.pieces[token])
        finish = "stop" if self.output.finished else ""
        if not finish and self.generated >= self.spec.max_tokens:
            finish, text = "length", text + self.output.end()
        return [Tokens(self.spec.id, text, [sure], round(self.decode_ms, 2))], finish

    def _otherwise(
        self, model: Model, allowed: Ids | None, token: int, sure: float
    ) -> tuple[int, float]:
        """Return `token`, or the next likely one with which the answer does not begin like one of
        those to avoid. Shared white space does not count as a beginning."""
        banned: list[int] = []
        ends = model.ends(self.spec.lane)
        while len(banned) < MAX_BANNED and token not in ends:
            text = self.lead + model.pieces[token][len(self.output.owed) :]
            visible = text.lstrip()
            if not visible:
                self.lead = text
                break
            if not any(other.lstrip().encode().startswith(visible) for other in self.spec.avoid):
                self.differs = True
                break
            banned.append(token)
            token, sure = self.sampler.pick(self.lane, allowed, banned)
        return token, sure

    def _rest(self) -> list[Tokens]:
        text = self.output.end()
        return [Tokens(self.spec.id, text, [], round(self.decode_ms, 2))] if text else []

    def _prefilled(self, prompt: TokenizedPrompt) -> Prefilled:
        total = len(prompt.tokens)
        return Prefilled(
            id=self.spec.id,
            prompt_tokens=total,
            reused_tokens=self.reused,
            evaluated_tokens=total - self.reused,
            prefill_ms=round(self.prefill_ms, 2),
            variant=prompt.variant,
        )

    def done(self, finish: str, rates: Rates) -> Done:
        """Return the closing event, with the job's cost."""
        total = len(self.prompt.tokens) if self.prompt else 0
        left = len(self.todo) if not self.generated else 0
        return Done(
            id=self.spec.id,
            finish=finish,
            prompt_tokens=total,
            reused_tokens=self.reused,
            evaluated_tokens=total - self.reused - left,
            generated_tokens=self.generated,
            prefill_ms=round(self.prefill_ms, 2),
            decode_ms=round(self.decode_ms, 2),
            variant=self.prompt.variant if self.prompt else 0,
            prefill_rate=rates.prefill,
            decode_rate=rates.decode,
            decode_steps=self.decode_steps,
        )
