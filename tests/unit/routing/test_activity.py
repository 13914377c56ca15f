"""The work of a model as it is told: phases, shares and tokens."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from nearfield.config.schema import ProviderSettings
from nearfield.providers.scripted import Scripted
from nearfield.routing.activity import Phase, Watch, Work, reported_to, watched
from nearfield.types import Delta, Usage

pytestmark = pytest.mark.asyncio


def model(**options: Any) -> Scripted:
    return Scripted("near", ProviderSettings(kind="scripted", options=options))


async def test_reading_comes_before_writing() -> None:
    told: list[Work] = []
    watch = Watch(model(), told.append)
    for delta in (Delta(read=0.25), Delta(read=0.5), Delta("a", (-0.1,)), Delta("b", (-0.1,))):
        watch.heard(delta)
    assert [(one.phase, one.share, one.tokens) for one in told] == [
        (Phase.READING, 0.25, 0),
        (Phase.READING, 0.5, 0),
        (Phase.WRITING, None, 1),
        (Phase.WRITING, None, 2),
    ]


async def test_tokens_are_those_that_the_provider_counts() -> None:
    told: list[Work] = []
    watch = Watch(model(), told.append)
    watch.heard(Delta("a b c", usage=Usage("scripted", generated_tokens=7)))
    assert told[-1].tokens == 7


async def test_a_model_that_is_being_loaded_is_said_to_be() -> None:
    told: list[Work] = []
    loaded = model(load_ms=60_000)
    loaded.start()
    with reported_to(told.append):
        async with watched(loaded, is_local=True) as watch:
            while not told:
                await asyncio.sleep(0.01)
            assert told[0].phase is Phase.LOADING
            watch.heard(Delta("a"))
    assert told[-1].phase is Phase.WRITING


async def test_a_provider_outside_this_machine_is_not_asked_how_it_is() -> None:
    told: list[Work] = []
    with reported_to(told.append):
        async with watched(model(), is_local=False):
            await asyncio.sleep(0.05)
    assert told == []


async def test_nothing_is_told_where_nobody_shows_it() -> None:
    async with watched(model(), is_local=True) as watch:
        watch.heard(Delta("a"))


@pytest.mark.parametrize(
    ("work", "words"),
    [
        (Work("m", Phase.LOADING, 0.4, seconds=2), "m: loading 40%, 2 s"),
        (Work("m", Phase.READING, seconds=12), "m: reading, 12 s"),
        (Work("m", Phase.WRITING, tokens=120, seconds=8), "m: writing, 120 tokens, 8 s"),
        (Work("m", Phase.WRITING, tokens=1), "m: writing, 1 token, 0 s"),
    ],
)
async def test_the_words(work: Work, words: str) -> None:
    assert work.words() == words
