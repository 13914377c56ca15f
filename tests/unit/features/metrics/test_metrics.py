"""What is kept of suggestions: the fate of each, what survives, the file, its trouble, the sums."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import stat
import time
from pathlib import Path
from typing import Any

import pytest
from tests.unit.features.conftest import FakeUser, Start, scripted

from nearfield.config.schema import Completion, Config
from nearfield.features.completion.acceptance import SurvivalWatch
from nearfield.features.metrics.recorder import KEPT_DAYS, Recorder
from nearfield.features.metrics.store import RecordStore, RecordUnusable
from nearfield.features.metrics.summary import (
    curve,
    next_edit_summary,
    parts,
    percentile,
    summary,
)
from nearfield.features.metrics.sums_store import CLASS_WIDTH, SETTLED_SECONDS, SuggestionSums
from nearfield.features.service import Service
from nearfield.features.suggestion_record import SuggestionRecord, Taken
from nearfield.types import Edit, Situation, Span, Surface, Trace, Usage

ADD = "def add(a, b):\n    return |\n"
SECRET = "aardvark + zebra"
MODEL = {"match": r"return $", "text": f"{SECRET}\n"}

# A text put at 4, edits as (start, end, text), how much of it survives.
SURVIVAL: list[tuple[str, str, list[tuple[int, int, str]], float]] = [
    ("untouched", "abcdef", [], 1.0),
    ("text before it", "abcdef", [(0, 0, "12")], 1.0),
    ("text right behind it", "abcdef", [(10, 10, "xyz")], 1.0),
    ("text right before it", "abcdef", [(4, 4, "xyz")], 1.0),
    ("half deleted", "abcdef", [(4, 7, "")], 0.5),
    ("undone", "abcdef", [(4, 10, "")], 0.0),
    ("replaced", "abcdef", [(4, 10, "uvw")], 0.0),
    ("a letter inside", "abcdef", [(6, 6, "X")], 1.0),
    ("deleted over both ends", "abcdef", [(2, 12, "")], 0.0),
    ("indented anew", "ab\n cd", [(7, 8, "    ")], 1.0),
    ("written again by another edit", "abcdef", [(2, 12, "..abcXYZ..")], 0.5),
]


@pytest.mark.parametrize("case", SURVIVAL, ids=[c[0] for c in SURVIVAL])
def test_survival_is_the_share_of_the_text_that_remains(
    case: tuple[str, str, list[tuple[int, int, str]], float],
) -> None:
    _, put, edits, expected = case
    text = f"....{put}...."
    watch = SurvivalWatch(put, Span(4, 4 + len(put)))
    for start, end, new in edits:
        watch.follow(Edit(Span(start, end), new))
        text = text[:start] + new + text[end:]
    assert watch.survived(text) == expected


def rows(service: Service) -> list[SuggestionRecord]:
    del service
    store = RecordStore()
    found = store.rows(0)
    store.close()
    return found


async def closed(service: Service) -> list[SuggestionRecord]:
    await service.aclose()
    return rows(service)


async def test_accepted_and_half_of_it_deleted(start: Start) -> None:
    service = await start(scripted("model", MODEL))
    person = FakeUser(service, ADD)
    assert await person.said() == SECRET
    person.edit(person.cursor, person.cursor, SECRET)
    person.delete(len(SECRET) // 2)
    (row,) = await closed(service)
    assert (row.taken, row.saved, row.chars, row.lines) == (Taken.ACCEPTED, 16, 16, 1)
    assert row.survived == pytest.approx(0.571)  # "aardvark" of 14 visible characters
    assert (row.language, row.situation, row.model) == ("python", "cold", "scripted")
    assert row.evaluated > 0 and row.generated > 0 and row.ms > 0


FATES: list[tuple[str, list[str], list[tuple[str, int]]]] = [
    ("typed something else", ["x"], [("offered", 0)]),
    ("typed along, taken", ["a", "ask", "ardvark + zebra"], [("continued", 0), ("accepted", 15)]),
    ("a word", ["aardvark"], [("partial", 8)]),
    ("word by word", ["aardvark", " + zebra"], [("accepted", 16)]),
    ("asked again", ["ask"], [("continued", 0), ("offered", 0)]),
]  # fmt: skip


@pytest.mark.parametrize("case", FATES, ids=[c[0] for c in FATES])
async def test_each_suggestion_has_an_outcome(
    start: Start, case: tuple[str, list[str], list[tuple[str, int]]]
) -> None:
    _, steps, expected = case
    service = await start(scripted("model", MODEL))
    person = FakeUser(service, ADD)
    await person.ask()
    for step in steps:
        if step == "ask":
            await person.ask()
        else:
            person.edit(person.cursor, person.cursor, step)
    found = [(str(row.taken), row.saved) for row in await closed(service)]
    assert found == expected


async def test_an_acceptance_by_the_client_counts_without_an_edit(start: Start) -> None:
    service = await start(scripted("model", MODEL))
    person = FakeUser(service, ADD)
    (suggestion,) = (await person.ask()).suggestions
    service.accepted(suggestion.id)
    person.edit(person.cursor, person.cursor, SECRET)
    (row,) = await closed(service)
    assert (row.taken, row.saved, row.survived) == (Taken.ACCEPTED, 16, 1.0)


async def test_survival_is_measured_after_a_while_and_at_closing(start: Start) -> None:
    service = await start(scripted("model", MODEL))
    service.acceptance.survival_seconds = 0.01
    person = FakeUser(service, ADD)
    await person.ask()
    person.edit(person.cursor, person.cursor, SECRET)
    service.read_log()
    await asyncio.sleep(0.1)
    person.delete(len(SECRET))  # too late to count
    other = FakeUser(service, ADD, "b.py")
    service.acceptance.survival_seconds = 60
    await other.ask()
    other.edit(other.cursor, other.cursor, SECRET)
    service.closed(other.uri)
    assert [row.survived for row in await closed(service)] == [1.0, 1.0]


async def test_no_code_is_kept(start: Start) -> None:
    service = await start(scripted("model", MODEL))
    person = FakeUser(service, ADD, "confidential.py")
    await person.ask()
    person.edit(person.cursor, person.cursor, SECRET)
    await service.aclose()
    path = RecordStore().path
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    kept = b"".join(file.read_bytes() for file in path.parent.glob("suggestions.db*"))
    assert b"accepted" in kept
    for word in (b"aardvark", b"zebra", b"confidential", b"def add"):
        assert word not in kept


async def test_turned_off_nothing_is_kept(start: Start) -> None:
    service = await start(scripted("model", MODEL), record=False)
    person = FakeUser(service, ADD)
    assert await person.said() == SECRET
    person.edit(person.cursor, person.cursor, SECRET)
    await service.aclose()
    assert not RecordStore().path.exists()


async def test_turned_off_while_it_runs(start: Start) -> None:
    service = await start(scripted("model", MODEL))
    await FakeUser(service, ADD).ask()
    await service.configure(Config(completion=Completion(record=False)))
    await FakeUser(service, ADD, "b.py").ask()
    assert await closed(service) == []


# --- the recorder and its file ----------------------------------------------------------------


def trace(**how: Any) -> Trace:
    given: dict[str, Any] = {
        "id": "1", "surface": Surface.POPUP, "uri": "file:///a.py", "version": 1, "provider": "p",
        "model": "m", "situation": Situation.TYPING, "total_ms": 12.0, "shown": True,
    }  # fmt: skip
    return Trace(**{**given, **how})


def test_unanswered_requests_are_not_recorded(tmp_path: Path) -> None:
    recorder = Recorder(RecordStore(tmp_path / "s.db"))
    assert recorder.record("python", trace(provider="", reason="paused")) is None


async def test_rows_are_written_together_and_changed_later(tmp_path: Path) -> None:
    recorder = Recorder(RecordStore(tmp_path / "s.db"))
    recorder.write_seconds = 0.02
    usage = Usage("m", evaluated_tokens=7, reused_tokens=93, generated_tokens=5)
    written = [recorder.record("go", trace(usage=usage)) for _ in range(3)]
    last = written[2]
    assert last is not None
    async with asyncio.timeout(60):
        while last.id is None:
            await asyncio.sleep(0.01)
    last.taken, last.survived = Taken.ACCEPTED, 0.5
    recorder.row_changed(last)
    await recorder.aclose()
    kept = RecordStore(tmp_path / "s.db").rows(0)
    assert [(r.id, r.taken, r.survived) for r in kept] == [
        (1, Taken.NONE, None),
        (2, Taken.NONE, None),
        (3, Taken.ACCEPTED, 0.5),
    ]
    assert (kept[0].evaluated, kept[0].reused, kept[0].generated) == (7, 93, 5)


async def test_two_servers_write_to_one_file(tmp_path: Path) -> None:
    both = [Recorder(RecordStore(tmp_path / "s.db")) for _ in range(2)]
    for _ in range(20):
        for number, recorder in enumerate(both):
            recorder.record(f"language{number}", trace())
        await asyncio.gather(*(recorder.flush() for recorder in both))
    for recorder in both:
        await recorder.aclose()
    kept = RecordStore(tmp_path / "s.db").rows(0)
    assert len({row.id for row in kept}) == 40
    assert sum(row.language == "language1" for row in kept) == 20


async def test_old_rows_go(tmp_path: Path) -> None:
    store = RecordStore(tmp_path / "s.db")
    store.save(
        [
            SuggestionRecord(time.time() - (KEPT_DAYS + 1) * 86_400),
            SuggestionRecord(time.time() - 86_400),
        ]
    )
    recorder = Recorder(store)
    recorder.record("python", trace())
    await recorder.aclose()
    assert len(store.rows(0)) == 2


async def test_a_file_that_cannot_be_written_is_said_once_and_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "data"
    folder.write_text("a file where the folder should be")
    recorder = Recorder(RecordStore(folder / "s.db"))
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            recorder.record("python", trace())
            await recorder.flush()
    assert len(caplog.records) == 1
    assert "cannot be used" in caplog.text and "disk space" in caplog.text
    folder.unlink()
    await recorder.aclose()
    assert len(RecordStore(folder / "s.db").rows(0)) == 3


async def test_a_full_disk_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = RecordStore(tmp_path / "s.db")
    store.save([SuggestionRecord(1.0)])
    db = sqlite3.connect(tmp_path / "s.db")
    pages = db.execute("PRAGMA page_count").fetchone()[0]
    db.close()
    monkeypatch.setattr("nearfield.routing.store.connect", _with_pages(pages))
    store.close()
    recorder = Recorder(store)
    for _ in range(400):
        recorder.record("python" * 10, trace())
    with caplog.at_level(logging.WARNING):
        await recorder.flush()
        await recorder.flush()
    assert len(caplog.records) == 1
    await recorder.aclose()


def _with_pages(pages: int) -> Any:
    from nearfield.routing.store import connect

    def limited(*given: Any) -> sqlite3.Connection:
        db = connect(*given)
        db.execute(f"PRAGMA max_page_count = {pages}")
        return db

    return limited


def test_a_broken_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    path.write_bytes(b"not a database, but long enough to be taken for a page" * 100)
    with pytest.raises(RecordUnusable, match="cannot be used"):
        RecordStore(path).rows(0)


def test_reading_makes_no_file(tmp_path: Path) -> None:
    assert RecordStore(tmp_path / "s.db").rows(0) == []
    assert list(tmp_path.iterdir()) == []


# --- the sums ------------------------------------------------------------------------------------


def test_a_summary_counts_rates_and_percentiles(tmp_path: Path) -> None:
    of = summary(
        _sums(
            tmp_path / "a.db",
            SuggestionRecord(
                1, situation="typing", ms=10, chars=4, taken=Taken.ACCEPTED, saved=4, survived=0.5
            ),
            SuggestionRecord(
                1, situation="typing", ms=20, chars=9, taken=Taken.PARTIAL, saved=12, survived=1.0
            ),
            SuggestionRecord(1, situation="typing", ms=30, chars=9, taken=Taken.CONTINUED),
            SuggestionRecord(
                1, situation="cold", ms=900, chars=9, taken=Taken.OFFERED, evaluated=70, reused=30
            ),
            SuggestionRecord(1, situation="cold", ms=100, reason="unsure", generated=5),
            SuggestionRecord(1, situation="cold", ms=9999, reason="cancelled", evaluated=5),
        )
    )
    assert (of.questions, of.offered, of.accepted, of.partly) == (6, 3, 1, 1)
    assert of.acceptance == pytest.approx(2 / 3)
    assert (of.saved, of.survived) == (16, pytest.approx(14 / 16))
    assert (of.evaluated, of.reused, of.generated) == (75, 30, 5)
    assert of.silent == {"unsure": 1}
    cold, typing = of.latency
    assert (cold.situation, cold.answers) == ("cold", 2)
    assert (cold.p50, cold.p90) == (pytest.approx(100, rel=0.03), pytest.approx(900, rel=0.03))
    assert (typing.p50, typing.p90) == (pytest.approx(20, rel=0.03), pytest.approx(30, rel=0.03))
    nothing = summary(_sums(tmp_path / "none.db"))
    assert (nothing.acceptance, nothing.survived, nothing.latency) == (None, None, ())


def _sums(path: Path, *rows: SuggestionRecord) -> SuggestionSums:
    store = RecordStore(path)
    store.save(rows)
    return store.sums(0)


@pytest.mark.parametrize("settled", [True, False])
def test_sums_are_those_of_the_records_however_many_are_added_already(
    tmp_path: Path, settled: bool
) -> None:
    store, now = RecordStore(tmp_path / "s.db"), time.time()
    age = 2 * SETTLED_SECONDS if settled else 0
    rows = [
        SuggestionRecord(
            now - age,
            language=("python", "go")[number % 2],
            model="m",
            situation="typing",
            ms=10,
            confidence=-0.3 - number / 10,
            chars=0 if number > 5 else 4,
            reason="unsure" if number > 5 else "",
            taken=Taken.ACCEPTED if number < 3 else Taken.OFFERED,
            saved=4 if number < 3 else 0,
        )
        for number in range(8)
    ]
    rows.append(SuggestionRecord(now - age, method=Surface.NEXT_EDIT, ms=9, stages={"gate": 5}))
    store.save(rows)
    while store.settle():
        pass
    sums = store.sums(now - 86_400)
    of = summary(sums)
    assert (of.questions, of.offered, of.accepted, of.saved) == (8, 6, 3, 12)
    assert of.silent == {"unsure": 2}
    assert [(one.key, one.questions) for one in parts(sums, "language")] == [
        ("go", 4),
        ("python", 4),
    ]
    assert sum(one.hidden for one in curve(sums)) == 2
    assert sum(one.offered for one in curve(sums)) == 6
    edits = next_edit_summary(sums)
    assert (edits.questions, edits.offered, edits.answered) == (1, 1, 1)
    assert [one.stage for one in edits.stages] == ["gate", "total"]


def test_a_question_reads_sums_and_not_every_record(tmp_path: Path) -> None:
    store, at = RecordStore(tmp_path / "s.db"), time.time() - 3600
    for _ in range(10):
        store.save([SuggestionRecord(at, ms=5, situation="typing") for _ in range(1000)])
    while store.settle():
        pass
    with store.file.connected() as db:
        steps = 0

        def step() -> int:
            nonlocal steps
            steps += 1
            return 0

        db.set_progress_handler(step, 100)
    assert summary(store.sums(0)).questions == 10_000
    # Each of the records would take more than ten instructions of SQLite's machine.
    assert steps * 100 < 10_000


@pytest.mark.parametrize(
    ("classes", "percent", "expected"),
    [
        ([(5, 1)], 50, 5),
        ([(1, 1), (2, 1)], 50, 1),
        ([(1, 1), (2, 1)], 90, 2),
        ([(1, 2), (3, 1)], 50, 1),
    ],
)
def test_a_percentile_is_of_the_class_that_enough_do_not_exceed(
    classes: list[tuple[int, int]], percent: int, expected: int
) -> None:
    assert percentile(classes, percent) == CLASS_WIDTH**expected
