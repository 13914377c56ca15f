"""Times on the command line: what no calendar has ends no command."""

from __future__ import annotations

import pytest

from nearfield.cli.moments import moment, since


@pytest.mark.parametrize("at", [1e300, -1e300, 1e14, float("nan"), float("inf")])
def test_a_time_that_no_calendar_has_is_unknown(at: float) -> None:
    assert moment(at) == "unknown"


def test_a_time_is_told_in_figures() -> None:
    assert len(moment(1_700_000_000.5)) == len("2023-11-14 22:13:20")


@pytest.mark.parametrize("text", ["999999999w", "1900-01-01"])
def test_the_beginning_of_all_is_the_epoch(text: str) -> None:
    assert since(text) == 0.0


@pytest.mark.parametrize("text", ["9" * 5000 + "w", "9" * 400 + "h", "soon", ""])
def test_what_is_no_time_ends_the_command(text: str) -> None:
    with pytest.raises(SystemExit):
        since(text)
