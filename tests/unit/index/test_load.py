"""When the indexer rests because others need the machine."""

from __future__ import annotations

import pytest

from nearfield.index.throttle import MAX_REST_SECONDS, LoadSample, MachineLoad, read


@pytest.mark.parametrize(
    ("used", "total", "seconds", "rest"),
    [
        (0.0, 0.4, 0.2, 0.0),
        (0.2, 0.4, 0.2, 0.0),
        (0.39, 0.4, 0.2, 0.2),
        (19.0, 20.0, 10.0, MAX_REST_SECONDS),
        (0.0, 0.0, 0.0, 0.0),
        (-1.0, -1.0, 0.2, 0.0),
    ],
)
def test_the_indexer_pauses_while_others_use_the_machine(
    used: float, total: float, seconds: float, rest: float
) -> None:
    readings = iter([LoadSample(5, 10, 1), LoadSample(5 + used, 10 + total, 1 + seconds)])
    assert MachineLoad(lambda: next(readings)).rest() == pytest.approx(rest)


def test_a_rest_is_not_counted_as_work() -> None:
    readings = iter(
        [LoadSample(0, 0, 0), LoadSample(4, 4, 2), LoadSample(5, 5, 2.5), LoadSample(5.4, 5.4, 2.7)]
    )
    load = MachineLoad(lambda: next(readings))
    assert load.rest() == MAX_REST_SECONDS
    load.rested()
    assert load.rest() == pytest.approx(0.2)


def test_the_machine_can_be_read() -> None:
    before, after = read(), read()
    assert 0 <= before.used <= before.total
    assert after.total >= before.total and after.at >= before.at
