"""Many people at once, and a model server that is killed: each gets their own answer, and all."""

from __future__ import annotations

from pathlib import Path

from tests.bench.team import load


async def test_nobody_gets_anothers_answer_and_none_is_lost(tmp_path: Path) -> None:
    outcome = await load(tmp_path, people=8, requests=320)
    assert (outcome.answered, outcome.wrong, dict(outcome.lost)) == (320, 0, {})
