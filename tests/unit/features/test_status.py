"""The status board."""

from __future__ import annotations

from nearfield.features.status import ServiceState, ServiceStatus, StatusBoard


def test_the_board_reports_each_status_once() -> None:
    board, heard = StatusBoard(), list[ServiceStatus]()
    stop = board.subscribe(heard.append)
    loading = ServiceStatus(ServiceState.LOADING, progress=0.5)
    for status in (
        loading,
        loading,
        ServiceStatus(ServiceState.READY),
        ServiceStatus(ServiceState.READY),
    ):
        board.set(status)
    assert heard == [loading, ServiceStatus(ServiceState.READY)]
    stop()
    board.set(loading)
    assert len(heard) == 2
    assert board.status == loading
