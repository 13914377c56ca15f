"""Scores by a real model: they are what it said of the same tokens when it generated them."""

from __future__ import annotations

from pathlib import Path

import pytest

from nearfield.config.schema import Engine
from nearfield.engine.client import EngineClient
from nearfield.providers.base import Scorer
from nearfield.providers.embedded import Embedded
from nearfield.types import EditForm, EditRequest, ScoredToken, ScoreRequest, Segment

pytestmark = [pytest.mark.model, pytest.mark.asyncio]

PROMPT = "def total(prices):\n    sum = 0\n    for price in prices:\n"
ROUNDED = 0.3
"""Kernels round differently for batches of other sizes."""


async def test_a_generated_text_scores_as_it_was_generated(default_model: Path) -> None:
    model = Embedded(EngineClient(Engine()), model="default", path=default_model)
    assert isinstance(model, Scorer)
    asked = EditRequest(EditForm.NONE, "d", "a.py", (Segment(PROMPT),), max_tokens=12)
    text, sure = "", list[float]()
    try:
        async for delta in model.edit(asked):
            text += delta.text
            sure += delta.logprobs
        scored = await model.score(ScoreRequest("d", PROMPT, text))
        changed = await model.score(ScoreRequest("d", PROMPT, text.replace("price", "sum")))
    finally:
        await model.aclose()
    assert "".join(one.text for one in scored) == text
    assert [one.start for one in scored] == _starts(scored)
    assert sum(one.logprob for one in scored) == pytest.approx(sum(sure), abs=ROUNDED * len(sure))
    for one in scored:
        # It was chosen as the likeliest.
        assert one.others[0][1] <= one.logprob + ROUNDED
        assert one.text not in [text for text, _ in one.others]
    assert _total(changed) < _total(scored)


async def test_a_text_at_the_beginning_and_characters_of_several_tokens(
    default_model: Path,
) -> None:
    model = Embedded(EngineClient(Engine()), model="default", path=default_model)
    text = 'name = "Ünï\N{GRINNING FACE}"\n'
    try:
        scored = await model.score(ScoreRequest("d", "", text))
        alone = await model.score(ScoreRequest("d", "", "a"))
    finally:
        await model.aclose()
    assert alone == ()
    assert scored[0].start > 0  # the first token has nothing before it
    shown = [(one.start, one.text) for one in scored if one.text]
    assert all(text.startswith(piece, start) for start, piece in shown)
    assert shown[-1][1].endswith("\n")


def _total(scored: tuple[ScoredToken, ...]) -> float:
    return sum(one.logprob for one in scored)


def _starts(scored: tuple[ScoredToken, ...]) -> list[int]:
    at, found = 0, list[int]()
    for one in scored:
        found.append(at)
        at += len(one.text)
    return found
