"""A trial of two models: who answers, what is counted, and when it ends."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.unit.catalog import gguf_files

from nearfield.catalog.models import Catalog
from nearfield.config.load import load
from nearfield.config.paths import user_config_file
from nearfield.config.schema import Completion, Config, Engine, Models, Routing
from nearfield.errors import CatalogError, ConfigError
from nearfield.features.metrics.store import RecordStore
from nearfield.features.service import Service
from nearfield.features.suggestion_record import SuggestionRecord, Taken
from nearfield.features.trial import adopt, arms
from nearfield.features.trial.adopt import adopt_model
from nearfield.features.trial.result import TrialResult, look, trial_result
from nearfield.features.trial.sequential import MIN_DAYS_OF_DOCUMENTS, ArmSums, rate_interval
from nearfield.features.trial.start import start_trial
from nearfield.features.trial.trial import (
    DAY,
    Trial,
    end_trial,
    keep_trial,
    kept_trial,
    new_trial,
    read_mark,
    trial_file,
)
from nearfield.routing.router import EMBEDDED_TRIAL
from nearfield.types import Reason

from .conftest import FakeUser, Start, scripted, until

ADD = "def add(a, b):\n    return |\n"


def running(**fields: Any) -> Trial:
    made = new_trial(("one", "one"), ("two", "two"))
    return msgspec.structs.replace(made, **{"seed": "0" * 32, **fields})


# --- who answers ---


def test_an_arm_is_drawn_for_each_document_and_day() -> None:
    trial, now = running(), time.time()
    uris = [f"file:///work/{number}.py" for number in range(400)]
    today = [trial.arm(uri, now) for uri in uris]
    assert today == [trial.arm(uri, now + 1) for uri in uris] or _is_midnight(now)
    assert 150 < sum(today) < 250
    tomorrow = [trial.arm(uri, now + DAY) for uri in uris]
    assert 150 < sum(one != other for one, other in zip(today, tomorrow, strict=True)) < 250
    assert today != [running(seed="1" * 32).arm(uri, now) for uri in uris]


def _is_midnight(now: float) -> bool:
    return time.localtime(now).tm_mday != time.localtime(now + 1).tm_mday


def test_a_mark_tells_the_arm_and_no_path() -> None:
    trial, now = running(), time.time()
    mark = trial.mark("file:///work/secret.py", now)
    assert "secret" not in mark
    found = read_mark(mark, trial)
    assert found is not None
    assert found.arm == trial.arm("file:///work/secret.py", now)
    assert read_mark(mark, running()) is None
    assert read_mark("", trial) is None


def test_the_trial_is_kept_in_a_file_of_the_users_own() -> None:
    assert kept_trial() is None
    trial = running()
    keep_trial(trial)
    assert kept_trial() == trial
    assert trial_file().stat().st_mode & 0o777 == 0o600
    trial_file().chmod(0o666)
    assert kept_trial() is None  # another user may have written it
    trial_file().chmod(0o600)
    trial_file().write_text("{")
    assert kept_trial() is None


def names(trial: Trial, arm: int, count: int) -> list[str]:
    """Files of the fake user's that the arm serves today."""
    now = time.time()
    every = (f"m{number}.py" for number in range(1000))
    return [name for name in every if trial.arm(f"file:///work/{name}", now) == arm][:count]


async def tried(start: Start, second: Any = None, **completion: Any) -> tuple[Service, Trial]:
    """A service in whose trial both models are scripted."""
    trial = running()
    keep_trial(trial)
    first = scripted("demo", {"text": "first\n"})
    second = second or scripted(EMBEDDED_TRIAL, {"text": "second\n"})
    first.model, second.model = "one", "two"
    return await start(first, second, **completion), trial


async def test_the_models_take_turns_and_records_say_so(start: Start) -> None:
    service, trial = await tried(start)
    one, two = names(trial, 0, 1)[0], names(trial, 1, 1)[0]
    user = FakeUser(service, ADD, two)
    # Before it was seen to be ready the first answers, and that is counted.
    assert await user.said() == "first"
    await until(lambda: _is_ready(service))
    user.type("x")
    user.delete()
    service._completer.cache.forget()  # pyright: ignore[reportPrivateUsage]
    assert await user.said() == "second"
    assert await FakeUser(service, ADD, one).said() == "first"
    await service.aclose()
    rows = RecordStore().rows_of_trial(trial.id)
    arms = [(read_mark(row.trial, trial), row.model) for row in rows]
    assert [(mark.arm, model) for mark, model in arms if mark] == [
        (1, "one"),
        (1, "two"),
        (0, "one"),
    ]
    found = trial_result(trial, rows, time.time() + 300)
    assert [arm.requests for arm in found.arms] == [1, 2]
    assert [arm.stand_ins for arm in found.arms] == [0, 1]


def _is_ready(service: Service) -> bool:
    return service._trial._arms.is_ready  # pyright: ignore[reportPrivateUsage]


async def test_a_model_that_is_late_is_passed_over(start: Start) -> None:
    slow = scripted(EMBEDDED_TRIAL, {"text": "second\n", "delay_ms": 60_000})
    service, trial = await tried(start, slow, deadline_ms=1000)
    service._trial._arms.is_ready = True  # pyright: ignore[reportPrivateUsage]
    for name in names(trial, 1, arms.MAX_LATE):
        assert await FakeUser(service, ADD, name).said() == f"<{Reason.DEADLINE}>"
        service.read_log()
    assert await FakeUser(service, ADD, names(trial, 1, 9)[-1]).said() == "first"


async def test_without_a_trial_the_second_is_never_asked(start: Start) -> None:
    second = scripted(EMBEDDED_TRIAL, {"text": "second\n"})
    service = await start(second)
    assert await FakeUser(service, ADD).said() == f"<{Reason.NO_PROVIDER}>"


async def test_a_trial_of_other_models_decides_nothing(start: Start) -> None:
    keep_trial(running(first_name="another"))
    first = scripted("demo", {"text": "first\n"})
    service = await start(first, scripted(EMBEDDED_TRIAL, {"text": "second\n"}))
    for number in range(4):
        assert await FakeUser(service, ADD, f"m{number}.py").said() == "first"
    await service.aclose()
    assert {row.trial for row in RecordStore().rows(0)} == {""}


# --- the test ---


def sums(counts: Iterable[tuple[int, int]]) -> ArmSums:
    made = ArmSums()
    for shown, taken in counts:
        made.add(shown, taken)
    return made


def test_the_interval_is_the_formula() -> None:
    first = [(4, 1), (6, 3)] * 20
    second = [(5, 4), (5, 2)] * 20
    found = rate_interval(sums(first), sums(second))
    assert found is not None
    variance = 0.0
    for counts in (first, second):
        rate = sum(k for _, k in counts) / sum(n for n, _ in counts)
        squares = sum((k - rate * n) ** 2 for n, k in counts)
        variance += 40 / 39 * squares / sum(n for n, _ in counts) ** 2
    # tau = 0.1, alpha = 0.05: see the module.
    half = math.sqrt(
        variance * (variance + 0.01) / 0.01 * math.log((variance + 0.01) / (variance * 0.0025))
    )
    assert found.difference == pytest.approx(0.6 - 0.4)
    assert (found.low, found.high) == pytest.approx((0.2 - half, 0.2 + half))


def test_too_little_says_nothing() -> None:
    few, many = sums([(5, 1)] * (MIN_DAYS_OF_DOCUMENTS - 1)), sums([(5, 1)] * 50)
    assert rate_interval(few, many) is None
    assert rate_interval(many, few) is None
    assert rate_interval(many, many) is None  # nothing varies


def test_equal_models_are_rarely_told_apart_however_often_one_looks() -> None:
    chance, wrong = random.Random(1), 0
    for _ in range(300):
        arms = (ArmSums(), ArmSums())
        for _day in range(300):
            rate, shown = chance.betavariate(1.5, 3.5), chance.randint(1, 9)
            taken = sum(chance.random() < rate for _ in range(shown))
            arms[chance.randrange(2)].add(shown, taken)
            found = rate_interval(*arms)
            if found is not None and found.is_decided:
                wrong += 1
                break
    assert wrong <= 15  # 5 % of them


# --- the result ---


def row(trial: Trial, arm: int, document: int, **fields: Any) -> SuggestionRecord:
    usual: dict[str, Any] = {
        "at": time.time() - 1000,
        "provider": "p",
        "model": ("one", "two")[arm],
        "ms": 100.0,
        "chars": 10,
        "taken": Taken.OFFERED,
        "trial": f"{trial.id} {arm} {document:012}",
    }
    return SuggestionRecord(**{**usual, **fields})


def days(trial: Trial, arm: int, count: int, taken: int) -> list[SuggestionRecord]:
    """Document-days of ten suggestions, of which `taken`, one more or one less, were taken."""
    return [
        row(
            trial,
            arm,
            number,
            taken=Taken.ACCEPTED if place < taken + number % 3 - 1 else Taken.SHOWN,
        )
        for number in range(count)
        for place in range(10)
    ]


def test_what_is_counted() -> None:
    trial = running()
    rows = [
        row(trial, 0, 1, taken=Taken.ACCEPTED, saved=10, survived=0.5),
        row(trial, 0, 1, taken=Taken.PARTIAL, saved=30, survived=1.0, ms=300.0),
        row(trial, 0, 2, taken=Taken.CONTINUED),  # counted where the rest was offered again
        row(trial, 0, 2, chars=0, taken=Taken.NONE, reason=str(Reason.SUPERSEDED), ms=9.0),
        row(trial, 1, 3, model="one"),  # the first stood in
        row(trial, 1, 3, at=time.time()),  # may still be taken
        row(running(), 1, 3),
    ]
    found = trial_result(trial, rows)
    first, second = found.arms
    assert (first.requests, first.shown, first.taken, first.document_days) == (4, 2, 2, 1)
    assert (first.saved, first.kept, first.acceptance) == (40, (5 + 30) / 40, 1.0)
    assert first.p50_ms == 100.0
    assert (second.requests, second.shown, second.stand_ins) == (1, 1, 1)
    assert found.words.startswith("Not enough yet: 1 and 1 document-days of the 20")
    assert "one answered 1 of the 1 requests of two" in found.words


@pytest.mark.parametrize(
    ("taken", "better", "over", "words"),
    [
        ((2, 6), "two", "It is decided.", "Suggestions of two are taken more often"),
        ((6, 2), "one", "It is decided.", "Suggestions of one are taken more often"),
        ((3, 3), "", "Both are the same to a user.", "Both are taken equally often"),
    ],
)
def test_it_ends_by_itself(taken: tuple[int, int], better: str, over: str, words: str) -> None:
    trial = running()
    keep_trial(trial)
    store = RecordStore()
    count = 400 if taken == (3, 3) else 40
    store.save([*days(trial, 0, count, taken[0]), *days(trial, 1, count, taken[1])])
    found = look(store)
    assert found is not None
    assert (found.better, found.over, found.trial.is_running) == (better, over, False)
    assert found.words.startswith(words)
    assert kept_trial() == found.trial
    assert look(store) == found


def test_it_ends_after_its_days() -> None:
    trial = running(started=time.time() - 29 * DAY)
    assert trial_result(trial, []).over == "Its 28 days are over."
    assert trial_result(running(), []).over == ""
    assert trial_result(running(), []).days_left == 28


# --- start and adoption ---


def models(folder: Path) -> tuple[Config, Path, Path]:
    folder.mkdir(exist_ok=True)
    one, two = folder / "one.gguf", folder / "two.gguf"
    for path in (one, two):
        path.write_bytes(gguf_files.model())
    return Config(models=Models(complete=str(one))), one, two


@pytest.mark.parametrize("is_turned", [False, True])
def test_a_trial_begins(tmp_path: Path, is_turned: bool) -> None:
    config, one, two = models(tmp_path / "models")
    pair = (str(one), str(two)) if is_turned else (str(two), str(one))
    trial = start_trial("complete", *pair, config, Catalog.load())
    assert (trial.first, trial.second) == (str(one), str(two))
    assert (trial.first_name, trial.second_name) == ("one", "two")
    assert kept_trial() == trial
    with pytest.raises(ConfigError, match="runs already"):
        start_trial("complete", *pair, config, Catalog.load())
    end_trial(trial, "You ended it.")
    assert start_trial("complete", str(two), "", config, Catalog.load()).id != trial.id


def test_why_no_trial_begins(tmp_path: Path) -> None:
    config, one, two = models(tmp_path / "models")
    three = tmp_path / "three.gguf"
    three.write_bytes(gguf_files.model())

    def refused(match: str, config: Config, role: str, model: str, against: str) -> None:
        with pytest.raises(ConfigError, match=match):
            start_trial(role, model, against, config, Catalog.load())
        assert kept_trial() is None

    silent = msgspec.structs.replace(config, completion=Completion(record=False))
    small = msgspec.structs.replace(config, engine=Engine(memory_limit_mb=300))
    for first in (["ollama", "embedded"], ["embedded/other"]):
        elsewhere = msgspec.structs.replace(config, routing=Routing(roles={"complete": first}))
        refused(f"served by {first[0]}, ", elsewhere, "complete", str(two), "")
    refused("of the role complete", config, "chat", str(two), "")
    refused("Nothing is recorded", silent, "complete", str(two), "")
    refused("against itself", config, "complete", str(one), "")
    refused("which is neither", config, "complete", str(two), str(three))
    refused("together need", small, "complete", str(two), "")


def result(better: str) -> TrialResult:
    found = trial_result(running(), [])
    return TrialResult(found.trial, found.arms, None, "Not enough yet.", "", better, 28)


def test_a_model_that_is_gone_is_not_adopted(tmp_path: Path) -> None:
    _, one, two = models(tmp_path / "models")
    keep_trial(new_trial((str(one), "one"), (str(two), "two")))
    two.unlink()
    with pytest.raises(CatalogError, match="There is no file"):
        adopt_model(result(str(two)))
    assert load(None).config.models.complete == ""
    last = kept_trial()
    assert last is not None and last.is_running


def test_adoption_writes_the_users_settings_and_ends_the_trial(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def both_are_here(*_: object) -> None:
        """Neither "one" nor "two" is in the catalogue."""

    monkeypatch.setattr(adopt, "named", both_are_here)
    with pytest.raises(ConfigError, match="None is known to be better"):
        adopt_model(result(""))
    with pytest.raises(ConfigError, match="is not of this trial"):
        adopt_model(result(""), "three")
    assert adopt_model(result("two"))[0] == "two"
    assert load(None).config.models.complete == "two"
    assert adopt_model(result("two"), "one") == ("one", user_config_file())
    assert load(None).config.models.complete == "one"
    last = kept_trial()
    assert last is not None
    assert last.why == "You adopted one."
