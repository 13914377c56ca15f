"""Typing first, between processes: who gives way to whom, and for how long."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nearfield.engine import typing_lock
from nearfield.engine.typing_lock import PATIENCE_SECONDS, StepGate, TypingLock

HOLD = """
import sys
from pathlib import Path
from nearfield.engine.typing_lock import TypingLock
lock = TypingLock(Path(sys.argv[1]))
lock.take()
print("taken", flush=True)
sys.stdin.read()
"""


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "typing.lock"


@pytest.fixture
def other(path: Path) -> Iterator[TypingLock]:
    """Another worker's lock: each object counts for itself, as a process does."""
    lock = TypingLock(path)
    yield lock
    lock.close()


def runs(gate: StepGate) -> bool:
    """Return whether a step of a chat may run, and run it."""
    may = gate.may_begin(types=False)
    if may:
        with gate.step(is_watched=False):
            pass
    return may


def test_a_step_waits_while_another_worker_answers_typing(path: Path, other: TypingLock) -> None:
    gate = StepGate(path)
    assert runs(gate)
    other.take()
    assert not runs(gate)
    other.give_back()
    assert runs(gate)


def test_an_answer_to_typing_waits_for_nobody_and_is_seen_until_it_ends(
    path: Path, other: TypingLock
) -> None:
    gate = StepGate(path)
    other.take()
    assert gate.may_begin(types=True)
    other.give_back()
    assert gate.may_begin(types=True)
    assert other.is_elsewhere()
    gate.rest()
    assert not other.is_elsewhere()
    gate.may_begin(types=True)
    assert runs(gate), "a chat of this worker itself is the next"
    assert not other.is_elsewhere()


def test_a_long_step_is_ended_when_another_worker_begins_to_answer_typing(
    path: Path, other: TypingLock
) -> None:
    ends: list[str] = []
    gate = StepGate(path, lambda: ends.append("end"))
    gate.look()
    assert not ends
    other.take()
    gate.look()
    assert ends == ["end"]


def test_a_lock_that_is_never_given_back_costs_one_wait(path: Path, other: TypingLock) -> None:
    """A stopped process has it, or one that means harm."""
    ends: list[str] = []
    clock = Clock()
    gate = StepGate(path, lambda: ends.append("end"), clock)
    other.take()
    assert not runs(gate)
    clock.now += PATIENCE_SECONDS
    assert [runs(gate) for _ in range(100)] == [True] * 100
    gate.rest()
    assert runs(gate), "the next request does not wait again"
    gate.look()
    assert not ends
    other.give_back()
    assert runs(gate)
    other.take()
    assert not runs(gate), "once it has been free, it counts again"


def test_a_step_that_is_ended_again_and_again_runs_in_the_end(
    path: Path, other: TypingLock
) -> None:
    """Where the pauses between keys are shorter than a step."""
    ends: list[str] = []
    clock = Clock()
    gate = StepGate(path, lambda: ends.append("end"), clock)
    for _ in range(int(PATIENCE_SECONDS / 0.25)):
        assert gate.may_begin(types=False)
        other.take()
        gate.look()
        gate.held_up()
        other.give_back()
        clock.now += 0.25
    ended = len(ends)
    assert ended == PATIENCE_SECONDS / 0.25
    assert gate.may_begin(types=False)
    other.take()
    gate.look()
    assert len(ends) == ended
    with gate.step(is_watched=True):
        pass
    assert not runs(gate), "it has had its step"


def test_a_killed_process_holds_up_nobody(path: Path) -> None:
    gate = StepGate(path)
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == b"taken"
        assert not runs(gate)
        process.kill()
    assert runs(gate)


def content(path: Path) -> None:
    path.write_bytes(b"\xff\x00" * 100_000)


def folder(path: Path) -> None:
    path.mkdir()


def link(path: Path) -> None:
    path.symlink_to(path.with_name("elsewhere"))


def pipe(path: Path) -> None:
    os.mkfifo(path)


def of_everybody(path: Path) -> None:
    path.touch()
    path.chmod(0o666)


@pytest.mark.skipif(os.name == "nt", reason="needs links and pipes")
@pytest.mark.parametrize("make", [content, folder, link, pipe, of_everybody])
def test_whatever_is_in_the_place_of_the_file_holds_up_nobody(
    path: Path, make: Callable[[Path], None]
) -> None:
    path.parent.mkdir()
    make(path)
    before = sorted(path.parent.iterdir())
    gate = StepGate(path)
    assert gate.may_begin(types=True)
    assert runs(gate)
    assert sorted(path.parent.iterdir()) == before
    if make is content:
        assert path.stat().st_size == 200_000


def test_a_file_system_without_locks_holds_up_nobody(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(file: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    gate = StepGate(path)
    monkeypatch.setattr(typing_lock, "_lock", refuse)
    assert gate.may_begin(types=True)
    assert runs(gate)
    assert runs(gate)


@pytest.mark.skipif(os.name == "nt", reason="the profile is closed to others already")
def test_the_file_is_the_users_alone_and_empty(path: Path) -> None:
    TypingLock(path).take()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert path.read_bytes() == b""
