"""Which step waits for what another process answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.engine.test_bookkeeping import new_lane

from nearfield.engine.frames import Done, Event, Generate, Variant
from nearfield.engine.lane import Abort, Lane
from nearfield.engine.llama import Model
from nearfield.engine.rates import Rates
from nearfield.engine.scheduler import Scheduler
from nearfield.engine.typing_lock import StepGate, TypingLock
from nearfield.types import Priority

pytestmark = pytest.mark.model


class Two:
    """A scheduler, and the lock of another worker; the clock stands still."""

    def __init__(self, model: Model, lane: Lane, path: Path) -> None:
        self.events: list[Event] = []
        self.abort = Abort()
        gate = StepGate(path, self.abort.set, lambda: 0.0)
        self.scheduler = Scheduler(
            model, lambda _: lane, Rates(), self.abort, self.events.append, gate
        )
        self.other = TypingLock(path)

    def ask(self, id: int, priority: Priority, deadline_ms: float = 0.0) -> None:
        self.scheduler.add(
            Generate(
                id=id,
                lane="infill",
                priority=priority,
                document=str(id),
                variants=[Variant([("x = ", False)])],
                max_tokens=2,
                deadline_ms=deadline_ms,
            )
        )

    def work(self) -> list[int]:
        """Work until there is nothing that may be done; return the jobs that have ended."""
        self.events.clear()
        while not self.scheduler.idle and not self.scheduler.must_wait():
            self.scheduler.step()
        return [event.id for event in self.events if isinstance(event, Done)]


@pytest.fixture
def two(model: Model, tmp_path: Path) -> Iterator[Two]:
    lane = new_lane(model, 3)
    yield Two(model, lane, tmp_path / "typing.lock")
    lane.close()


@pytest.mark.parametrize("priority", [p for p in Priority if p > Priority.COMPLETION])
def test_everything_but_a_completion_waits(two: Two, priority: Priority) -> None:
    two.other.take()
    two.ask(1, priority)
    assert two.work() == []
    two.ask(2, Priority.COMPLETION)
    assert two.work() == [2]
    two.other.give_back()
    assert two.work() == [1]


def test_a_job_whose_time_is_over_ends_while_it_waits(two: Two) -> None:
    two.other.take()
    two.ask(1, Priority.CHAT, deadline_ms=1e-6)
    assert two.work() == [1]


def test_a_completion_holds_up_others_until_it_has_ended(two: Two) -> None:
    two.ask(1, Priority.COMPLETION)
    two.ask(2, Priority.CHAT)
    seen: list[bool] = []
    while not two.scheduler.idle and not two.scheduler.must_wait():
        seen.append(two.other.is_elsewhere())
        two.scheduler.step()
    ended = seen.index(False)
    assert ended >= 2
    assert not any(seen[ended:])
