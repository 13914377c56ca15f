"""Which of several prompts is evaluated, by what the KV cache holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from nearfield.engine.frames import Variant
from nearfield.engine.job import choose_prompt
from nearfield.engine.kv_cache import SequenceTable
from nearfield.engine.rates import Rates
from nearfield.errors import Unsupported

RATES = Rates(prefill=1000)  # one token a millisecond


@dataclass
class Characters:
    """A model whose tokens are characters; it notes what it was given."""

    bos: list[int] = field(default_factory=list[int])
    texts: list[str] = field(default_factory=list[str])

    def tokenize(self, text: str, special: bool = False) -> list[int]:
        self.texts.append(text)
        return [ord(c) for c in text]


@dataclass
class TableOnly:
    """A lane that holds these texts."""

    table: SequenceTable


def choose(
    held: list[str], variants: list[tuple[str, int]], budget_ms: float
) -> tuple[str, list[str]]:
    """Return the text that is chosen, and those that were tokenized."""
    table = SequenceTable(max(1, len(held)))
    for sequence, text in zip(table.all, held, strict=False):
        sequence.tokens.extend(ord(c) for c in text)
    model: Any = Characters()
    lane: Any = TableOnly(table)
    frames = [Variant([(text, False)], max_extra_tokens=extra) for text, extra in variants]
    prompt = choose_prompt(model, frames, lane, RATES, budget_ms)
    return variants[prompt.variant][0], cast(list[str], model.texts)


LONG, SMALL = "a" * 500, "b" * 100
CASES = [
    ("the first that is held", [LONG], [(LONG + "x", 64), (SMALL, 0)], 0, LONG + "x"),
    ("not one that was lost", [], [(LONG, 64), (SMALL, 0)], 0, SMALL),
    ("one a little dearer", [], [("c" * 150, 64), (SMALL, 0)], 0, "c" * 150),
    ("any that is in time, if that is wanted", [], [(LONG, 2000), (SMALL, 2000)], 600, LONG),
    ("the next if it is not in time", [], [(LONG, 2000), (SMALL, 2000)], 400, SMALL),
    ("the cheapest if none is in time", [], [(LONG, 2000), (SMALL, 2000)], 50, SMALL),
    ("the first of equal ones", [], [("d" * 100, 0), (SMALL, 0)], 0, "d" * 100),
    ("no empty one", [], [("", 64), (SMALL, 0)], 0, SMALL),
]


@pytest.mark.parametrize("case", CASES, ids=[case[0] for case in CASES])
def test_the_prompt_that_is_evaluated(
    case: tuple[str, list[str], list[tuple[str, int]], float, str],
) -> None:
    _, held, variants, budget_ms, expected = case
    assert choose(held, variants, budget_ms)[0] == expected


def test_no_more_prompts_are_tokenized_than_needed() -> None:
    variants = [(LONG + "x", 64), (SMALL, 0)]
    assert choose([LONG], variants, 0)[1] == [LONG + "x"]
    assert choose([], variants, 0)[1] == [LONG + "x", SMALL]


def test_an_empty_prompt_is_refused() -> None:
    with pytest.raises(Unsupported):
        choose([], [("", 0)], 0)
