"""The status board."""

from __future__ import annotations

from nearfield.features.status import State, Status, StatusBoard


def test_the_board_reports_each_status_once() -> None:
    board, heard = StatusBoard(), list[Status]()
    stop = board.subscribe(heard.append)
    loading = Status(State.LOADING, progress=0.5)
    for status in (loading, loading, Status(State.READY), Status(State.READY)):
        board.set(status)
    assert heard == [loading, Status(State.READY)]
    stop()
    board.set(loading)
    assert len(heard) == 2
    assert board.status == loading
