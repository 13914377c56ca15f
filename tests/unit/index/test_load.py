"""When the indexer rests because others need the machine."""

from __future__ import annotations

import pytest

from nearfield.index.load import LONGEST_REST_SECONDS, Load, Reading, read


@pytest.mark.parametrize(
    ("used", "total", "seconds", "rest"),
    [
        (0.0, 0.4, 0.2, 0.0),
        (0.2, 0.4, 0.2, 0.0),
        (0.39, 0.4, 0.2, 0.2),
        (19.0, 20.0, 10.0, LONGEST_REST_SECONDS),
        (0.0, 0.0, 0.0, 0.0),
        (-1.0, -1.0, 0.2, 0.0),
    ],
)
def test_it_rests_while_others_need_most_of_the_machine(
    used: float, total: float, seconds: float, rest: float
) -> None:
    readings = iter([Reading(5, 10, 1), Reading(5 + used, 10 + total, 1 + seconds)])
    assert Load(lambda: next(readings)).rest() == pytest.approx(rest)


def test_a_rest_is_not_counted_as_work() -> None:
    readings = iter(
        [Reading(0, 0, 0), Reading(4, 4, 2), Reading(5, 5, 2.5), Reading(5.4, 5.4, 2.7)]
    )
    load = Load(lambda: next(readings))
    assert load.rest() == LONGEST_REST_SECONDS
    load.rested()
    assert load.rest() == pytest.approx(0.2)


def test_the_machine_can_be_read() -> None:
    before, after = read(), read()
    assert 0 <= before.used <= before.total
    assert after.total >= before.total and after.at >= before.at
