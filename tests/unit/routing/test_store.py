"""The file: consent, the ledger, sums, migrations, and what happens when it is broken."""

from __future__ import annotations

import os
import sqlite3
import stat
import time
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from nearfield.config.schema import Cache, Engine
from nearfield.routing.answers import Answers
from nearfield.routing.consent import Consent
from nearfield.routing.ledger import EntryFilter, LedgerError, LocalUse, RequestOutcome, Sending
from nearfield.routing.store import MIGRATIONS, Store
from nearfield.types import ChatRequest, Message, Role

SENT = Sending(
    "/w", "cloud", "m", "https://h", "fix", (("a.py", 1, 5), ("b.py", None, None)), 10,
    (("JSON web token", 2),), "ab" * 32,
)  # fmt: skip


def test_an_entry_is_read_as_written(store: Store) -> None:
    number = store.begin(SENT)
    entry = store.entry(number)
    assert entry is not None
    assert (entry.sending, entry.outcome, entry.price) == (SENT, RequestOutcome.SENDING, None)
    store.finish(number, "answered", 100, 20, Decimal("0.0000012"))
    entry = store.entry(number)
    assert entry is not None
    assert (entry.outcome, entry.tokens_in, entry.tokens_out) == ("answered", 100, 20)
    assert entry.price == Decimal("0.0000012")
    assert store.entry(number + 1) is None


def test_folders_whose_names_are_no_text_are_told_apart(store: Store, tmp_path: Path) -> None:
    one, other = (f"{tmp_path}/caf{end}" for end in ("\udce9", "\udce8"))
    store.say(one, "cloud", "https://h", Consent.WORKSPACE)
    assert store.consent(one, "cloud", "https://h") is Consent.WORKSPACE
    assert store.consent(other, "cloud", "https://h") is Consent.UNASKED
    assert store.consent("a\0b", "cloud", "https://h") is Consent.UNASKED
    store.begin(replace(SENT, workspace=one))
    [entry] = store.entries(EntryFilter(workspace=one))
    assert entry.sending.workspace == rf"{tmp_path}/caf\udce9"
    assert store.entries(EntryFilter(workspace=other)) == []


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (EntryFilter(), [3, 2, 1]),
        (EntryFilter(provider="other"), [2]),
        (EntryFilter(workspace="/v"), [3]),
        (EntryFilter(task="fix"), [3, 2, 1]),
        (EntryFilter(task="chat"), []),
        (EntryFilter(outcome="Unreach"), [2]),
        (EntryFilter(outcome="answered", workspace="/w"), [1]),
        (EntryFilter(since=time.time() + 86_400), []),
        (EntryFilter(until=time.time() - 86_400), []),
    ],
)
def test_entries_are_filtered(store: Store, wanted: EntryFilter, expected: list[int]) -> None:
    store.finish(store.begin(SENT), "answered", 1, 1, None)
    store.finish(store.begin(replace(SENT, provider="other")), "Unreachable", 1, 0, None)
    store.begin(replace(SENT, workspace="/v"))
    assert [entry.id for entry in store.entries(wanted)] == expected
    assert [entry.id for entry in store.entries(wanted, 1)] == expected[:1]


def test_spent_counts_known_prices_and_unknown_ones(store: Store) -> None:
    for outcome, cost in (
        ("answered", Decimal("0.1")), ("answered", Decimal("0.2")), ("answered", None),
        ("Unauthorised", None), ("cancelled", None),
    ):  # fmt: skip
        store.finish(store.begin(SENT), outcome, 1, 1, cost)
    spent = store.spent(time.time() - 60)
    assert (spent.dollars, spent.unknown) == (Decimal("0.3"), 2)
    assert store.spent(time.time() + 60).dollars == 0


def test_old_entries_are_pruned(store: Store) -> None:
    store.begin(SENT)
    assert store.prune(time.time() - 60) == 0
    assert store.prune(time.time() + 60) == 1
    assert store.entries() == []


def test_consent_is_stored_for_a_workspace_and_destination(store: Store) -> None:
    for consent in (Consent.WORKSPACE, Consent.NEVER):
        store.say("/w", "cloud", "https://h", consent)
        assert store.consent("/w", "cloud", "https://h") is consent
    assert store.consent("/w", "cloud", "https://elsewhere") is Consent.NEVER
    assert store.consent("/v", "cloud", "https://h") is Consent.UNASKED
    store.say("", "cloud", "https://h", Consent.WORKSPACE)
    assert store.consent("", "cloud", "https://h") is Consent.UNASKED, "no workspace, no consent"
    assert store.revoke("/w", None) == 1
    assert store.revoke(None, None) == 1
    assert store.said() == []


def test_sums_add_up(store: Store) -> None:
    day = time.strftime("%Y-%m-%d")
    use = LocalUse(day, "complete", "embedded", "m", 2, 30, 4)
    store.count_local([use])
    store.count_local([use, replace(use, task="fix")])
    sums = [(u.task, u.requests, u.tokens_in, u.tokens_out) for u in store.local_use(time.time())]
    assert sums == [("complete", 4, 60, 8), ("fix", 2, 30, 4)]


def test_migrations_are_recorded_and_run_once(store: Store) -> None:
    store.begin(SENT)
    store.close()
    again = Store(store.path)
    assert len(again.entries()) == 1
    again.close()
    db = sqlite3.connect(store.path)
    names = [row[0] for row in db.execute("SELECT name FROM migrations ORDER BY name")]
    db.close()
    assert names == [migration.__name__ for migration in MIGRATIONS] == sorted(names)


def test_a_request_is_on_disk_before_begin_returns(store: Store) -> None:
    store.begin(SENT)
    db = sqlite3.connect(f"file:{store.path}?mode=ro", uri=True)
    assert db.execute("SELECT outcome FROM egress").fetchall() == [(RequestOutcome.SENDING,)]
    db.close()


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_only_the_user_can_read_it(store: Store) -> None:
    store.begin(SENT)
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(store.path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("trouble", ["garbage", "folder", "locked"])
def test_every_file_fault_is_a_ledger_error(
    tmp_path: Path, trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.db"
    store = Store(path)
    holder = None
    if trouble == "garbage":
        path.write_bytes(b"this is no database" * 100)
    elif trouble == "folder":
        path.mkdir()
    else:
        store.begin(SENT)
        store.close()
        monkeypatch.setattr("nearfield.routing.store.BUSY_SECONDS", 0.05)
        holder = sqlite3.connect(path, isolation_level=None)
        holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(LedgerError, match="nothing is sent"):
        store.begin(SENT)
    store.close()
    if holder is not None:
        holder.close()


ENGINE = Engine()


def _request(text: str) -> ChatRequest:
    return ChatRequest((Message(Role.USER, text),))


def test_answers_are_kept_within_their_size_and_age(tmp_path: Path) -> None:
    answers = Answers(Cache(max_mb=1), tmp_path / "answers.db")
    keys = [answers.key("p", "m", ENGINE, _request(str(n))) for n in range(8)]
    assert len(set(keys)) == 8
    for key in keys:
        assert answers.put(key, _request("q"), "x" * 300_000)
    kept = [answers.get(key) is not None for key in keys]
    assert kept == [False] * 5 + [True] * 3
    answers.close()
    old = Answers(Cache(max_age_hours=1), tmp_path / "answers.db")
    db = sqlite3.connect(tmp_path / "answers.db")
    db.execute("UPDATE answers SET at = at - 3700")
    db.commit()
    db.close()
    assert [old.get(key) for key in keys] == [None] * 8
    old.close()


def test_a_broken_file_of_answers_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "answers.db").write_bytes(b"no database at all" * 50)
    answers = Answers(Cache(), tmp_path / "answers.db")
    key = answers.key("p", "m", ENGINE, _request("q"))
    assert answers.put(key, _request("q"), "text") is False
    assert answers.get(key) is None
    answers.close()


def test_answers_can_be_turned_off(tmp_path: Path) -> None:
    answers = Answers(Cache(enabled=False), tmp_path / "answers.db")
    assert answers.put("k", _request("q"), "text") is False and answers.get("k") is None
    assert not (tmp_path / "answers.db").exists()
