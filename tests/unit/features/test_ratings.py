"""What the user says of answers, and what is counted of it."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

import pytest

from nearfield.config.schema import Completion, Config
from nearfield.features.metrics.store import RatingCount, RecordStore
from nearfield.features.ratings import NotRated, RatedAnswer, rate_last
from nearfield.types import Reason, Surface, Trace


def trace(surface: Surface, model: str = "m", reason: Reason = Reason.SHOWN) -> Trace:
    shown = reason is Reason.SHOWN
    return Trace("", surface, "", None, "p" if model else "", model, "", 1.0, shown, reason)


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEARFIELD_DATA_DIR", str(tmp_path))


def counted() -> list[RatingCount]:
    with closing(RecordStore()) as store:
        return store.ratings(time.time() - 60)


def test_the_last_answer_is_rated_by_kind_and_model() -> None:
    chat, fix = trace(Surface.CHAT, "large"), trace(Surface.ACTION, "small")
    typed = trace(Surface.GHOST_TEXT, "small")
    assert rate_last([typed, chat, fix], Config(), good=True) == RatedAnswer("chat", "large", True)
    rate_last([chat], Config(), good=True)
    rate_last([chat], Config(), good=False)
    rate_last([typed, fix, chat], Config(), good=False)
    assert counted() == [RatingCount("action", "small", 0, 1), RatingCount("chat", "large", 2, 1)]


def test_an_answer_that_never_came_is_not_rated() -> None:
    failed = trace(Surface.CHAT, "m", Reason.FAILED)
    rated = rate_last([failed, trace(Surface.REVIEW, "other")], Config(), good=True)
    assert rated.kind == "review"
    with pytest.raises(NotRated, match="no answer"):
        rate_last([failed, trace(Surface.CHAT, "")], Config(), good=True)


def test_nothing_is_rated_where_nothing_is_recorded() -> None:
    config = Config(completion=Completion(record=False))
    with pytest.raises(NotRated, match="Nothing is recorded"):
        rate_last([trace(Surface.CHAT)], config, good=True)
    assert counted() == []


def test_ratings_are_deleted_by_age() -> None:
    with closing(RecordStore()) as store:
        store.rate(5.0, "chat", "p", "m", good=True)
        store.rate(time.time(), "chat", "p", "m", good=False)
        store.save([], before=10.0)
        assert store.ratings(0) == [RatingCount("chat", "m", 0, 1)]
