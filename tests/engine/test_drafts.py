"""Drafted answers of a real model: the text and the cache are as without drafts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nearfield.engine.frames import Done, Event, Generate, Tokens, Variant
from nearfield.engine.kv_cache import Sequence
from nearfield.engine.lane import Abort, Lane
from nearfield.engine.llama import Model
from nearfield.engine.rates import Rates
from nearfield.engine.scheduler import Scheduler

pytestmark = pytest.mark.model

TOKENS = 512
NEAR_TIE = 0.5
"""Kernels round differently for batches of other sizes, which moves logits by some 0.1: two tokens
that are as near to each other as this may change places, and nothing else may differ."""
PROMPT = """\
def total(prices):
    sum = 0
    for price in prices:
        sum += price
    return sum

def total(prices):
    sum = 0
"""
REST = "    for price in prices:\n        sum += price\n    return sum\n"


class CannotCut(Lane):
    """A lane whose cache forgets a whole sequence instead of its end."""

    def keep(self, sequence: Sequence, tokens: int) -> int:
        return super().keep(sequence, tokens if tokens == len(sequence.tokens) else 0)


class Asked:
    """A scheduler over one lane; what it was asked, and what it said."""

    def __init__(self, model: Model, kind: type[Lane] = Lane) -> None:
        self.model = model
        self.abort = Abort()
        self.lane = kind(
            model, context_size=TOKENS, sequences=1, chunk=32, threads=1, abort=self.abort
        )
        self.events: list[Event] = []
        self.scheduler = Scheduler(
            model, lambda _: self.lane, Rates(), self.abort, self.events.append
        )

    def ask(
        self,
        copied: str,
        prompt: str = PROMPT,
        max_tokens: int = 24,
        stop: tuple[str, ...] = (),
        temperature: float = 0.0,
        most_steps: int = 1000,
    ) -> tuple[str, Done]:
        """The answer, ended after so many steps."""
        self.events.clear()
        spec = Generate(
            id=1,
            lane="infill",
            priority=0,
            document="d",
            variants=[Variant([(prompt, False)])],
            max_tokens=max_tokens,
            stop=list(stop),
            temperature=temperature,
            copied=copied,
        )
        self.scheduler.add(spec)
        for _ in range(most_steps):
            if self.scheduler.idle:
                break
            self.scheduler.step()
        self.scheduler.cancel(1)
        self.check()
        done = self.events[-1]
        assert isinstance(done, Done)
        return "".join(one.text for one in self.events if isinstance(one, Tokens)), done

    def check(self) -> None:
        """The cache holds the sequence's tokens, at consecutive positions, and nothing else."""
        (sequence,) = self.lane.table.all
        first, last = self.lane.positions(sequence)
        assert (first, last) == ((0, len(sequence.tokens) - 1) if sequence.tokens else (-1, -1))

    def gap(self, said: str, one: str, other: str) -> float:
        """Return the distance after `said` of the first tokens of `one` and `other` in logits."""
        (sequence,) = self.lane.table.all
        self.lane.clear()
        tokens = [*self.model.bos, *self.model.tokenize(PROMPT), *self.model.tokenize(said)]
        for at in range(0, len(tokens), 32):
            self.lane.decode(sequence, tokens[at : at + 32])
        logits = self.lane.logits()
        first, second = (
            self.model.tokenize(text)[0] if text else self.model.eos for text in (one, other)
        )
        return abs(float(logits[first]) - float(logits[second]))

    def assert_same(self, plain: str, drafted: str) -> None:
        """The answers are the same, or part where two tokens are equally likely."""
        if plain == drafted:
            return
        at = next(
            (at for at, (a, b) in enumerate(zip(plain, drafted, strict=False)) if a != b),
            min(len(plain), len(drafted)),
        )
        assert self.gap(plain[:at], plain[at:], drafted[at:]) < NEAR_TIE


@pytest.fixture(scope="module")
def asked(model: Model) -> Iterator[Asked]:
    asked = Asked(model)
    yield asked
    asked.lane.close()


@pytest.fixture(scope="module")
def plain(asked: Asked) -> str:
    """The answer without drafts, a token a step."""
    said, done = asked.ask("")
    assert done.decode_steps == done.generated_tokens - 1
    assert len(said) > 20
    return said


COPIED = {
    "all that is said": REST,
    "other names": REST.replace("price", "cost"),
    "one line more": "    import math\n" + REST,
    "one line less": REST.partition("\n")[2],
    "something else": "class Tree:\n    left: Tree\n    right: Tree\n" * 3,
    "one token": "    ",
}


@pytest.mark.parametrize("copied", COPIED.values(), ids=COPIED)
def test_an_answer_with_drafts_is_that_without(asked: Asked, plain: str, copied: str) -> None:
    drafted, done = asked.ask(copied)
    asked.assert_same(plain, drafted)
    assert done.decode_steps < done.generated_tokens


def test_a_copied_answer_takes_few_steps(asked: Asked, plain: str) -> None:
    drafted, done = asked.ask(plain)
    asked.assert_same(plain, drafted)
    assert done.decode_steps * 5 <= done.generated_tokens


def test_a_stop_within_a_draft_ends_the_answer_there(asked: Asked, plain: str) -> None:
    middle = len(plain) // 2
    stop = plain[middle : middle + 6]
    drafted, done = asked.ask(plain, stop=(stop,))
    assert drafted == plain[: plain.index(stop)]
    assert done.finish == "stop"


@pytest.mark.parametrize("most", [1, 2, 17])
def test_no_more_is_said_than_was_asked_for(asked: Asked, plain: str, most: int) -> None:
    drafted, done = asked.ask(plain, max_tokens=most)
    assert plain.startswith(drafted)
    assert done.generated_tokens <= most


def test_an_answer_that_was_ended_leaves_only_what_was_said(asked: Asked, model: Model) -> None:
    for steps in range(6, 10):
        said, done = asked.ask(REST.replace("return", "raise"), most_steps=steps)
        assert done.finish in ("cancelled", "length", "stop")
        (sequence,) = asked.lane.table.all
        held = b"".join(model.pieces[token] for token in sequence.tokens).decode()
        assert (PROMPT + said).startswith(held)


def test_a_cache_that_cannot_be_cut_is_filled_again(model: Model, plain: str) -> None:
    asked = Asked(model, CannotCut)
    try:
        drafted, done = asked.ask("x = 1\n" + REST)
        asked.assert_same(plain, drafted)
        assert done.finish in ("length", "stop")
    finally:
        asked.lane.close()


def test_nothing_is_drafted_with_a_temperature(asked: Asked) -> None:
    _, done = asked.ask(REST, temperature=0.7)
    assert done.decode_steps >= done.generated_tokens - 1


def test_a_key_ends_a_step_with_a_draft(asked: Asked, plain: str) -> None:
    asked.scheduler.add(
        Generate(
            id=2,
            lane="infill",
            priority=4,
            document="d",
            variants=[Variant([(PROMPT, False)])],
            copied=plain,
        )
    )
    asked.events.clear()
    while not any(isinstance(event, Tokens) for event in asked.events):
        asked.scheduler.step()
    before = len(asked.events)
    decode = asked.lane.decode

    def ended(sequence: Sequence, tokens: list[int], *, outputs: int = 1) -> None:
        assert len(tokens) > 1
        assert asked.scheduler.preempts(0)
        asked.abort.set()
        decode(sequence, tokens, outputs=outputs)

    asked.lane.decode = ended  # type: ignore[method-assign]
    asked.scheduler.step()
    asked.lane.decode = decode  # type: ignore[method-assign]
    assert len(asked.events) == before
    asked.check()
    asked.scheduler.cancel(2)
