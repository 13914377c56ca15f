"""What an interrupted run goes on from."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nearfield.features.tune.plan import CHECKPOINT, PLAN, PlanStore, TunePlan


def plan(**more: object) -> TunePlan:
    about: dict[str, object] = {"model": "m 1 2", "commit": "c", "seed": 0, "holes": 100}
    return TunePlan(**about | more)  # type: ignore[arg-type]


def test_a_run_goes_on_where_it_was(tmp_path: Path) -> None:
    store = PlanStore(tmp_path / "tune")
    store.keep_checkpoint(b"state", plan(trained=16, steps=2, spent_s=30.0))
    again = PlanStore(tmp_path / "tune")
    found = again.load("m 1 2", 0, 100)
    assert found is not None
    assert (found.trained, found.steps, found.commit) == (16, 2, "c")
    assert found.spent_s >= 30.0
    assert again.checkpoint() == b"state"
    # The time of the run before counts.
    assert again.left(found, 1.0) <= 30.0
    assert again.left(found, 1.0, 0.5) <= 0.0


@pytest.mark.parametrize("asked", [("other", 0, 100), ("m 1 2", 1, 100), ("m 1 2", 0, 50)])
def test_another_run_begins_anew(tmp_path: Path, asked: tuple[str, int, int]) -> None:
    store = PlanStore(tmp_path / "tune")
    store.save(plan())
    assert store.load(*asked) is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"model": 1}'])
def test_a_torn_plan_is_none(tmp_path: Path, content: bytes) -> None:
    store = PlanStore(tmp_path / "tune")
    store.save(plan())
    (store.folder / PLAN).write_bytes(content)
    assert store.load("m 1 2", 0, 100) is None


def test_forgotten_is_gone(tmp_path: Path) -> None:
    store = PlanStore(tmp_path / "tune")
    store.keep_checkpoint(b"state", plan())
    store.forget()
    store.forget()
    assert store.load("m 1 2", 0, 100) is None
    assert store.checkpoint() is None


@pytest.mark.skipif(os.name == "nt", reason="modes are POSIX's")
def test_only_the_user_may_read_it(tmp_path: Path) -> None:
    store = PlanStore(tmp_path / "tune")
    store.keep_checkpoint(b"state", plan())
    modes = [(store.folder / name).stat().st_mode & 0o777 for name in (PLAN, CHECKPOINT)]
    assert modes == [0o600, 0o600]
    assert store.folder.stat().st_mode & 0o777 == 0o700
