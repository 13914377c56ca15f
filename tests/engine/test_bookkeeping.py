"""Whatever is asked, cut short, prepared, kept and restored: the cache holds what is said.

In this process, so that the sequences can be looked into. Positions are llama.cpp's own; that the
cells hold the right tokens is seen by what the model says after them, against a fresh evaluation.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nearfield.engine.frames import Event, Generate, Variant
from nearfield.engine.kv_cache import Sequence
from nearfield.engine.lane import Abort, Lane
from nearfield.engine.llama import Model
from nearfield.engine.rates import Rates
from nearfield.engine.scheduler import Scheduler
from nearfield.types import Priority

pytestmark = pytest.mark.model

WORDS = "import os\nclass A:\n    def run(self, x):\n        return x + 1\n# a note\ny = A()\n"

SEQUENCES = 3
TOKENS = 256
CLOSE = 0.35
"""How much logits may differ: kernels round differently for batches of other sizes. Another token
in one cell of fifty moves them by some 2."""


def new_lane(model: Model, sequences: int) -> Lane:
    return Lane(
        model,
        context_size=TOKENS * sequences,
        sequences=sequences,
        chunk=16,
        threads=1,
        abort=Abort(),
    )


class Bench:
    """A scheduler over a lane, and a second lane to evaluate afresh in."""

    def __init__(self, model: Model, folder: Path) -> None:
        self.lane, self.fresh = new_lane(model, SEQUENCES), new_lane(model, 1)
        self.events: list[Event] = []
        abort = Abort()
        self.scheduler = Scheduler(model, lambda _: self.lane, Rates(), abort, self.events.append)
        self.model, self.folder, self.ids = model, folder, 0

    def close(self) -> None:
        self.scheduler.end_all()
        self.lane.close()
        self.fresh.close()

    def ask(self, document: int, text: str, *, prefill: bool, steps: int) -> None:
        """A request that is cancelled after so many steps, if it is not over by then."""
        self.ids += 1
        spec = Generate(
            id=self.ids,
            lane="infill",
            priority=Priority.PREFILL if prefill else Priority.COMPLETION,
            document=str(document),
            variants=[Variant([(text, False)], heal=0)],
            max_tokens=6,
            prefill_only=prefill,
        )
        self.scheduler.add(spec)
        for _ in range(steps):
            if self.scheduler.idle:
                break
            self.scheduler.step()
        self.scheduler.cancel(self.ids)

    def keep(self, document: int, prompt: list[int] | None = None) -> None:
        own = [one.tokens for one in self.lane.table.all if one.document == str(document)]
        sequence = self.lane.table.holding([prompt] if prompt else own, str(document))
        if sequence is not None:
            assert self.lane.save(sequence, str(self.folder / str(document))) > 0

    def recall(self, document: int) -> None:
        file = self.folder / str(document)
        sequence = self.lane.table.spare(str(document))
        if sequence is not None and file.exists():
            assert self.lane.restore(sequence, str(file)) == len(sequence.tokens) > 0
            self.lane.table.give(sequence, str(document))

    def check(self) -> None:
        """Every sequence holds its tokens, at consecutive positions, and nothing else."""
        for sequence in self.lane.table.all:
            assert sequence.job is None
            first, last = self.lane.positions(sequence)
            expected = (0, len(sequence.tokens) - 1) if sequence.tokens else (-1, -1)
            assert (first, last) == expected

    def compare(self, sequence: Sequence) -> None:
        """What the model says after a sequence is what it says after its tokens."""
        tokens = list(sequence.tokens)
        if not tokens or len(tokens) >= TOKENS - 1:
            return
        probe = self.model.tokenize("\n")[:1]
        self.lane.decode(sequence, probe)
        said = self.lane.logits().copy()
        self.lane.keep(sequence, len(tokens))
        del sequence.tokens[len(tokens) :]
        self.fresh.clear()
        again = self.fresh.table.all[0]
        for start in range(0, len(tokens), 16):
            self.fresh.decode(again, tokens[start : start + 16])
        self.fresh.decode(again, probe)
        assert float(np.abs(said - self.fresh.logits()).mean()) < CLOSE


texts = st.integers(8, len(WORDS)).flatmap(
    lambda end: st.tuples(
        st.just(end), st.integers(0, 3), st.sampled_from(["", "x", "self.", "\n"])
    )
)


@st.composite
def requests(draw: st.DrawFn) -> Callable[[Bench], None]:
    end, start, typed = draw(texts)
    document, prefill = draw(st.integers(0, 3)), draw(st.booleans())
    steps = draw(st.sampled_from([1, 2, 3, 100]))
    text = WORDS[start * 8 : max(end, start * 8 + 4)] * draw(st.integers(1, 3)) + typed
    return lambda bench: bench.ask(document, text, prefill=prefill, steps=steps)


@st.composite
def files(draw: st.DrawFn) -> Callable[[Bench], None]:
    document, keep = draw(st.integers(0, 3)), draw(st.booleans())
    return lambda bench: bench.keep(document) if keep else bench.recall(document)


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.one_of(requests(), requests(), files()), min_size=2, max_size=12))
def test_the_cache_holds_exactly_the_evaluated_tokens(
    model: Model, steps: list[Callable[[Bench], None]]
) -> None:
    with TemporaryDirectory() as folder:
        bench = Bench(model, Path(folder))
        try:
            for step in steps:
                step(bench)
                bench.check()
            for sequence in bench.lane.table.all:
                bench.compare(sequence)
        finally:
            bench.close()


def test_idle_prefill_leaves_a_document_its_only_prompt(model: Model, tmp_path: Path) -> None:
    bench = Bench(model, tmp_path)
    for other in range(1, SEQUENCES + 1):
        bench.ask(other, f"{WORDS[:12]}# Document {other}\n" * 9, prefill=False, steps=100)
    bench.ask(0, WORDS * 2, prefill=False, steps=100)
    tokens = next(list(one.tokens) for one in bench.lane.table.all if one.document == "0")
    # It begins as what is the least recently used, by so little that nothing goes on from there.
    bench.ask(0, f"{WORDS[:12]}{'b += 2; ' * 60}", prefill=True, steps=6)
    assert any(one.tokens == tokens for one in bench.lane.table.all)
    bench.close()


def test_an_interrupted_prefill_displaces_no_whole_prompt(model: Model, tmp_path: Path) -> None:
    bench = Bench(model, tmp_path)
    bench.ask(0, WORDS * 2, prefill=False, steps=100)
    (whole,) = (one for one in bench.lane.table.all if one.whole)
    tokens = list(whole.tokens)
    for other in range(1, SEQUENCES - 1):
        bench.ask(other, f"# Document {other}\n" * 9, prefill=True, steps=100)
    shared = "a += 1\n" * 10
    for end in range(6):
        bench.ask(0, f"{shared}{end}{'b += 2; ' * 19}", prefill=True, steps=6)
        assert whole.tokens == tokens and whole.document == "0"
    bench.keep(0, tokens)
    bench.recall(0)
    assert any(one.tokens == tokens for one in bench.lane.table.all if one is not whole)
    bench.check()
    bench.close()


def test_the_comparison_sees_a_wrong_cell(model: Model, tmp_path: Path) -> None:
    bench = Bench(model, tmp_path)
    bench.ask(0, WORDS, prefill=True, steps=100)
    sequence = max(bench.lane.table.all, key=lambda s: len(s.tokens))
    bench.compare(sequence)
    sequence.tokens[5] += 1
    with pytest.raises(AssertionError):
        bench.compare(sequence)
    bench.close()
