"""What the editor shows of our state: `nearfield/status` (request and notification) and
`didChangeStatus`, as clients of Copilot's server know it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pygls.lsp.server import LanguageServer

from nearfield.features.status import State, Status
from nearfield.lsp.session import Session

if TYPE_CHECKING:
    from nearfield.features.service import Service

STATUS = "nearfield/status"
DID_CHANGE_STATUS = "didChangeStatus"

_KINDS = {
    State.STARTING: "Normal",
    State.LOADING: "Normal",
    State.READY: "Normal",
    State.UNAVAILABLE: "Error",
    State.PAUSED: "Inactive",
}


def register(server: LanguageServer, session: Session) -> None:
    """Tell every change of the status, and answer who asks."""

    def say(status: Status) -> None:
        session.protocol.notify(STATUS, as_dict(status))
        session.protocol.notify(DID_CHANGE_STATUS, as_copilot(status))
        if status.state is State.UNAVAILABLE and status.detail:
            session.notice(f"Nearfield: {status.detail}")

    def started(service: Service) -> None:
        service.subscribe(say)

    async def answer(_: Any = None) -> dict[str, Any]:
        service = await session.service()
        return as_dict(service.status)

    session.when_started.append(started)
    server.feature(STATUS)(answer)


def as_dict(status: Status) -> dict[str, Any]:
    """All of it: state, detail, progress (0..1 or null), provider, model."""
    return {
        "state": status.state.value,
        "detail": status.detail,
        "progress": status.progress,
        "provider": status.provider,
        "model": status.model,
    }


def as_copilot(status: Status) -> dict[str, Any]:
    """The params of `didChangeStatus`."""
    return {
        "busy": status.state in (State.STARTING, State.LOADING),
        "kind": _KINDS[status.state],
        "message": status.detail,
    }
